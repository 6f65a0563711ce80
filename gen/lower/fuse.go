package lower

import (
	"slices"

	"github.com/dnngen/dnngen/internal/ir"
)

// fuseActivations makes each activation that directly follows a linear layer
// part of it, so that z is read while it is still in registers, and drops z
// where nothing else reads it.
func fuseActivations(p *ir.Program) {
	p.Forward = fuseForward(p, p.Forward, append(stepsRead(p.Backward), p.Raw))
	p.Infer = fuseForward(p, p.Infer, []*ir.Buffer{p.InferRaw})
	p.Buffers = used(p, p.Buffers)
	p.InferBuffers = used(p, p.InferBuffers)
}

// fuseForward merges linear steps with the maps behind them; kept are buffers
// that are read later.
func fuseForward(p *ir.Program, steps []ir.Step, kept []*ir.Buffer) []ir.Step {
	var out []ir.Step
	for i := 0; i < len(steps); i++ {
		out = append(out, steps[i])
		l, ok := steps[i].(*ir.Linear)
		if !ok || i+1 == len(steps) {
			continue
		}
		m, ok := steps[i+1].(*ir.Map)
		if !ok {
			continue
		}
		toAccumulator(m, l.Out)
		l.Map = m
		if !slices.Contains(kept, l.Out) {
			l.Out = nil
		}
		i++
	}
	return out
}

// fuseInputGradients makes the derivative of the activation below part of the
// step that computes the gradient by its value.
func fuseInputGradients(p *ir.Program) {
	var out []ir.Step
	for _, s := range p.Backward {
		m, ok := s.(*ir.Map)
		if !ok {
			out = append(out, s)
			continue
		}
		i := slices.IndexFunc(out, func(s ir.Step) bool {
			g, ok := s.(*ir.GradInput)
			return ok && g.Out != nil && g.Out == m.In[0].View.Buffer
		})
		if i < 0 {
			out = append(out, s)
			continue
		}
		g := out[i].(*ir.GradInput)
		toAccumulator(m, g.Out)
		g.Map, g.Out = m, nil
	}
	p.Backward = out
	p.Buffers = used(p, p.Buffers)
}

// toAccumulator lets a map read the accumulator where it read the buffer.
func toAccumulator(m *ir.Map, b *ir.Buffer) {
	m.In = slices.Clone(m.In)
	for i := range m.In {
		if m.In[i].View.Buffer == b {
			m.In[i].View.Buffer = nil
		}
	}
}

// fuseUpdates lets the step that makes a weight's gradient update it at once.
// A step over the full set has to wait for its last chunk.
func fuseUpdates(p *ir.Program) {
	if p.Full {
		return
	}
	done := map[*ir.Param]bool{}
	for _, s := range p.Backward {
		if g, ok := s.(*ir.GradWeight); ok {
			g.Update = true
			done[g.W] = true
			if g.Bias != nil {
				done[g.Bias] = true
			}
		}
	}
	p.Updates = slices.DeleteFunc(p.Updates, func(u *ir.Update) bool { return done[u.Param] })
}

func stepsRead(steps []ir.Step) []*ir.Buffer {
	var list []*ir.Buffer
	for _, s := range steps {
		list = append(list, ir.Reads(s)...)
	}
	return list
}

// used keeps the buffers that some step still touches.
func used(p *ir.Program, buffers []*ir.Buffer) []*ir.Buffer {
	touched := map[*ir.Buffer]bool{p.Loss.Raw: true, p.Loss.Grad: true}
	for _, steps := range [][]ir.Step{p.Forward, p.Backward, p.Infer} {
		for _, s := range steps {
			for _, b := range append(ir.Reads(s), ir.Writes(s)...) {
				touched[b] = true
			}
		}
	}
	return slices.DeleteFunc(buffers, func(b *ir.Buffer) bool { return !touched[b] })
}
