// Package eval runs an ir.Program in float64, step by step as it is written.
// It is the reference: every backend is compared with it, and its gradients
// are compared with central differences.
package eval

import (
	"fmt"
	"math"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// Target is what rows should have produced: class indices or values, as the
// program's loss wants.
type Target struct {
	Class []int
	Value []float64 // [rows, outputs]
}

func (t Target) rows(lo, hi, outputs int) Target {
	if t.Class != nil {
		return Target{Class: t.Class[lo:hi]}
	}
	return Target{Value: t.Value[lo*outputs : hi*outputs]}
}

// Machine holds a program's parameters, states and buffers.
type Machine struct {
	Params [][]float64
	States [][][]float64 // [state][param]

	p       *ir.Program
	grads   [][]float64
	buffers map[*ir.Buffer][]float64
	steps   int64
}

// New returns a machine with all parameters and states at 0.
func New(p *ir.Program) *Machine {
	m := &Machine{p: p, buffers: map[*ir.Buffer][]float64{}}
	tensors := func() [][]float64 {
		list := make([][]float64, len(p.Params))
		for i, q := range p.Params {
			list[i] = make([]float64, q.Size())
		}
		return list
	}
	m.Params, m.grads = tensors(), tensors()
	for range p.Rule.States {
		m.States = append(m.States, tensors())
	}
	return m
}

// Step trains on rows examples and returns the mean loss before the update.
func (m *Machine) Step(x []float64, y Target, rows int, lr, momentum float64) float64 {
	loss := m.Gradients(x, y, rows)
	m.steps++
	m.update(lr, momentum)
	return loss
}

// Gradients makes a forward and a backward pass and returns the mean loss; the
// gradients are then read with Grad.
func (m *Machine) Gradients(x []float64, y Target, rows int) float64 {
	for _, g := range m.grads {
		clear(g)
	}
	loss := 0.0
	for lo := 0; lo < rows; lo += m.p.Batch {
		hi := min(lo+m.p.Batch, rows)
		m.resize(m.p.X, hi-lo)
		copy(m.buffers[m.p.X], x[lo*m.p.Input:hi*m.p.Input])
		m.run(m.p.Forward, hi-lo)
		loss += m.loss(y.rows(lo, hi, m.p.Output), hi-lo, rows)
		m.run(m.p.Backward, hi-lo)
	}
	return loss
}

// Grad returns the gradient of parameter i that the last Gradients computed.
func (m *Machine) Grad(i int) []float64 { return m.grads[i] }

// Buffer returns what a buffer holds, for tests.
func (m *Machine) Buffer(b *ir.Buffer) []float64 { return m.buffers[b] }

// Infer returns raw outputs [rows, outputs].
func (m *Machine) Infer(x []float64, rows int) []float64 {
	m.resize(m.p.X, rows)
	copy(m.buffers[m.p.X], x[:rows*m.p.Input])
	m.run(m.p.Infer, rows)
	return append([]float64(nil), m.buffers[m.p.InferRaw]...)
}

func (m *Machine) resize(b *ir.Buffer, rows int) []float64 {
	if len(m.buffers[b]) != rows*b.Width {
		m.buffers[b] = make([]float64, rows*b.Width)
	}
	return m.buffers[b]
}

func (m *Machine) run(steps []ir.Step, rows int) {
	for _, s := range steps {
		switch s := s.(type) {
		case *ir.Linear:
			m.linear(s, rows)
		case *ir.Map:
			m.apply(s, nil, 0, rows)
		case *ir.GradInput:
			m.gradInput(s, rows)
		case *ir.GradWeight:
			m.gradWeight(s, rows)
		default:
			panic(fmt.Sprintf("eval: unknown step %T", s))
		}
	}
}

func (m *Machine) linear(s *ir.Linear, rows int) {
	in, out := s.W.Shape[1], s.W.Shape[0]
	x, w := m.buffers[s.X], m.Params[s.W.Index]
	z := make([]float64, rows*out)
	for r := range rows {
		for o := range out {
			sum := 0.0
			for i := range in {
				sum += x[r*in+i] * w[o*in+i]
			}
			if s.Bias != nil {
				sum += m.Params[s.Bias.Index][o]
			}
			z[r*out+o] = sum
		}
	}
	m.finish(s.Out, s.Map, z, out, rows)
}

func (m *Machine) gradInput(s *ir.GradInput, rows int) {
	in, out := s.W.Shape[1], s.W.Shape[0]
	dz, w := m.buffers[s.DZ], m.Params[s.W.Index]
	dx := make([]float64, rows*in)
	for r := range rows {
		for o := range out {
			for i := range in {
				dx[r*in+i] += dz[r*out+o] * w[o*in+i]
			}
		}
	}
	m.finish(s.Out, s.Map, dx, in, rows)
}

// finish stores an accumulator and applies the fused map to it.
func (m *Machine) finish(out *ir.Buffer, fused *ir.Map, acc []float64, width, rows int) {
	if out != nil {
		copy(m.resize(out, rows), acc)
	}
	if fused != nil {
		m.apply(fused, acc, width, rows)
	}
}

func (m *Machine) gradWeight(s *ir.GradWeight, rows int) {
	in, out := s.W.Shape[1], s.W.Shape[0]
	dz, x, dw := m.buffers[s.DZ], m.buffers[s.X], m.grads[s.W.Index]
	for r := range rows {
		for o := range out {
			d := dz[r*out+o]
			for i := range in {
				dw[o*in+i] += d * x[r*in+i]
			}
			if s.Bias != nil {
				m.grads[s.Bias.Index][o] += d
			}
		}
	}
}

// apply runs a map over its buffers; acc [rows, width] is the accumulator of
// the step that the map is fused into.
func (m *Machine) apply(s *ir.Map, acc []float64, width, rows int) {
	roots := make([]*expr.Node, 0, len(s.Out)+len(s.Sum))
	for _, out := range s.Out {
		roots = append(roots, out.Expr)
		m.resize(out.View.Buffer, rows)
	}
	for _, sum := range s.Sum {
		roots = append(roots, sum.Expr)
	}
	program := expr.NewProgram(roots...)
	vars := map[string]float64{}
	at := func(v ir.View, r, j int) *float64 {
		data, w := acc, width
		if v.Buffer != nil {
			data, w = m.buffers[v.Buffer], v.Buffer.Width
		}
		return &data[r*w+v.Offset+v.Stride*j]
	}
	for r := range rows {
		for j := range s.Width {
			for _, in := range s.In {
				vars[in.Var] = *at(in.View, r, j)
			}
			if s.Param != nil {
				vars[ir.VarParam] = m.Params[s.Param.Index][channel(s.Param, j)]
			}
			values := program.Eval(vars)
			for i, out := range s.Out {
				*at(out.View, r, j) = values[i]
			}
			for i, sum := range s.Sum {
				m.grads[sum.Param.Index][channel(sum.Param, j)] += values[len(s.Out)+i]
			}
		}
	}
}

func channel(p *ir.Param, j int) int {
	if p.Size() == 1 {
		return 0
	}
	return j
}

// loss returns this chunk's share of the mean over total rows and writes the
// gradient by the raw outputs.
func (m *Machine) loss(y Target, rows, total int) float64 {
	l := m.p.Loss
	z, grad, out := m.buffers[l.Raw], m.resize(l.Grad, rows), l.Raw.Width
	sum := 0.0
	if l.Rowwise == ir.SoftmaxCrossEntropy {
		for r := range rows {
			sum += crossEntropy(z[r*out:(r+1)*out], grad[r*out:(r+1)*out], y.Class[r], 1/float64(total))
		}
		return sum / float64(total)
	}
	scale := 1 / float64(total*out)
	program := expr.NewProgram(l.Value, l.Slope)
	vars := map[string]float64{}
	for i := range rows * out {
		vars[ir.VarZ], vars[ir.VarY] = z[i], y.Value[i]
		values := program.Eval(vars)
		sum += values[0]
		grad[i] = values[1] * scale
	}
	return sum * scale
}

// crossEntropy returns logsumexp(z) - z[class] and writes its gradient
// (softmax(z) - onehot(class))·scale.
func crossEntropy(z, grad []float64, class int, scale float64) float64 {
	top := math.Inf(-1)
	for _, v := range z {
		top = math.Max(top, v)
	}
	sum := 0.0
	for i, v := range z {
		grad[i] = math.Exp(v - top)
		sum += grad[i]
	}
	for i := range grad {
		grad[i] *= scale / sum
	}
	grad[class] -= scale
	return top + math.Log(sum) - z[class]
}

// Scalars evaluates a rule's scalars for update number t and returns them
// with lr and momentum under their names.
func Scalars(rule ir.Rule, lr, momentum float64, t int64) map[string]float64 {
	vars := map[string]float64{ir.VarLR: lr, ir.VarMomentum: momentum, ir.VarT: float64(t)}
	for _, s := range rule.Scalars {
		vars[s.Name] = expr.Eval(s.Expr, vars)
	}
	return vars
}

func (m *Machine) update(lr, momentum float64) {
	vars := Scalars(m.p.Rule, lr, momentum, m.steps)
	program := expr.NewProgram(append([]*expr.Node{m.p.Rule.W}, m.p.Rule.Next...)...)
	for i, w := range m.Params {
		for j := range w {
			vars[ir.VarW], vars[ir.VarG] = w[j], m.grads[i][j]
			for k, name := range m.p.Rule.States {
				vars[name] = m.States[k][i][j]
			}
			values := program.Eval(vars)
			w[j] = values[0]
			for k := range m.p.Rule.States {
				m.States[k][i][j] = values[1+k]
			}
		}
	}
}
