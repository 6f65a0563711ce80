package lower_test

import (
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// passFaults are mistakes that a pass could make, planted in the program that
// the passes leave, or in what they trust.
func passFaults() []fault {
	var list []fault
	add := func(net *spec.Network, by catcher, name string, plant func(*victim)) {
		list = append(list, fault{name: name, net: net, where: inLowered, plant: plant, by: by})
	}

	// Slopes.
	add(gated(), byGradients, "saved slopes of value and gate exchanged", func(v *victim) {
		o := v.fore(3).Out
		o[1].Expr, o[2].Expr = o[2].Expr, o[1].Expr
	})
	add(gated(), byGradients, "saved slopes read in each other's place", func(v *victim) {
		in := v.back(3).In
		in[1].View, in[2].View = in[2].View, in[1].View
	})
	add(one("gelu", nil), byGradients, "value saved for slope", func(v *victim) {
		o := v.fore(1).Out
		o[1].Expr = o[0].Expr
	})
	add(one("mish", nil), byGradients, "d multiplied twice", func(v *victim) {
		o := v.back(1).Out
		o[0].Expr = times(d, o[0].Expr)
	})
	add(square(), byGradients, "value of another layer read for the slope", func(v *victim) {
		v.back(3).In[1].View.Buffer = v.fore(5).Out[0].View.Buffer
	})
	add(square(), byGradients, "value read for z in the sum of a learned slope", func(v *victim) {
		m := v.back(5)
		for i := range m.In {
			if m.In[i].Var == ir.VarZ {
				m.In[i].View.Buffer = v.fore(3).Out[0].View.Buffer
			}
		}
	})
	list = append(list, fault{
		name: "sign read off a value that does not keep it", where: beforePasses, by: byGradients,
		net: one("leaky_relu", op.Values{"alpha": 0.3}),
		plant: func(v *victim) {
			// The pass is told that the sign is kept, as with a slope that is not negative.
			m := v.fore(1)
			m.Out[0].Expr = expr.IfNotPositive(z, times(c(-0.3), z), z)
			v.back(1).Out[0].Expr = times(d, expr.Derive(m.Out[0].Expr, ir.VarZ))
		},
	})

	// Fusions.
	add(square(), byGradients, "derivative below left out of the fusion", func(v *victim) { v.input(4).Map.Out[0].Expr = d })
	add(square(), byGradients, "another weight in a fused product", func(v *victim) { v.input(6).W = v.param("8.weight") })
	add(square(), byTraining, "fused activation without its bias", func(v *victim) {
		for _, s := range v.p.Infer {
			if l, ok := s.(*ir.Linear); ok && l.Layer == 4 {
				l.Bias = nil
			}
		}
	})
	add(square(), byTraining, "activation left out of inference", func(v *victim) {
		for _, s := range v.p.Infer {
			if l, ok := s.(*ir.Linear); ok && l.Layer == 2 {
				l.Map.Out[0].Expr = z
			}
		}
	})

	// Order and number of updates.
	add(square(), byTraining, "weight updated before the gradient that reads it", func(v *victim) {
		s := v.p.Backward
		i := slices.IndexFunc(s, func(s ir.Step) bool { return s == ir.Step(v.input(4)) })
		j := slices.IndexFunc(s, func(s ir.Step) bool { return s == ir.Step(v.weight(4)) })
		// The weight's step needs nothing of the input's.
		moved := s[j]
		s = slices.Delete(s, j, j+1)
		v.p.Backward = slices.Insert(s, i, moved)
	})
	add(square(), byTraining, "updated twice", func(v *victim) {
		v.p.Updates = append(v.p.Updates, &ir.Update{Param: v.param("2.weight")})
	})
	add(square(), byTraining, "learned slope never updated", func(v *victim) {
		v.p.Updates = slices.DeleteFunc(v.p.Updates, func(u *ir.Update) bool { return u.Param == v.param("5.weight") })
	})
	add(square(), byTraining, "weight never updated", func(v *victim) { v.weight(2).Update = false })
	add(full(), byTraining, "update inside a chunk", func(v *victim) {
		v.weight(2).Update = true
		v.p.Updates = slices.DeleteFunc(v.p.Updates, func(u *ir.Update) bool { return u.Param.Layer == 2 })
	})

	// Rules.
	lr, mu := expr.V(ir.VarLR), expr.V(ir.VarMomentum)
	weight, grad, buffer := expr.V(ir.VarW), expr.V(ir.VarG), expr.V(op.StateMomentum)
	add(gated(), byTraining, "rule: sign", func(v *victim) { v.p.Rule.W = plus(weight, times(lr, v.p.Rule.Next[0])) })
	add(gated(), byTraining, "rule: buffer of the step before", func(v *victim) { v.p.Rule.W = minus(weight, times(lr, buffer)) })
	add(gated(), byTraining, "rule: momentum on the gradient", func(v *victim) { v.p.Rule.Next[0] = plus(times(mu, grad), buffer) })
	add(gated(), byTraining, "rule: buffer not kept", func(v *victim) { v.p.Rule.Next[0] = grad })
	adam := one("tanh", nil)
	adam.Train.Optimizer, adam.Train.OptimizerSet = optimizer("adam"), op.Values{
		"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-3, "weight_decay": 0.1,
	}
	add(adam, byTraining, "rule: hoisted scalar of another value", func(v *victim) {
		s := v.p.Rule.Scalars
		s[0].Expr, s[1].Expr = s[1].Expr, s[0].Expr
	})
	add(adam, byTraining, "rule: scalar of the step before", func(v *victim) {
		for i, s := range v.p.Rule.Scalars {
			t := expr.V(ir.VarT)
			v.p.Rule.Scalars[i].Expr = expr.Replace(s.Expr, t, plus(t, c(1)))
		}
	})
	add(adam, byTraining, "rule: states exchanged", func(v *victim) {
		n := v.p.Rule.Next
		n[0], n[1] = n[1], n[0]
	})

	// Memory plan.
	add(square(), byTraining, "plan: an activation over another", func(v *victim) {
		v.fore(3).Out[0].View.Buffer.Column = v.fore(1).Out[0].View.Buffer.Column
	})
	add(square(), byTraining, "plan: a gradient over what backward reads", func(v *victim) {
		v.p.Loss.Grad.Column = v.fore(1).Out[0].View.Buffer.Column
	})
	add(square(), byTraining, "plan: half over half", func(v *victim) {
		b := v.fore(1).Out[0].View.Buffer
		b.Column = v.fore(3).Out[0].View.Buffer.Column + 2
		v.p.ArenaWidth = max(v.p.ArenaWidth, b.Column+b.Width)
	})
	return list
}

// structureFaults break what ir.Verify promises.
func structureFaults() []fault {
	var list []fault
	add := func(net *spec.Network, name string, plant func(*victim)) {
		list = append(list, fault{name: "verify: " + name, net: net, where: inLowered, plant: plant, by: byVerify})
	}
	loose := &ir.Buffer{Name: "loose", Width: 4}

	// Buffers.
	add(square(), "reads before it is written", func(v *victim) {
		s := v.p.Forward
		s[0], s[1] = s[1], s[0]
	})
	add(square(), "reads what nothing writes", func(v *victim) { v.weight(2).X = loose })
	add(square(), "writes what is not listed", func(v *victim) { v.fore(3).Out[0].View.Buffer = loose })
	add(square(), "written twice", func(v *victim) { v.p.Forward = append(v.p.Forward, v.p.Forward[2]) })
	add(square(), "writes x", func(v *victim) { v.p.Forward[0].(*ir.Linear).Out = v.p.X })
	add(square(), "listed twice", func(v *victim) { v.p.Buffers = append(v.p.Buffers, v.p.Buffers[0]) })
	add(square(), "raw never written", func(v *victim) { v.p.Forward = v.p.Forward[:len(v.p.Forward)-1] })
	add(square(), "loss of another buffer", func(v *victim) { v.p.Loss.Raw = v.fore(9).Out[0].View.Buffer })
	add(square(), "gradient of a layer never written", func(v *victim) {
		g := v.input(6)
		v.p.Backward = slices.DeleteFunc(v.p.Backward, func(s ir.Step) bool { return s == ir.Step(g) })
	})
	add(square(), "inference never writes its outputs", func(v *victim) { v.p.Infer = v.p.Infer[1:] })
	add(square(), "inference reads a buffer of training", func(v *victim) { v.p.Infer[1].(*ir.Linear).X = v.fore(1).Out[0].View.Buffer })
	add(square(), "inference's outputs too narrow", func(v *victim) { v.p.InferRaw = v.p.InferBuffers[0]; v.p.Output = 5 })
	add(square(), "backward runs before the loss", func(v *victim) {
		v.p.Forward = append(v.p.Forward, v.p.Backward[0])
		v.p.Backward = v.p.Backward[1:]
	})
	add(square(), "product is lost", func(v *victim) { v.p.Forward[0].(*ir.Linear).Map = nil })
	add(gated(), "z dropped though backward reads it", func(v *victim) {
		for _, s := range v.p.Forward {
			if l, ok := s.(*ir.Linear); ok && l.Layer == 4 {
				l.Out = nil
			}
		}
	})

	// Memory plan.
	add(square(), "overlapping buffers", func(v *victim) {
		v.fore(3).Out[0].View.Buffer.Column = v.fore(1).Out[0].View.Buffer.Column
	})
	add(square(), "overlap by one column", func(v *victim) {
		a, b := v.fore(1).Out[0].View.Buffer, v.fore(3).Out[0].View.Buffer
		b.Column = a.Column + a.Width - 1
		v.p.ArenaWidth = max(v.p.ArenaWidth, b.Column+b.Width)
	})
	add(square(), "raw outputs given away before the end", func(v *victim) {
		v.input(2).Map.Out[0].View.Buffer.Column = v.p.Raw.Column
	})
	add(square(), "beyond the arena", func(v *victim) { v.p.ArenaWidth-- })
	add(square(), "before the arena", func(v *victim) { v.p.Buffers[0].Column = -1 })
	add(square(), "overlap in inference", func(v *victim) {
		for _, b := range v.p.InferBuffers {
			b.Column = 0
		}
	})

	// Widths and views.
	add(gated(), "weight of another shape", func(v *victim) { v.input(4).W = v.param("2.weight") })
	add(gated(), "weight transposed", func(v *victim) { slices.Reverse(v.param("2.weight").Shape) })
	add(gated(), "bias of another layer", func(v *victim) { v.weight(4).Bias = v.param("2.bias") })
	add(gated(), "bias of another width in forward", func(v *victim) { v.p.Forward[0].(*ir.Linear).Bias = v.param("2.bias") })
	add(gated(), "operand of another width", func(v *victim) { v.weight(4).X = v.fore(1).Out[0].View.Buffer })
	add(gated(), "gate read beyond the end", func(v *victim) { v.back(3).In[2].View.Offset = 2 })
	add(gated(), "negative offset", func(v *victim) { v.back(3).In[1].View.Offset = -1 })
	add(gated(), "stride 0", func(v *victim) { v.back(3).In[1].View.Stride = 0 })
	add(gated(), "gradient of the gate left out", func(v *victim) { m := v.back(3); m.Out = m.Out[:1] })
	add(gated(), "gradient of the value written twice", func(v *victim) { o := v.back(3).Out; o[1].View = o[0].View })
	add(gated(), "map one unit short", func(v *victim) { v.back(1).Width-- })
	add(gated(), "map of no units", func(v *victim) { v.back(1).Width = 0 })
	add(slopes(), "map without an accumulator", func(v *victim) {
		m := *v.back(5) // of one unit
		m.Out = nil
		v.p.Backward = append(v.p.Backward, &m)
	})
	add(gated(), "map into its accumulator", func(v *victim) { v.back(1).Out[0].View.Buffer = nil })
	add(gated(), "loss of another width", func(v *victim) { v.p.Output = 3 })

	// Expressions.
	add(gated(), "unbound variable", func(v *victim) { v.back(1).Out[0].Expr = times(d, z, expr.V("q")) })
	add(gated(), "unbound variable in a sum", func(v *victim) { v.back(5).Sum[0].Expr = expr.V("q") })
	add(gated(), "inputs dropped that are read", func(v *victim) { m := v.back(3); m.In = m.In[:1] })
	add(gated(), "loss reads more than z and y", func(v *victim) { v.p.Loss.Slope = d })
	add(gated(), "loss without a slope", func(v *victim) { v.p.Loss.Slope = nil })
	add(square(), "loss both ways", func(v *victim) { v.p.Loss.Value, v.p.Loss.Slope = z, z })
	add(gated(), "output reads y", func(v *victim) { v.p.Transform.Value = y })
	add(gated(), "output of another width", func(v *victim) { v.p.Transform.Width = 7 })
	add(gated(), "rule reads t", func(v *victim) { v.p.Rule.W = expr.V(ir.VarT) })
	add(gated(), "rule reads an unknown state", func(v *victim) { v.p.Rule.W = expr.V("exp_avg") })
	add(gated(), "state without a rule", func(v *victim) { v.p.Rule.Next = nil })
	add(gated(), "scalar reads a later one", func(v *victim) {
		v.p.Rule.Scalars = []ir.Scalar{{Name: "one", Expr: expr.V("two")}, {Name: "two", Expr: c(2)}}
	})
	add(gated(), "scalar with a variable's name", func(v *victim) { v.p.Rule.Scalars = []ir.Scalar{{Name: ir.VarG, Expr: c(2)}} })

	// Parameters.
	add(gated(), "learned slope of another width", func(v *victim) { v.param("5.weight").Shape[0] = 2 })
	add(square(), "parameter that is not listed", func(v *victim) { q := *v.param("2.weight"); v.weight(2).W = &q })
	add(square(), "index of another parameter", func(v *victim) { v.param("2.weight").Index = 0 })
	add(square(), "empty parameter", func(v *victim) { v.param("2.bias").Shape[0] = 0 })
	add(square(), "no gradient of a bias", func(v *victim) { v.weight(4).Bias = nil })
	add(square(), "no gradient of a learned slope", func(v *victim) { v.back(5).Sum = nil })
	add(square(), "gradient twice", func(v *victim) { m := v.back(5); m.Sum = append(m.Sum, m.Sum[0]) })
	add(square(), "sum into another parameter", func(v *victim) { v.back(5).Sum[0].Param = v.param("9.weight") })
	add(square(), "update of a copy", func(v *victim) { q := *v.p.Updates[0].Param; v.p.Updates[0].Param = &q })
	add(square(), "update before the last use", func(v *victim) {
		s := v.p.Backward
		for i := range s {
			if g, ok := s[i].(*ir.GradInput); ok && g.Layer == 4 {
				s[i], s[i+1] = s[i+1], s[i]
				return
			}
		}
	})
	add(square(), "double update", func(v *victim) { v.p.Updates = append(v.p.Updates, v.p.Updates[0]) })
	add(square(), "fused update again at the end", func(v *victim) {
		v.p.Updates = append(v.p.Updates, &ir.Update{Param: v.param("2.weight")})
	})
	add(square(), "no update", func(v *victim) { v.p.Updates = v.p.Updates[1:] })
	add(full(), "update inside a chunk", func(v *victim) {
		v.weight(2).Update = true
		v.p.Updates = slices.DeleteFunc(v.p.Updates, func(u *ir.Update) bool { return u.Param.Layer == 2 })
	})
	add(full(), "chunks of no rows", func(v *victim) { v.p.Batch = 0 })
	return list
}
