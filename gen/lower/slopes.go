package lower

import (
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// chooseSlopes decides what the backward map of each activation reads.
//
// Backward wants f'(z). Where f'(z) can be had from f(z) (tanh, sigmoid, the
// rectifiers, by their sign), z need not be kept at all. Where it cannot, and
// nothing else of z is needed, forward computes f'(z) beside f(z), sharing
// their exponentials, and keeps it in place of z: backward is then one
// product. A learned parameter needs z itself.
func chooseSlopes(p *ir.Program) {
	for _, s := range p.Backward {
		m, ok := s.(*ir.Map)
		if !ok || m.Of == nil || len(m.Out) == 0 {
			continue
		}
		if readsNothing(m) || fromValue(m) || m.Param != nil {
			continue
		}
		saveSlopes(p, m)
	}
}

// readsNothing drops the inputs of a backward map that reads d alone.
func readsNothing(m *ir.Map) bool {
	for _, out := range m.Out {
		for _, name := range expr.Vars(out.Expr) {
			if name != ir.VarD {
				return false
			}
		}
	}
	if len(m.Sum) > 0 {
		return false
	}
	m.In = m.In[:1]
	return true
}

// fromValue rewrites a backward map of one input to read the activation's
// value in place of z, where that is possible.
func fromValue(m *ir.Map) bool {
	if len(m.Of.In) != 1 || len(m.Sum) > 0 {
		return false
	}
	value, z := expr.V(ir.VarValue), expr.V(ir.VarZ)
	slope := expr.Replace(m.Out[0].Expr, m.Of.Out[0].Expr, value)
	if m.Of.KeepsSign {
		slope = replaceConditions(slope, z, value)
	}
	if expr.Uses(slope, ir.VarZ) {
		return false
	}
	m.Out[0].Expr = slope
	m.In = []ir.In{m.In[0], {Var: ir.VarValue, View: m.Of.Out[0].View}}
	return true
}

// replaceConditions lets selects on the sign of z ask for the sign of value.
func replaceConditions(n, z, value *expr.Node) *expr.Node {
	for _, part := range expr.Schedule(n) {
		if part.Op == expr.Select && part.Args[0].Key() == z.Key() {
			n = expr.Replace(n, part, expr.IfNotPositive(value, part.Args[1], part.Args[2]))
		}
	}
	return n
}

// saveSlopes makes the forward map keep its derivatives, side by side as its
// inputs stand, and the backward map multiply by them.
func saveSlopes(p *ir.Program, m *ir.Map) {
	f := m.Of
	in := f.In[0].View.Buffer
	s := &ir.Buffer{Name: "s" + f.Out[0].View.Buffer.Name[1:], Role: ir.Slope, Layer: f.Layer, Width: in.Width}
	p.Buffers = append(p.Buffers, s)
	names := []string{ir.VarSlope, ir.VarGateSlope}
	d := expr.V(ir.VarD)
	m.In = m.In[:1]
	for i, input := range f.In {
		view := ir.View{Buffer: s, Offset: input.View.Offset, Stride: input.View.Stride}
		// The gradient is linear in d: its slope is its value at d = 1.
		slope := expr.Replace(m.Out[i].Expr, d, expr.C(1))
		f.Out = append(f.Out, ir.Out{View: view, Expr: slope})
		m.In = append(m.In, ir.In{Var: names[i], View: view})
		m.Out[i].Expr = expr.Prod(d, expr.V(names[i]))
	}
}
