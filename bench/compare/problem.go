package compare

import (
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/bench/autograd"
	"github.com/dnngen/dnngen/bench/problem"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// export lets a trainer write its rows and parameters to a folder, and adds the
// network.
func export(t *trainer, dir string, net *spec.Network) error {
	if err := t.Export(dir); err != nil {
		return t.explain(err)
	}
	n := problem.Network{
		Name: net.Name, Input: net.Input, Output: net.Output, Batch: net.Train.Batch,
		Loss:      problem.Entry{Name: net.Loss.Name, Set: net.LossSet},
		Optimizer: problem.Entry{Name: net.Train.Optimizer.Name, Set: net.Train.OptimizerSet},
	}
	for _, l := range net.Layers {
		e := problem.Entry{Name: "linear", In: l.In, Out: l.Out, Bias: l.Bias}
		if l.Activation != nil {
			e = problem.Entry{Name: l.Activation.Name, In: l.In, Out: l.Out, Set: l.Set}
		}
		n.Layers = append(n.Layers, e)
	}
	return problem.WriteNetwork(dir, n)
}

// readProblem reads a folder for the autograd: its parameters in its order.
func readProblem(dir string, net *spec.Network) (*bench.Problem, error) {
	read, err := problem.Read(dir)
	if err != nil {
		return nil, err
	}
	m := autograd.New(net, engine.Options{Threads: 1})
	defer m.Close()
	p := read.Problem
	p.States, p.Params = m.States(), nil
	for i := range m.Params() {
		name, shape := m.Param(i)
		found := false
		for _, t := range read.Tensors {
			if t.Name == name && slices.Equal(t.Shape, shape) {
				p.Params = append(p.Params, bench.Whole(t.Data))
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("the trainer exports no %s of shape %v", name, shape)
		}
	}
	return &p, nil
}
