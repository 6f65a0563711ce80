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

// Machine holds a program's parameters, states and buffers. The program must
// not change any more.
type Machine struct {
	Params [][]float64
	States [][][]float64 // [state][param]

	p        *ir.Program
	grads    [][]float64
	buffers  map[*ir.Buffer][]float64
	arenas   []*arena
	placed   map[*ir.Buffer]*arena // the arena of each buffer that the plan places
	programs map[any]*expr.Program // of each map, of the loss and of the rule
	updates  int64                 // made so far
	rounding *rounding             // of products' operands; nil for none
}

// New returns a machine with all parameters and states at 0.
func New(p *ir.Program) *Machine {
	m := &Machine{p: p, buffers: map[*ir.Buffer][]float64{}, programs: map[any]*expr.Program{}}
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
// Where that is NaN or infinite, parameters and states stay as they were.
func (m *Machine) Step(x []float64, y Target, rows int, lr, momentum float64) float64 {
	u := m.newUpdater(lr, momentum, m.updates+1)
	loss := m.pass(x, y, rows, u)
	if !finite(loss) {
		return loss
	}
	for _, s := range m.p.Updates {
		u.update(s.Param)
	}
	m.updates++
	return loss
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Gradients makes a forward and a backward pass and returns the mean loss; the
// gradients are then read with Grad.
func (m *Machine) Gradients(x []float64, y Target, rows int) float64 {
	return m.pass(x, y, rows, nil)
}

// pass walks rows examples in chunks of Batch. Steps that update a parameter
// do so with u, unless it is nil.
func (m *Machine) pass(x []float64, y Target, rows int, u *updater) float64 {
	for _, g := range m.grads {
		clear(g)
	}
	loss := 0.0
	for lo := 0; lo < rows; lo += m.p.Batch {
		hi := min(lo+m.p.Batch, rows)
		loss += m.forward(x, y, rows, lo, hi)
		if u != nil && !finite(loss) {
			return loss
		}
		m.run(m.p.Backward, hi-lo, u)
	}
	return loss
}

// Loss makes a forward pass only and returns the mean loss.
func (m *Machine) Loss(x []float64, y Target, rows int) float64 {
	loss := 0.0
	for lo := 0; lo < rows; lo += m.p.Batch {
		loss += m.forward(x, y, rows, lo, min(lo+m.p.Batch, rows))
	}
	return loss
}

// forward runs rows lo to hi up to the loss and returns their share of the
// mean over all rows.
func (m *Machine) forward(x []float64, y Target, rows, lo, hi int) float64 {
	m.spoil()
	copy(m.resize(m.p.X, hi-lo), x[lo*m.p.Input:hi*m.p.Input])
	m.round(m.p.X)
	m.run(m.p.Forward, hi-lo, nil)
	loss := m.loss(y.rows(lo, hi, m.p.Output), hi-lo, rows)
	m.round(m.p.Loss.Grad)
	return loss
}

// Grad returns the gradient of parameter i that the last Gradients computed.
func (m *Machine) Grad(i int) []float64 { return m.grads[i] }

// Buffer returns what a buffer holds, for tests.
func (m *Machine) Buffer(b *ir.Buffer) []float64 { return m.buffers[b] }

// Infer returns raw outputs [rows, outputs].
func (m *Machine) Infer(x []float64, rows int) []float64 {
	m.spoil()
	copy(m.resize(m.p.X, rows), x[:rows*m.p.Input])
	m.round(m.p.X)
	m.run(m.p.Infer, rows, nil)
	return append([]float64(nil), m.buffers[m.p.InferRaw]...)
}

// resize returns the values of a buffer of the given number of rows.
func (m *Machine) resize(b *ir.Buffer, rows int) []float64 {
	if a, ok := m.placed[b]; ok {
		m.buffers[b] = a.place(b, rows)
	} else if len(m.buffers[b]) != rows*b.Width {
		m.buffers[b] = make([]float64, rows*b.Width)
	}
	return m.buffers[b]
}

func (m *Machine) run(steps []ir.Step, rows int, u *updater) {
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
			if s.Update && u != nil {
				u.update(s.W)
				u.update(s.Bias)
			}
		default:
			panic(fmt.Sprintf("eval: unknown step %T", s))
		}
		m.round(ir.Writes(s)...)
	}
}

func (m *Machine) linear(s *ir.Linear, rows int) {
	in, out := s.W.Shape[1], s.W.Shape[0]
	x, w := m.buffers[s.X], m.weight(s.W)
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
	dz, w := m.buffers[s.DZ], m.weight(s.W)
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
	program := m.program(s, func() []*expr.Node {
		var roots []*expr.Node
		for _, out := range s.Out {
			roots = append(roots, out.Expr)
		}
		for _, sum := range s.Sum {
			roots = append(roots, sum.Expr)
		}
		return roots
	})
	for _, out := range s.Out {
		m.resize(out.View.Buffer, rows)
	}
	at := func(v ir.View, r, j int) *float64 {
		data, w := acc, width
		if v.Buffer != nil {
			data, w = m.buffers[v.Buffer], v.Buffer.Width
		}
		return &data[r*w+v.Offset+v.Stride*j]
	}
	vars := bind(program)
	for r := range rows {
		for j := range s.Width {
			for _, in := range s.In {
				vars.set(in.Var, *at(in.View, r, j))
			}
			if s.Param != nil {
				vars.set(ir.VarParam, m.Params[s.Param.Index][channel(s.Param, j)])
			}
			values := program.Run(vars.values)
			for i, out := range s.Out {
				*at(out.View, r, j) = values[i]
			}
			for i, sum := range s.Sum {
				m.grads[sum.Param.Index][channel(sum.Param, j)] += values[len(s.Out)+i]
			}
		}
	}
}

// program returns the prepared expressions of a part of the program, which
// are asked for once.
func (m *Machine) program(of any, roots func() []*expr.Node) *expr.Program {
	p, ok := m.programs[of]
	if !ok {
		p = expr.NewProgram(roots()...)
		m.programs[of] = p
	}
	return p
}

// binding gives the variables of a program their values by name.
type binding struct {
	names  []string
	values []float64
}

func bind(p *expr.Program) binding {
	return binding{p.Vars(), make([]float64, len(p.Vars()))}
}

// set gives a variable its value, if the program reads it.
func (b binding) set(name string, value float64) {
	for i := range b.names {
		if b.names[i] == name {
			b.values[i] = value
			return
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
	program := m.program(l, func() []*expr.Node { return []*expr.Node{l.Value, l.Slope} })
	vars := bind(program)
	for i := range rows * out {
		vars.set(ir.VarZ, z[i])
		vars.set(ir.VarY, y.Value[i])
		values := program.Run(vars.values)
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
