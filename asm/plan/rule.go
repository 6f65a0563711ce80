package plan

import (
	"slices"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/vmath"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// rule prepares the optimizer's update: what is the same for all elements is
// taken out of it, and listed in the order in which kernels find it.
func (b *builder) rule() {
	r := b.Program.Rule
	element := append([]string{ir.VarW, ir.VarG}, r.States...)
	uniform := func(name string) bool { return !slices.Contains(element, name) }
	taken, roots := vmath.Hoist(append([]*expr.Node{r.W}, r.Next...), uniform)
	b.Scalars = slices.Clone(r.Scalars)
	for _, h := range taken {
		b.Scalars = append(b.Scalars, ir.Scalar{Name: h.Name, Expr: h.Expr})
	}
	b.Rule = &kernel.Rule{States: r.States, W: roots[0], Next: roots[1:]}
	for _, name := range expr.Vars(roots...) {
		if uniform(name) {
			b.Rule.Scalars = append(b.Rule.Scalars, name)
		}
	}
	b.ClearPadding = !keepsZero(b.Rule)
}

// keepsZero reports whether an update leaves parameters and states at zero
// where they and the gradient are zero, whatever the scalars are.
func keepsZero(r *kernel.Rule) bool {
	vars := map[string]float64{kernel.VarW: 0, kernel.VarG: 0}
	for _, s := range r.States {
		vars[s] = 0
	}
	for i, s := range r.Scalars {
		vars[s] = 0.25 + 0.125*float64(i)
	}
	for _, n := range append([]*expr.Node{r.W}, r.Next...) {
		if expr.Eval(n, vars) != 0 {
			return false
		}
	}
	return true
}
