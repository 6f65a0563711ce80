package model_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/model"
	"github.com/dnngen/dnngen/runtime/modelfile"
	"github.com/dnngen/dnngen/runtime/rundir"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

// shapes is a small network of classes over scaled features.
func shapes() testnet.Options {
	return testnet.Options{
		Name: "shapes", Inputs: 2, Hidden: 6, Outputs: 3, Batch: 4, Momentum: 0.5,
		Loss: "cross_entropy", Output: "softmax", Epochs: 5,
		Data: engine.Data{Scale: engine.Scale{Kind: "standardize"}, Missing: engine.Missing{Kind: "mean"}},
	}
}

// rows returns rows of three classes, that lie apart, as the data has them.
func rows(t testing.TB, n int, labels ...string) *data.Table {
	t.Helper()
	x, y := numbers(n)
	table, err := data.FromNumbers(x, 2, y, 3, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func numbers(n int) ([]float32, engine.Target) {
	var x []float32
	var y engine.Target
	for i := range n {
		c := i % 3
		x = append(x, 100+50*float32(c)+float32(i%7), float32(c*c)-float32(i%5)/10)
		y.Class = append(y.Class, int32(c))
	}
	return x, y
}

func newModel(t testing.TB, n *engine.Network, opts ...model.Option) *model.Model {
	t.Helper()
	m, err := model.New(n, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func predict(n *engine.Network, m *model.Model, x ...float32) (raw, out []float32) {
	raw, out = make([]float32, n.Outputs), make([]float32, n.OutputWidth)
	m.Predict(x, raw, out)
	return raw, out
}

func TestOptions(t *testing.T) {
	n := testnet.New(shapes())
	var unknown *device.Unknown
	var absent *device.Absent
	for _, test := range []struct {
		opt  model.Option
		want any // target of errors.As, or a part of the text
	}{
		{model.WithDevice("abacus"), &unknown},
		{model.WithDevice("cuda"), &absent},
		{model.WithThreads(-1), "-1 threads"},
		{model.WithLearningRate(0), "learning rate"},
		{model.WithLearningRate(math.Inf(1)), "learning rate"},
		{model.WithLearningRate(math.NaN()), "learning rate"},
		{model.WithLearningRate(1e-300), "float32 cannot hold"},
		{model.WithMomentum(1), "momentum"},
		{model.WithMomentum(math.NaN()), "momentum"},
	} {
		m, err := model.New(n, test.opt)
		if m != nil || err == nil {
			t.Fatalf("want %v: got %v, %v", test.want, m, err)
		}
		if text, is := test.want.(string); is && !strings.Contains(err.Error(), text) || !is && !errors.As(err, test.want) {
			t.Errorf("got %v, want %v", err, test.want)
		}
	}
	failing := shapes()
	failing.Front = []engine.Device{{
		Name: "cpu:avx2", Missing: func() error { return nil },
		New: func(engine.Options) (engine.Engine, error) { return nil, errors.New("no memory") },
	}}
	if _, err := model.New(testnet.New(failing)); err == nil || err.Error() != "device cpu:avx2: no memory" {
		t.Errorf("a device that cannot be used gives %v", err)
	}
	if got := newModel(t, n).Device(); got != "cpu:go" {
		t.Errorf("the device is %s", got)
	}
}

func TestSeeds(t *testing.T) {
	n := testnet.New(shapes())
	of := func(opts ...model.Option) []float32 {
		raw, _ := predict(n, newModel(t, n, opts...), 0.5, -1)
		return raw
	}
	if !cmp.Equal(of(), of(model.WithSeed(n.Seed))) || !cmp.Equal(of(model.WithSeed(7)), of(model.WithSeed(7))) {
		t.Error("one seed gives two models")
	}
	if cmp.Equal(of(), of(model.WithSeed(7))) {
		t.Error("two seeds give one model")
	}
}

func TestSaveAndLoad(t *testing.T) {
	n := testnet.New(shapes())
	m, _, err := model.Train(t.Context(), n, rows(t, 30, "red", "green", "blue"), nil, model.TrainOptions{}, model.WithSeed(9))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "m.safetensors")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	loaded, err := model.Load(n, os.DirFS(dir), "m.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	raw, out := predict(n, m, 120, 1)
	gotRaw, gotOut := predict(n, loaded, 120, 1)
	if !cmp.Equal(raw, gotRaw) || !cmp.Equal(out, gotOut) {
		t.Errorf("the loaded model gives %v and %v, want %v and %v", gotRaw, gotOut, raw, out)
	}
	if got := loaded.Label(2); got != "blue" || loaded.Label(3) != "" || loaded.Label(-1) != "" {
		t.Errorf("class 2 is %q", got)
	}

	// A model that is saved again is the same file, and the trainer reads it.
	if err := loaded.Save(filepath.Join(dir, "again")); err != nil {
		t.Fatal(err)
	}
	first, second := read(t, file), read(t, filepath.Join(dir, "again"))
	if !bytes.Equal(first, second) {
		t.Error("a loaded model is saved as another file")
	}
	ours, err := rundir.ReadModel(fsys.OS(), file, n)
	if err != nil || ours.Prep == nil || ours.Seed == nil || *ours.Seed != 9 {
		t.Errorf("the trainer reads %+v, %v", ours, err)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFilesOfOthers(t *testing.T) {
	n := testnet.New(shapes())
	m := newModel(t, n)
	file := filepath.Join(t.TempDir(), "m")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Decode(read(t, file))
	if err != nil {
		t.Fatal(err)
	}
	if _, has := f.Metadata["dnngen.prep"]; has {
		t.Error("a model that was never trained saves a preparation")
	}
	f.Metadata = nil // as PyTorch writes it
	var b bytes.Buffer
	if err := safetensors.Encode(&b, f); err != nil {
		t.Fatal(err)
	}
	loaded, err := model.Load(n, fstest.MapFS{"dir/m": {Data: b.Bytes()}}, "dir/m")
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	want, _ := predict(n, m, 0.5, 1)
	if got, _ := predict(n, loaded, 0.5, 1); !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFilesThatDoNotFit(t *testing.T) {
	n := testnet.New(shapes())
	save := func(o testnet.Options, prep *data.Prep) []byte {
		n := testnet.New(o)
		params, err := modelfile.Copy(n, testnet.Engine(o))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := modelfile.Encode(&b, n, &modelfile.Model{Params: params, Prep: prep}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	wide := shapes()
	wide.Hidden = 7
	categories := &data.Prep{
		Version: 1, Inputs: 2, Outputs: 3, Columns: 1,
		Features: []data.Feature{{Name: "shape", Categories: []string{"a", "b"}}},
		Target:   data.Target{Column: -1, Kind: "classes"},
	}
	good := save(shapes(), nil)
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"another width", save(wide, nil), "0.weight has shape [7 2], not [6 2]"},
		{"categories", save(shapes(), categories), "has categories"},
		{"cut off", good[:len(good)-1], "data_offsets"},
		{"empty", nil, "the file ends"},
	} {
		m, err := model.Load(n, fstest.MapFS{"m": {Data: test.file}}, "m")
		if m != nil || err == nil {
			t.Errorf("%s: loaded", test.name)
		} else if !strings.Contains(err.Error(), "m: ") && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := model.Load(n, fstest.MapFS{}, "m"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there gives %v", err)
	}

	// Rows are made for the features that were compiled in.
	named := shapes()
	named.Data.Features = []string{"width", "height"}
	prep := func(change func(*data.Prep)) *data.Prep {
		p, _ := data.Declared(testnet.New(shapes()))
		p.Features[0].Name, p.Features[1].Name = "width", "height"
		change(p)
		return p
	}
	var misfit *modelfile.Misfit
	for name, p := range map[string]*data.Prep{
		"another order": prep(func(p *data.Prep) { p.Features[0].Name, p.Features[1].Name = "height", "width" }),
		"a category":    categories,
	} {
		file := fstest.MapFS{"m": {Data: save(named, p)}}
		if _, err := model.Load(testnet.New(named), file, "m"); !errors.As(err, &misfit) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	file := fstest.MapFS{"m": {Data: save(named, prep(func(*data.Prep) {}))}}
	if m, err := model.Load(testnet.New(named), file, "m"); err != nil {
		t.Error(err)
	} else {
		m.Close()
	}
}

func TestSaveNeverReplacesAGoodFileByABadOne(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 1, Outputs: 1, Batch: 1})
	m := newModel(t, n, model.WithLearningRate(3e38))
	file := filepath.Join(t.TempDir(), "m")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	before := read(t, file)
	if loss := m.Step([]float32{100}, engine.Target{Value: []float32{7}}, 1); loss-loss != 0 {
		t.Fatalf("the loss is %v already", loss)
	}
	var bad *modelfile.BadParameter
	if err := m.Save(file); !errors.As(err, &bad) {
		t.Errorf("parameters that are not finite are saved: %v", err)
	}
	if !bytes.Equal(before, read(t, file)) {
		t.Error("the file was touched")
	}
	if err := m.Save(filepath.Join(file, "no", "directory")); err == nil {
		t.Error("saved into a file")
	}
}

func TestClose(t *testing.T) {
	n := testnet.New(shapes())
	m := newModel(t, n)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			defer func() { _ = recover() }() // Close may come first
			predict(n, m, 1, 2)
		})
	}
	m.Close()
	m.Close()
	calls.Wait()
	for name, f := range map[string]func(){
		"Predict":      func() { predict(n, m, 1, 2) },
		"PredictRows":  func() { m.PredictRows(make([]float32, 2), make([]float32, 3), nil, 1) },
		"PredictCells": func() { _ = m.PredictCells([]data.Cell{data.Number(1), data.Number(2)}, make([]float32, 3), nil) },
		"Step":         func() { m.Step([]float32{1, 2}, engine.Target{Class: []int32{0}}, 1) },
		"Save":         func() { _ = m.Save(filepath.Join(t.TempDir(), "m")) },
		"Train":        func() { _, _ = m.Train(t.Context(), rows(t, 9), nil, model.TrainOptions{}) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); text != "shapes: the model is used after Close" {
					t.Errorf("%s after Close: %q", name, text)
				}
			}()
			f()
		}()
	}
}

// TestPrecision: a CPU computes in float32, unless it is asked by name for what
// it does not have.
func TestPrecision(t *testing.T) {
	n := testnet.New(shapes())
	n.Precision, n.Precisions = "half", []engine.Precision{{Name: engine.FP32}, {Name: "half", Roundoff: 0x1p-8}}
	for _, opts := range [][]model.Option{nil, {model.WithPrecision("half")}, {model.WithDevice("cpu")}, {model.WithPrecision("fp32"), model.WithDevice("cpu")}} {
		m := newModel(t, n, opts...)
		if got := m.Precision(); got != engine.FP32 {
			t.Errorf("%d options: the precision is %s", len(opts), got)
		}
	}
	var unknown *device.Unknown
	if _, err := model.New(n, model.WithPrecision("quarter")); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
	var absent *device.Absent
	if _, err := model.New(n, model.WithPrecision("half"), model.WithDevice("cpu")); !errors.As(err, &absent) {
		t.Errorf("got %v", err)
	}
	gpu := n.Devices[0]
	gpu.Name, gpu.Lacks = "cuda:0", func(string) error { return nil }
	n.Devices = append([]engine.Device{gpu}, n.Devices...)
	if m := newModel(t, n, model.WithDevice("cuda")); m.Precision() != "half" {
		t.Errorf("a GPU computes in %s", m.Precision())
	}
}
