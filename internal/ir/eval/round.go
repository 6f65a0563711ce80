package eval

import "github.com/dnngen/dnngen/internal/ir"

// rounding is that of the operands of products.
type rounding struct {
	round    func(float64) float64
	scale    float64
	operands map[*ir.Buffer]bool
}

// Round makes the machine round operands of products, as a GPU does whose tensor
// cores multiply numbers of few digits: weights as they are read, buffers as they
// are written. Gradients by buffers are multiplied by scale before they are
// rounded. Sums stay float64.
func (m *Machine) Round(round func(float64) float64, scale float64) {
	r := &rounding{round, scale, map[*ir.Buffer]bool{}}
	for _, list := range [][]ir.Step{m.p.Forward, m.p.Backward, m.p.Infer} {
		for _, s := range list {
			switch s := s.(type) {
			case *ir.Linear:
				r.operands[s.X] = true
			case *ir.GradInput:
				r.operands[s.DZ] = true
			case *ir.GradWeight:
				r.operands[s.DZ], r.operands[s.X] = true, true
			}
		}
	}
	m.rounding = r
}

// round rounds those of the buffers that hold operands.
func (m *Machine) round(buffers ...*ir.Buffer) {
	r := m.rounding
	if r == nil {
		return
	}
	for _, b := range buffers {
		if !r.operands[b] {
			continue
		}
		scale := 1.0
		if b.Role == ir.Gradient {
			scale = r.scale
		}
		values := m.buffers[b]
		for i, v := range values {
			values[i] = r.round(v*scale) / scale
		}
	}
}

// weight returns a parameter as products read it.
func (m *Machine) weight(q *ir.Param) []float64 {
	w := m.Params[q.Index]
	if m.rounding == nil {
		return w
	}
	rounded := make([]float64, len(w))
	for i, v := range w {
		rounded[i] = m.rounding.round(v)
	}
	return rounded
}
