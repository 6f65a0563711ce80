package plan

import (
	"strings"

	"github.com/dnngen/dnngen/internal/ir"
)

// This file makes one launch of launches that do not wait for each other. Small
// networks are launches more than anything else, and two products that each fill
// half a GPU fill all of it together.

// Jobs are launches none of which needs what another makes, side by side as one:
// the blocks of each follow those of the one before.
type Jobs struct{ List []*Launch }

// Jobs lists what a launch does side by side: itself, where it is not several.
func (l *Launch) Jobs() []*Launch {
	if j, ok := l.Work.(*Jobs); ok {
		return j.List
	}
	return []*Launch{l}
}

// Blocks is the number of blocks of a launch.
func (l *Launch) Blocks() int { return l.Grid[0] * l.Grid[1] * l.Grid[2] }

// group joins each launch of a pass with those just before it that it does not depend
// on, and leaves their order as it is. A product stays by itself where it is so much
// work that a library may make it.
func (p *Plan) group(list []*Launch, least float64) (out []*Launch) {
	var open []*Launch
	end := func() {
		if len(open) > 0 {
			out = append(out, together(open))
		}
		open = nil
	}
	for _, l := range list {
		if touched(l) == nil || p.libraryMay(l, least) {
			end()
			out = append(out, l)
			continue
		}
		for _, o := range open {
			if depend(o, l) {
				end()
				break
			}
		}
		open = append(open, l)
	}
	end()
	return out
}

// together is one launch of several.
func together(list []*Launch) *Launch {
	if len(list) == 1 {
		return list[0]
	}
	all := &Launch{Grid: [3]int{0, 1, 1}, Work: &Jobs{list}}
	var names []string
	for _, l := range list {
		names = append(names, l.Name)
		all.Grid[0] += l.Blocks()
		all.Shared = max(all.Shared, l.Shared)
	}
	all.Name = strings.Join(names, "_")
	return all
}

// depend tells whether one of two launches touches what the other writes.
func depend(a, b *Launch) bool {
	for _, x := range touched(a) {
		for _, y := range touched(b) {
			if x.what == y.what && (x.written || y.written) {
				return true
			}
		}
	}
	return false
}

// touch is something that a launch reads or writes.
type touch struct {
	what    any // a buffer, a parameter's gradient, its sum, or that of the losses
	written bool
}

// lossParts are the blocks' sums of losses.
type lossParts struct{}

// touched lists what a launch touches that may stand beside others; nil: it may not.
func touched(l *Launch) (list []touch) {
	add := func(written bool, buffers []*ir.Buffer) {
		for _, b := range buffers {
			list = append(list, touch{b, written})
		}
	}
	if s := sumOf(l); s != nil {
		list = append(list, touch{s, true})
	}
	switch w := l.Work.(type) {
	case *Product:
		add(false, ir.Reads(w.Step))
		add(true, ir.Writes(w.Step))
		if w.Loss != nil {
			list = append(list, touch{w.Loss.Loss.Grad, true}, touch{lossParts{}, true})
		}
	case *Map:
		add(false, ir.Reads(w.Map))
		add(true, ir.Writes(w.Map))
	case *GradWeight:
		add(false, ir.Reads(w.Step))
		list = append(list, touch{w.Step.W, true})
		if w.Step.Bias != nil {
			list = append(list, touch{w.Step.Bias, true})
		}
	case *Fold:
		list = append(list, touch{w.Sum, false}, touch{w.Sum.Param.Param, true})
	case *LossSum:
		list = append(list, touch{lossParts{}, false})
	}
	return list
}

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
