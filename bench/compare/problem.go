package compare

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dnngen/dnngen/bench/autograd"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/safetensors"
	"github.com/dnngen/dnngen/spec"
)

// Names of the files of an exported problem.
const (
	InitFile = "init.safetensors"
	DataFile = "data.npz"
)

// readProblem reads what a trainer of the spec exported.
func readProblem(dir string, net *spec.Network) (*bench.Problem, error) {
	m := autograd.New(net, engine.Options{Threads: 1})
	defer m.Close()
	p := &bench.Problem{
		Inputs: net.Input, Outputs: net.Output, States: m.States(),
		LR: float32(net.Train.OptimizerSet.Num("lr")),
	}
	if net.Train.Optimizer.Momentum {
		p.Momentum = float32(net.Train.OptimizerSet.Num("momentum"))
	}
	b, err := os.ReadFile(filepath.Join(dir, DataFile))
	if err != nil {
		return nil, err
	}
	arrays, err := npy.DecodeZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	x, y := arrays["x"], arrays["y"]
	if x == nil || y == nil || len(x.Shape) != 2 || x.Shape[1] != net.Input {
		return nil, fmt.Errorf("%s does not hold rows of %d features", DataFile, net.Input)
	}
	p.Rows, p.X, p.Y.Value = x.Shape[0], x.Float, y.Float
	if net.Loss.Rowwise != "" {
		p.Y.Value = nil
		for _, class := range y.Int {
			p.Y.Class = append(p.Y.Class, int32(class))
		}
	}
	if p.Batch = net.Train.Batch; p.Batch == 0 {
		p.Batch = p.Rows
	}
	return p, readParams(p, filepath.Join(dir, InitFile), m)
}

// readParams reads the parameters before the first step.
func readParams(p *bench.Problem, name string, m *autograd.Model) error {
	f, err := safetensors.Read(fsys.OS(), name)
	if err != nil {
		return err
	}
	for i := range m.Params() {
		name, shape := m.Param(i)
		t := f.Tensor(name)
		if t == nil || !slices.Equal(t.Shape, shape) {
			return fmt.Errorf("%s lacks %s of shape %v", InitFile, name, shape)
		}
		p.Params = append(p.Params, t.Data)
	}
	return nil
}
