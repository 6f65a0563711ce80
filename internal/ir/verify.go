package ir

import (
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
)

// Verify checks what every pass must keep: each buffer is written before it is
// read, widths fit, expressions read only what is bound, no weight is updated
// before its last use, every parameter is updated exactly once, and (after
// PlanMemory) no two live buffers overlap.
func Verify(p *Program) error {
	v := &verifier{p: p}
	v.step()
	v.infer()
	v.updates()
	v.rule()
	if len(v.errs) > 0 {
		return fmt.Errorf("ir: %s: %s", p.Name, v.errs[0])
	}
	return nil
}

type verifier struct {
	p    *Program
	errs []string
}

func (v *verifier) fail(format string, args ...any) {
	v.errs = append(v.errs, fmt.Sprintf(format, args...))
}

func (v *verifier) step() {
	written := map[*Buffer]bool{v.p.X: true}
	v.run(v.p.Forward, written)
	if !written[v.p.Raw] {
		v.fail("raw outputs %s are never written", v.p.Raw.Name)
	}
	if v.p.Raw.Width != v.p.Output || v.p.Loss.Raw != v.p.Raw || v.p.Loss.Grad.Width != v.p.Output {
		v.fail("loss does not fit the raw outputs")
	}
	written[v.p.Loss.Grad] = true
	v.run(v.p.Backward, written)
	if v.p.ArenaWidth > 0 {
		v.overlaps(v.p.Buffers, Lifetimes(v.p), v.p.ArenaWidth)
	}
}

func (v *verifier) infer() {
	written := map[*Buffer]bool{v.p.X: true}
	v.run(v.p.Infer, written)
	if !written[v.p.InferRaw] {
		v.fail("raw outputs %s of infer are never written", v.p.InferRaw.Name)
	}
	if v.p.InferWidth > 0 {
		v.overlaps(v.p.InferBuffers, InferLifetimes(v.p), v.p.InferWidth)
	}
}

func (v *verifier) run(steps []Step, written map[*Buffer]bool) {
	for _, s := range steps {
		for _, b := range Reads(s) {
			if !written[b] {
				v.fail("%s reads %s before it is written", StepString(s), b.Name)
			}
		}
		v.shapes(s)
		for _, b := range Writes(s) {
			written[b] = true
		}
	}
}

func (v *verifier) shapes(s Step) {
	switch s := s.(type) {
	case *Linear:
		v.matrix(s, s.W, s.X.Width, widthOr(s.Out, s.W.Shape[0]))
		v.accumulator(s.Map, s.W.Shape[0])
	case *GradInput:
		v.matrix(s, s.W, widthOr(s.Out, s.W.Shape[1]), s.DZ.Width)
		v.accumulator(s.Map, s.W.Shape[1])
	case *GradWeight:
		v.matrix(s, s.W, s.X.Width, s.DZ.Width)
	case *Map:
		v.accumulator(s, 0)
	}
}

func widthOr(b *Buffer, width int) int {
	if b == nil {
		return width
	}
	return b.Width
}

func (v *verifier) matrix(s Step, w *Param, in, out int) {
	if len(w.Shape) != 2 || w.Shape[0] != out || w.Shape[1] != in {
		v.fail("%s: weight %v for %d -> %d", StepString(s), w.Shape, in, out)
	}
}

// accumulator checks a map whose accumulator has the given width.
func (v *verifier) accumulator(m *Map, width int) {
	if m == nil {
		return
	}
	bound := map[string]bool{}
	check := func(view View) {
		w := width
		if view.Buffer != nil {
			w = view.Buffer.Width
		}
		if last := view.Offset + view.Stride*(m.Width-1); view.Stride < 1 || last >= w {
			v.fail("%s: column %d of %d", mapString(m), last, w)
		}
	}
	for _, in := range m.In {
		bound[in.Var] = true
		check(in.View)
	}
	if m.Param != nil {
		bound[VarParam] = true
		if n := m.Param.Size(); n != 1 && n != m.Width {
			v.fail("%s: parameter of %d values for %d units", mapString(m), n, m.Width)
		}
	}
	read := func(e *expr.Node) {
		for _, name := range expr.Vars(e) {
			if !bound[name] {
				v.fail("%s: %s is not bound", mapString(m), name)
			}
		}
	}
	for _, out := range m.Out {
		check(out.View)
		if out.View.Buffer == nil {
			v.fail("%s: writes to its accumulator", mapString(m))
		}
		read(out.Expr)
	}
	for _, sum := range m.Sum {
		read(sum.Expr)
	}
}

// updates checks that each parameter is updated once, after its last use.
func (v *verifier) updates() {
	updated := map[*Param]int{}
	for _, s := range v.p.Backward {
		if g, ok := s.(*GradInput); ok && updated[g.W] > 0 {
			v.fail("%s reads %s after its update", StepString(s), g.W.Name)
		}
		if g, ok := s.(*GradWeight); ok && g.Update {
			if v.p.Full {
				v.fail("%s updates inside a chunk", StepString(s))
			}
			updated[g.W]++
			if g.Bias != nil {
				updated[g.Bias]++
			}
		}
	}
	for _, u := range v.p.Updates {
		updated[u.Param]++
	}
	for _, q := range v.p.Params {
		if updated[q] != 1 {
			v.fail("%s is updated %d times", q.Name, updated[q])
		}
	}
}

func (v *verifier) rule() {
	bound := []string{VarLR, VarMomentum}
	for _, s := range v.p.Rule.Scalars {
		for _, name := range expr.Vars(s.Expr) {
			if name != VarT && !slices.Contains(bound, name) {
				v.fail("scalar %s reads %s", s.Name, name)
			}
		}
		bound = append(bound, s.Name)
	}
	bound = append(append(bound, VarW, VarG), v.p.Rule.States...)
	for _, e := range append([]*expr.Node{v.p.Rule.W}, v.p.Rule.Next...) {
		for _, name := range expr.Vars(e) {
			if !slices.Contains(bound, name) {
				v.fail("rule reads %s", name)
			}
		}
	}
}

func (v *verifier) overlaps(buffers []*Buffer, life map[*Buffer]Lifetime, width int) {
	for i, a := range buffers {
		if a.Column < 0 {
			continue
		}
		if a.Column+a.Width > width {
			v.fail("%s ends beyond the arena", a.Name)
		}
		for _, b := range buffers[:i] {
			apart := b.Column < 0 || a.Column+a.Width <= b.Column || b.Column+b.Width <= a.Column
			if !apart && life[a].meets(life[b]) {
				v.fail("%s and %s live in one place", b.Name, a.Name)
			}
		}
	}
}
