package trainer

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/rundir"
)

var benchCommand = &command{
	name:  "bench",
	short: "time a training step on every device",
	args:  "[OPTION]...",
	long: `Times a training step on every device that is here, with one thread and with
all, in alternating rounds, after the losses of the first steps were compared.
The peak of fused multiply-adds is measured between the rounds, for each kind of
vector units that the machine has, and a device's share is of its own kind's.
GFLOP/s count the matrix products alone. Times are medians; ± is half the distance
between the quartiles. A device that takes too long for a whole batch is compared
with fewer rows and not timed, unless all are so slow.

The exit status is 1 where two devices do not compute the same losses.`,
	examples: []string{"bench", "bench --device cpu:avx512,cpu:go --threads 1 --seconds 5 --json"},
	define: func(a *app, fs *flag.FlagSet) func() error {
		b := &benchFlags{}
		fs.StringVar(&b.devices, "device", "", "time the devices of the `LIST`, such as cpu:avx2,cpu:go; empty: all that are here")
		fs.StringVar(&b.devices, "devices", "", "another name of --device `LIST`")
		definePrecision(a.net, fs, &b.precisions, "time GPUs in each precision of the `LIST`, such as fp32,bf16; there are\n"+precisionNames(a.net))
		fs.StringVar(&b.threads, "threads", "", "time with each number of threads of the `LIST`; 0: as many as the machine\noffers; empty: 1,0")
		fs.Float64Var(&b.seconds, "seconds", 10, "spend about `S` seconds on the rounds")
		fs.IntVar(&b.steps, "steps", 0, "make `N` steps in each round; 0: as many as fit")
		fs.StringVar(&b.data, "data", "", "train on the rows of `SRC`, or random ones by the name random; empty: the\nspec's, or random ones where it has none")
		fs.Uint64Var(&b.seed, "seed", a.net.Seed, "draw parameters and random rows from seed `N`")
		fs.BoolVar(&b.peak, "peak", true, "`BOOL`: measure the machine's peak, which takes memory and time")
		fs.BoolVar(&b.json, "json", false, "print one JSON object")
		fs.BoolVar(&b.drive, "drive", false, "do what requests on standard input say, for dnngen bench")
		return func() error { return a.bench(b) }
	},
}

type benchFlags struct {
	devices, threads, data string
	precisions             string
	seconds                float64
	steps                  int
	seed                   uint64
	peak, json, drive      bool
}

// randomRows is the name of rows that are drawn.
const randomRows = "random"

// checkedSteps is how many steps' losses are compared.
const checkedSteps = 10

// benchReport is what bench prints as JSON.
type benchReport struct {
	Event   string        `json:"event"` // "bench"
	Network string        `json:"network"`
	Data    string        `json:"data"`
	Dnngen  string        `json:"dnngen"`
	Machine bench.Machine `json:"machine"`
	*bench.Report
}

func (a *app) bench(f *benchFlags) error {
	if !(f.seconds > 0) || f.seconds > 3600 || f.steps < 0 {
		return usage("--seconds must be a positive number of at most 3600, and --steps must not be negative")
	}
	p, source, err := a.problem(f)
	if err != nil {
		return err
	}
	if f.drive {
		return a.drive(f, p, source)
	}
	devices, err := a.benchDevices(f.devices, f.precisions)
	if err != nil {
		return err
	}
	threads, err := threadCounts(f.threads)
	if err != nil {
		return err
	}
	var entries []bench.Entry
	for _, d := range devices {
		name, gpu := d.Name, strings.HasPrefix(d.Name, "cuda")
		if gpu && d.Precision != engine.FP32 {
			name += " " + d.Precision
		}
		var used []int
		for _, n := range threads {
			if n = d.ThreadsOf(n); slices.Contains(used, n) {
				continue // a short step is not shared, nor is a GPU's
			}
			used = append(used, n)
			trainee, err := a.trainee(p, d, n)
			if err != nil {
				return err
			}
			defer trainee.Close()
			entries = append(entries, bench.Entry{Name: name, Threads: n, Units: device.Units(d.Name), Elsewhere: gpu, Roundoff: a.roundoff(d.Precision), Contender: trainee})
		}
	}
	show := a.display(false)
	show.Draw("comparing losses", 0)
	o := bench.Options{Seconds: f.seconds, Steps: f.steps, Check: checkedSteps, Batch: p.Batch, FLOPs: bench.FLOPsPerRow(a.net)}
	o.Round = func(i, rounds int) {
		show.Draw(fmt.Sprintf("round %d/%d", i+1, rounds), float64(i)/float64(rounds))
	}
	if f.peak {
		o.Peak = bench.NewMeter(runtime.GOMAXPROCS(0)).Measure
	}
	report, err := bench.Measure(a.ctx, entries, o)
	show.Clear()
	if err != nil {
		return err
	}
	if f.json {
		return a.stdout.object(benchReport{"bench", a.net.Name, source, dnngenVersion(), bench.ThisMachine(), report})
	}
	report.Heading(a.stdout, bench.ThisMachine(), a.net.Name, source)
	report.Table(a.stdout)
	return nil
}

// problem makes what is trained: the spec's rows or random ones, and parameters
// as a training begins with.
func (a *app) problem(f *benchFlags) (p *bench.Problem, source string, err error) {
	source = f.data
	if source == "" {
		source = a.net.Data.Train
	}
	if source == "" || source == randomRows {
		source = randomRows
		p = bench.Draw(a.net, f.seed)
	} else {
		rows, err := a.load(source, "", f.seed)
		if err != nil {
			return nil, "", err
		}
		p = bench.Of(a.net, rows.train.X, rows.train.Target, rows.train.Rows)
	}
	drawn := loop.Draw(a.net, f.seed)
	for i := range a.net.Params {
		p.Params = append(p.Params, func(f func(first int, values []float32)) {
			// Only what takes the pieces can fail.
			_ = drawn.Pieces(i, func(first int, values []float32) error {
				f(first, values)
				return nil
			})
		})
	}
	return p, source, nil
}

// benchDevices returns the devices of a list, or all that are here, a GPU once
// for each precision: the portable one first, which the others are compared with.
func (a *app) benchDevices(list, precisions string) (devices []*device.Choice, err error) {
	var names []string
	if list != "" {
		for name := range strings.SplitSeq(list, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	} else {
		for _, d := range slices.Backward(a.net.Devices) {
			if d.Missing() == nil {
				names = append(names, d.Name)
			}
		}
	}
	for _, name := range names {
		for precision := range strings.SplitSeq(precisions, ",") {
			d, err := device.Choose(a.net, wish(name, strings.TrimSpace(precision)))
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(devices, func(o *device.Choice) bool { return o.Name == d.Name && o.Precision == d.Precision }) {
				devices = append(devices, d)
			}
		}
	}
	return devices, nil
}

// wish is a device in a precision that is asked of GPUs alone: a CPU has one.
func wish(name, precision string) device.Wish {
	if precision != "" && strings.HasPrefix(name, "cpu") {
		precision = engine.FP32
	}
	return device.Wish{Device: name, Precision: precision}
}

// roundoff is the unit roundoff of a precision's operands.
func (a *app) roundoff(precision string) float64 {
	for _, p := range a.net.Precisions {
		if p.Name == precision {
			return p.Roundoff
		}
	}
	return 0
}

func threadCounts(list string) ([]int, error) {
	all := runtime.GOMAXPROCS(0)
	if list == "" {
		list = "1,0"
	}
	var counts []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 0 || n > maxThreads {
			return nil, usage("--threads takes whole numbers of at most %d with commas between them, not %q", maxThreads, list)
		}
		if n == 0 {
			n = all
		}
		if !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	return counts, nil
}

func (a *app) trainee(p *bench.Problem, d *device.Choice, threads int) (*bench.Trainee, error) {
	e, err := (&deviceFlags{threads: threads}).start(d)
	if err != nil {
		return nil, err
	}
	for _, note := range notes(e) {
		fmt.Fprintf(a.stderr, "%s in %s: %s\n", d.Name, d.Precision, note)
	}
	return bench.NewTrainee(e, p), nil
}

// drive serves another program.
func (a *app) drive(f *benchFlags, p *bench.Problem, source string) error {
	var opened []*bench.Trainee
	defer func() {
		for _, t := range opened {
			t.Close()
		}
	}()
	s := &bench.Server{
		Describe: func() bench.Description {
			d := bench.Description{Network: a.net.Name, Batch: p.Batch, FLOPs: bench.FLOPsPerRow(a.net), Data: source}
			for _, dev := range a.net.Devices {
				if err := dev.Missing(); err != nil {
					d.Missing = append(d.Missing, fmt.Sprintf("%s: %v", dev.Name, err))
				} else {
					d.Here = append(d.Here, dev.Name)
				}
			}
			return d
		},
		Open: func(name string, threads int) (bench.Contender, error) {
			d, err := device.Choose(a.net, wish(name, f.precisions))
			if err != nil {
				return nil, err
			}
			t, err := a.trainee(p, d, threads)
			if err == nil {
				opened = append(opened, t)
			}
			return t, err
		},
		Export: func(dir string) error { return a.exportProblem(dir, p, f.seed) },
	}
	return s.Serve(a.stdin, unbuffered{a.stdout})
}

// unbuffered sends each answer at once.
type unbuffered struct{ *output }

func (u unbuffered) Write(b []byte) (int, error) {
	_, _ = u.output.Write(b)
	u.flush()
	return len(b), u.err
}

// Names of the files of an exported problem.
const (
	problemInit = "init.safetensors"
	problemData = "data.npz"
)

// exportProblem writes the parameters and the rows for other programs.
func (a *app) exportProblem(dir string, p *bench.Problem, seed uint64) error {
	if err := a.fs.MkdirAll(dir); err != nil {
		return err
	}
	err := fsys.WriteAtomic(a.fs, filepath.Join(dir, problemInit), func(w io.Writer) error {
		return rundir.EncodeModel(w, a.net, &rundir.Model{Params: loop.Draw(a.net, seed)})
	})
	if err != nil {
		return err
	}
	x := &npy.Array{Shape: []int{p.Rows, p.Inputs}, Float: p.X}
	y := &npy.Array{Shape: []int{p.Rows, p.Outputs}, Float: p.Y.Value}
	if p.Y.Class != nil {
		y = &npy.Array{Shape: []int{p.Rows}, Int: make([]int64, p.Rows)}
		for i, c := range p.Y.Class {
			y.Int[i] = int64(c)
		}
	}
	return fsys.WriteAtomic(a.fs, filepath.Join(dir, problemData), func(w io.Writer) error {
		return npy.EncodeZip(w, []string{"x", "y"}, []*npy.Array{x, y})
	})
}
