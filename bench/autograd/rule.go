package autograd

import (
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// rule is an optimizer: one pass over a parameter, its gradient and its state.
type rule struct {
	states  []string
	program *program

	names    []string      // the variables that are the same for all elements
	computed *expr.Program // those that depend on the number of the update
	numbers  []float64     // of names, for this step
	in, out  []column
}

func newRule(t spec.Train) rule {
	states, w, next, scalars := t.Optimizer.Rule(t.OptimizerSet)
	vars := append([]string{op.VarW, op.VarG}, states...)
	r := rule{states: states, program: compile(append([]*expr.Node{w}, next...), vars, append([]string{op.VarW}, states...))}
	// In the order of names: the learning rate, the momentum, the scalars.
	r.names = []string{op.VarLR, op.VarMomentum}
	var nodes []*expr.Node
	for _, s := range scalars {
		r.names = append(r.names, s.Name)
		nodes = append(nodes, s.Expr)
	}
	r.computed = expr.NewProgram(nodes...)
	return r
}

// begin takes up the hyper-parameters of a step.
func (r *rule) begin(h engine.Hyper) {
	known := [...]float64{float64(h.LR), float64(h.Momentum)}
	var t [1]float64
	t[0] = float64(h.Step)
	computed := r.computed.Run(t[:])
	r.numbers = r.numbers[:0]
	for _, name := range r.program.scalars.Vars() {
		if i := slices.Index(r.names, name); i < len(known) {
			r.numbers = append(r.numbers, known[i])
		} else {
			r.numbers = append(r.numbers, computed[i-len(known)])
		}
	}
}

// update makes one step of a parameter, where it stands.
func (r *rule) update(w *workers, p *parameter) {
	r.in = append(r.in[:0], plain(p.value.data), plain(p.value.grad))
	r.out = append(r.out[:0], plain(p.value.data))
	for _, s := range p.states {
		r.in = append(r.in, plain(s))
		r.out = append(r.out, plain(s))
	}
	w.run(job{program: r.program, n: len(p.value.data), in: r.in, out: r.out, numbers: r.numbers})
}
