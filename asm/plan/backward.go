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
			if at, ok := reads[s.W]; ok {
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
	if s.Map == nil || len(s.Map.Sum) == 0 {
		b.put(phase, b.gradInput(s))
		return phase
	}
	product, m := *s, *s.Map
	d := s.Out
	if d == nil {
		d = &ir.Buffer{Name: fmt.Sprintf("d%d", s.Layer), Role: ir.Gradient, Layer: s.Layer, Width: s.W.Shape[1]}
		b.tensors[d] = b.extra(d.Name, Layout{Width: d.Width})
	}
	product.Out, product.Map = d, nil
	m.In = append([]ir.In(nil), m.In...)
	for i := range m.In {
		if m.In[i].View.Buffer == nil {
			m.In[i].View.Buffer = d
		}
	}
	b.put(phase, b.gradInput(&product))
	b.put(phase+1, b.apply(&m, fmt.Sprintf("backward%d", m.Layer), b.Rows))
	return phase + 1
}

func (b *builder) weightGrad(s *ir.GradWeight) *WeightGrad {
	w := b.params[s.W]
	panels := w.Layout.Panels()
	group := min(2, panels)
	g := &WeightGrad{
		Name: fmt.Sprintf("gradWeight%d", s.Layer), Source: s, Weight: w, BiasOf: b.params[s.Bias],
		X: b.tensors[s.X], DZ: b.tensors[s.DZ],
		Groups: (panels + group - 1) / group, Blocks: w.InPad / kernel.Lanes,
		Most: most(b.Rows * kernel.Lanes * lanes(group)), PanelsOfOneGroup: group,
	}
	rule := b.Rule
	if b.Keep {
		rule = nil
	}
	doc := fmt.Sprintf("makes the gradient of weights of %d inputs.", w.In)
	biasDoc := "adds up the gradients by the outputs over the rows."
	if rule != nil {
		doc = fmt.Sprintf("updates weights of %d inputs by their gradient.", w.In)
		biasDoc = "updates a bias by the sum of the gradients by the outputs."
	}
	makeKernels := func(suffix string, panels int) (*kernel.Gradient, *kernel.BiasGradient) {
		k := share(b, &kernel.Gradient{
			Name: g.Name + suffix, Doc: doc, Inputs: w.In, PanelRows: w.InPad, Rows: b.Rows, Panels: panels, Rule: rule,
		})
		if s.Bias == nil {
			return k, nil
		}
		return k, share(b, &kernel.BiasGradient{
			Name: fmt.Sprintf("gradBias%d%s", s.Layer, suffix), Doc: biasDoc, Rows: b.Rows, Panels: panels, Rule: rule,
		})
	}
	g.Kernel, g.Bias = makeKernels("", group)
	if rest := panels % group; rest > 0 {
		g.Last, g.BiasLast = makeKernels("Last", rest)
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
	}
}
