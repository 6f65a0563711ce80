// Package model is a network that lives in another program's process: made or
// loaded, trained, asked for predictions, saved. The typed API of an emitted
// package delegates to it; here rows are slices whose lengths are checked when
// the program runs.
//
// Rows are given as the data has them. A model knows how rows are prepared for
// its network: from the rows that it was trained on, from the file that it was
// loaded from, or, as far as that goes, from the spec (see data.Declared).
// Where the preparation has categories, which are no numbers, rows of numbers
// are taken as the network reads them, and cells as the data has them.
//
// All methods of a Model may be called by many goroutines at once.
package model

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/modelfile"
)

// Model is a network with its parameters on one device.
type Model struct {
	net       *engine.Network
	device    string
	precision string
	seed      uint64
	rows      sync.Pool // of *row, for predictions

	// mu is held for writing by what changes the fields below, the engine's
	// parameters among them, and for reading by predictions.
	mu       sync.RWMutex
	engine   engine.Engine // nil once closed
	lr       float64
	momentum float64
	steps    int64 // updates made
	prep     *data.Prep
	fitted   bool      // prep was learned from rows, here or by who saved the file
	numbers  bool      // rows of numbers go through prep before the network
	batch    []float32 // prepared rows of a step
}

// Option is a choice made when a model is made.
type Option func(*options)

type options struct {
	device    string
	precision string
	threads   int
	seed      *uint64
	lr        float64
	momentum  float64
}

// WithSeed sets the seed of the initial parameters and of the shuffles; without
// it it is that of the model file, or else of the spec.
func WithSeed(seed uint64) Option { return func(o *options) { o.seed = &seed } }

// WithDevice chooses what the model runs on: "auto" (the default: the best that
// is here), "cpu", "cpu:avx512", "cpu:avx2", "cpu:go", "cuda" or "cuda:N".
func WithDevice(name string) Option { return func(o *options) { o.device = name } }

// WithPrecision chooses what matrix products are computed in on a GPU: "fp32",
// "tf32", "bf16" or "fp16"; without it it is the spec's. Where the device that
// "auto" takes has no such precision, it is fp32: see Model.Precision.
func WithPrecision(name string) Option { return func(o *options) { o.precision = name } }

// WithThreads bounds the threads of a training step; 0, the default, takes as
// many as the machine offers. The number does not change any result.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// WithLearningRate sets the learning rate; without it it is the spec's.
func WithLearningRate(lr float64) Option { return func(o *options) { o.lr = lr } }

// WithMomentum sets the momentum of the optimizers that have one; without it it
// is the spec's.
func WithMomentum(m float64) Option { return func(o *options) { o.momentum = m } }

// New makes a model with fresh parameters. It fails where an option makes no
// sense, with a *device.Unknown or *device.Absent where the device or its precision is
// not there, or with the device's own error where it cannot be used.
func New(n *engine.Network, opts ...Option) (*Model, error) {
	m, err := start(n, nil, opts)
	if err != nil {
		return nil, err
	}
	loop.Init(n, m.engine, m.seed)
	return m, nil
}

// Load makes a model from a file that Save, a trainer or any other writer of
// safetensors made. Its errors are those of New, those of fsys, a
// *safetensors.Error where the file is damaged, and a *modelfile.Misfit where
// it is whole but belongs to another network.
func Load(n *engine.Network, files fs.FS, name string, opts ...Option) (*Model, error) {
	opened, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	random, err := fsys.NewRandom(opened)
	if err != nil {
		return nil, err
	}
	file, err := modelfile.Open(random, name, n)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if file.Prep != nil {
		if wrong := misfits(n, file.Prep); len(wrong) > 0 {
			return nil, &modelfile.Misfit{File: name, Network: n.Name, Wrong: wrong}
		}
	}
	m, err := start(n, file.Seed, opts)
	if err != nil {
		return nil, err
	}
	if err := file.Restore(n, m.engine); err != nil {
		m.Close()
		return nil, err
	}
	if file.Prep != nil {
		m.setPrep(file.Prep)
	}
	return m, nil
}

// misfits compares the features of a preparation with those that were compiled
// in: the callers' rows are made for the latter.
func misfits(n *engine.Network, p *data.Prep) (wrong []string) {
	if len(n.Data.Features) > 0 && len(p.Features) != len(n.Data.Features) {
		return []string{fmt.Sprintf("its metadata prepares %d features, the network was compiled for %d", len(p.Features), len(n.Data.Features))}
	}
	if len(n.Data.Categorical) == 0 && p.Categorical() {
		return []string{"its metadata has categories, the network was compiled for numbers alone"}
	}
	for i, name := range n.Data.Features {
		f := &p.Features[i]
		if f.Name != "" && f.Name != name {
			wrong = append(wrong, fmt.Sprintf("its feature %d is %q, not %q", i, f.Name, name))
		}
		if (len(f.Categories) > 0) != slices.Contains(n.Data.Categorical, name) {
			wrong = append(wrong, fmt.Sprintf("its feature %d (%q) is a category on one side and a number on the other", i, name))
		}
	}
	return wrong
}

// start makes a model whose parameters are not set yet. seed is that of the
// model file, or nil.
func start(n *engine.Network, seed *uint64, opts []Option) (*Model, error) {
	o := options{device: "auto", seed: seed, lr: n.LR, momentum: n.Momentum}
	for _, set := range opts {
		set(&o)
	}
	if o.seed == nil {
		o.seed = &n.Seed
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", n.Name, err)
	}
	d, err := device.Choose(n, device.Wish{Device: o.device, Precision: o.precision})
	if err != nil {
		return nil, err
	}
	e, err := d.New(engine.Options{Threads: o.threads, Precision: d.Precision})
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", d.Name, err)
	}
	m := &Model{net: n, device: d.Name, precision: d.Precision, seed: *o.seed, engine: e, lr: o.lr, momentum: o.momentum}
	m.rows.New = func() any { return newRow(n) }
	prep, _ := data.Declared(n)
	m.setPrep(prep)
	m.fitted = false
	return m, nil
}

func (o *options) check() error {
	if o.threads < 0 {
		return fmt.Errorf("%d threads: use a positive number, or 0 for as many as the machine offers", o.threads)
	}
	if !(o.momentum >= 0 && o.momentum < 1) {
		return fmt.Errorf("momentum %v is not in [0, 1)", o.momentum)
	}
	if !loop.InFloat32(o.momentum) {
		return fmt.Errorf("momentum %v is a number that a float32 cannot hold", o.momentum)
	}
	return checkRate(o.lr)
}

func checkRate(lr float64) error {
	switch {
	case !(lr > 0):
		return fmt.Errorf("learning rate %v is not a positive number", lr)
	case !loop.InFloat32(lr):
		return fmt.Errorf("learning rate %v is a number that a float32 cannot hold", lr)
	}
	return nil
}

// setPrep gives the model a fitted preparation. m.mu is held, or nobody else
// has m yet.
func (m *Model) setPrep(p *data.Prep) {
	m.prep, m.fitted = p, true
	m.numbers = !p.Categorical() && !p.Plain()
	if m.numbers && m.batch == nil {
		m.batch = make([]float32, m.net.Batch*m.net.Inputs)
	}
}

// Device returns the name of the device that the model runs on: "cpu:avx2".
func (m *Model) Device() string { return m.device }

// Precision returns what the model computes matrix products in: "fp32" on every
// CPU.
func (m *Model) Precision() string { return m.precision }

// Label returns the name of a class, or "" where the model knows none.
func (m *Model) Label(class int) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	labels := m.prep.Target.Labels
	if class < 0 || class >= len(labels) {
		return ""
	}
	return labels[class]
}

// Save replaces the file name by the parameters, as safetensors under PyTorch's
// names and layouts, with the fitted preparation and the seed as metadata.
// Whatever happens, the file is the old one or the new one, whole. The error is
// a *modelfile.BadParameter where a parameter is not finite; the optimizer's
// state is not saved.
func (m *Model) Save(name string) error {
	file, err := m.snapshot()
	if err != nil {
		return err
	}
	return fsys.WriteAtomic(fsys.OS(), name, func(w io.Writer) error { return modelfile.Encode(w, m.net, file) })
}

func (m *Model) snapshot() (*modelfile.Model, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustBeOpen()
	params, err := modelfile.Copy(m.net, m.engine)
	if err != nil {
		return nil, err
	}
	file := &modelfile.Model{Params: params, Seed: &m.seed}
	if m.fitted {
		file.Prep = m.prep
	}
	return file, nil
}

// Close returns the model's threads and memory. It waits for calls under way;
// a call that comes later panics. Closing twice is no error.
func (m *Model) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.engine != nil {
		m.engine.Close()
		m.engine = nil
	}
}

// mustBeOpen panics where the engine's memory is gone. m.mu is held.
func (m *Model) mustBeOpen() {
	if m.engine == nil {
		panic(m.net.Name + ": the model is used after Close")
	}
}
