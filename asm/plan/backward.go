package plan

import (
	"fmt"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/internal/ir"
)

// backward plans the steps after the loss and puts each in the first phase in
// which all that it needs is there.
func (b *builder) backward() {
	if b.Keep {
		// All gradients lie as the parameters do.
		for _, q := range b.Params {
			b.keepGradient(q)
		}
	}
	made := map[*ir.Buffer]int{} // phase in which a buffer is written
	reads := map[*ir.Param]int{} // last phase in which a weight is read
	for _, s := range b.Program.Backward {
		phase := 0
		for _, r := range ir.Reads(s) {
			if at, ok := made[r]; ok {
				phase = max(phase, at+1)
			}
		}
		switch s := s.(type) {
		case *ir.GradInput:
			phase = b.gradInputs(s, phase)
			reads[s.W] = phase
		case *ir.GradWeight:
			at, read := reads[s.W]
			if back := b.onePass(s.W); back != nil {
				if !read {
					b.put(phase, back(s, nil))
				}
				break
			}
			if read {
				phase = max(phase, at+1)
			}
			b.put(phase, b.weightGrad(s))
		case *ir.Map:
			b.put(phase, b.apply(s, fmt.Sprintf("backward%d", s.Layer), b.Rows))
		}
		for _, w := range ir.Writes(s) {
			made[w] = phase
		}
	}
}

// onePass returns what plans the gradients of a layer's weights and inputs as one
// step, nil where they are two: of a layer of one output, both read each input
// once; with a single row, both read each weight once.
func (b *builder) onePass(w *ir.Param) func(*ir.GradWeight, *ir.GradInput) Step {
	switch {
	case b.isDotWeight(w):
		return func(s *ir.GradWeight, in *ir.GradInput) Step { return b.dotGrad(s, in) }
	case b.Rows == 1 && !b.Keep:
		return func(s *ir.GradWeight, in *ir.GradInput) Step { return b.rankOne(s, in) }
	}
	return nil
}

func (b *builder) put(phase int, s Step) {
	for len(b.Backward) <= phase {
		b.Backward = append(b.Backward, nil)
	}
	b.Backward[phase] = append(b.Backward[phase], s)
}

// gradInputs plans a gradient by inputs. A map that sums over all rows does not
// fit into the product, whose calls each see some of them: it follows by itself.
// The phase of the last step is returned.
func (b *builder) gradInputs(s *ir.GradInput, phase int) int {
	step := func(s *ir.GradInput) Step { return b.gradInput(s) }
	if back := b.onePass(s.W); back != nil {
		step = func(s *ir.GradInput) Step { return back(b.weightGradOf(s.W), s) }
	}
	if s.Map == nil || len(s.Map.Sum) == 0 {
		b.put(phase, step(s))
		return phase
	}
	product, m := *s, *s.Map
	d := s.Out
	if d == nil {
		d = &ir.Buffer{Name: fmt.Sprintf("d%d", s.Layer), Role: ir.Gradient, Layer: s.Layer, Width: s.W.Shape[1]}
		b.tensors[d] = b.extra(d.Name, Layout{Width: d.Width})
	}
	product.Out, product.Map = d, nil
	b.put(phase, step(&product))
	b.put(phase+1, b.apply(fromBuffer(&m, d), fmt.Sprintf("backward%d", m.Layer), b.Rows))
	return phase + 1
}

// weightGradOf returns the step that makes a weight's gradient.
func (b *builder) weightGradOf(w *ir.Param) *ir.GradWeight {
	for _, s := range b.Program.Backward {
		if g, ok := s.(*ir.GradWeight); ok && g.W == w {
			return g
		}
	}
	return nil
}

// rankOne plans the way back through a layer on one row; in is nil where no
// gradient by the inputs is wanted.
func (b *builder) rankOne(s *ir.GradWeight, in *ir.GradInput) *RankOne {
	w := b.params[s.W]
	r := &RankOne{
		Name: fmt.Sprintf("gradRow%d", s.Layer), Source: s, Input: in,
		Weight: w, BiasOf: b.params[s.Bias], X: b.tensors[s.X], DZ: b.tensors[s.DZ],
		Blocks: w.InPad / kernel.Lanes, Sharing: b.sharing(w.Size()),
	}
	r.Most = b.most(kernel.Lanes*lanes(w.Layout.Panels()), r.Blocks)
	k := &kernel.RankOne{
		Name: r.Name, Inputs: w.In, PanelRows: w.InPad, Panels: w.Layout.Panels(), Rule: b.Rule, Input: in != nil,
	}
	if in != nil {
		k.Map, r.Buffers, r.Learned = b.mapOf(in.Map, b.Rows)
		r.D = b.tensors[in.Out]
		k.Store = r.D != nil
	}
	r.Kernel = share(b, k)
	if s.Bias != nil {
		r.Bias, r.BiasLast, r.Groups = b.biasGrad(s, min(2, w.Layout.Panels()))
	}
	return r
}

// biasGrad plans the update of a bias by its gradient, in groups of panels.
func (b *builder) biasGrad(s *ir.GradWeight, group int) (k, last *kernel.BiasGradient, groups int) {
	panels := b.params[s.Bias].Layout.Panels()
	bias := func(suffix string, panels int) *kernel.BiasGradient {
		return share(b, &kernel.BiasGradient{
			Name: fmt.Sprintf("gradBias%d%s", s.Layer, suffix), Rows: b.Rows, Panels: panels, Rule: b.Rule,
		})
	}
	k = bias("", group)
	if rest := panels % group; rest > 0 {
		last = bias("Last", rest)
	}
	return k, last, (panels + group - 1) / group
}

// dotGrad plans the way back through a layer of one output; in is nil where no
// gradient by the inputs is wanted.
func (b *builder) dotGrad(s *ir.GradWeight, in *ir.GradInput) *DotGrad {
	w := b.params[s.W]
	rule := b.Rule
	if b.Keep {
		rule = nil
	}
	g := &DotGrad{
		Name: fmt.Sprintf("gradWeight%d", s.Layer), Source: s, Weight: w, BiasOf: b.params[s.Bias],
		X: b.tensors[s.X], DZ: b.tensors[s.DZ], Blocks: w.Layout.Panels(), Sharing: b.sharing(b.Rows * w.Size() * dotWork),
	}
	g.Most = b.most(b.Rows*kernel.Lanes*dotWork, g.Blocks)
	k := &kernel.DotGradient{Name: g.Name, Inputs: s.W.Shape[1], Rows: b.Rows, Rule: rule, Private: g.Sharing == Unshared}
	if in != nil {
		g.Name = fmt.Sprintf("gradDot%d", s.Layer)
		g.Input, k.Name, k.Input = in, g.Name, true
		k.Map, g.Buffers, g.Learned = b.mapOf(in.Map, b.Rows)
		g.D = b.tensors[in.Out]
		k.Store = g.D != nil
	}
	g.Kernel = share(b, k)
	if s.Bias != nil {
		g.Bias = share(b, &kernel.DotBias{Name: fmt.Sprintf("gradBias%d", s.Layer), Rule: rule})
	}
	return g
}

func (b *builder) weightGrad(s *ir.GradWeight) *WeightGrad {
	w := b.params[s.W]
	panels := w.Layout.Panels()
	group := min(2, panels)
	g := &WeightGrad{
		Name: fmt.Sprintf("gradWeight%d", s.Layer), Source: s, Weight: w, BiasOf: b.params[s.Bias],
		X: b.tensors[s.X], DZ: b.tensors[s.DZ],
		Groups: (panels + group - 1) / group, Blocks: w.InPad / kernel.Lanes, Sharing: b.sharing(b.Rows * w.Size()),
	}
	g.Most = b.most(b.Rows*kernel.Lanes*lanes(group), g.Groups*g.Blocks)
	rule := b.Rule
	if b.Keep {
		rule = nil
	}
	doc := fmt.Sprintf("makes the gradient of weights of %d inputs.", w.In)
	if rule != nil {
		doc = fmt.Sprintf("updates weights of %d inputs by their gradient.", w.In)
	}
	gradient := func(suffix string, panels int) *kernel.Gradient {
		return share(b, &kernel.Gradient{
			Name: g.Name + suffix, Doc: doc, Inputs: w.In, PanelRows: w.InPad, Rows: b.Rows, Stride: g.X.Stride(), Panels: panels, Rule: rule,
			Bias: s.Bias != nil,
		})
	}
	g.Kernel = gradient("", group)
	if rest := panels % group; rest > 0 {
		g.Last = gradient("Last", rest)
	}
	return g
}

// updates lists what is updated from kept gradients.
func (b *builder) updates() {
	if b.Keep {
		b.Runs = []Run{{0, 0, b.ParamSize / kernel.Lanes}}
	} else {
		for _, u := range b.Program.Updates {
			q := b.params[u.Param]
			b.Runs = append(b.Runs, Run{q.Offset, q.Grad, q.Size() / kernel.Lanes})
		}
	}
	if len(b.Runs) > 0 {
		b.Update = share(b, &kernel.Update{Name: "update", Rule: b.Rule, Stride: b.GradSize})
		b.UpdateMost = max(1, updateLines/(b.Shards+len(b.Rule.States))/kernel.UpdateBlock) * kernel.UpdateBlock
	}
}
