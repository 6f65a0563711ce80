// Package summary says what a program costs and how it is computed: a row a
// layer with shapes, parameters, operations, memory, and the kernels that the
// layer became.
package summary

import (
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// Summary is what a program costs. FLOPs count additions, multiplications,
// comparisons and every other operation of a formula, exp and its kin too, as
// one each.
type Summary struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Input  int    `json:"input"`
	Output int    `json:"output"`
	Batch  int    `json:"batch"` // rows of a step; 0: the full set
	Rows   int    `json:"rows"`  // that FLOPs and Bytes are of: the batch, or a chunk of the full set

	Layers    []Layer `json:"layers"`
	Loss      Row     `json:"loss"`
	Optimizer string  `json:"optimizer"`

	Parameters int   `json:"parameters"`
	StepFLOPs  int64 `json:"step_flops"`  // of one step, loss and update included
	InferFLOPs int64 `json:"infer_flops"` // of a forward pass of one row

	ParamBytes  int64 `json:"param_bytes"`
	StateBytes  int64 `json:"state_bytes"`  // of the optimizer
	BufferBytes int64 `json:"buffer_bytes"` // of a step, after buffers share memory
	// UnsharedBytes is what the buffers would take if each had its own memory.
	UnsharedBytes int64 `json:"unshared_bytes"`
	// GPUBytes is what a GPU's arena takes: all of these, the batch, the parts of
	// gradients, and room for inference.
	GPUBytes int64 `json:"gpu_bytes"`
}

// Row is a part of a step and what it costs.
type Row struct {
	Name    string   `json:"name"`
	FLOPs   int64    `json:"flops"` // of one step: forward, backward and update
	Bytes   int64    `json:"bytes"` // parameters, optimizer state, and the buffers that hold its results
	Kernels []string `json:"kernels"`
}

// Layer is one item of the spec's layers.
type Layer struct {
	Row
	Text       string  `json:"text"` // the item as the spec has it
	Line       int     `json:"line"` // of the spec
	In         int     `json:"in"`
	Out        int     `json:"out"`
	Parameters int     `json:"parameters"`
	Params     []Param `json:"params"`
}

// Param is a learned tensor.
type Param struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

const floatBytes = 4

// Of returns the summary of a program that was lowered.
func Of(p *ir.Program) *Summary {
	s := &Summary{
		Name: p.Name, Source: p.Source, Input: p.Input, Output: p.Output, Batch: p.Batch, Rows: p.Batch,
		Loss:      Row{Name: p.Settings.Loss},
		Optimizer: p.Settings.Optimizer,
	}
	if p.Full {
		s.Batch = 0
	}
	c := &counter{p: p, s: s}
	c.layers()
	for _, step := range p.Forward {
		c.step(step)
	}
	c.loss()
	for _, step := range p.Backward {
		c.step(step)
	}
	c.updates()
	c.buffers()
	for _, l := range s.Layers {
		s.StepFLOPs += l.FLOPs
		s.Parameters += l.Parameters
	}
	s.StepFLOPs += s.Loss.FLOPs
	for _, step := range p.Infer {
		for _, part := range parts(step) {
			s.InferFLOPs += part.perRow
		}
	}
	s.ParamBytes = floatBytes * int64(s.Parameters)
	s.StateBytes = s.ParamBytes * int64(len(p.Rule.States))
	s.BufferBytes = floatBytes * int64(p.ArenaWidth) * int64(p.Batch)
	return s
}

// counter fills a summary.
type counter struct {
	p *ir.Program
	s *Summary
}

func (c *counter) layers() {
	for _, l := range c.p.Layers {
		c.s.Layers = append(c.s.Layers, Layer{
			Row: Row{Name: l.Name}, Text: l.Text, Line: l.Line, In: l.In, Out: l.Out, Params: []Param{},
		})
	}
	for _, q := range c.p.Params {
		l := &c.s.Layers[q.Layer]
		l.Params = append(l.Params, Param{q.Name, q.Shape})
		l.Parameters += q.Size()
		l.Bytes += floatBytes * int64(q.Size()) * int64(1+len(c.p.Rule.States))
	}
}

// step adds the parts of a step to the layers that they belong to.
func (c *counter) step(s ir.Step) {
	for _, part := range parts(s) {
		l := &c.s.Layers[part.layer]
		l.FLOPs += part.perRow * int64(c.p.Batch)
		l.Kernels = append(l.Kernels, part.kernel)
	}
}

func (c *counter) loss() {
	l := c.p.Loss
	perRow := int64(l.Raw.Width) * operations(l.Value, l.Slope)
	c.s.Loss.Kernels = []string{"value and gradient in one pass"}
	if l.Rowwise == ir.SoftmaxCrossEntropy {
		// Of each logit: the maximum, the difference to it, exp, the sum, and its
		// share of it; then the logarithm of the sum and the target's terms.
		perRow = 5*int64(l.Raw.Width) + 5
		c.s.Loss.Kernels = []string{"softmax, value and gradient in one pass"}
	}
	c.s.Loss.FLOPs = perRow * int64(c.p.Batch)
}

// updates adds the optimizer's work, whether a parameter is updated by the step
// that makes its gradient or on its own.
func (c *counter) updates() {
	perElement := operations(append([]*expr.Node{c.p.Rule.W}, c.p.Rule.Next...)...)
	for _, q := range c.p.Params {
		c.s.Layers[q.Layer].FLOPs += perElement * int64(q.Size())
	}
	for _, u := range c.p.Updates {
		l := &c.s.Layers[u.Param.Layer]
		l.Kernels = append(l.Kernels, "update "+u.Param.Name)
	}
}

func (c *counter) buffers() {
	for _, b := range c.p.Buffers {
		bytes := floatBytes * int64(b.Width) * int64(c.p.Batch)
		c.s.UnsharedBytes += bytes
		if b == c.p.Loss.Grad {
			c.s.Loss.Bytes += bytes
		} else {
			c.s.Layers[b.Layer].Bytes += bytes
		}
	}
}

// operations counts the distinct operations that expressions are computed by;
// nil expressions have none.
func operations(roots ...*expr.Node) int64 {
	var given []*expr.Node
	for _, r := range roots {
		if r != nil {
			given = append(given, r)
		}
	}
	var n int64
	for _, node := range expr.Schedule(given...) {
		if node.Op.Arity() > 0 {
			n++
		}
	}
	return n
}
