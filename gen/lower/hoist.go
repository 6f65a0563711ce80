package lower

import (
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// hoistScalars moves what is equal for all elements of an update (Adam's
// lr/correction1, say) out of the element's expressions: it is computed once a
// step, in float64.
func hoistScalars(p *ir.Program) {
	r := &p.Rule
	element := append([]string{ir.VarW, ir.VarG}, r.States...)
	varies := func(n *expr.Node) bool {
		return slices.ContainsFunc(element, func(name string) bool { return expr.Uses(n, name) })
	}
	roots := append([]*expr.Node{r.W}, r.Next...)
	for {
		found := largestUniform(roots, varies)
		if found == nil {
			break
		}
		name := fmt.Sprintf("scalar%d", len(r.Scalars))
		r.Scalars = append(r.Scalars, ir.Scalar{Name: name, Expr: found})
		for i, root := range roots {
			roots[i] = expr.Replace(root, found, expr.V(name))
		}
	}
	r.W, r.Next = roots[0], roots[1:]
}

// largestUniform returns a node that no element's variable reaches, though it
// reaches the arguments of a node that uses it; nil if there is none left.
func largestUniform(roots []*expr.Node, varies func(*expr.Node) bool) *expr.Node {
	for _, n := range expr.Schedule(roots...) {
		if !varies(n) {
			continue
		}
		for _, a := range n.Args {
			if len(a.Args) > 0 && !varies(a) {
				return a
			}
		}
	}
	return nil
}
