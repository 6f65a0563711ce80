// Package autograd trains a spec's network the interpreted way: the layers run
// one after the other as dynamic calls, each records itself on a tape, and the
// tape is walked backwards. It is what a compiled step is compared with.
//
// It is made as well as an interpreter can be made in Go. Matrix products are
// BLAS calls. An activation, a loss or an update is one pass over its tensors:
// its expression is compiled once, when the network is made, to a list of loops
// that run over a piece of the cache's size. Tensors and records come from pools
// and go back as soon as they are used up, so that a step allocates nothing.
package autograd

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// Model is a network with its parameters. It is an engine.Engine, so that
// whatever measures or tests a compiled network can do so with this one.
type Model struct {
	net    *spec.Network
	layers []layer
	params []*parameter
	loss   loss
	rule   rule

	workers *workers
	tape    *tape
	infer   struct {
		sync.Mutex
		tape *tape
	}
}

// parameter is a learned tensor with its gradient and the optimizer's state.
type parameter struct {
	name   string
	shape  []int
	value  tensor
	states [][]float32
}

// layer is one item of the network: it computes its output from its input and
// records on the tape how to come back.
type layer interface {
	forward(t *tape, x *tensor) *tensor
}

var _ engine.Engine = (*Model)(nil)

// New makes the network of a spec, with all parameters 0. Threads bounds the
// goroutines of element-wise work, 0 being GOMAXPROCS; matrix products take as
// many as the BLAS implementation wants, which for gonum's is GOMAXPROCS.
func New(net *spec.Network, o engine.Options) *Model {
	m := &Model{net: net, workers: newWorkers(o.Threads)}
	m.tape = newTape(m.workers)
	m.infer.tape = newTape(newWorkers(1))
	for i, l := range net.Layers {
		if l.Activation == nil {
			m.layers = append(m.layers, m.linear(i, l))
		} else if a := m.activation(i, l); a != nil {
			m.layers = append(m.layers, a)
		}
	}
	m.loss = newLoss(net)
	m.rule = newRule(net.Train)
	for _, p := range m.params {
		for range m.rule.states {
			p.states = append(p.states, make([]float32, len(p.value.data)))
		}
	}
	return m
}

// add makes a parameter.
func (m *Model) add(name string, shape ...int) *tensor {
	p := &parameter{name: name, shape: shape}
	rows, cols := 1, shape[len(shape)-1]
	if len(shape) == 2 {
		rows = shape[0]
	}
	p.value = tensor{rows: rows, cols: cols, data: make([]float32, rows*cols), grad: make([]float32, rows*cols), leaf: true, wants: true}
	m.params = append(m.params, p)
	return &p.value
}

// Param returns the name and the shape of parameter i, in the order of the
// layers: torch.nn.Sequential's.
func (m *Model) Param(i int) (name string, shape []int) {
	return m.params[i].name, m.params[i].shape
}

// Params returns the number of parameters.
func (m *Model) Params() int { return len(m.params) }

// States returns the number of tensors that the optimizer keeps for each
// parameter.
func (m *Model) States() int { return len(m.rule.states) }

// Step makes one training step; see engine.Engine.
func (m *Model) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	t := m.tape
	t.begin()
	out := m.forward(t, x, rows)
	mean := m.loss.forward(t, out, y)
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		t.drop()
		return mean
	}
	t.backward()
	m.rule.begin(h)
	for _, p := range m.params {
		m.rule.update(m.workers, p)
		p.value.filled = false
	}
	return mean
}

func (m *Model) forward(t *tape, x []float32, rows int) *tensor {
	h := t.input(x[:rows*m.net.Input], rows, m.net.Input)
	for _, l := range m.layers {
		h = l.forward(t, h)
	}
	return h
}

// inferRows is how many rows inference walks at a time: a row's bits then do
// not depend on the others, as long as BLAS computes rows apart.
const inferRows = 1

// Infer computes raw outputs; see engine.Engine.
func (m *Model) Infer(x, raw []float32, rows int) {
	m.infer.Lock()
	defer m.infer.Unlock()
	t := m.infer.tape
	for r := range rows {
		t.begin()
		out := m.forward(t, x[r*m.net.Input:], inferRows)
		copy(raw[r*m.net.Output:(r+1)*m.net.Output], out.data)
		t.drop()
	}
}

// Read copies parameter i (slot 0) or one of its states; see engine.Engine.
func (m *Model) Read(slot, i, first int, dst []float32) {
	copy(dst, m.slot(slot, i)[first:first+len(dst)])
}

// Write is the inverse of Read.
func (m *Model) Write(slot, i, first int, src []float32) {
	copy(m.slot(slot, i)[first:first+len(src)], src)
}

func (m *Model) slot(slot, i int) []float32 {
	p := m.params[i]
	if slot == 0 {
		return p.value.data
	}
	return p.states[slot-1]
}

// Close ends the workers.
func (m *Model) Close() {
	m.workers.close()
	m.infer.tape.workers.close()
}

// matrix is a tensor as BLAS has it.
func matrix(data []float32, rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

// slopeBy returns the derivative of an activation by a variable, times the
// gradient that comes from above. Where it can be had from the activation's
// value, it is: that spares the second evaluation of an exponential.
func slopeBy(value *expr.Node, name string) *expr.Node {
	d := expr.Derive(value, name)
	if value.Op != expr.Var {
		if by := expr.Replace(d, value, expr.V(op.VarValue)); !expr.Uses(by, op.VarZ) && !expr.Uses(by, op.VarGate) {
			d = by
		}
	}
	return expr.Prod(expr.V(varAbove), d)
}

// varAbove is the gradient that comes from the layer above.
const varAbove = "above"
