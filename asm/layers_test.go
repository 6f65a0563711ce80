package asm_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/runner"
	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

// timedSteps is the number of steps whose calls BenchmarkLayers times.
const timedSteps = 41

// BenchmarkLayers tells what each layer of a workload takes, forward and
// backward, on one thread, and its share of the multiply-add peak that is
// measured between the same steps:
//
//	go test ./asm -run '^$' -bench Layers/w7 -benchtime 1x -v
//
// Times are processor time of the thread in kernels, medians of timedSteps
// steps, less what timing an empty call takes. The last line is the whole step
// with nothing timed in it; a step that is one function has only that.
func BenchmarkLayers(b *testing.B) {
	for i := range 8 {
		name := fmt.Sprintf("w%d", i+1)
		b.Run(name, func(b *testing.B) {
			p := workload(b, name)
			prog := build(b, map[string]*ir.Program{p.Name: p})
			tr := newTraining(p.Name, p, 1)
			for _, device := range devices() {
				b.Run(device[len("cpu:"):], func(b *testing.B) {
					q := tr.request(device, 1)
					q.Steps = q.Steps[:1]
					q.Steps[0].Hyper.LR = 1e-6 // the same step again and again must not diverge
					var r *runner.Calls
					var whole runner.Timing
					for b.Loop() {
						q.Bench, q.Calls = []runner.Config{{Device: device, Threads: 1}}, timedSteps
						whole = prog.run(b, q).Bench[0]
						q.Bench = nil
						r = prog.run(b, q).Calls
					}
					if products(b, p) == nil {
						r.List = nil
					}
					b.ReportMetric(0, "ns/op") // of no meaning here
					for _, line := range layerTable(b, p, r, whole) {
						b.Log(line)
					}
				})
			}
		})
	}
}

// layerTable writes a line for each step of the plan, in the order of the
// network, and below it one for each of its kernels, if there are several.
func layerTable(t testing.TB, p *ir.Program, r *runner.Calls, whole runner.Timing) []string {
	work := products(t, p)
	line := func(name, what string, calls int, seconds float64, flops int, peak float64) string {
		s := fmt.Sprintf("%-14s %-14s %6d %10.2f µs", name, what, calls, 1e6*seconds)
		if flops > 0 {
			rate := float64(flops) / seconds / 1e9
			s += fmt.Sprintf("  %6.1f GFLOP/s  %5.1f %%", rate, 100*rate/peak)
		}
		return s
	}
	lines := []string{fmt.Sprintf("%-14s %-14s %6s %13s  %s", "step", "layer", "calls", "a step", fmt.Sprintf("share of %.1f GFLOP/s", r.Peak))}
	kernels := 0.0
	for len(r.List) > 0 {
		name := r.List[0].Step
		n := slices.IndexFunc(r.List, func(c runner.Call) bool { return c.Step != name })
		if n < 0 {
			n = len(r.List)
		}
		var seconds float64
		var calls int
		for _, c := range r.List[:n] {
			seconds, calls = seconds+c.Total, calls+c.Count
		}
		kernels += seconds
		lines = append(lines, line(name, layerText(p, name), calls, seconds, work[name], r.Peak))
		if n > 1 {
			for _, c := range r.List[:n] {
				lines = append(lines, line("  "+c.Kernel, "", c.Count, c.Total, 0, r.Peak))
			}
		}
		r.List = r.List[n:]
	}
	if kernels > 0 {
		lines = append(lines, line("all kernels", "", 1, kernels, flops(p), r.Peak))
	}
	return append(lines, line("whole step", "", 1, whole.Step, flops(p), whole.Peak))
}

var layerNumber = regexp.MustCompile(`\d+$`)

// layerText is the layer of a step as the spec names it; "" for a step that is
// of no single layer.
func layerText(p *ir.Program, step string) string {
	layer, err := strconv.Atoi(layerNumber.FindString(step))
	if err != nil {
		return ""
	}
	return p.Layers[layer].Text
}

// products counts the floating-point operations of the products of each step of
// the plan; nil for a step that is one function.
func products(t testing.TB, p *ir.Program) map[string]int {
	t.Helper()
	pl, err := plan.New(p)
	if err != nil {
		t.Fatal(err)
	}
	if pl.Whole != nil {
		return nil
	}
	weights := map[string]int{}
	for _, s := range slices.Concat(append([][]plan.Step{pl.Forward}, pl.Backward...)...) {
		switch s := s.(type) {
		case *plan.Multiply:
			switch q := s.Source.(type) {
			case *ir.Linear:
				weights[s.Name] = q.W.Size()
			case *ir.GradInput:
				weights[s.Name] = q.W.Size()
			}
		case *plan.Dot:
			weights[s.Name] = s.Source.W.Size()
		case *plan.WeightGrad:
			weights[s.Name] = s.Source.W.Size()
		case *plan.DotGrad:
			weights[s.Name] = s.Source.W.Size()
			if s.Input != nil {
				weights[s.Name] += s.Input.W.Size()
			}
		case *plan.RankOne:
			weights[s.Name] = s.Source.W.Size()
			if s.Input != nil {
				weights[s.Name] += s.Input.W.Size()
			}
		}
	}
	for name := range weights {
		weights[name] *= 2 * p.Batch
	}
	return weights
}

// flops counts the floating-point operations of a step's products.
func flops(p *ir.Program) int {
	n := 0
	for _, s := range append(append([]ir.Step{}, p.Forward...), p.Backward...) {
		switch s := s.(type) {
		case *ir.Linear:
			n += s.W.Size()
		case *ir.GradInput:
			n += s.W.Size()
		case *ir.GradWeight:
			n += s.W.Size()
		}
	}
	return 2 * n * p.Batch
}

// TestLayers times the calls of a shared and of a tiled network, and finds every
// product of the plan among them. It asks for no time.
func TestLayers(t *testing.T) {
	programs := map[string]*ir.Program{}
	for name, text := range map[string]string{
		"shared": "input: 130\nlayers: [{linear: 300}, relu, {linear: 190}, relu, {linear: 3}]\ntrain: {batch: 80}",
		"tiled":  "input: 24\nlayers: [{linear: 32}, relu, {linear: 32}, relu, {linear: 3}]\ntrain: {batch: 1200}",
	} {
		net, _, err := spec.Parse(name+".yaml", []byte("name: "+name+"\nloss: mse\n"+text+"\n"), spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if programs[name], err = lower.Lower(net); err != nil {
			t.Fatal(err)
		}
	}
	prog := build(t, programs)
	for name, p := range programs {
		for _, device := range devices() {
			t.Run(name+"/"+device, func(t *testing.T) {
				q := newTraining(name, p, 1).request(device, 1)
				q.Calls = 2
				r := prog.run(t, q).Calls
				found := map[string]bool{}
				for _, c := range r.List {
					found[c.Step] = true
					if c.Count == 0 {
						t.Errorf("%s calls %s not once", c.Step, c.Kernel)
					}
				}
				total := 0
				for step, n := range products(t, p) {
					total += n
					if !found[step] {
						t.Errorf("no call by %s, only by %v", step, slices.Sorted(maps.Keys(found)))
					}
				}
				if want := flops(p); total != want {
					t.Errorf("the steps make %d operations, the program %d", total, want)
				}
				lines := layerTable(t, p, r, runner.Timing{Step: 1, Peak: 1})
				if want := len(found) + 2; len(lines) < want {
					t.Errorf("%d lines, want %d or more", len(lines), want)
				}
			})
		}
	}
}
