package eval_test

import (
	"math"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
)

// TestRound rounds the operands of a product to whole numbers, and of its
// gradient to quarters.
func TestRound(t *testing.T) {
	p, err := lower.Lower(nettest.New("rounded", 2).Linear(1, true).Batch(1).Network())
	if err != nil {
		t.Fatal(err)
	}
	m := eval.New(p)
	m.Round(math.Round, 4)
	copy(m.Params[0], []float64{2.4, -1.6})
	m.Params[1][0] = 0.25
	x := []float64{1.4, 2.6}
	if got := m.Infer(x, 1)[0]; got != 2*1-2*3+0.25 {
		t.Errorf("the product is %v", got)
	}
	m.Gradients(x, eval.Target{Value: []float64{0}}, 1)
	grad := m.Buffer(p.Loss.Grad)[0]
	if grad*4 != math.Round(grad*4) || m.Grad(0)[1] != grad*3 || m.Grad(1)[0] != grad {
		t.Errorf("gradients %v, %v from %v", m.Grad(0), m.Grad(1), grad)
	}
	if m.Params[0][0] != 2.4 {
		t.Errorf("the parameter itself is rounded to %v", m.Params[0][0])
	}
}
