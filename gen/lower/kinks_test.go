package lower_test

import (
	"math"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

// activation, loss and optimizer find a row by its name.
func activation(name string) *op.Activation { return find(op.Activations, name) }
func loss(name string) *op.Loss             { return find(op.Losses, name) }
func optimizer(name string) *op.Optimizer   { return find(op.Optimizers, name) }

func find[R op.Row](table []R, name string) R {
	row, _, ok := op.Find(table, name)
	if !ok {
		panic("no row " + name)
	}
	return row
}

// atZero are the documented slopes at z = 0 of the activations that have a
// kink there: PyTorch's choices, the slope of the branch z <= 0.
var atZero = map[string]func(op.Values) float64{
	"relu":       func(op.Values) float64 { return 0 },
	"leaky_relu": func(v op.Values) float64 { return v.Num("alpha") },
	"prelu":      func(v op.Values) float64 { return v.Num("alpha") },
	"elu":        func(v op.Values) float64 { return v.Num("alpha") },
	"selu":       func(op.Values) float64 { return 1.0507009873554805 * 1.6732632423543773 },
}

// TestSubgradientsOfActivations runs whole programs whose pre-activations are
// 0 exactly: the bias's gradient is then the slope at 0.
func TestSubgradientsOfActivations(t *testing.T) {
	for _, row := range op.Activations {
		slope, documented := atZero[row.Name]
		bent := slices.ContainsFunc(expr.Schedule(row.Expr(row.Defaults())), bends)
		if bent != documented {
			t.Errorf("%s: has a kink: %t, has a documented slope at it: %t", row.Name, bent, documented)
		}
		if !bent {
			continue
		}
		for _, set := range variants(&row.Entry) {
			net := nettest.New("kink", 1).Linear(1, true).Activation(row, set).Linear(1, false).
				Loss(loss("mse"), nil).Batch(1).Network()
			for _, p := range []*ir.Program{build(net), lowered(t, net)} {
				m := eval.New(p)
				values := net.Layers[1].Set
				for i, q := range p.Params {
					switch {
					case q.Name == "2.weight":
						m.Params[i][0] = 1
					case q.Layer == 1:
						m.Params[i][0] = values.Num(row.Param(values).Setting)
					}
				}
				// The loss (0 - 0.5)² has the slope -1 at the output 0.
				m.Gradients([]float64{2}, eval.Target{Value: []float64{0.5}}, 1)
				if got, want := m.Grad(1)[0], -slope(values); got != want {
					t.Errorf("%s %v: slope at 0 is %g, want %g\n%s", row.Name, set, -got, -want, p)
				}
				if p.Params[2].Layer == 1 && m.Grad(2)[0] != 0 {
					t.Errorf("%s %v: gradient %g of the learned parameter at 0", row.Name, set, m.Grad(2)[0])
				}
			}
		}
	}
}

// TestSubgradientsOfLosses checks the slopes where a loss bends, and where it
// could.
func TestSubgradientsOfLosses(t *testing.T) {
	for _, test := range []struct {
		name string
		set  op.Values
		z    float64 // raw output, for the target 1
		want float64
	}{
		{"l1", nil, 1, 0}, {"l1", nil, 1.5, 1}, {"l1", nil, 0.5, -1},
		{"mse", nil, 1, 0},
		{"huber", op.Values{"delta": 0.5}, 1, 0},
		{"huber", op.Values{"delta": 0.5}, 1.5, 0.5},
		{"huber", op.Values{"delta": 0.5}, 0.5, -0.5},
		{"huber", op.Values{"delta": 0.5}, 1.75, 0.5},
		{"bce_with_logits", nil, 0, -0.5},
	} {
		net := nettest.New("kink", 1).Linear(1, true).Loss(loss(test.name), test.set).Batch(1).Network()
		for _, p := range []*ir.Program{build(net), lowered(t, net)} {
			m := eval.New(p)
			m.Params[1][0] = test.z
			m.Gradients([]float64{2}, eval.Target{Value: []float64{1}}, 1)
			if got := m.Grad(1)[0]; math.Abs(got-test.want) > 1e-15 {
				t.Errorf("%s %v: slope at z = %g, y = 1 is %g, want %g", test.name, test.set, test.z, got, test.want)
			}
		}
	}
}
