package model_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/model"
)

// recorder notes what an engine is asked for.
type recorder struct {
	engine.Engine
	hyper []engine.Hyper
	x     [][]float32
}

func (r *recorder) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	r.hyper = append(r.hyper, h)
	r.x = append(r.x, append([]float32(nil), x...))
	return r.Engine.Step(x, y, rows, h)
}

// recorded returns a network whose engine is recorded.
func recorded(o testnet.Options) (*engine.Network, *recorder) {
	r := &recorder{Engine: testnet.Engine(o)}
	o.Front = []engine.Device{{
		Name: "cpu:avx2", Missing: func() error { return nil },
		New: func(engine.Options) (engine.Engine, error) { return r, nil },
	}}
	return testnet.New(o), r
}

func TestStepsAreCounted(t *testing.T) {
	n, r := recorded(shapes())
	m := newModel(t, n, model.WithLearningRate(0.25), model.WithMomentum(0.75))
	x, y := numbers(4)
	m.Step(x, y, 4)
	m.Step(x[:2], engine.Target{Class: []int32{3}}, 1) // refused
	m.Step(x[:4], engine.Target{Class: y.Class[:2]}, 2)
	if err := m.SetLearningRate(0.125); err != nil {
		t.Fatal(err)
	}
	if err := m.SetLearningRate(-1); err == nil {
		t.Error("a negative learning rate is taken")
	}
	m.Step(x, y, 4)
	want := []engine.Hyper{
		{LR: 0.25, Momentum: 0.75, Step: 1},
		{LR: 0.25, Momentum: 0.75, Step: 2},
		{LR: 0.125, Momentum: 0.75, Step: 3},
	}
	if diff := cmp.Diff(want, r.hyper); diff != "" {
		t.Error(diff)
	}
	// A training that follows goes on counting, at the new rate.
	if _, err := m.Train(t.Context(), rows(t, 4), nil, model.TrainOptions{Epochs: 1}); err != nil {
		t.Fatal(err)
	}
	if got := r.hyper[3]; got.Step != 4 || got.LR != 0.125 || got.Momentum != 0.75 {
		t.Errorf("the training begins with %+v", got)
	}
}

func TestStepPreparesRows(t *testing.T) {
	n, r := recorded(shapes())
	table := rows(t, 12)
	m, _, err := model.Train(t.Context(), n, table, nil, model.TrainOptions{Epochs: 1, KeepOrder: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x, y := numbers(12)
	m.Step(x[:8], y.Rows(0, 4, 3), 4)
	if got, want := r.x[3], r.x[0]; !cmp.Equal(got, want) {
		t.Errorf("a step reads %v, the training of the same rows %v", got, want)
	}
	x[3] = nan // filled by the mean, which is scaled to 0
	if m.Step(x[:4], y.Rows(0, 2, 3), 2); r.x[4][3] != 0 {
		t.Errorf("a missing number becomes %v", r.x[4][3])
	}
}

func TestBadBatchesChangeNothing(t *testing.T) {
	n := testnet.New(shapes())
	m := newModel(t, n)
	before, _ := predict(n, m, 0.1, 0.2)
	for name, loss := range map[string]float64{
		"infinity":        m.Step([]float32{1, inf}, engine.Target{Class: []int32{0}}, 1),
		"NaN":             m.Step([]float32{1, nan}, engine.Target{Class: []int32{0}}, 1),
		"class too large": m.Step([]float32{1, 2}, engine.Target{Class: []int32{3}}, 1),
		"class below 0":   m.Step([]float32{1, 2}, engine.Target{Class: []int32{-1}}, 1),
	} {
		if !math.IsNaN(loss) {
			t.Errorf("%s: the loss is %v", name, loss)
		}
	}
	line := testnet.New(testnet.Options{Inputs: 1, Outputs: 2, Batch: 2})
	if loss := newModel(t, line).Step([]float32{1}, engine.Target{Value: []float32{1, nan}}, 1); !math.IsNaN(loss) {
		t.Errorf("a target that is no number: the loss is %v", loss)
	}
	if after, _ := predict(n, m, 0.1, 0.2); !cmp.Equal(before, after) {
		t.Error("a bad batch changed the parameters")
	}
}

func TestLengthsOfABatch(t *testing.T) {
	n := testnet.New(shapes())
	m := newModel(t, n)
	x, y := numbers(8)
	for name, f := range map[string]func(){
		"no rows":       func() { m.Step(nil, engine.Target{}, 0) },
		"too many":      func() { m.Step(x[:10], y.Rows(0, 5, 3), 5) },
		"short inputs":  func() { m.Step(x[:5], y.Rows(0, 3, 3), 3) },
		"short classes": func() { m.Step(x[:6], y.Rows(0, 2, 3), 3) },
		"values":        func() { m.Step(x[:2], engine.Target{Value: []float32{1, 2, 3}}, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestNoAllocations(t *testing.T) {
	for _, kind := range []string{"none", "standardize"} {
		o := shapes()
		o.Data.Scale.Kind, o.Data.Missing.Kind = kind, "error"
		n := testnet.New(o)
		m, _, err := model.Train(t.Context(), n, rows(t, 12), nil, model.TrainOptions{Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		x, y := numbers(4)
		raw, out := make([]float32, 3), make([]float32, 3)
		cells := []data.Cell{data.Number(1), data.Number(2)}
		for name, f := range map[string]func(){
			"Step":         func() { m.Step(x, y, 4) },
			"Predict":      func() { m.Predict(x[:2], raw, out) },
			"PredictCells": func() { _ = m.PredictCells(cells, raw, out) },
		} {
			if a := testing.AllocsPerRun(50, f); a != 0 && !(racing && name != "Step") {
				t.Errorf("scale %s: %s allocates %v times", kind, name, a)
			}
		}
		m.Close()
	}
}
