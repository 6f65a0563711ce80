// Package golden reads the reference trainings in testdata/golden, which
// PyTorch made, and tells whether a training agrees with one. The tests of
// every backend use it.
package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/safetensors"
	"github.com/dnngen/dnngen/spec"
)

// Case is one reference training: every epoch walks the rows in order, in
// batches of Net.Train.Batch, the last of which may be short.
type Case struct {
	Name string
	Dir  string // the files themselves
	Net  *spec.Network

	Rows  int
	X     []float32 // [rows, input]
	Class []int32   // [rows], or
	Value []float32 // [rows, output]

	Init, Final []safetensors.Tensor // the parameters before and after

	Losses        []float64 // in float64, one a step, before the update
	LossesFloat32 []float64 // of PyTorch's own float32 run
	ParamErr      float64   // largest error of a parameter in that run

	Raw    []float32 // raw outputs for X with the parameters Final
	Output []float32 // the same, transformed
}

// Load reads all cases.
func Load(t testing.TB) []*Case {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(Root(t), "testdata", "golden", "case*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no reference trainings: %v", err)
	}
	var cases []*Case
	for _, dir := range dirs {
		c, err := load(dir)
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		cases = append(cases, c)
	}
	return cases
}

// Root returns the module's root, which lies above the directory that a test
// runs in.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			err = os.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("no go.mod above the test: %v", err)
	return ""
}

func load(dir string) (*Case, error) {
	c := &Case{Name: filepath.Base(dir), Dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, "spec.yaml"))
	if err != nil {
		return nil, err
	}
	if c.Net, _, err = spec.Parse("spec.yaml", text, spec.Options{}); err != nil {
		return nil, err
	}
	if err := c.loadData(); err != nil {
		return nil, err
	}
	for name, list := range map[string]*[]safetensors.Tensor{"init": &c.Init, "final": &c.Final} {
		f, err := safetensors.Read(fsys.OS(), filepath.Join(dir, name+".safetensors"))
		if err != nil {
			return nil, err
		}
		*list = f.Tensors
	}
	return c, c.loadExpected()
}

func (c *Case) loadData() error {
	data, err := readZip(filepath.Join(c.Dir, "data.npz"))
	if err != nil {
		return err
	}
	x, y := data["x"], data["y"]
	if x == nil || y == nil || len(x.Shape) != 2 || x.Shape[1] != c.Net.Input {
		return fmt.Errorf("data.npz does not fit the spec")
	}
	c.Rows, c.X, c.Value = x.Shape[0], x.Float, y.Float
	if c.Net.Loss.Rowwise != "" {
		for _, class := range y.Int {
			c.Class = append(c.Class, int32(class))
		}
	}
	if len(c.Class) != c.Rows && len(c.Value) != c.Rows*c.Net.Output {
		return fmt.Errorf("data.npz has %v targets for %d rows", y.Shape, c.Rows)
	}
	predicted, err := readZip(filepath.Join(c.Dir, "predict.npz"))
	if err != nil {
		return err
	}
	raw, output := predicted["raw"], predicted["output"]
	if raw == nil || output == nil || raw.Len() != c.Rows*c.Net.Output {
		return fmt.Errorf("predict.npz does not fit the spec")
	}
	c.Raw, c.Output = raw.Float, output.Float
	for _, v := range output.Int {
		c.Output = append(c.Output, float32(v))
	}
	return nil
}

func readZip(name string) (map[string]*npy.Array, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return npy.DecodeZip(bytes.NewReader(b), int64(len(b)))
}

func (c *Case) loadExpected() error {
	b, err := os.ReadFile(filepath.Join(c.Dir, "expected.json"))
	if err != nil {
		return err
	}
	expected := struct {
		Losses        []float64 `json:"losses"`
		LossesFloat32 []float64 `json:"losses_float32"`
		ParamErr      float64   `json:"param_err_float32"`
	}{}
	if err := json.Unmarshal(b, &expected); err != nil {
		return err
	}
	c.Losses, c.LossesFloat32, c.ParamErr = expected.Losses, expected.LossesFloat32, expected.ParamErr
	if len(c.Losses) != len(c.Batches()) || len(c.LossesFloat32) != len(c.Losses) {
		return fmt.Errorf("expected.json has %d losses for %d steps", len(c.Losses), len(c.Batches()))
	}
	return nil
}

// Batches returns the rows [lo, hi) of each step of the training.
func (c *Case) Batches() [][2]int {
	batch := c.Net.Train.Batch
	if batch == 0 {
		batch = c.Rows
	}
	var steps [][2]int
	for range c.Net.Train.Epochs {
		for lo := 0; lo < c.Rows; lo += batch {
			steps = append(steps, [2]int{lo, min(lo+batch, c.Rows)})
		}
	}
	return steps
}

// CheckLosses tells whether float32 losses, one a step, agree: within 2e-6 and
// ten times the error that PyTorch's own float32 run has made so far.
func (c *Case) CheckLosses(losses []float64) error {
	if len(losses) != len(c.Losses) {
		return fmt.Errorf("%s: %d losses, want %d", c.Name, len(losses), len(c.Losses))
	}
	yardstick := 0.0
	for i, want := range c.Losses {
		yardstick = math.Max(yardstick, math.Abs(c.LossesFloat32[i]-want))
		tolerance := 2e-6*math.Max(1, math.Abs(want)) + 10*yardstick
		if !(math.Abs(losses[i]-want) <= tolerance) {
			return fmt.Errorf("%s: loss %d is %.9g, want %.9g ± %.2g", c.Name, i, losses[i], want, tolerance)
		}
	}
	return nil
}

// CheckParam tells whether a parameter agrees after the training.
func (c *Case) CheckParam(name string, got []float32) error {
	for _, want := range c.Final {
		if want.Name != name {
			continue
		}
		if len(got) != len(want.Data) {
			return fmt.Errorf("%s: %s has %d values, want %d", c.Name, name, len(got), len(want.Data))
		}
		tolerance := 5e-6 + 10*c.ParamErr
		for i, v := range got {
			if w := want.Data[i]; !(math.Abs(float64(v)-float64(w)) <= tolerance) {
				return fmt.Errorf("%s: %s[%d] is %.9g, want %.9g ± %.2g", c.Name, name, i, v, w, tolerance)
			}
		}
		return nil
	}
	return fmt.Errorf("%s has no parameter %s", c.Name, name)
}
