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
		// It also writes the step's loss and the feed, which no other launch of a pass but
		// the first one reads.
		list = append(list, touch{lossParts{}, false})
	}
	return list
}
