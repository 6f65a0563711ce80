package lower

import (
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// ChunkRows is the number of rows that gradient descent on the full set walks
// at a time: enough to keep the kernels busy, and few enough for the cache.
const ChunkRows = 256

// Build writes a network as a plain program: one step an operation, nothing
// fused, every buffer on its own.
func Build(net *spec.Network) *ir.Program {
	b := &builder{net: net, p: &ir.Program{
		Name: net.Name, Source: net.File, Text: net.Text,
		Input: net.Input, Output: net.Output,
		Batch: net.Train.Batch, Full: net.Train.Batch == 0,
		X: &ir.Buffer{Name: "x", Role: ir.Input, Width: net.Input, Layer: -1, Column: -1},
	}}
	if b.p.Full {
		b.p.Batch = ChunkRows
	}
	b.layers()
	b.params()
	b.p.Forward, b.p.Raw, b.p.Buffers = b.forward()
	b.loss()
	b.backward()
	b.p.Infer, b.p.InferRaw, b.p.InferBuffers = b.forward()
	b.rule()
	b.settings()
	return b.p
}

type builder struct {
	net *spec.Network
	p   *ir.Program

	weight, bias, learned []*ir.Param // by layer; nil where there is none
	// value holds the buffer that enters layer i in training, maps its forward map.
	value []*ir.Buffer
	maps  []*ir.Map
}

func (b *builder) layers() {
	for _, l := range b.net.Layers {
		layer := ir.Layer{Name: l.Name, In: l.In, Out: l.Out, Line: l.Line, Text: l.Text, Linear: l.Activation == nil}
		if l.Activation != nil {
			layer.Formula = l.Activation.Formula
		}
		b.p.Layers = append(b.p.Layers, layer)
	}
}

// params lists the parameters in the order of torch.nn.Sequential.
func (b *builder) params() {
	add := func(layer int, name string, init ir.Init, shape ...int) *ir.Param {
		q := &ir.Param{
			Name: fmt.Sprintf("%d.%s", layer, name), Index: len(b.p.Params), Layer: layer,
			Shape: shape, Init: init,
		}
		b.p.Params = append(b.p.Params, q)
		return q
	}
	n := len(b.net.Layers)
	b.weight, b.bias, b.learned = make([]*ir.Param, n), make([]*ir.Param, n), make([]*ir.Param, n)
	for i, l := range b.net.Layers {
		if l.Activation == nil {
			weight, bias := b.initOf(i)
			b.weight[i] = add(i, "weight", weight, l.Out, l.In)
			if l.Bias {
				b.bias[i] = add(i, "bias", bias, l.Out)
			}
			continue
		}
		if q := l.Activation.Param(l.Set); q != nil {
			size := 1
			if q.PerChannel(l.Set) {
				size = l.Out
			}
			b.learned[i] = add(i, q.Param, ir.Init{Kind: "constant", Scale: l.Set.Num(q.Setting)}, size)
		}
	}
}

// initOf returns the initial distributions of a linear layer's weight and
// bias, chosen by the activation that follows.
func (b *builder) initOf(i int) (weight, bias ir.Init) {
	l := b.net.Layers[i]
	family, gain := op.Linear, 1.0
	if i+1 < len(b.net.Layers) {
		if a := b.net.Layers[i+1].Activation; a != nil {
			family, gain = a.Family, a.GainOf(b.net.Layers[i+1].Set)
		}
	}
	row := b.net.Train.Init.For(family)
	vars := map[string]float64{op.VarFanIn: float64(l.In), op.VarFanOut: float64(l.Out), op.VarGain: gain}
	weight = ir.Init{Kind: row.Shape, Scale: expr.Eval(row.Scale, vars)}
	bias = ir.Init{Kind: "constant"}
	if row.Bias != nil {
		bias = ir.Init{Kind: "uniform", Scale: expr.Eval(row.Bias, vars)}
	}
	return weight, bias
}

// forward writes the steps from X to the raw outputs, with new buffers.
func (b *builder) forward() (steps []ir.Step, raw *ir.Buffer, buffers []*ir.Buffer) {
	n := len(b.net.Layers)
	b.value, b.maps = make([]*ir.Buffer, n+1), make([]*ir.Map, n)
	current := b.p.X
	b.value[0] = current
	for i, l := range b.net.Layers {
		switch {
		case l.Activation == nil:
			z := &ir.Buffer{Name: fmt.Sprintf("z%d", i), Role: ir.Preact, Layer: i, Width: l.Out}
			steps = append(steps, &ir.Linear{Layer: i, X: current, W: b.weight[i], Bias: b.bias[i], Out: z})
			buffers, current = append(buffers, z), z
		case !isIdentity(l):
			a := &ir.Buffer{Name: fmt.Sprintf("a%d", i), Role: ir.Activation, Layer: i, Width: l.Out}
			b.maps[i] = b.activation(i, current, a)
			steps = append(steps, b.maps[i])
			buffers, current = append(buffers, a), a
		}
		b.value[i+1] = current
	}
	return steps, current, buffers
}

// isIdentity reports whether an activation passes its input on: it then costs
// no step.
func isIdentity(l spec.Layer) bool {
	e := l.Activation.Expr(l.Set)
	return e.Op == expr.Var && e.Name == op.VarZ
}

func (b *builder) activation(i int, in, out *ir.Buffer) *ir.Map {
	l := b.net.Layers[i]
	return &ir.Map{
		Layer: i, Width: l.Out, In: inputs(l, in), Param: b.learned[i],
		Out:       []ir.Out{{View: whole(out), Expr: l.Activation.Expr(l.Set)}},
		KeepsSign: l.Activation.SignKept(l.Set),
	}
}

// inputs binds an activation's variables to its input buffer: the whole of
// it, or the even and odd columns of a gated unit.
func inputs(l spec.Layer, in *ir.Buffer) []ir.In {
	if !l.Activation.Gated {
		return []ir.In{{Var: ir.VarZ, View: whole(in)}}
	}
	return []ir.In{
		{Var: ir.VarZ, View: ir.View{Buffer: in, Offset: 0, Stride: 2}},
		{Var: ir.VarGate, View: ir.View{Buffer: in, Offset: 1, Stride: 2}},
	}
}

func whole(b *ir.Buffer) ir.View { return ir.View{Buffer: b, Stride: 1} }

func (b *builder) loss() {
	value, slope := b.net.Loss.Expr(b.net.LossSet)
	b.p.Loss = &ir.Loss{
		Raw: b.p.Raw, Grad: b.gradientOf(b.p.Raw),
		Value: value, Slope: slope, Rowwise: ir.RowOp(b.net.Loss.Rowwise),
	}
}

func (b *builder) gradientOf(of *ir.Buffer) *ir.Buffer {
	d := &ir.Buffer{Name: "d" + of.Name, Role: ir.Gradient, Layer: of.Layer, Width: of.Width}
	b.p.Buffers = append(b.p.Buffers, d)
	return d
}

// backward writes the steps from the loss's gradient to the gradients of all
// parameters. Below the first parameter no gradient is computed.
func (b *builder) backward() {
	first := slices.IndexFunc(b.net.Layers, func(l spec.Layer) bool {
		return l.Activation == nil || l.Activation.Param(l.Set) != nil
	})
	if first < 0 {
		return
	}
	d := b.p.Loss.Grad
	for i := len(b.net.Layers) - 1; i >= first; i-- {
		x := b.value[i]
		var dx *ir.Buffer
		if i > first && b.value[i+1] != x {
			dx = b.gradientOf(x)
		}
		switch {
		case b.weight[i] != nil:
			if dx != nil {
				b.p.Backward = append(b.p.Backward, &ir.GradInput{Layer: i, DZ: d, W: b.weight[i], Out: dx})
			}
			b.p.Backward = append(b.p.Backward, &ir.GradWeight{Layer: i, DZ: d, X: x, W: b.weight[i], Bias: b.bias[i]})
			b.update(b.weight[i], b.bias[i])
		case b.maps[i] != nil:
			b.p.Backward = append(b.p.Backward, b.derivative(i, d, dx))
			b.update(b.learned[i])
		default:
			continue // an identity: d is the gradient of its input already
		}
		d = dx
	}
}

func (b *builder) update(params ...*ir.Param) {
	for _, q := range params {
		if q != nil {
			b.p.Updates = append(b.p.Updates, &ir.Update{Param: q})
		}
	}
}

// derivative writes the backward map of an activation: the gradient of each
// input from d, the gradient of its value, and the sum for a learned
// parameter. dx is nil where nothing below needs it.
func (b *builder) derivative(i int, d, dx *ir.Buffer) *ir.Map {
	l, forward := b.net.Layers[i], b.maps[i]
	m := &ir.Map{
		Layer: i, Width: l.Out, Param: forward.Param, Of: forward,
		In: append([]ir.In{{Var: ir.VarD, View: whole(d)}}, forward.In...),
	}
	value := forward.Out[0].Expr
	by := func(name string) *expr.Node { return expr.Prod(expr.V(ir.VarD), expr.Derive(value, name)) }
	if dx != nil {
		for _, in := range inputs(l, dx) {
			m.Out = append(m.Out, ir.Out{View: in.View, Expr: by(in.Var)})
		}
	}
	if forward.Param != nil {
		m.Sum = []ir.Sum{{Param: forward.Param, Expr: by(ir.VarParam)}}
	}
	return m
}

func (b *builder) rule() {
	states, w, next, scalars := b.net.Train.Optimizer.Rule(b.net.Train.OptimizerSet)
	b.p.Rule = ir.Rule{States: states, W: w, Next: next}
	for _, s := range scalars {
		b.p.Rule.Scalars = append(b.p.Rule.Scalars, ir.Scalar{Name: s.Name, Expr: s.Expr})
	}
	b.p.Schedule = b.net.Train.Schedule.Rate(b.net.Train.ScheduleSet)
	b.p.Transform = ir.Transform{
		Value: b.net.Transform.Expr(), Rowwise: ir.RowOp(b.net.Transform.Rowwise),
		Width: b.net.Transform.Width(b.net.Output),
	}
}

func (b *builder) settings() {
	t, d := b.net.Train, b.net.Data
	s := ir.Settings{
		Loss: b.net.Loss.Name, Metrics: string(b.net.Loss.Metrics), Output: b.net.Transform.Name,
		Probabilities: b.net.Transform.Name == b.net.Loss.Contains,
		Schedule:      t.Schedule.Name + " = " + t.Schedule.Formula,
		Optimizer:     t.Optimizer.Name, Epochs: t.Epochs, Seed: t.Seed, LR: t.OptimizerSet.Num(ir.VarLR),
		Data: ir.Data{
			Train: d.Train, Test: d.Test, Target: d.Target,
			Features: d.Features, Categorical: d.Categorical,
			ScaleKind: d.Scale.Kind, ScaleFactor: d.Scale.Factor,
			MissingKind: d.Missing.Kind, MissingValue: d.Missing.Value,
		},
	}
	if t.Optimizer.Momentum {
		s.Momentum = t.OptimizerSet.Num(ir.VarMomentum)
	}
	s.Precision = t.Precision.Name
	b.p.Settings = s
	for _, p := range op.Precisions {
		b.p.Precisions = append(b.p.Precisions, ir.Precision{
			Name: p.Name, Bytes: p.Bytes, Roundoff: p.Roundoff(), Scaled: p.Scaled(), Major: p.Major, Minor: p.Minor,
		})
	}
}
