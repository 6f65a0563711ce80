package loop

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

func nonFinite(t *testing.T, o testnet.Options, set *data.Set, opt Options, prepare func(*engine.Network, engine.Engine)) (*NonFinite, [][]float32, [][]float32) {
	t.Helper()
	n, e := testnet.New(o), testnet.Engine(o)
	Init(n, e, 1)
	if prepare != nil {
		prepare(n, e)
	}
	before := snapshot(n, e)
	l, err := New(n, e, set, opt, Events{})
	if err == nil {
		err = l.Run(t.Context())
	}
	var found *NonFinite
	if !errors.As(err, &found) {
		t.Fatalf("got %v, want a *NonFinite", err)
	}
	return found, before, snapshot(n, e)
}

// One row of large numbers makes the first layer overflow. The row is named as
// it stands in the data, wherever the shuffle put it, and also beyond the rows
// that one trace takes.
func TestNonFiniteNamesLayerAndRow(t *testing.T) {
	o := testnet.Options{Inputs: 3, Outputs: 1, Batch: 16}
	for _, shuffled := range []bool{false, true} {
		for _, row := range []int{0, 5, 9, 15, 21} {
			set := rows(testnet.New(o), 22)
			set.X[row*3+1] = math.MaxFloat32
			set.X[row*3+2] = math.MaxFloat32
			opt := Options{Epochs: 1, LR: 0, Seed: 3, Shuffle: shuffled}
			found, before, after := nonFinite(t, o, set, opt, func(n *engine.Network, e engine.Engine) {
				e.Write(0, 0, 0, []float32{1, 2, 2})
			})
			if found.Layer != 0 || found.Name != "linear" || found.Row != row || found.Epoch != 0 {
				t.Errorf("shuffle %v: found %+v, want layer 0, row %d", shuffled, found, row)
			}
			if fmt.Sprint(before) != fmt.Sprint(after) {
				t.Error("the parameters changed")
			}
			for _, want := range []string{"epoch 0", "layer 0 (linear, line 3 of the spec)", fmt.Sprintf("training row %d", row)} {
				if !strings.Contains(found.Error(), want) {
					t.Errorf("message %q lacks %q", found, want)
				}
			}
		}
	}
}

// The loss alone can overflow: the square of a large error.
func TestNonFiniteLossAlone(t *testing.T) {
	o := testnet.Options{Inputs: 3, Outputs: 1, Batch: 4}
	found, _, _ := nonFinite(t, o, rows(testnet.New(o), 6), Options{Epochs: 1, LR: 0}, func(n *engine.Network, e engine.Engine) {
		n.Devices[0].New = func(engine.Options) (engine.Engine, error) { return testnet.Engine(o), nil }
		n.LossOf = func(raw []float32, y engine.Target, rows int) float64 {
			for _, v := range y.Value {
				if v == 5 {
					return math.Inf(1)
				}
			}
			return 0
		}
		// The engine under test reports the same.
		e.Write(0, 0, 0, []float32{math.MaxFloat32, 0, 0})
	})
	if found.Layer < 0 && found.Row < 0 {
		t.Errorf("found %+v", found)
	}
}

func TestNonFiniteParameter(t *testing.T) {
	o := testnet.Options{Inputs: 3, Hidden: 2, Outputs: 1, Batch: 4}
	found, _, _ := nonFinite(t, o, rows(testnet.New(o), 6), Options{Epochs: 1, LR: 0}, func(n *engine.Network, e engine.Engine) {
		e.Write(0, 2, 0, []float32{0, float32(math.NaN())})
	})
	if found.Param != "2.weight" || found.Layer != 2 || !strings.Contains(found.Error(), "parameter 2.weight of layer 2 (linear, line 5") {
		t.Errorf("found %+v: %v", found, found)
	}
}

// A learning rate that is far too large ends in this error, not in a model of
// NaNs.
func TestBlowUp(t *testing.T) {
	o := testnet.Options{Inputs: 3, Outputs: 1, Batch: 4}
	found, _, _ := nonFinite(t, o, rows(testnet.New(o), 6), Options{Epochs: 1000, LR: 1e6}, nil)
	if found.Step < 1 || found.Layer < 0 && found.Row < 0 {
		t.Errorf("found %+v", found)
	}
}

func TestNonFiniteData(t *testing.T) {
	o := testnet.Options{Inputs: 3, Outputs: 2, Batch: 4}
	set := rows(testnet.New(o), 6)
	set.X[3*4+2] = float32(math.NaN())
	found, _, _ := nonFinite(t, o, set, Options{Epochs: 1}, nil)
	if want := "feature 2 of training row 4 is NaN"; found.Error() != want {
		t.Errorf("got %q, want %q", found, want)
	}
	set = rows(testnet.New(o), 6)
	set.Target.Value[3] = float32(math.Inf(1))
	found, _, _ = nonFinite(t, o, set, Options{Epochs: 1}, nil)
	if want := "target 1 of training row 1 is infinite"; found.Error() != want {
		t.Errorf("got %q, want %q", found, want)
	}
}

// An engine may overflow where the portable one does not: then the message
// says so instead of naming a wrong layer.
func TestNonFiniteThatCannotBeFound(t *testing.T) {
	o := testnet.Options{Inputs: 3, Outputs: 1, Batch: 4}
	n := testnet.New(o)
	e := &nanEngine{testnet.Engine(o)}
	l, err := New(n, e, rows(n, 6), Options{Epochs: 1}, Events{})
	if err != nil {
		t.Fatal(err)
	}
	err = l.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cpu:go gives finite numbers for the same rows") {
		t.Errorf("got %v", err)
	}
}

type nanEngine struct{ engine.Engine }

func (nanEngine) Step([]float32, engine.Target, int, engine.Hyper) float64 { return math.NaN() }
