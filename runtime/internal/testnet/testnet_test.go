package testnet

import (
	"fmt"
	"math"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
)

// The gradients of the hand-written networks are checked against central
// differences of their own loss, so that a test that fails elsewhere does not
// have to be sought here.
func TestGradients(t *testing.T) {
	for _, o := range []Options{
		{Inputs: 3, Outputs: 2},
		{Inputs: 3, Hidden: 5, Outputs: 2, Loss: "cross_entropy"},
		{Inputs: 2, Hidden: 4, Outputs: 1, Loss: "bce_with_logits"},
		{Inputs: 2, Hidden: 4, Outputs: 1, Activation: "relu"},
	} {
		t.Run(fmt.Sprint(o.Loss, o.Hidden, o.Activation), func(t *testing.T) {
			fill(&o)
			n := newNet(o)
			net := New(o)
			seed(n)
			const rows = 3
			x := make([]float32, rows*o.Inputs)
			for i := range x {
				x[i] = float32(math.Sin(float64(7*i + 1)))
			}
			y := engine.Target{Value: make([]float32, rows*o.Outputs)}
			if net.Classes {
				y = engine.Target{Class: []int32{0, 1, 1}}
			}
			for i := range y.Value {
				y.Value[i] = float32(i % 2)
			}
			raw := make([]float32, rows*o.Outputs)
			n.Gradients(x, y, rows, func(p int, grad []float32) {
				for i, g := range append([]float32{}, grad...) {
					param := n.tensor(0, p)
					old := param[i]
					const h = 1e-2
					param[i] = old + h
					n.Infer(x, raw, rows)
					up := net.LossOf(raw, y, rows)
					param[i] = old - h
					n.Infer(x, raw, rows)
					down := net.LossOf(raw, y, rows)
					param[i] = old
					if d := (up - down) / (2 * h); math.Abs(d-float64(g)) > 2e-3 {
						t.Errorf("%s[%d]: analytic %v, numeric %v", net.Params[p].Name, i, g, d)
					}
				}
			})
		})
	}
}

func seed(n *net) {
	for l, d := range n.layers {
		for i := range d.param {
			for k := range d.param[i] {
				d.param[i][k] = float32(math.Cos(float64(3*k+5*l+2*i))) / 2
			}
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	o := Options{Inputs: 3, Hidden: 5, Outputs: 2, Batch: 4, Momentum: 0.9}
	e := Engine(o)
	x, y := make([]float32, 12), engine.Target{Value: make([]float32, 8)}
	if a := testing.AllocsPerRun(20, func() { e.Step(x, y, 4, engine.Hyper{LR: 0.1}) }); a != 0 {
		t.Errorf("%v allocations a step", a)
	}
}

func TestNonFiniteLossLeavesParameters(t *testing.T) {
	e := Engine(Options{Inputs: 1, Outputs: 1, Batch: 1, Momentum: 0.9}).(*net)
	seed(e)
	before := e.layers[0].param[0][0]
	l := e.Step([]float32{float32(math.Inf(1))}, engine.Target{Value: []float32{1}}, 1, engine.Hyper{LR: 1})
	if !math.IsInf(l, 0) || e.layers[0].param[0][0] != before {
		t.Errorf("loss %v, weight %v, want Inf and %v", l, e.layers[0].param[0][0], before)
	}
}
