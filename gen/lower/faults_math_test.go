package lower_test

import (
	"math"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// mathFaults are mistakes in the derivatives and in the steps of the plain
// backward pass.
func mathFaults() []fault {
	var list []fault
	add := func(net *spec.Network, name string, plant func(*victim)) {
		list = append(list, fault{name: name, net: net, plant: plant, by: byGradients})
	}
	slope := func(name string, set op.Values, what string, e *expr.Node) {
		add(one(name, set), name+": "+what, func(v *victim) { v.slope(1, e) })
	}
	tanh, sigmoid, softplus := fn(expr.Tanh, z), fn(expr.Sigmoid, z), fn(expr.Softplus, z)
	density := fn(expr.Exp, times(c(-0.5), z, z))
	below := func(then, otherwise *expr.Node) *expr.Node { return expr.IfNotPositive(z, then, otherwise) }

	// Derivatives of the activations.
	slope("tanh", nil, "sign", minus(times(tanh, tanh), c(1)))
	slope("tanh", nil, "1 - a for 1 - a²", minus(c(1), tanh))
	slope("tanh", nil, "twice too large", times(c(2), minus(c(1), times(tanh, tanh))))
	slope("tanh", nil, "value for slope", tanh)
	slope("sigmoid", nil, "dropped 1 - a", sigmoid)
	slope("sigmoid", nil, "a² for a", times(times(sigmoid, sigmoid), minus(c(1), sigmoid)))
	slope("relu", nil, "branches swapped", below(c(1), c(0)))
	slope("relu", nil, "passes everything", c(1))
	slope("leaky_relu", op.Values{"alpha": 0.3}, "alpha on the wrong side", below(c(1), c(0.3)))
	slope("leaky_relu", op.Values{"alpha": 0.3}, "default for the setting", below(c(0.01), c(1)))
	slope("elu", op.Values{"alpha": 0.7}, "dropped alpha", below(fn(expr.Exp, z), c(1)))
	slope("elu", op.Values{"alpha": 0.7}, "expm1 for exp", below(times(c(0.7), fn(expr.Expm1, z)), c(1)))
	slope("selu", nil, "dropped scale above 0", below(times(c(1.7580993408473766), fn(expr.Exp, z)), c(1)))
	slope("selu", nil, "dropped scale below 0", below(times(c(1.6732632423543772), fn(expr.Exp, z)), c(1.0507009873554805)))
	slope("softplus", nil, "sigmoid(-z)", fn(expr.Sigmoid, expr.Minus(z)))
	slope("gelu", nil, "dropped density", times(c(0.5), plus(c(1), fn(expr.Erf, times(c(1/math.Sqrt2), z)))))
	slope("gelu", nil, "density without its factor", plus(
		times(c(0.5), plus(c(1), fn(expr.Erf, times(c(1/math.Sqrt2), z)))), times(z, density)))
	slope("gelu", nil, "tanh approximation's slope", plus(
		times(c(0.5), plus(c(1), fn(expr.Tanh, times(c(math.Sqrt(2/math.Pi)), z)))), times(c(1/math.Sqrt(2*math.Pi)), z, density)))
	slope("mish", nil, "dropped inner derivative", fn(expr.Tanh, softplus))
	slope("mish", nil, "inner derivative without sigmoid", plus(fn(expr.Tanh, softplus),
		times(z, minus(c(1), times(fn(expr.Tanh, softplus), fn(expr.Tanh, softplus))))))
	slope("swish", op.Values{"beta": 1.5}, "dropped second term", fn(expr.Sigmoid, times(c(1.5), z)))
	gate := fn(expr.Sigmoid, times(c(1.5), z))
	slope("swish", op.Values{"beta": 1.5}, "beta not in the chain", plus(gate, times(z, gate, minus(c(1), gate))))

	// Learned parameters.
	learn := op.Values{"learn": true}
	add(one("swish", learn), "swish: sum without the factor z", func(v *victim) {
		s := fn(expr.Sigmoid, times(w, z))
		v.back(1).Sum[0].Expr = times(d, z, s, minus(c(1), s))
	})
	add(one("swish", learn), "swish: slope by beta for slope by z", func(v *victim) {
		m := v.back(1)
		m.Out[0].Expr = m.Sum[0].Expr
	})
	add(one("prelu", nil), "prelu: sum over the positive side", func(v *victim) {
		v.back(1).Sum[0].Expr = times(d, below(c(0), z))
	})
	add(one("prelu", nil), "prelu: sign of the sum", func(v *victim) {
		m := v.back(1)
		m.Sum[0].Expr = expr.Minus(m.Sum[0].Expr)
	})
	add(one("prelu", nil), "prelu: sum without d", func(v *victim) { v.back(1).Sum[0].Expr = below(z, c(0)) })
	add(one("prelu", nil), "prelu: initial slope for the learned one", func(v *victim) {
		v.slope(1, below(c(0.25), c(1)))
	})
	add(gated(), "prelu: value for pre-activation in the sum", func(v *victim) {
		m := v.back(5)
		m.Sum[0].Expr = times(d, below(times(w, z), c(0)))
	})

	// Losses.
	lossSlope := func(name string, set op.Values, what string, e *expr.Node) {
		add(withLoss(name, set), name+": "+what, func(v *victim) { v.p.Loss.Slope = e })
	}
	r := minus(z, y)
	lossSlope("mse", nil, "sign", times(c(2), minus(y, z)))
	lossSlope("mse", nil, "dropped factor 2", r)
	lossSlope("mse", nil, "missing 1/B", times(c(5), c(2), r))
	lossSlope("mse", nil, "mean over rows only", times(c(2), c(2), r))
	lossSlope("mse", nil, "slope of l1", expr.Derive(fn(expr.Abs, r), ir.VarZ))
	delta := op.Values{"delta": 0.5}
	huber := func(edge, line float64) *expr.Node {
		sign := expr.Derive(fn(expr.Abs, r), ir.VarZ)
		return expr.IfNotPositive(minus(fn(expr.Abs, r), c(edge)), r, times(c(line), sign))
	}
	lossSlope("huber", delta, "dropped delta", huber(0.5, 1))
	lossSlope("huber", delta, "wrong edge", huber(1, 0.5))
	lossSlope("bce_with_logits", nil, "dropped target", sigmoid)
	lossSlope("bce_with_logits", nil, "target's sign", plus(sigmoid, y))
	lossSlope("bce_with_logits", nil, "divided by p(1 - p)", expr.Quot(minus(sigmoid, y), times(sigmoid, minus(c(1), sigmoid))))
	lossSlope("l1", nil, "branches swapped", expr.IfNotPositive(r, c(1), c(-1)))
	add(square(), "cross_entropy: missing 1/B", func(v *victim) { v.afterLoss(times(c(5), d)) })
	add(square(), "cross_entropy: softmax without the one-hot", func(v *victim) {
		v.afterLoss(expr.IfNotPositive(d, plus(d, c(0.2)), d))
	})

	// Views of gated units.
	add(gated(), "swiglu: gradients of value and gate swapped", func(v *victim) {
		o := v.back(3).Out
		o[0].View, o[1].View = o[1].View, o[0].View
	})
	add(gated(), "swiglu: value and gate swapped in backward", func(v *victim) {
		in := v.back(3).In
		in[1].View, in[2].View = in[2].View, in[1].View
	})
	add(gated(), "swiglu: halves for interleaved columns", func(v *victim) {
		in := v.back(3).In
		in[1].View.Offset, in[1].View.Stride = 0, 1
		in[2].View.Offset, in[2].View.Stride = 3, 1
	})
	add(gated(), "swiglu: gate's offset", func(v *victim) { v.back(3).In[2].View.Offset = 0 })
	add(gated(), "swiglu: gate's slope of the sigmoid gate", func(v *victim) {
		s := fn(expr.Sigmoid, g)
		v.back(3).Out[1].Expr = times(d, z, s, minus(c(1), s))
	})
	add(gated(), "swiglu: value's slope without the gate", func(v *victim) {
		v.back(3).Out[0].Expr = times(d, fn(expr.Sigmoid, g))
	})
	add(gated(), "swiglu: dropped value in the gate's slope", func(v *victim) {
		v.back(3).Out[1].Expr = times(d, expr.Derive(times(g, fn(expr.Sigmoid, g)), ir.VarGate))
	})

	// Matrix products and their operands.
	add(square(), "weight gradient transposed", func(v *victim) {
		s := v.weight(6)
		s.DZ, s.X, s.Bias = s.X, s.DZ, nil
		v.p.Backward = append(v.p.Backward, &ir.GradWeight{Layer: 99, DZ: s.X, X: s.X, W: v.scratch(4, 4), Bias: v.param("6.bias")})
	})
	add(square(), "weight not transposed in the input gradient", func(v *victim) {
		s := v.input(4)
		right := s.W
		s.W = v.scratch(4, 4)
		v.scratchGradient(s.W, s.DZ)
		v.params = func(m *eval.Machine) {
			for o := range 4 {
				for i := range 4 {
					m.Params[s.W.Index][4*o+i] = m.Params[right.Index][4*i+o]
				}
			}
		}
	})
	add(square(), "another layer's weight in the input gradient", func(v *victim) { v.input(4).W = v.param("2.weight") })
	add(square(), "pre-activation for activation in the weight gradient", func(v *victim) {
		v.weight(4).X = v.fore(3).In[0].View.Buffer
	})
	add(square(), "another layer's activation in the weight gradient", func(v *victim) {
		v.weight(4).X = v.fore(1).Out[0].View.Buffer
	})
	add(square(), "gradient by the value for gradient by z in the weight gradient", func(v *victim) {
		v.weight(4).DZ = v.back(5).In[0].View.Buffer
	})
	add(square(), "derivative left out", func(v *victim) { v.slope(3, c(1)) })
	add(square(), "slope of another layer", func(v *victim) { v.slope(7, below(c(0.3), c(1))) })
	add(square(), "derivative at another layer's pre-activation", func(v *victim) {
		v.back(3).In[1].View.Buffer = v.fore(1).In[0].View.Buffer
	})
	add(square(), "gradient from another layer", func(v *victim) { v.back(3).In[0].View.Buffer = v.p.Loss.Grad })
	add(square(), "learned slope of another layer", func(v *victim) {
		m := v.back(5)
		m.Param = v.param("9.weight")
		m.Sum[0].Param = m.Param
		o := v.back(9)
		o.Param = v.param("5.weight")
		o.Sum[0].Param = o.Param
	})
	add(square(), "biases of two layers exchanged", func(v *victim) {
		s, o := v.weight(4), v.weight(6)
		s.Bias, o.Bias = o.Bias, s.Bias
	})

	// Rows.
	rows := func(name string, f func([]float64, eval.Target, int) ([]float64, eval.Target, int)) {
		add(gated(), name, func(v *victim) { v.rows = f })
	}
	rows("targets off by one row", func(x []float64, y eval.Target, n int) ([]float64, eval.Target, int) {
		k := len(y.Value) / n
		return x, eval.Target{Value: append(append([]float64{}, y.Value[k:]...), y.Value[:k]...)}, n
	})
	rows("last row left out", func(x []float64, y eval.Target, n int) ([]float64, eval.Target, int) { return x, y, n - 1 })
	rows("last row twice", func(x []float64, y eval.Target, n int) ([]float64, eval.Target, int) {
		i, k := len(x)/n, len(y.Value)/n
		x = append(append([]float64{}, x...), x[len(x)-i:]...)
		return x, eval.Target{Value: append(append([]float64{}, y.Value...), y.Value[len(y.Value)-k:]...)}, n + 1
	})
	return list
}

// afterLoss puts a map over d behind the loss.
func (v *victim) afterLoss(e *expr.Node) {
	grad := v.p.Loss.Grad
	out := &ir.Buffer{Name: "changed", Role: ir.Gradient, Layer: grad.Layer, Width: grad.Width}
	v.p.Buffers = append(v.p.Buffers, out)
	for _, s := range v.p.Backward {
		switch s := s.(type) {
		case *ir.GradInput:
			replaceBuffer(&s.DZ, grad, out)
		case *ir.GradWeight:
			replaceBuffer(&s.DZ, grad, out)
		}
	}
	v.p.Backward = append([]ir.Step{&ir.Map{
		Layer: 99, Width: grad.Width,
		In:  []ir.In{{Var: ir.VarD, View: ir.View{Buffer: grad, Stride: 1}}},
		Out: []ir.Out{{View: ir.View{Buffer: out, Stride: 1}, Expr: e}},
	}}, v.p.Backward...)
}

func replaceBuffer(b **ir.Buffer, old, replacement *ir.Buffer) {
	if *b == old {
		*b = replacement
	}
}

// scratch adds a parameter that serves a fault and is not compared.
func (v *victim) scratch(shape ...int) *ir.Param {
	q := &ir.Param{Name: "scratch", Index: len(v.p.Params), Shape: shape}
	v.p.Params = append(v.p.Params, q)
	v.p.Updates = append(v.p.Updates, &ir.Update{Param: q})
	return q
}

// scratchGradient gives a scratch weight the gradient that ir.Verify asks for.
func (v *victim) scratchGradient(q *ir.Param, dz *ir.Buffer) {
	v.p.Backward = append(v.p.Backward, &ir.GradWeight{Layer: 99, DZ: dz, X: dz, W: q})
}
