package plan

import "github.com/dnngen/dnngen/internal/ir"

// Region is a part of the arena, in float32. It starts at a multiple of 64.
type Region struct{ Offset, Size int }

// End is the offset behind the region.
func (r Region) End() int { return r.Offset + r.Size }

// gap is the number of float32 that lie between regions and belong to none, so
// that a read past the end of one can be told from a read of the next.
const gap = 64

// Layout is the arena: where everything lies that kernels touch.
type Layout struct {
	X       Region // the batch [rows, inputs]
	Inputs  Region // its operands, where tensor cores make the products
	Y       Region // targets [rows, outputs], or class indices [rows] as int32
	Step    Region // what the host says about a step: StepWords, then the scalars
	Feed    Region // what the host says about a launch of many steps
	Loss    Region // the sum of the step's losses, a float64
	Partial Region // sums of losses by block, in float64
	Scaling Region // the scale of the loss's gradient, where it has one
	Slots   Region // all parameters, then the optimizer's states laid out alike
	Copies  Region // operands of the weights, where tensor cores make the products
	Grads   Region // parts of gradients
	Sums    Region // parts of learned parameters' gradients, by tile
	Work    Region // the buffers of a training step, or of an inference

	Total int // float32 in all

	// Scratch lies behind all others, and is there only where a library may make a
	// product: its elements, before anything is done to them.
	Scratch Region
}

// Regions lists the regions in the order in which they lie.
func (l *Layout) Regions() []*Region {
	return []*Region{&l.X, &l.Inputs, &l.Y, &l.Step, &l.Feed, &l.Loss, &l.Partial, &l.Scaling, &l.Slots, &l.Copies, &l.Grads, &l.Sums, &l.Work}
}

// StepWords is the number of words before the scalars in Layout.Step: the rows,
// whether this is the first part of a step, one over the number of losses, and
// one to spare.
const StepWords = 4

// FeedWords is the size of Layout.Feed: DnnFeed of dnn_feed.h.
const FeedWords = 10

// place lays the regions out.
func (l *Layout) place() {
	at := 0
	for _, r := range l.Regions() {
		if r.Size == 0 {
			continue
		}
		r.Offset = at
		at = roundUp(at+r.Size+gap, 64)
	}
	l.Total = at
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

func ceil(n, d int) int { return (n + d - 1) / d }

// Param places a parameter.
type Param struct {
	*ir.Param
	Offset int // in a slot
	// Grad is where the parts of its gradient lie, each of Size float32.
	Grad, Parts int
}

// params places the parameters in a slot, each at a multiple of 4.
func (p *Plan) params() (slot int) {
	for _, q := range p.Program.Params {
		p.Params = append(p.Params, &Param{Param: q, Offset: slot})
		slot = roundUp(slot+q.Size(), 4)
	}
	return roundUp(slot, 64)
}

// At is where a parameter's values lie in the arena.
func (p *Plan) At(q *ir.Param) int { return p.Slots.Offset + p.Params[q.Index].Offset }

// turns numbers the steps of a pass by their launches: Forward, Loss, Backward and
// what comes after, as ir.Lifetimes numbers them.
func (p *Plan) turns() (list []int) {
	at := map[any]int{}
	for i, l := range p.Pass {
		for _, j := range l.Jobs() {
			switch w := j.Work.(type) {
			case *Product:
				at[w.Step] = i
				if w.Loss != nil {
					at[w.Loss.Loss] = i
				}
			case *Map:
				at[w.Map] = i
			case *Loss:
				at[w.Loss] = i
			case *GradWeight:
				at[w.Step] = i
			}
		}
	}
	for _, s := range p.Program.Forward {
		list = append(list, at[s])
	}
	list = append(list, at[p.Program.Loss])
	for _, s := range p.Program.Backward {
		list = append(list, at[s])
	}
	return append(list, len(p.Pass))
}

// buffers places the buffers: those share their place that no two launches need at
// once.
func (p *Plan) buffers() {
	q := p.Program
	size := func(rows int) func(*ir.Buffer) int {
		return func(b *ir.Buffer) int {
			if p.operands[b] {
				return roundUp(p.words(rows, b.Width), 64)
			}
			return roundUp(rows*b.Width, 64)
		}
	}
	turns, life := p.turns(), ir.Lifetimes(q)
	for b, l := range life {
		life[b] = ir.Lifetime{First: turns[l.First], Last: turns[l.Last]}
	}
	train, most := ir.Pack(q.Buffers, life, size(q.Batch))
	infer, mostInfer := ir.Pack(q.InferBuffers, ir.InferLifetimes(q), size(p.InferRows))
	p.places = [2]map[*ir.Buffer]int{train, infer}
	p.Work.Size, p.inferWords = max(most, mostInfer), mostInfer
}

// Buffer is where a buffer lies in the arena, in training or in inference.
func (p *Plan) Buffer(b *ir.Buffer, infer bool) int {
	switch {
	case b == p.Program.X:
		return p.X.Offset
	case infer:
		return p.Work.Offset + p.places[1][b]
	}
	return p.Work.Offset + p.places[0][b]
}
