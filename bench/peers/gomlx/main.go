// Command gomlx is the peer that trains with GoMLX on its pure-Go backend: one
// compiled graph for a step, forward, gradient and update.
package main

import (
	"fmt"
	"os"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/dnngen/dnngen/bench/problem"
	"github.com/dnngen/dnngen/runtime/bench"
)

func main() {
	os.Exit(problem.Serve("GoMLX v0.26.0, pure-Go backend", open))
}

// stepper trains a problem.
type stepper struct {
	p       *problem.Problem
	backend backends.Backend
	exec    *graph.Exec
	params  []*tensors.Tensor
	buffers []*tensors.Tensor // of the momentum
	x, y    map[int]*tensors.Tensor
}

// mostBytes bounds the gradient of a product: GoMLX multiplies all pairs of its
// operands' elements before it adds them up.
const mostBytes = 1 << 30

func open(p *problem.Problem) (bench.Contender, error) {
	if p.Net.Optimizer.Name != "sgd" || p.Net.Optimizer.Number("weight_decay") != 0 || p.Net.Optimizer.Flag("nesterov") {
		return nil, fmt.Errorf("this program has plain sgd with momentum alone")
	}
	for _, l := range p.Net.Layers {
		if bytes := 4 * max(p.Net.Batch, 1) * l.In * l.Out; bytes > mostBytes {
			return nil, fmt.Errorf("the gradient of %d by %d weights takes rows·in·out numbers here, %d MB", l.Out, l.In, bytes/1e6)
		}
		if l.Name != "linear" && activations[l.Name] == nil {
			return nil, fmt.Errorf("this program has no activation %s", l.Name)
		}
	}
	if losses[p.Net.Loss.Name] == nil {
		return nil, fmt.Errorf("this program has no loss %s", p.Net.Loss.Name)
	}
	backend, err := simplego.New("")
	if err != nil {
		return nil, err
	}
	s := &stepper{p: p, backend: backend, x: map[int]*tensors.Tensor{}, y: map[int]*tensors.Tensor{}}
	if s.exec, err = graph.NewExec(backend, s.step); err != nil {
		return nil, err
	}
	return &problem.Trainee{Problem: p, Stepper: s}, nil
}

var activations = map[string]func(*graph.Node) *graph.Node{
	"relu":    func(z *graph.Node) *graph.Node { return graph.Max(z, graph.ZerosLike(z)) },
	"tanh":    graph.Tanh,
	"sigmoid": graph.Sigmoid,
	"swiglu": func(z *graph.Node) *graph.Node {
		value, gate := graph.Slice(z, graph.AxisRange(), graph.AxisRange().Stride(2)), graph.Slice(z, graph.AxisRange(), graph.AxisRange(1).Stride(2))
		return graph.Mul(value, graph.Mul(gate, graph.Sigmoid(gate)))
	},
}

var losses = map[string]func(z, y *graph.Node) *graph.Node{
	"mse": func(z, y *graph.Node) *graph.Node { return graph.ReduceAllMean(graph.Square(graph.Sub(z, y))) },
	"l1":  func(z, y *graph.Node) *graph.Node { return graph.ReduceAllMean(graph.Abs(graph.Sub(z, y))) },
	"bce_with_logits": func(z, y *graph.Node) *graph.Node {
		return graph.ReduceAllMean(graph.Sub(graph.Add(graph.Max(z, graph.ZerosLike(z)), graph.Log1P(graph.Exp(graph.Neg(graph.Abs(z))))), graph.Mul(z, y)))
	},
	"cross_entropy": func(z, y *graph.Node) *graph.Node {
		picked := graph.Mul(graph.LogSoftmax(z), graph.OneHot(y, z.Shape().Dimensions[1], z.DType()))
		return graph.Neg(graph.ReduceAllMean(graph.ReduceSum(picked, 1)))
	},
}

// step builds a step: of parameters, buffers, rows, targets and the learning
// rate it makes new parameters, new buffers and the loss.
func (s *stepper) step(in []*graph.Node) []*graph.Node {
	n := len(s.p.Params)
	params := map[string]*graph.Node{}
	for i, t := range s.p.Tensors {
		params[t.Name] = in[i]
	}
	buffers, x, y, lr := in[n:2*n], in[2*n], in[2*n+1], in[2*n+2]
	for i, l := range s.p.Net.Layers {
		if l.Name != "linear" {
			x = activations[l.Name](x)
			continue
		}
		x = graph.Einsum("bi,oi->bo", x, params[fmt.Sprintf("%d.weight", i)])
		if l.Bias {
			x = graph.Add(x, graph.ExpandAxes(params[fmt.Sprintf("%d.bias", i)], 0))
		}
	}
	loss := losses[s.p.Net.Loss.Name](x, y)
	grads := graph.Gradient(loss, in[:n]...)
	var newParams, newBuffers []*graph.Node
	for i, g := range grads {
		b := graph.Add(g, graph.MulScalar(buffers[i], s.p.Momentum))
		newBuffers = append(newBuffers, b)
		newParams = append(newParams, graph.Sub(in[i], graph.Mul(b, lr)))
	}
	return append(append(newParams, newBuffers...), loss)
}

// Begin sets the initial parameters.
func (s *stepper) Begin() error {
	s.params, s.buffers = nil, nil
	for _, t := range s.p.Tensors {
		s.params = append(s.params, tensors.FromFlatDataAndDimensions(t.Data, t.Shape...))
		s.buffers = append(s.buffers, tensors.FromFlatDataAndDimensions(make([]float32, len(t.Data)), t.Shape...))
	}
	return nil
}

// Step trains the rows lo to hi.
func (s *stepper) Step(lo, hi int, lr float32) (float64, error) {
	x, y := s.batch(lo, hi)
	var args []any
	for _, t := range append(s.params, s.buffers...) {
		donated, err := graph.DonateTensorBuffer(t, s.backend, 0)
		if err != nil {
			return 0, err
		}
		args = append(args, donated)
	}
	out, err := s.exec.Exec(append(args, x, y, lr)...)
	if err != nil {
		return 0, err
	}
	n := len(s.params)
	s.params, s.buffers = out[:n:n], out[n:2*n:2*n]
	return float64(tensors.ToScalar[float32](out[2*n])), nil
}

// batch keeps the rows of each step as tensors.
func (s *stepper) batch(lo, hi int) (x, y *tensors.Tensor) {
	key := lo*(s.p.Rows+1) + hi
	if s.x[key] == nil {
		in, out := s.p.Inputs, s.p.Outputs
		s.x[key] = tensors.FromFlatDataAndDimensions(s.p.X[lo*in:hi*in], hi-lo, in)
		if s.p.Y.Class != nil {
			s.y[key] = tensors.FromFlatDataAndDimensions(s.p.Y.Class[lo:hi], hi-lo)
		} else {
			s.y[key] = tensors.FromFlatDataAndDimensions(s.p.Y.Value[lo*out:hi*out], hi-lo, out)
		}
	}
	return s.x[key], s.y[key]
}
