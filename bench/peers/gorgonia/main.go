// Command gorgonia is the peer that trains with Gorgonia: a graph with symbolic
// gradients, run by its tape machine, and an update by hand over the gradients'
// memory.
package main

import (
	"fmt"
	"os"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/dnngen/dnngen/bench/problem"
	"github.com/dnngen/dnngen/runtime/bench"
)

func main() {
	os.Exit(problem.Serve("Gorgonia v0.9.18", open))
}

// stepper trains a problem. A graph has a fixed number of rows.
type stepper struct {
	p       *problem.Problem
	buffers [][]float32
	graphs  map[int]*graph // by rows
	last    *graph
}

// graph is a step of so many rows.
type graph struct {
	params  []*G.Node
	x, y    *G.Node
	loss    *G.Node
	machine G.VM
}

// mostFLOPs bounds the matrix products of a step, which this library makes at
// some 4 GFLOP/s: rounds of minutes would be the comparison's.
const mostFLOPs = 3e10

func open(p *problem.Problem) (c bench.Contender, err error) {
	if p.Net.Optimizer.Name != "sgd" || p.Net.Optimizer.Number("weight_decay") != 0 || p.Net.Optimizer.Flag("nesterov") {
		return nil, fmt.Errorf("this program has plain sgd with momentum alone")
	}
	flops := 0.0
	for _, l := range p.Net.Layers {
		if l.Name == "linear" {
			flops += 6 * float64(p.Net.Batch) * float64(l.In) * float64(l.Out)
		}
		if l.Name != "linear" && activations[l.Name] == nil {
			return nil, fmt.Errorf("this program has no activation %s", l.Name)
		}
	}
	if losses[p.Net.Loss.Name] == nil {
		return nil, fmt.Errorf("this program has no loss %s", p.Net.Loss.Name)
	}
	if flops > mostFLOPs {
		return nil, fmt.Errorf("a step of %.0f GFLOP would take more than ten seconds", flops/1e9)
	}
	return &problem.Trainee{Problem: p, Stepper: &stepper{p: p, graphs: map[int]*graph{}}}, nil
}

var activations = map[string]func(*G.Node) (*G.Node, error){
	"relu": G.Rectify, "tanh": G.Tanh, "sigmoid": G.Sigmoid,
}

var losses = map[string]func(z, y *G.Node) *G.Node{
	"mse": func(z, y *G.Node) *G.Node { return G.Must(G.Mean(G.Must(G.Square(G.Must(G.Sub(z, y)))))) },
	"l1":  func(z, y *G.Node) *G.Node { return G.Must(G.Mean(G.Must(G.Abs(G.Must(G.Sub(z, y)))))) },
	"bce_with_logits": func(z, y *G.Node) *G.Node {
		return G.Must(G.Mean(G.Must(G.Sub(G.Must(G.Softplus(z)), G.Must(G.HadamardProd(z, y))))))
	},
	// The targets are one-hot rows: the sum over a row picks a logarithm.
	"cross_entropy": func(z, y *G.Node) *G.Node {
		logs := G.Must(G.Log(G.Must(G.SoftMax(z))))
		return G.Must(G.Neg(G.Must(G.Mean(G.Must(G.Sum(G.Must(G.HadamardProd(logs, y)), 1))))))
	},
}

func (s *stepper) graph(rows int) (built *graph, err error) {
	if g := s.graphs[rows]; g != nil {
		return g, nil
	}
	defer func() {
		if r := recover(); r != nil { // G.Must panics
			err = fmt.Errorf("gorgonia: %v", r)
		}
	}()
	g := G.NewGraph()
	out := &graph{
		x: G.NewMatrix(g, tensor.Float32, G.WithShape(rows, s.p.Inputs), G.WithName("x")),
		y: G.NewMatrix(g, tensor.Float32, G.WithShape(rows, s.p.Outputs), G.WithName("y")),
	}
	params := map[string]*G.Node{}
	for _, t := range s.p.Tensors {
		n := G.NewTensor(g, tensor.Float32, len(t.Shape), G.WithShape(t.Shape...), G.WithName(t.Name),
			G.WithValue(tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(append([]float32(nil), t.Data...)))))
		params[t.Name] = n
		out.params = append(out.params, n)
	}
	h := out.x
	for i, l := range s.p.Net.Layers {
		if l.Name != "linear" {
			h = G.Must(activations[l.Name](h))
			continue
		}
		h = G.Must(G.Mul(h, G.Must(G.Transpose(params[fmt.Sprintf("%d.weight", i)]))))
		if l.Bias {
			h = G.Must(G.BroadcastAdd(h, params[fmt.Sprintf("%d.bias", i)], nil, []byte{0}))
		}
	}
	out.loss = losses[s.p.Net.Loss.Name](h, out.y)
	if _, err := G.Grad(out.loss, out.params...); err != nil {
		return nil, err
	}
	out.machine = G.NewTapeMachine(g, G.BindDualValues(out.params...))
	s.graphs[rows] = out
	return out, nil
}

// Begin sets the initial parameters in every graph.
func (s *stepper) Begin() error {
	s.buffers = nil
	for i, t := range s.p.Tensors {
		s.buffers = append(s.buffers, make([]float32, len(t.Data)))
		for _, g := range s.graphs {
			copy(g.params[i].Value().Data().([]float32), t.Data)
		}
	}
	s.last = nil
	return nil
}

// Step trains the rows lo to hi.
func (s *stepper) Step(lo, hi int, lr float32) (float64, error) {
	g, err := s.graph(hi - lo)
	if err != nil {
		return 0, err
	}
	if s.last != nil && s.last != g { // the parameters move to the graph of this number of rows
		for i, p := range g.params {
			copy(p.Value().Data().([]float32), s.last.params[i].Value().Data().([]float32))
		}
	}
	s.last = g
	in, out := s.p.Inputs, s.p.Outputs
	y := make([]float32, (hi-lo)*out)
	if s.p.Y.Class != nil {
		for r, c := range s.p.Y.Class[lo:hi] {
			y[r*out+int(c)] = 1
		}
	} else {
		copy(y, s.p.Y.Value[lo*out:hi*out])
	}
	if err := G.Let(g.x, tensor.New(tensor.WithShape(hi-lo, in), tensor.WithBacking(s.p.X[lo*in:hi*in]))); err != nil {
		return 0, err
	}
	if err := G.Let(g.y, tensor.New(tensor.WithShape(hi-lo, out), tensor.WithBacking(y))); err != nil {
		return 0, err
	}
	if err := g.machine.RunAll(); err != nil {
		return 0, err
	}
	loss := float64(g.loss.Value().Data().(float32))
	for i, p := range g.params {
		value, err := p.Grad()
		if err != nil {
			return 0, err
		}
		grad, w, b := value.Data().([]float32), p.Value().Data().([]float32), s.buffers[i]
		for k, d := range grad {
			b[k] = d + s.p.Momentum*b[k]
			w[k] -= lr * b[k]
			grad[k] = 0
		}
	}
	g.machine.Reset()
	return loss, nil
}
