package ir

import (
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
)

// bound lists the variables that an expression may read.
type bound []string

func (v *verifier) reads(by string, b bound, exprs ...*expr.Node) {
	for _, e := range exprs {
		if e == nil {
			continue
		}
		for _, name := range expr.Vars(e) {
			if !slices.Contains(b, name) {
				v.fail("%s: %s is not bound", by, name)
			}
		}
	}
}

// shapes checks that the widths of a step's operands fit.
func (v *verifier) shapes(s Step) {
	switch s := s.(type) {
	case *Linear:
		v.matrix(s, s.W, s.X.Width, widthOr(s.Out, s.W.Shape[0]))
		v.bias(s, s.Bias, s.W)
		v.accumulator(s, s.Out, s.Map, s.W.Shape[0])
	case *GradInput:
		v.matrix(s, s.W, widthOr(s.Out, s.W.Shape[1]), s.DZ.Width)
		v.accumulator(s, s.Out, s.Map, s.W.Shape[1])
	case *GradWeight:
		v.matrix(s, s.W, s.X.Width, s.DZ.Width)
		v.bias(s, s.Bias, s.W)
	case *Map:
		v.mapping(s, 0)
	}
}

func widthOr(b *Buffer, width int) int {
	if b == nil {
		return width
	}
	return b.Width
}

func (v *verifier) matrix(s Step, w *Param, in, out int) {
	if !v.params[w] || len(w.Shape) != 2 || w.Shape[0] != out || w.Shape[1] != in {
		v.fail("%s: weight %v for %d -> %d", StepString(s), w.Shape, in, out)
	}
}

func (v *verifier) bias(s Step, bias, w *Param) {
	if bias != nil && (!v.params[bias] || len(bias.Shape) != 1 || bias.Shape[0] != w.Shape[0]) {
		v.fail("%s: bias %v for weight %v", StepString(s), bias.Shape, w.Shape)
	}
}

// accumulator checks that a matrix product of the given width goes somewhere.
func (v *verifier) accumulator(s Step, out *Buffer, m *Map, width int) {
	if m != nil {
		v.mapping(m, width)
	} else if out == nil {
		v.fail("%s: the product is lost", StepString(s))
	}
}

// mapping checks a map whose accumulator has the given width.
func (v *verifier) mapping(m *Map, width int) {
	var names bound
	for _, in := range m.In {
		names = append(names, in.Var)
		v.view(m, in.View, width)
	}
	if m.Param != nil {
		names = append(names, VarParam)
		if n := m.Param.Size(); !v.params[m.Param] || n != 1 && n != m.Width {
			v.fail("%s: parameter of %d values for %d units", mapString(m), n, m.Width)
		}
	}
	columns := map[*Buffer][]int{}
	for _, out := range m.Out {
		if out.View.Buffer == nil {
			v.fail("%s: writes to its accumulator", mapString(m))
			continue
		}
		v.view(m, out.View, width)
		v.reads(mapString(m), names, out.Expr)
		for j := range m.Width {
			columns[out.View.Buffer] = append(columns[out.View.Buffer], out.View.Offset+out.View.Stride*j)
		}
	}
	for b, list := range columns {
		slices.Sort(list)
		if n := len(slices.Compact(list)); n != len(list) || n != b.Width {
			v.fail("%s: writes %d columns of the %d of %s", mapString(m), n, b.Width, b.Name)
		}
	}
	for _, sum := range m.Sum {
		if sum.Param != m.Param {
			v.fail("%s: sums into %s, which it does not read", mapString(m), sum.Param.Name)
		}
		v.reads(mapString(m), names, sum.Expr)
	}
}

func (v *verifier) view(m *Map, view View, width int) {
	if view.Buffer != nil {
		width = view.Buffer.Width
	}
	last := view.Offset + view.Stride*(m.Width-1)
	if m.Width < 1 || view.Stride < 1 || view.Offset < 0 || last >= width {
		v.fail("%s: columns %d to %d of %d", mapString(m), view.Offset, last, width)
	}
}
