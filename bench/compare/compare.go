// Package compare measures one spec on everything that can train it here: the
// interpreted autograd, the emitted code with and without its passes, and every
// device of the trainer, with the same rows, parameters and settings, in
// alternating rounds of one run.
package compare

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/bench/autograd"
	"github.com/dnngen/dnngen/gen/golang"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// Names of the contenders that are not devices.
const (
	Interpreted = "interpreted autograd"
	Plain       = "emitted Go, not fused"
)

// Job is what to compare.
type Job struct {
	Net     *spec.Network
	Trainer string // the binary
	// Plain is the binary of what EmitPlain gives; empty leaves it out.
	Plain   string
	DataDir string // where the spec's data are looked for
	Temp    string // an empty directory
	Seconds float64
	Steps   int
	Round   func(i, rounds int)
}

// Report is the outcome, for `--json` and for charts.
type Report struct {
	Network string        `json:"network"`
	Source  string        `json:"spec"` // the file's name
	Data    string        `json:"data"` // where the rows come from
	BLAS    string        `json:"interpreted_blas,omitempty"`
	Machine bench.Machine `json:"machine"`
	Missing []string      `json:"missing,omitempty"` // devices that are not here, and why
	*bench.Report
	Gains []Gain `json:"gains,omitempty"`
}

// Gain is what one stage of compiling made faster.
type Gain struct {
	Stage  string  `json:"stage"`
	From   string  `json:"from"`
	To     string  `json:"to"`
	Factor float64 `json:"factor"`
}

// fusing are the passes that merge steps or save work; the others make a
// program that can be emitted.
var fusing = []string{"choose slopes", "fuse activations", "fuse input gradients"}

// EmitPlain emits a network for the portable backend alone and without the
// passes that fuse: a loop for each product and each activation, forward and
// back.
func EmitPlain(net *spec.Network, importPath string) ([]ir.File, error) {
	p := lower.Build(net)
	for _, pass := range lower.Passes {
		if !slices.Contains(fusing, pass.Name) {
			pass.Run(p)
		}
	}
	if err := ir.Verify(p); err != nil {
		return nil, err
	}
	return golang.Emit(p, golang.Options{ImportPath: importPath})
}

// checkedSteps is how many steps' losses are compared.
const checkedSteps = 10

// Run compares. The error is a *bench.Disagreement where losses differ, and a
// *TrainerError where a trainer cannot take part.
func Run(ctx context.Context, j Job) (*Report, error) {
	trainer, err := startTrainer(ctx, j.DataDir, []string{j.Trainer, "bench", "--drive"}, nil)
	if err != nil {
		return nil, err
	}
	defer trainer.stop()
	about, err := trainer.Describe()
	if err != nil {
		return nil, trainer.explain(err)
	}
	problem, err := exported(j, trainer)
	if err != nil {
		return nil, err
	}
	c := &contenders{net: j.Net, threads: runtime.GOMAXPROCS(0), problem: problem, trainer: trainer}
	defer c.close()
	if j.Plain != "" {
		plain, err := startTrainer(ctx, j.DataDir, []string{j.Plain, "bench", "--drive"}, nil)
		if err != nil {
			return nil, err
		}
		defer plain.stop()
		c.plain = plain
	}
	entries, err := c.entries(about.Here)
	if err != nil {
		return nil, err
	}
	measured, err := bench.Measure(ctx, entries, bench.Options{
		Seconds: j.Seconds, Steps: j.Steps, Check: checkedSteps, Batch: problem.Batch, FLOPs: about.FLOPs,
		Peak: bench.NewMeter(c.threads).Measure, Round: j.Round,
	})
	if err != nil {
		return nil, err
	}
	r := &Report{
		Network: j.Net.Name, Source: j.Net.File, Data: about.Data, BLAS: autograd.BLAS, Machine: bench.ThisMachine(),
		Missing: about.Missing, Report: measured,
	}
	r.Gains = gains(r.Results)
	return r, nil
}

// exported lets the trainer write its rows and parameters, and reads them.
func exported(j Job, t *trainer) (*bench.Problem, error) {
	dir := filepath.Join(j.Temp, "problem")
	if err := export(t, dir, j.Net); err != nil {
		return nil, err
	}
	p, err := readProblem(dir, j.Net)
	if err != nil {
		return nil, err
	}
	return p, os.RemoveAll(dir)
}

// contenders makes the entries of a comparison.
type contenders struct {
	net            *spec.Network
	threads        int
	problem        *bench.Problem
	trainer, plain *trainer
	models         []*autograd.Model
}

func (c *contenders) close() {
	for _, m := range c.models {
		m.Close()
	}
}

// interpreted makes an entry of the autograd.
func (c *contenders) interpreted(threads int) bench.Entry {
	m := autograd.New(c.net, engine.Options{Threads: threads})
	c.models = append(c.models, m)
	return bench.Entry{Name: Interpreted, Threads: threads, Contender: limited{bench.NewTrainee(m, c.problem), threads}}
}

// entries lists the stages of compiling, first with one thread, then with all.
func (c *contenders) entries(devices []string) ([]bench.Entry, error) {
	counts := []int{1}
	if c.threads > 1 {
		counts = append(counts, c.threads)
	}
	var list []bench.Entry
	for _, threads := range counts {
		list = append(list, c.interpreted(threads))
		if c.plain != nil && threads == 1 {
			remote, err := c.plain.Open(portable(devices), threads)
			if err != nil {
				return nil, err
			}
			list = append(list, bench.Entry{Name: Plain, Threads: threads, Contender: remote})
		}
		for _, name := range slices.Backward(devices) {
			if onGPU(name) && threads > 1 {
				continue // the host's threads are idle
			}
			remote, err := c.trainer.Open(name, threads)
			if err != nil {
				return nil, err
			}
			entry := bench.Entry{Name: name, Threads: threads, Units: device.Units(name), Elsewhere: onGPU(name), Contender: remote}
			if entry.Elsewhere {
				entry.Roundoff = c.net.Train.Precision.Roundoff()
			}
			list = append(list, entry)
		}
	}
	return list, nil
}

// portable is the device that is always there: the last one.
func portable(devices []string) string { return devices[len(devices)-1] }

func onGPU(device string) bool { return strings.HasPrefix(device, "cuda") }

// limited gives a contender of this process a number of threads: BLAS takes as
// many as Go has.
type limited struct {
	*bench.Trainee
	threads int
}

func (l limited) Losses(steps, rows int) ([]float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(l.threads))
	return l.Trainee.Losses(steps, rows)
}

func (l limited) Time(steps, rows int, fresh bool) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(l.threads))
	return l.Trainee.Time(steps, rows, fresh)
}

// gains follows the stages from the interpreter to the fastest device: each is
// the factor between two results that differ in it alone.
func gains(results []bench.Result) []Gain {
	find := func(name string, threads int) *bench.Result {
		i := slices.IndexFunc(results, func(r bench.Result) bool { return r.Name == name && r.Threads == threads })
		if i < 0 {
			return nil
		}
		return &results[i]
	}
	var list []Gain
	add := func(stage string, from, to *bench.Result) {
		if from != nil && to != nil {
			list = append(list, Gain{stage, Title(*from), Title(*to), from.Step.Median / to.Step.Median})
		}
	}
	start := find(Interpreted, 1)
	last := start
	for _, stage := range []struct{ name, contender string }{
		{"dispatch", Plain}, {"fusion", "cpu:go"}, {"SIMD, 8 lanes", "cpu:avx2"}, {"SIMD, 16 lanes", "cpu:avx512"},
	} {
		if to := find(stage.contender, 1); to != nil {
			add(stage.name, last, to)
			last = to
		}
	}
	most := 1
	for _, r := range results {
		most = max(most, r.Threads)
	}
	if most > 1 {
		if last == nil {
			return nil // one thread was too slow to be timed
		}
		if all := find(last.Name, most); all != nil {
			add(fmt.Sprintf("%d threads", most), last, all)
		}
		add("interpreter, threads alone", start, find(Interpreted, most))
	}
	fastest := slices.MinFunc(results, func(a, b bench.Result) int {
		if a.Step.Median < b.Step.Median {
			return -1
		}
		return 1
	})
	add("all together", start, &fastest)
	return list
}

// Title names a result in a sentence.
func Title(r bench.Result) string {
	if r.Threads == 1 {
		return r.Name
	}
	return fmt.Sprintf("%s, %d threads", r.Name, r.Threads)
}
