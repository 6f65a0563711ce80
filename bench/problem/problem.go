// Package problem is the folder through which a training travels to another
// program: the rows, the parameters before the first step, and the network with
// every setting.
package problem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// Names of the files. A trainer writes the first two.
const (
	initFile    = "init.safetensors"
	dataFile    = "data.npz"
	networkFile = "network.json"
)

// Network is a network as readers outside the compiler see it.
type Network struct {
	Name      string  `json:"name"`
	Input     int     `json:"input"`
	Output    int     `json:"output"`
	Batch     int     `json:"batch"` // 0: all rows
	Layers    []Entry `json:"layers"`
	Loss      Entry   `json:"loss"`
	Optimizer Entry   `json:"optimizer"`
}

// Entry is a layer, a loss or an optimizer with its settings.
type Entry struct {
	Name string         `json:"name"` // "linear", or a row's own name, no alias
	In   int            `json:"in,omitempty"`
	Out  int            `json:"out,omitempty"`
	Bias bool           `json:"bias,omitempty"`
	Set  map[string]any `json:"set,omitempty"`
}

// Number returns a setting, 0 where there is none.
func (e Entry) Number(name string) float64 {
	v, _ := e.Set[name].(float64)
	return v
}

// Flag returns a setting, false where there is none.
func (e Entry) Flag(name string) bool {
	v, _ := e.Set[name].(bool)
	return v
}

// WriteNetwork adds the network to a folder.
func WriteNetwork(dir string, n Network) error {
	text, err := json.MarshalIndent(n, "", " ")
	if err != nil {
		return err
	}
	return fsys.WriteAtomic(fsys.OS(), filepath.Join(dir, networkFile), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// Problem is what a folder holds.
type Problem struct {
	bench.Problem
	Net     Network
	Tensors []safetensors.Tensor // the parameters; Problem.Params has their values
}

// Read reads a folder.
func Read(dir string) (*Problem, error) {
	p := &Problem{}
	text, err := os.ReadFile(filepath.Join(dir, networkFile))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &p.Net); err != nil {
		return nil, fmt.Errorf("%s: %w", networkFile, err)
	}
	n := p.Net
	p.Inputs, p.Outputs = n.Input, n.Output
	p.LR, p.Momentum = float32(n.Optimizer.Number("lr")), float32(n.Optimizer.Number("momentum"))
	b, err := os.ReadFile(filepath.Join(dir, dataFile))
	if err != nil {
		return nil, err
	}
	arrays, err := npy.DecodeZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dataFile, err)
	}
	x, y := arrays["x"], arrays["y"]
	if x == nil || y == nil || len(x.Shape) != 2 || x.Shape[1] != n.Input {
		return nil, fmt.Errorf("%s does not hold rows of %d features", dataFile, n.Input)
	}
	p.Rows, p.X, p.Y.Value = x.Shape[0], x.Float, y.Float
	for _, class := range y.Int {
		p.Y.Class = append(p.Y.Class, int32(class))
	}
	if len(p.Y.Class) != p.Rows && len(p.Y.Value) != p.Rows*n.Output {
		return nil, fmt.Errorf("%s has targets of shape %v for %d rows", dataFile, y.Shape, p.Rows)
	}
	if p.Batch = n.Batch; p.Batch == 0 {
		p.Batch = p.Rows
	}
	f, err := safetensors.Read(fsys.OS(), filepath.Join(dir, initFile))
	if err != nil {
		return nil, err
	}
	p.Tensors = f.Tensors
	for _, t := range f.Tensors {
		p.Params = append(p.Params, bench.Whole(t.Data))
	}
	return p, nil
}

// Serve answers the requests of a comparison on standard input, for a peer
// written in Go: its only argument is the folder.
func Serve(version string, open func(*Problem) (bench.Contender, error)) int {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: PEER FOLDER; a comparison starts it")
		return 2
	}
	p, err := Read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s := &bench.Server{
		Describe: func() bench.Description { return bench.Description{Network: version, Batch: p.Batch} },
		Open:     func(string, int) (bench.Contender, error) { return open(p) },
	}
	if err := s.Serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
