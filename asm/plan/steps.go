package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/internal/ir"
)

// forward plans the training's way to the raw outputs.
func (b *builder) forward() {
	if !b.flat {
		b.Pack = share(b, &kernel.Block{Name: "pack", Width: b.Program.Input, Rows: b.Rows})
		b.PackSharing = b.sharing(b.Rows * b.Program.Input * moveWork)
	}
	b.Forward = b.steps(b.Program.Forward, "forward", b.Rows)
}

// steps plans forward steps; verb begins their names.
func (b *builder) steps(list []ir.Step, verb string, rows int) []Step {
	var out []Step
	for _, s := range list {
		switch s := s.(type) {
		case *ir.Linear:
			if b.isDot(s) {
				out = append(out, b.dot(s, verb, rows)...)
			} else {
				out = append(out, b.linear(s, verb, rows))
			}
		case *ir.Map:
			out = append(out, b.apply(s, fmt.Sprintf("%s%d", verb, s.Layer), rows))
		}
	}
	return out
}

func (b *builder) linear(s *ir.Linear, verb string, rows int) *Multiply {
	m := &Multiply{
		Name: fmt.Sprintf("%s%d", verb, s.Layer), Source: s,
		Src: b.tensors[s.X], Weight: b.params[s.W], Bias: b.params[s.Bias], Acc: b.tensors[s.Out],
	}
	doc := fmt.Sprintf("multiplies rows of %d by weights of %d outputs.", s.W.Shape[1], s.W.Shape[0])
	b.multiply(m, s.Map, doc, extent{rows: rows, depth: s.W.Shape[1], panels: m.Weight.Layout.Panels(), panelDepth: m.Weight.InPad})
	return m
}

// isDot reports whether a linear layer's one output is dense.
func (b *builder) isDot(s *ir.Linear) bool { return b.isDotWeight(s.W) }

func (b *builder) isDotWeight(w *ir.Param) bool {
	last := lastLinear(b.Program)
	return last != nil && w == last.W && w.Shape[0] == 1
}

// dot plans a linear layer of one output. Its map follows by itself.
func (b *builder) dot(s *ir.Linear, verb string, rows int) []Step {
	d := &Dot{
		Name: fmt.Sprintf("%s%d", verb, s.Layer), Source: s,
		Src: b.tensors[s.X], Z: b.tensors[s.Out], Weight: b.params[s.W], Bias: b.params[s.Bias],
	}
	d.Kernel = share(b, &kernel.Dot{Name: d.Name, Inputs: s.W.Shape[1], Rows: rows, Bias: s.Bias != nil})
	d.MostRow = max(kernel.Lanes, b.most(s.W.Shape[1]*dotWork, rows)/kernel.Lanes*kernel.Lanes)
	d.Sharing = b.sharing(rows * s.W.Shape[1] * dotWork)
	if s.Map == nil {
		return []Step{d}
	}
	if d.Z == nil {
		z := &ir.Buffer{Name: fmt.Sprintf("z%d", s.Layer), Role: ir.Preact, Layer: s.Layer, Width: 1}
		d.Z = b.extra(z.Name, Layout{Width: 1, Dense: true})
		b.tensors[z] = d.Z
		return []Step{d, b.apply(fromBuffer(s.Map, z), fmt.Sprintf("%s%d", verb, s.Map.Layer), rows)}
	}
	return []Step{d, b.apply(fromBuffer(s.Map, s.Out), fmt.Sprintf("%s%d", verb, s.Map.Layer), rows)}
}

// fromBuffer returns a fused map as one by itself, which reads a buffer where
// it read sums.
func fromBuffer(m *ir.Map, from *ir.Buffer) *ir.Map {
	out := *m
	out.In = slices.Clone(m.In)
	for i := range out.In {
		if out.In[i].View.Buffer == nil {
			out.In[i].View.Buffer = from
		}
	}
	return &out
}

func (b *builder) gradInput(s *ir.GradInput) *Multiply {
	m := &Multiply{
		Name: fmt.Sprintf("gradInput%d", s.Layer), Source: s,
		Src: b.tensors[s.DZ], Weight: b.params[s.W], Acc: b.tensors[s.Out],
	}
	w := m.Weight
	doc := fmt.Sprintf("multiplies gradients of %d outputs by the transposed weights of %d inputs.", s.W.Shape[0], s.W.Shape[1])
	b.multiply(m, s.Map, doc, extent{rows: b.Rows, depth: w.Layout.Extent(), panels: w.InPad / kernel.Lanes})
	return m
}

// mapOf turns a program's map into a kernel's. The steps of the buffers are
// those of one panel of units.
func (b *builder) mapOf(s *ir.Map, rows int) (*kernel.Map, []Buffer, *Param) {
	if s == nil {
		return nil, nil, nil
	}
	m := &kernel.Map{Rows: rows}
	var buffers []Buffer
	index := map[*Tensor]int{}
	view := func(v ir.View) kernel.View {
		if v.Buffer == nil {
			return kernel.View{Buffer: kernel.Accumulator, Offset: v.Offset, Stride: v.Stride}
		}
		t := b.tensors[v.Buffer]
		i, ok := index[t]
		if !ok {
			i = len(buffers)
			index[t] = i
			buffers = append(buffers, Buffer{t, v.Stride})
			m.Buffers = append(m.Buffers, argName(m.Buffers, t.Name))
		}
		return kernel.View{Buffer: i, Offset: v.Offset, Stride: v.Stride}
	}
	for _, in := range s.In {
		m.In = append(m.In, kernel.In{Var: in.Var, View: view(in.View)})
	}
	for _, out := range s.Out {
		m.Out = append(m.Out, kernel.Out{View: view(out.View), Expr: out.Expr})
	}
	for _, sum := range s.Sum {
		m.Sum = append(m.Sum, kernel.Sum{Expr: sum.Expr})
	}
	var learned *Param
	if s.Param != nil {
		learned = b.params[s.Param]
		m.Param = kernel.OneParam
		if s.PerChannel() {
			m.Param = kernel.PerUnit
		}
	}
	return m, buffers, learned
}

// argName names a buffer without its layer, so that equal kernels of different
// layers are one.
func argName(taken []string, name string) string {
	base := strings.TrimRight(name, "0123456789")
	name = base
	for i := 2; slices.Contains(taken, name); i++ {
		name = fmt.Sprintf("%sn%d", base, i)
	}
	return name
}

// apply plans a map by itself.
func (b *builder) apply(s *ir.Map, name string, rows int) *Apply {
	m, buffers, learned := b.mapOf(s, rows)
	a := &Apply{Name: name, Source: s, Buffers: buffers, Learned: learned}
	a.Kernel = share(b, &kernel.Apply{Name: name, Doc: "computes " + m.Formula() + ".", Map: m})
	a.Panels = buffers[0].Tensor.Layout.Panels() / buffers[0].Step
	a.Dense = buffers[0].Tensor.Layout.Dense
	a.Sharing = b.sharing(rows * lanes(a.Panels) * lossWork)
	if len(s.Sum) > 0 {
		a.Sum = b.params[s.Sum[0].Param]
		b.keepGradient(a.Sum)
		if !s.PerChannel() {
			a.Sum.Parts, a.Sum.Panels = b.GradSize, a.Panels
			b.GradSize += lanes(a.Panels)
		}
	}
	return a
}

// keepGradient makes room for a parameter's gradient.
func (b *builder) keepGradient(q *Param) {
	if q.Grad < 0 {
		q.Grad = b.GradSize
		b.GradSize += q.Size()
	}
}

func (b *builder) loss() {
	l := b.Program.Loss
	b.Loss = &Loss{
		Source: l, Z: b.tensors[l.Raw], DZ: b.tensors[l.Grad],
		Sharing: b.sharing(b.Rows * l.Raw.Width * lossWork),
	}
	if b.Loss.Z.Layout.Dense {
		b.Loss.Kernel = share(b, &kernel.DenseLoss{Name: "lossRows", Value: l.Value, Slope: l.Slope})
	} else if l.Rowwise == ir.SoftmaxCrossEntropy {
		b.Loss.Kernel = share(b, &kernel.CrossEntropy{Name: "lossRows", Width: l.Raw.Width, Rows: b.Rows})
	} else {
		b.Loss.Kernel = share(b, &kernel.Loss{Name: "lossRows", Width: l.Raw.Width, Rows: b.Rows, Value: l.Value, Slope: l.Slope})
	}
}
