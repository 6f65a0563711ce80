package trainer

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"strings"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/pool"
	"github.com/dnngen/dnngen/runtime/rundir"
)

// deviceFlags are the choice of what to run on.
type deviceFlags struct {
	device    string
	precision string
	threads   int
}

func (f *deviceFlags) define(n *engine.Network, fs *flag.FlagSet) {
	fs.StringVar(&f.device, "device", "", "run on `D`: "+device.List()+"\n(default auto, or "+device.Variable+")")
	definePrecision(n, fs, &f.precision, "multiply matrices in `P` on a GPU: "+precisionNames(n))
	fs.IntVar(&f.threads, "threads", 0, "use `N` threads; 0: as many as the machine offers\nand a step is worth")
}

func definePrecision(n *engine.Network, fs *flag.FlagSet, to *string, text string) {
	had := n.Precision
	if had == "" {
		had = engine.FP32
	}
	fs.StringVar(to, "precision", "", text+"\n(default "+had+", the spec's; a CPU computes in "+engine.FP32+")")
}

// precisionNames lists what --precision takes.
func precisionNames(n *engine.Network) string {
	var names []string
	for _, p := range n.Precisions {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return engine.FP32
	}
	return strings.Join(names, ", ")
}

// choose chooses the device that the flags ask for.
func (f *deviceFlags) choose(a *app) (*device.Choice, error) {
	return device.Choose(a.net, device.Wish{Device: f.wanted(a), Precision: f.precision})
}

// wanted returns the device asked for by flag, or else by environment.
func (f *deviceFlags) wanted(a *app) string {
	if f.device != "" {
		return f.device
	}
	if name := a.env(device.Variable); name != "" {
		return name
	}
	return "auto"
}

// maxThreads is more than any machine gains from. Each worker costs a stack and
// a share of every step's barrier, so that a slip such as --threads 1000000 would
// stand still instead of failing.
const maxThreads = 1024

// start makes an engine on a device.
func (f *deviceFlags) start(d *device.Choice) (engine.Engine, error) {
	if f.threads < 0 || f.threads > maxThreads {
		return nil, usage("--threads must be positive and at most %d, or 0 for as many as the machine offers", maxThreads)
	}
	if err := pool.Environment(); err != nil {
		return nil, usage("%v", err)
	}
	e, err := d.New(engine.Options{Threads: f.threads, Precision: d.Precision})
	if err != nil {
		return nil, &failure{exitResources, fmt.Errorf("device %s: %w", d.Name, err)}
	}
	return e, nil
}

// notes are what an engine has to tell of how it was made.
func notes(e engine.Engine) []string {
	if n, ok := e.(engine.Noted); ok {
		return n.Notes()
	}
	return nil
}

// model opens the parameters of --model.
func (a *app) model(name string) (*rundir.Model, error) {
	if name == "" {
		return nil, usage("--model FILE is needed: a model.safetensors, a checkpoint or a run directory")
	}
	m, err := rundir.ReadModel(a.fs, name, a.net)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no model at %s: train first, or name a model.safetensors, a checkpoint or a run directory by --model (%w)", name, err)
	}
	return m, inRun(err)
}

// load starts an engine with the parameters of a model file.
func (f *deviceFlags) load(a *app, m *rundir.Model) (engine.Engine, error) {
	d, err := f.choose(a)
	if err != nil {
		return nil, err
	}
	if d.Note != "" {
		fmt.Fprintf(a.stderr, "warning: %s\n", d.Note)
	}
	e, err := f.start(d)
	if err != nil {
		return nil, err
	}
	if err := m.Restore(a.net, e); err != nil {
		e.Close()
		return nil, inRun(err)
	}
	return e, nil
}

// infer prepares rows as a model's training did, and computes their raw outputs
// [rows, Outputs].
func (f *deviceFlags) infer(a *app, m *rundir.Model, rows func(*data.Prep) (*data.Set, error)) (*data.Set, []float32, error) {
	prep, note := preparation(a.net, m)
	if note != "" {
		a.display(false).Warn("%s", note)
	}
	set, err := rows(prep)
	if err != nil {
		return nil, nil, err
	}
	e, err := f.load(a, m)
	if err != nil {
		return nil, nil, err
	}
	defer e.Close()
	raw, err := loop.Infer(a.ctx, a.net, e, set.X, set.Rows)
	return set, raw, a.cause(err)
}

// preparation returns how rows are prepared for a model. A file that another
// program wrote says nothing of it: then the spec does, as far as it can; note
// says where that is not far enough.
func preparation(n *engine.Network, m *rundir.Model) (prep *data.Prep, note string) {
	if m.Prep != nil {
		return m.Prep, ""
	}
	prep, lacks := data.Declared(n)
	if lacks != "" {
		note = fmt.Sprintf("the model file does not hold %s: the rows are taken as prepared", lacks)
	}
	return prep, note
}
