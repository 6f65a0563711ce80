package lower_test

import (
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// A fault is a mistake that somebody could make in the backward pass or in a
// pass of the compiler. The tests plant each and demand that it is caught: a
// check that has never failed proves nothing.
type fault struct {
	name  string
	net   *spec.Network
	where place
	plant func(*victim)
	by    catcher // must catch the fault; others may do so too
}

// place is where a fault is planted.
type place int

const (
	inPlain      place = iota // in what Build gives
	beforePasses              // in what Build gives, and the passes are run on it
	inLowered                 // behind all passes
)

type catcher string

const (
	byGradients catcher = "gradient check"
	byTraining  catcher = "comparison of trainings"
	byVerify    catcher = "ir.Verify"
)

// victim is a program that a fault is planted in, with ways to find its parts.
type victim struct {
	p *ir.Program
	// rows changes the rows that the backward pass is run on; the difference
	// quotients keep the right ones.
	rows func(x []float64, y eval.Target, rows int) ([]float64, eval.Target, int)
	// params sets parameters that the fault added.
	params func(m *eval.Machine)
}

func (v *victim) weight(layer int) *ir.GradWeight {
	for _, s := range v.p.Backward {
		if g, ok := s.(*ir.GradWeight); ok && g.Layer == layer {
			return g
		}
	}
	panic("no weight gradient")
}

func (v *victim) input(layer int) *ir.GradInput {
	for _, s := range v.p.Backward {
		if g, ok := s.(*ir.GradInput); ok && g.Layer == layer {
			return g
		}
	}
	panic("no input gradient")
}

// back returns the backward map of an activation.
func (v *victim) back(layer int) *ir.Map { return mapOf(v.p.Backward, layer) }

// fore returns the forward map of an activation.
func (v *victim) fore(layer int) *ir.Map { return mapOf(v.p.Forward, layer) }

func mapOf(steps []ir.Step, layer int) *ir.Map {
	for _, s := range steps {
		if m := ir.FusedMap(s); m != nil && m.Layer == layer {
			return m
		}
	}
	panic("no map")
}

func (v *victim) param(name string) *ir.Param {
	for _, q := range v.p.Params {
		if q.Name == name {
			return q
		}
	}
	panic("no parameter " + name)
}

// slope replaces the derivative by the first input.
func (v *victim) slope(layer int, e *expr.Node) {
	v.back(layer).Out[0].Expr = expr.Prod(d, e)
}

// Short forms for the formulas below.
var (
	z, g, w, d, y = expr.V(ir.VarZ), expr.V(ir.VarGate), expr.V(ir.VarParam), expr.V(ir.VarD), expr.V(ir.VarY)

	c     = expr.C
	plus  = expr.Sum
	minus = expr.Diff
	times = expr.Prod
)

func fn(op expr.Op, x *expr.Node) *expr.Node { return expr.Fn(op, x) }

// The networks that faults are planted in.

// gated has a tanh (1), a gated unit (3), a learned slope a channel (5).
func gated() *spec.Network {
	return nettest.New("gated", 3).Linear(4, true).Activation(activation("tanh"), nil).
		Linear(6, true).Activation(activation("swiglu"), nil).
		Linear(3, true).Activation(activation("prelu"), op.Values{"per": "channel"}).
		Linear(2, false).Loss(loss("mse"), nil).Batch(3).Optimizer(optimizer("sgd"), op.Values{"momentum": 0.9}).Network()
}

// square has layers of equal widths, so that any buffer or weight fits in
// another's place, and two rectifiers with different slopes.
func square() *spec.Network {
	return nettest.New("square", 4).Linear(4, true).Activation(activation("leaky_relu"), op.Values{"alpha": 0.3}).
		Linear(4, true).Activation(activation("sigmoid"), nil).
		Linear(4, true).Activation(activation("prelu"), nil).
		Linear(4, true).Activation(activation("leaky_relu"), op.Values{"alpha": 0.1}).
		Linear(4, true).Activation(activation("prelu"), nil).
		Linear(4, true).Loss(loss("cross_entropy"), nil).Batch(5).Network()
}

// one has a single activation between two linear layers.
func one(name string, set op.Values) *spec.Network {
	return nettest.New(name, 3).Linear(4, true).Activation(activation(name), set).Linear(2, true).
		Loss(loss("mse"), nil).Batch(5).Optimizer(optimizer("sgd"), op.Values{"momentum": 0.5}).Network()
}

func withLoss(name string, set op.Values) *spec.Network {
	return nettest.New(name, 3).Linear(2, true).Loss(loss(name), set).Batch(5).Network()
}

func full() *spec.Network {
	return nettest.New("full", 3).Linear(4, true).Activation(activation("tanh"), nil).Linear(2, true).
		Loss(loss("mse"), nil).Batch(0).Network()
}

// plantIn returns the plain program of the fault's network, and the program
// with the fault in it.
func (f *fault) plantIn(t *testing.T) (right *ir.Program, v *victim) {
	t.Helper()
	right, v = build(f.net), &victim{p: build(f.net)}
	switch f.where {
	case inPlain:
		f.plant(v)
	case beforePasses:
		f.plant(v)
		for _, pass := range lower.Passes {
			pass.Run(v.p)
		}
	case inLowered:
		v.p = lowered(t, f.net)
		f.plant(v)
	}
	return right, v
}

// caught tells whether a check notices the fault.
func (f *fault) caught(t *testing.T, by catcher) bool {
	t.Helper()
	right, v := f.plantIn(t)
	switch by {
	case byVerify:
		return ir.Verify(v.p) != nil
	case byTraining:
		const seed = 3
		m := eval.New(v.p)
		if v.p.ArenaWidth > 0 {
			m = eval.InArena(v.p)
		}
		want := train(right, eval.New(right), seed)
		return want.differ(train(v.p, m, seed), 1e-9) != ""
	}
	return faultyGradients(away(t, right, f.net.Train.Batch, 1), v).worst > tolerance
}

// faultyGradients checks the gradients of the program with a fault against the
// difference quotients of the right one.
func faultyGradients(pr *problem, v *victim) result {
	m := eval.New(v.p)
	for i, q := range pr.machine.Params {
		copy(m.Params[i], q)
	}
	if v.params != nil {
		v.params(m)
	}
	x, y, rows := pr.x, pr.y, pr.rows
	if v.rows != nil {
		x, y, rows = v.rows(x, y, rows)
	}
	m.Gradients(x, y, rows)
	var r result
	for i, q := range pr.p.Params {
		for j := range pr.machine.Params[i] {
			r.compare(m.Grad(i)[j], pr.quotient(i, j), q.Name)
		}
	}
	return r
}

// TestChecksPassWithoutAFault is the control of the controls.
func TestChecksPassWithoutAFault(t *testing.T) {
	nothing := func(*victim) {}
	for _, net := range []*spec.Network{gated(), square(), one("elu", op.Values{"alpha": 0.7})} {
		for _, where := range []place{inPlain, beforePasses, inLowered} {
			f := fault{net: net, where: where, plant: nothing}
			for _, by := range []catcher{byGradients, byTraining, byVerify} {
				if f.caught(t, by) {
					t.Errorf("%s: the %s finds a fault where there is none", net.Name, by)
				}
			}
		}
	}
}

func TestFaultsAreCaught(t *testing.T) {
	count := map[catcher]int{}
	names := map[string]bool{}
	for _, f := range append(append(mathFaults(), passFaults()...), structureFaults()...) {
		if names[f.name] {
			t.Errorf("two faults %q", f.name)
		}
		names[f.name] = true
		if !f.caught(t, f.by) {
			t.Errorf("%s: %q goes past the %s", f.net.Name, f.name, f.by)
			continue
		}
		count[f.by]++
	}
	t.Logf("caught: %v", count)
	if n := count[byGradients] + count[byTraining]; n < 60 {
		t.Errorf("only %d faults of the mathematics were caught", n)
	}
	if n := count[byVerify]; n < 40 {
		t.Errorf("only %d faults of the structure were caught", n)
	}
}
