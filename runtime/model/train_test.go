package model_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/model"
)

func TestTrain(t *testing.T) {
	n := testnet.New(shapes())
	var steps []loop.Step
	var epochs []model.Epoch
	m, report, err := model.Train(t.Context(), n, rows(t, 30), rows(t, 9), model.TrainOptions{
		OnStep:  func(s loop.Step) { steps = append(steps, s) },
		OnEpoch: func(e model.Epoch) error { epochs = append(epochs, e); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	// 30 rows are 7 batches of 4 and one of 2; the spec has 5 epochs.
	if len(steps) != 40 || report.Steps != 40 || steps[7].Rows != 2 {
		t.Errorf("%d steps, the report has %d", len(steps), report.Steps)
	}
	if diff := cmp.Diff(epochs, report.Epochs); diff != "" || len(epochs) != 5 {
		t.Errorf("%d epochs: %s", len(epochs), diff)
	}
	if last := epochs[4]; last.Test != report.Test || last.Steps != 40 || last.Epoch != 4 || !(last.Loss < epochs[0].Loss) {
		t.Errorf("the last epoch is %+v", last)
	}
	r, err := m.Evaluate(t.Context(), rows(t, 9))
	if err != nil || *r.Accuracy != *report.Test.Accuracy || *r.Accuracy != 1 {
		t.Errorf("measured %+v, %v", r, err)
	}
	again, _, err := model.Train(t.Context(), n, rows(t, 30), nil, model.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	a, _ := predict(n, m, 120, 1)
	if b, _ := predict(n, again, 120, 1); !cmp.Equal(a, b) {
		t.Errorf("two trainings give %v and %v", a, b)
	}
}

// TestTrainAhead trains with an engine that makes many steps at a call: the same
// report and model, also where single steps came before.
func TestTrainAhead(t *testing.T) {
	o := shapes()
	var reports [2]model.Report
	var predicted [2][]float32
	for i := range 2 {
		if i == 1 {
			o.Front = []engine.Device{testnet.AheadDevice("cuda:0", o, 3)}
		}
		n := testnet.New(o)
		m, err := model.New(n, model.WithDevice(n.Devices[0].Name))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.Step([]float32{1, 2}, engine.Target{Class: []int32{1}}, 1)
		for range 2 {
			if reports[i], err = m.Train(t.Context(), rows(t, 30), rows(t, 9), model.TrainOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		predicted[i], _ = predict(n, m, 120, 1)
	}
	if diff := cmp.Diff(reports[0], reports[1]); diff != "" || !cmp.Equal(predicted[0], predicted[1]) {
		t.Errorf("other results: %s", diff)
	}
}

func TestKeepBest(t *testing.T) {
	o := shapes()
	o.LR, o.Epochs = 4, 12 // so high that the loss jumps about
	n := testnet.New(o)
	test := rows(t, 9)
	m, report, err := model.Train(t.Context(), n, rows(t, 30), test, model.TrainOptions{KeepBest: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	best := math.Inf(1)
	for _, e := range report.Epochs {
		best = math.Min(best, float64(e.Test.Loss))
	}
	if last := report.Epochs[11].Test; float64(last.Loss) == best {
		t.Fatal("the last epoch is the best: the test shows nothing")
	}
	r, err := m.Evaluate(t.Context(), test)
	if err != nil || float64(r.Loss) != best || float64(report.Test.Loss) != best {
		t.Errorf("the best loss was %v, the report's is %v, the model's %v, %v", best, report.Test.Loss, r.Loss, err)
	}
}

func TestTrainingsThatCannotBegin(t *testing.T) {
	n := testnet.New(shapes())
	missing, err := data.FromNumbers([]float32{1, 2, 3}, 3, engine.Target{Class: []int32{0}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	good := rows(t, 9)
	for _, test := range []struct {
		name        string
		train, test *data.Table
		o           model.TrainOptions
		want        string
	}{
		{"no rows", nil, nil, model.TrainOptions{}, "no rows to train on"},
		{"another width", missing, nil, model.TrainOptions{}, "3 inputs"},
		{"test rows of another width", good, missing, model.TrainOptions{}, "3 columns"},
		{"no test rows", good, nil, model.TrainOptions{KeepBest: true}, "KeepBest needs test rows"},
		{"negative epochs", good, nil, model.TrainOptions{Epochs: -1}, "-1 epochs"},
		{"negative steps", good, nil, model.TrainOptions{Steps: -1}, "-1 steps"},
	} {
		m, report, err := model.Train(t.Context(), n, test.train, test.test, test.o)
		if m != nil || err == nil || !strings.Contains(err.Error(), test.want) || report.Steps != 0 {
			t.Errorf("%s: got %v, %v, want %q", test.name, m, err, test.want)
		}
		fresh := newModel(t, n)
		before, _ := predict(n, fresh, 1, 2)
		if _, err := fresh.Train(t.Context(), test.train, test.test, test.o); err == nil {
			t.Errorf("%s: trained", test.name)
		}
		if after, _ := predict(n, fresh, 1, 2); !cmp.Equal(before, after) {
			t.Errorf("%s: the model has changed", test.name)
		}
	}
	m := newModel(t, n)
	if _, err := m.Evaluate(t.Context(), nil); err == nil {
		t.Error("no rows are measured")
	}
	if _, err := m.Evaluate(t.Context(), missing); err == nil {
		t.Error("rows of another width are measured")
	}
	if _, _, err := model.Train(t.Context(), n, good, nil, model.TrainOptions{}, model.WithThreads(-2)); err == nil {
		t.Error("-2 threads are taken")
	}
}

func TestTrainingsThatEndEarly(t *testing.T) {
	n := testnet.New(shapes())
	stop := errors.New("enough")
	m, report, err := model.Train(t.Context(), n, rows(t, 30), nil, model.TrainOptions{
		OnEpoch: func(e model.Epoch) error {
			if e.Epoch == 1 {
				return stop
			}
			return nil
		},
	})
	if !errors.Is(err, stop) || m == nil || len(report.Epochs) != 2 || report.Steps != 16 {
		t.Fatalf("stopped with %v after %+v", err, report)
	}
	defer m.Close()

	ctx, cancel := context.WithCancel(t.Context())
	report, err = m.Train(ctx, rows(t, 30), rows(t, 9), model.TrainOptions{OnStep: func(s loop.Step) {
		if s.Step == 10 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || report.Steps != 11 || len(report.Epochs) != 1 {
		t.Errorf("cancelled with %v after %+v", err, report)
	}
	if _, err := m.Evaluate(ctx, rows(t, 9)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled measurement gives %v", err)
	}

	// A learning rate that blows the parameters up is found at the next loss.
	var bad *loop.NonFinite
	wild, report, err := model.Train(t.Context(), n, rows(t, 30), nil, model.TrainOptions{}, model.WithLearningRate(1e38))
	if !errors.As(err, &bad) || wild == nil || report.Steps == 0 {
		t.Fatalf("got %v, %v after %d steps", wild, err, report.Steps)
	}
	wild.Close()
}

func TestPreparationStays(t *testing.T) {
	n, r := recorded(shapes())
	first := rows(t, 12)
	m, _, err := model.Train(t.Context(), n, first, nil, model.TrainOptions{Epochs: 1, KeepOrder: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x, y := numbers(12)
	for i := range x {
		x[i] += 1000
	}
	other, err := data.FromNumbers(x, 2, y, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Train(t.Context(), other, nil, model.TrainOptions{Epochs: 1, KeepOrder: true}); err != nil {
		t.Fatal(err)
	}
	if r.x[3][0] < 10 {
		t.Errorf("a second training fits the scale anew: the first input is %v", r.x[3][0])
	}
}
