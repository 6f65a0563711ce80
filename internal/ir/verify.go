package ir

import "fmt"

// Verify checks what every pass must keep: each buffer is written by one step,
// whole, and before it is read; widths fit; expressions read only what is
// bound; every parameter has one gradient and one update, and none is updated
// before its last use; and, once memory is planned, no two living buffers
// overlap.
func Verify(p *Program) error {
	v := &verifier{p: p, params: map[*Param]bool{}}
	v.parameters()
	v.step()
	v.infer()
	v.gradients()
	v.updates()
	v.rule()
	v.transform()
	if len(v.errs) > 0 {
		return fmt.Errorf("ir: %s: %s", p.Name, v.errs[0])
	}
	return nil
}

type verifier struct {
	p      *Program
	params map[*Param]bool // those that the program lists
	errs   []string
}

func (v *verifier) fail(format string, args ...any) {
	v.errs = append(v.errs, fmt.Sprintf(format, args...))
}

func (v *verifier) parameters() {
	for i, q := range v.p.Params {
		v.params[q] = true
		if q.Index != i {
			v.fail("%s has index %d at place %d", q.Name, q.Index, i)
		}
		for _, d := range q.Shape {
			if d < 1 {
				v.fail("%s has the shape %v", q.Name, q.Shape)
			}
		}
	}
}

// written holds the buffers that steps may touch, and tells which have a value.
type written map[*Buffer]bool

func (v *verifier) begin(buffers []*Buffer) written {
	w := written{v.p.X: true}
	for _, b := range buffers {
		if _, twice := w[b]; twice {
			v.fail("%s is listed twice", b.Name)
		}
		w[b] = false
	}
	return w
}

func (v *verifier) step() {
	if v.p.Batch < 1 {
		v.fail("batch of %d rows", v.p.Batch)
	}
	w, l := v.begin(v.p.Buffers), v.p.Loss
	v.run(v.p.Forward, w)
	v.read("loss", w, v.p.Raw)
	if v.p.Raw.Width != v.p.Output || l.Raw != v.p.Raw || l.Grad.Width != v.p.Output {
		v.fail("loss does not fit the raw outputs")
	}
	if elementwise := l.Value != nil && l.Slope != nil; elementwise == l.Classes() {
		v.fail("loss is not one of element-wise and row-wise")
	}
	v.reads("loss", bound{VarZ, VarY}, l.Value, l.Slope)
	v.write("loss", w, l.Grad)
	v.run(v.p.Backward, w)
	if v.p.ArenaWidth > 0 {
		v.overlaps(v.p.Buffers, Lifetimes(v.p), v.p.ArenaWidth)
	}
}

func (v *verifier) infer() {
	w := v.begin(v.p.InferBuffers)
	v.run(v.p.Infer, w)
	v.read("infer", w, v.p.InferRaw)
	if v.p.InferRaw.Width != v.p.Output {
		v.fail("infer gives %d outputs of %d", v.p.InferRaw.Width, v.p.Output)
	}
	if v.p.InferWidth > 0 {
		v.overlaps(v.p.InferBuffers, InferLifetimes(v.p), v.p.InferWidth)
	}
}

func (v *verifier) run(steps []Step, w written) {
	for _, s := range steps {
		v.read(StepString(s), w, Reads(s)...)
		v.shapes(s)
		v.write(StepString(s), w, distinct(Writes(s))...)
	}
}

func (v *verifier) read(by string, w written, buffers ...*Buffer) {
	for _, b := range buffers {
		if !w[b] {
			v.fail("%s reads %s before it is written", by, b.Name)
		}
	}
}

func (v *verifier) write(by string, w written, buffers ...*Buffer) {
	for _, b := range buffers {
		if done, ok := w[b]; done || !ok {
			v.fail("%s writes %s, which is written already or not listed", by, b.Name)
		}
		w[b] = true
	}
}

// distinct leaves out the repeats: a map writes a gated unit's gradient in two
// interleaved views of one buffer.
func distinct(list []*Buffer) []*Buffer {
	var out []*Buffer
	seen := map[*Buffer]bool{}
	for _, b := range list {
		if !seen[b] {
			out = append(out, b)
		}
		seen[b] = true
	}
	return out
}

func (v *verifier) overlaps(buffers []*Buffer, life map[*Buffer]Lifetime, width int) {
	for i, a := range buffers {
		if a.Column < 0 || a.Column+a.Width > width {
			v.fail("%s lies outside the arena", a.Name)
		}
		for _, b := range buffers[:i] {
			apart := a.Column+a.Width <= b.Column || b.Column+b.Width <= a.Column
			if !apart && life[a].meets(life[b]) {
				v.fail("%s and %s live in one place", b.Name, a.Name)
			}
		}
	}
}
