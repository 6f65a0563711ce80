package model_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/model"
)

func TestManyRowsAreAsEachAlone(t *testing.T) {
	for _, kind := range []string{"none", "standardize"} {
		o := shapes()
		o.Data.Scale.Kind, o.Data.Missing.Kind = kind, "error"
		n := testnet.New(o)
		m, _, err := model.Train(t.Context(), n, rows(t, 12), nil, model.TrainOptions{Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		const count = 2500 // more than are walked at a time
		x, _ := numbers(count)
		x[2*1100] = nan
		raw, out := make([]float32, 3*count), make([]float32, 3*count)
		m.PredictRows(x, raw, out, count)
		onlyRaw := make([]float32, 3*count)
		m.PredictRows(x, onlyRaw, nil, count)
		same := cmpopts.EquateNaNs()
		if !cmp.Equal(raw, onlyRaw, same) {
			t.Error("the raw outputs depend on whether they are transformed")
		}
		for i := range count {
			wantRaw, wantOut := predict(n, m, x[2*i:2*i+2]...)
			if !cmp.Equal(raw[3*i:3*i+3], wantRaw, same) || !cmp.Equal(out[3*i:3*i+3], wantOut, same) {
				t.Fatalf("scale %s, row %d: %v, alone %v", kind, i, raw[3*i:3*i+3], wantRaw)
			}
			if isNaN := raw[3*i] != raw[3*i]; isNaN != (i == 1100) || isNaN != (out[3*i+2] != out[3*i+2]) {
				t.Errorf("scale %s, row %d gives %v and %v", kind, i, raw[3*i:3*i+3], out[3*i:3*i+3])
			}
		}
		m.PredictRows(nil, nil, nil, 0)
		m.Close()
	}
}

func TestConstantScaleNeedsNoTraining(t *testing.T) {
	o := shapes()
	o.Data.Scale = engine.Scale{Kind: "divide", Factor: 8}
	scaled := testnet.New(o)
	o.Data.Scale.Kind = "none"
	plain := testnet.New(o)
	a, b := newModel(t, scaled), newModel(t, plain)
	got, _ := predict(scaled, a, 16, 4)
	if want, _ := predict(plain, b, 2, 0.5); !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// flowers has a category and a number: three inputs.
func flowers() testnet.Options {
	return testnet.Options{
		Name: "flowers", Inputs: 3, Hidden: 5, Outputs: 2, Batch: 4, Loss: "cross_entropy", Output: "argmax",
		Data: engine.Data{Features: []string{"color", "size"}, Categorical: []string{"color"}, Scale: engine.Scale{Kind: "minmax"}},
	}
}

func flowerRows(t *testing.T) *data.Table {
	t.Helper()
	var cells [][]data.Cell
	var y engine.Target
	for i := range 20 {
		color := []string{"red", "blue"}[i%2]
		cells = append(cells, []data.Cell{data.Category(color), data.Number(float64(10 * i))})
		y.Class = append(y.Class, int32(i%2))
	}
	table, err := data.FromCells([]string{"color", "size"}, cells, y, 2, "rose", "violet")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestCategories(t *testing.T) {
	n := testnet.New(flowers())
	table := flowerRows(t)
	fresh := newModel(t, n)
	row := []data.Cell{data.Category("blue"), data.Number(95)}
	raw, out := make([]float32, 2), make([]float32, 1)
	if err := fresh.PredictCells(row, raw, out); !errors.Is(err, model.ErrUnprepared) {
		t.Errorf("a model that knows no categories gives %v", err)
	}
	if err := fresh.Encode(row, make([]float32, 3)); !errors.Is(err, model.ErrUnprepared) {
		t.Errorf("a model that knows no categories gives %v", err)
	}
	if _, err := fresh.Evaluate(t.Context(), table); !errors.Is(err, model.ErrUnprepared) {
		t.Errorf("a model that knows no categories gives %v", err)
	}
	m, _, err := model.Train(t.Context(), n, table, nil, model.TrainOptions{Epochs: 30})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.PredictCells(row, raw, out); err != nil {
		t.Fatal(err)
	}
	if c := model.Largest(raw); c != 1 || out[0] != 1 || m.Label(c) != "violet" {
		t.Errorf("got class %d of %v, transformed %v", c, raw, out)
	}
	// Numbers are what the network reads.
	x := make([]float32, 3)
	if err := m.Encode(row, x); err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, 0, 0.5}; !cmp.Equal(x, want) {
		t.Errorf("the row is read as %v, want %v", x, want)
	}
	if got, _ := predict(n, m, x...); !cmp.Equal(got, raw) {
		t.Errorf("the encoded row gives %v, want %v", got, raw)
	}
	var bad *data.Error
	if err := m.PredictCells([]data.Cell{data.Category("green"), data.Number(1)}, raw, out); !errors.As(err, &bad) {
		t.Errorf("an unknown category gives %v", err)
	}
}

func TestPredictWhileOthersTrain(t *testing.T) {
	n := testnet.New(shapes())
	m := newModel(t, n)
	table := rows(t, 30, "a", "b", "c")
	done := make(chan struct{})
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			raw, out := make([]float32, 3), make([]float32, 3)
			for {
				select {
				case <-done:
					return
				default:
				}
				m.Predict([]float32{1, 2}, raw, out)
				m.Label(model.Largest(raw))
			}
		})
	}
	others.Go(func() {
		x, y := numbers(4)
		for range 50 {
			m.Step(x, y, 4)
		}
	})
	_, err := m.Train(t.Context(), table, table, model.TrainOptions{Epochs: 10, KeepBest: true})
	close(done)
	others.Wait()
	if err != nil {
		t.Error(err)
	}
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		raw  []float32
		want int
	}{
		{[]float32{1, 3, 2}, 1}, {[]float32{2, 2}, 0}, {[]float32{-inf, -inf}, 0}, {[]float32{0, inf}, 1},
		{[]float32{nan, 1}, -1}, {[]float32{1, nan}, -1}, {[]float32{-4}, 0},
	} {
		if got := model.Largest(test.raw); got != test.want {
			t.Errorf("the largest of %v is %d, want %d", test.raw, got, test.want)
		}
	}
	for raw, want := range map[float32]int{1: 1, 0: 0, -1: 0, inf: 1, -inf: 0} {
		if got := model.Positive(raw); got != want {
			t.Errorf("%v is %d, want %d", raw, got, want)
		}
	}
	if got := model.Positive(nan); got != -1 {
		t.Errorf("NaN is %d", got)
	}
}
