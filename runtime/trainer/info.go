package trainer

import (
	"cmp"
	"flag"
	"fmt"
	"runtime"
	"strings"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/rundir"
	"github.com/dnngen/dnngen/runtime/wording"
)

var infoCommand = &command{
	name:  "info",
	short: "show what is compiled in and which devices are here",
	args:  "[OPTION]...",
	long: `Shows the network that this program was compiled for, the devices that it can
run on with what it takes of their memory, which of them are here, which one is
chosen, and why. Of a GPU it says which matrix products NVIDIA's library makes.`,
	examples: []string{"info", "info --json"},
	define: func(a *app, fs *flag.FlagSet) func() error {
		var f deviceFlags
		asJSON := fs.Bool("json", false, "print one JSON object")
		f.define(a.net, fs)
		return func() error { return a.info(&f, *asJSON) }
	},
}

// facts is what info prints as JSON.
type facts struct {
	Name       string        `json:"name"`
	SpecSum    string        `json:"spec_sha256"`
	Inputs     int           `json:"inputs"`
	Outputs    int           `json:"outputs"`
	Batch      int           `json:"batch"` // 0: the full set
	Parameters int           `json:"parameters"`
	Loss       string        `json:"loss"`
	Output     string        `json:"output"`
	Optimizer  string        `json:"optimizer"`
	Layers     []layerFacts  `json:"layers"`
	Devices    []deviceFacts `json:"devices"`
	Chosen     string        `json:"chosen"`
	Why        string        `json:"why"`
	Precision  string        `json:"precision"`      // of the chosen device
	Note       string        `json:"note,omitempty"` // why it is not the one that was wanted
	Threads    int           `json:"threads"`
	Dnngen     string        `json:"dnngen"`
	Go         string        `json:"go"`
	Platform   string        `json:"platform"`
}

type layerFacts struct {
	Name       string `json:"name"`
	In         int    `json:"in"`
	Out        int    `json:"out"`
	Parameters int    `json:"parameters"`
	Line       int    `json:"line"` // of the spec
}

type deviceFacts struct {
	Name    string `json:"name"`
	Present bool   `json:"present"`
	Why     string `json:"why,omitempty"` // it is not
	// Memory is what the network takes of memory that the device has for itself.
	Memory int64 `json:"memory_bytes,omitempty"`
	// Precision is what the device takes this memory in.
	Precision string `json:"precision,omitempty"`
	// Products is by what it makes matrix products, where it has a choice.
	Products string `json:"products,omitempty"`
}

func parameters(n *engine.Network) int {
	sum := 0
	for _, p := range n.Params {
		sum += p.Size()
	}
	return sum
}

func (a *app) info(f *deviceFlags, asJSON bool) error {
	n := a.net
	chosen, err := f.choose(a)
	if err != nil {
		return err
	}
	i := facts{
		Name: n.Name, SpecSum: rundir.SpecSum(n.Spec), Inputs: n.Inputs, Outputs: n.Outputs, Batch: n.Batch,
		Parameters: parameters(n), Loss: n.Loss, Output: n.Output, Optimizer: n.Optimizer,
		Chosen: chosen.Name, Why: chosen.Why, Precision: chosen.Precision, Note: chosen.Note, Threads: chosen.ThreadsOf(f.threads),
		Dnngen: dnngenVersion(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	for _, l := range n.Layers {
		i.Layers = append(i.Layers, layerFacts{Name: l.Name, In: l.In, Out: l.Out, Line: l.Line})
	}
	for _, p := range n.Params {
		i.Layers[p.Layer].Parameters += p.Size()
	}
	for _, d := range n.Devices {
		facts := deviceFacts{Name: d.Name, Present: true}
		precision := i.Precision
		if d.Name != i.Chosen {
			precision = f.precisionOf(n, &d)
		}
		if d.Memory != nil {
			facts.Memory, facts.Precision = d.Memory(precision), precision
		}
		if err := d.Missing(); err != nil {
			facts.Present, facts.Why = false, err.Error()
		} else if d.Products != nil {
			facts.Products = d.Products(precision)
		}
		i.Devices = append(i.Devices, facts)
	}
	if asJSON {
		return a.stdout.object(i)
	}
	a.stdout.facts(i)
	return nil
}

func (o *output) facts(i facts) {
	o.printf("%s: %s, %s, %s\n", i.Name, wording.Count(i.Inputs, "input"), wording.Count(i.Outputs, "output"), wording.Count(i.Parameters, "parameter"))
	if i.Batch == 0 {
		o.printf("trained on the full set, ")
	} else {
		o.printf("trained in batches of %d, ", i.Batch)
	}
	o.printf("loss %s, optimizer %s, output %s\nspec SHA-256 %s\n\n", i.Loss, i.Optimizer, i.Output, i.SpecSum)
	o.printf("%3s  %-12s %8s %8s %12s\n", "", "layer", "in", "out", "parameters")
	for k, l := range i.Layers {
		o.printf("%3d  %-12s %8d %8d %12d\n", k, l.Name, l.In, l.Out, l.Parameters)
	}
	o.printf("\n")
	for _, d := range i.Devices {
		state := "here"
		if !d.Present {
			state = "not here: " + d.Why
		}
		if d.Name == i.Chosen {
			state += "; chosen: " + strings.SplitN(i.Why, ";", 2)[0]
		} else if _, why, ok := strings.Cut(i.Why, "not "+d.Name+": "); ok && d.Present {
			why, _, _ = strings.Cut(why, ", not ")
			state += "; not chosen: " + why
		}
		if d.Memory > 0 {
			in := ""
			if d.Precision != i.Precision {
				in = " in " + d.Precision
			}
			state = memoryText(d.Memory) + " of its memory" + in + "; " + state
		}
		o.printf("%-11s %s\n", d.Name, state)
		if d.Products != "" {
			o.printf("%-11s %s\n", "", d.Products)
		}
	}
	o.printf("%-11s %s", "precision", i.Precision)
	if i.Note != "" {
		o.printf("; %s", i.Note)
	}
	o.printf("\n%-11s %d\n\ndnngen %s, %s %s\n", "threads", i.Threads, i.Dnngen, i.Go, i.Platform)
}

// precisionOf is what a device other than the chosen one would compute in. A device
// that is not here is taken to have every precision.
func (f *deviceFlags) precisionOf(n *engine.Network, d *engine.Device) string {
	precision := cmp.Or(f.precision, n.Precision, engine.FP32)
	if d.Missing() == nil && (d.Lacks == nil || d.Lacks(precision) != nil) {
		return engine.FP32
	}
	return precision
}

// memoryText writes a number of bytes for a person.
func memoryText(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}
