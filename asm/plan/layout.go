package plan

import (
	"slices"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/internal/ir"
)

// Layout says which column stands in each lane of a blocked matrix.
//
// With Pairs 0, panel p holds columns 16p to 16p+15. A gated activation takes
// two columns, 2u and 2u+1, to make unit u, and wants them in the same lane of
// neighbouring panels. So with Pairs 1, unit panel j is panels 2j (the even
// columns) and 2j+1 (the odd ones); with Pairs 2 the units are split once more.
//
// A dense matrix has one column and no lanes for others: [rows].
type Layout struct {
	Width, Pairs int
	Dense        bool
}

// units is the number of columns that are laid out side by side.
func (l Layout) units() int { return l.Width >> l.Pairs }

// Panels returns the number of panels.
func (l Layout) Panels() int {
	return (l.units() + kernel.Lanes - 1) / kernel.Lanes << l.Pairs
}

// Extent returns the number of lanes up to the last that holds a column: the
// length of a sum over the columns.
func (l Layout) Extent() int {
	rest := l.units() % kernel.Lanes
	if rest == 0 {
		rest = kernel.Lanes
	}
	return (l.Panels()-1)*kernel.Lanes + rest
}

// paired returns the layout of twice as many columns, two for each column of l.
func (l Layout) paired() Layout { return Layout{Width: 2 * l.Width, Pairs: l.Pairs + 1} }

// layouts chooses the layout of every buffer. What a linear layer or the loss
// reads is in natural order; from there it follows backwards, since a map
// keeps columns in their lanes and a gated one wants pairs.
type layouts struct {
	of   map[*ir.Buffer]Layout
	unit map[*ir.Map]Layout // of a forward map's units
}

func chooseLayouts(p *ir.Program) layouts {
	l := layouts{of: map[*ir.Buffer]Layout{}, unit: map[*ir.Map]Layout{}}
	l.forward(p.Forward)
	l.forward(p.Infer)
	l.natural(p.Raw)
	l.natural(p.InferRaw)
	l.natural(p.Loss.Grad)
	for _, s := range p.Backward {
		if g, ok := s.(*ir.GradInput); ok && g.Out != nil {
			l.natural(g.Out)
		}
		if m := ir.FusedMap(s); m != nil {
			l.unit[m] = l.unit[m.Of]
			l.views(m)
		}
	}
	l.dense(p)
	return l
}

// dense makes the columns of a network's single output dense: those of the last
// linear layer, if it has one output, and of the activations behind it.
func (l layouts) dense(p *ir.Program) {
	last := lastLinear(p)
	if last == nil || last.W.Shape[0] != 1 {
		return
	}
	for b, layout := range l.of {
		if b.Layer >= last.Layer && layout.Width == 1 {
			layout.Dense = true
			l.of[b] = layout
		}
	}
}

// lastLinear returns the last linear layer; nil if there is none.
func lastLinear(p *ir.Program) *ir.Linear {
	for _, s := range slices.Backward(p.Forward) {
		if linear, ok := s.(*ir.Linear); ok {
			return linear
		}
	}
	return nil
}

func (l layouts) natural(b *ir.Buffer) { l.of[b] = Layout{Width: b.Width} }

// forward walks the steps backwards, from what is read to what is written.
func (l layouts) forward(steps []ir.Step) {
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		if linear, ok := s.(*ir.Linear); ok {
			l.natural(linear.X)
		}
		m := ir.FusedMap(s)
		if m == nil {
			continue
		}
		value := m.Out[0].View.Buffer
		if _, ok := l.of[value]; !ok {
			l.natural(value) // the raw outputs
		}
		l.unit[m] = l.of[value]
		l.views(m)
	}
}

// views lays out the buffers of a map after its units.
func (l layouts) views(m *ir.Map) {
	set := func(v ir.View) {
		if v.Buffer == nil {
			return
		}
		if v.Stride == 2 {
			l.of[v.Buffer] = l.unit[m].paired()
		} else if _, ok := l.of[v.Buffer]; !ok {
			l.of[v.Buffer] = l.unit[m]
		}
	}
	for _, in := range m.In {
		set(in.View)
	}
	for _, out := range m.Out {
		set(out.View)
	}
}

// accumulator returns the layout of the sums of a linear step: that of the
// buffer it fills, or of what its map reads.
func (l layouts) accumulator(s *ir.Linear) Layout {
	if s.Out != nil {
		if known, ok := l.of[s.Out]; ok {
			return known
		}
		return Layout{Width: s.Out.Width}
	}
	for _, in := range s.Map.In {
		if in.View.Buffer == nil && in.View.Stride == 2 {
			return l.unit[s.Map].paired()
		}
	}
	return l.unit[s.Map]
}
