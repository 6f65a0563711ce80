package summary

import (
	"fmt"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// part is what a step does for one layer. A step with a fused map does work for
// two.
type part struct {
	layer  int
	perRow int64 // operations
	kernel string
}

// parts takes a step apart. Every multiply and every add of a product counts.
func parts(s ir.Step) []part {
	switch s := s.(type) {
	case *ir.Linear:
		own := part{s.Layer, 2 * int64(s.W.Size()), "z = x·Wᵀ"}
		if s.Bias != nil {
			own.perRow += int64(s.Bias.Size())
			own.kernel += " + b"
		}
		return append([]part{own}, fused(s.Map, fmt.Sprintf("fused into z of %d", s.Layer))...)
	case *ir.Map:
		where := "on its own"
		if s.Of != nil {
			where = "derivative on its own"
		}
		return fused(s, where)
	case *ir.GradInput:
		own := part{s.Layer, 2 * int64(s.W.Size()), "dx = dz·W"}
		return append([]part{own}, fused(s.Map, fmt.Sprintf("derivative fused into dx of %d", s.Layer))...)
	case *ir.GradWeight:
		own := part{s.Layer, 2 * int64(s.W.Size()), "dW"}
		if s.Bias != nil {
			own.perRow += int64(s.Bias.Size())
			own.kernel += ", db"
		}
		if s.Update {
			own.kernel += " with update"
		}
		return []part{own}
	}
	panic(fmt.Sprintf("summary: unknown step %T", s))
}

// fused is the work of a map, if there is one.
func fused(m *ir.Map, kernel string) []part {
	if m == nil {
		return nil
	}
	var roots []*expr.Node
	for _, out := range m.Out {
		roots = append(roots, out.Expr)
	}
	for _, sum := range m.Sum {
		roots = append(roots, sum.Expr)
	}
	perUnit := operations(roots...) + int64(len(m.Sum))
	return []part{{m.Layer, perUnit * int64(m.Width), kernel}}
}
