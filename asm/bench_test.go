package asm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/runner"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

// TestSpeed prints the step times of specs on every device: the environment
// variable ASM_BENCH lists their files. It asserts nothing.
func TestSpeed(t *testing.T) {
	list := os.Getenv("ASM_BENCH")
	if list == "" {
		t.Skip("ASM_BENCH names no specs")
	}
	for file := range strings.SplitSeq(list, ",") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		net, _, err := spec.Parse(filepath.Base(file), text, spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatal(err)
		}
		speed(t, p)
	}
}

func speed(t *testing.T, p *ir.Program) {
	prog := build(t, map[string]*ir.Program{p.Name: p})
	tr := newTraining(p.Name, p, 1)
	q := tr.request("", 0)
	q.Steps = q.Steps[:1]
	for i := range q.Steps {
		q.Steps[i].Hyper.LR = 1e-6 // the same step again and again must not diverge
	}
	q.Infer, q.InferRows = nil, 0
	for _, device := range []string{"cpu:avx512", "cpu:avx2"} {
		for _, threads := range []int{2, 1} {
			c := runner.Config{Device: device, Threads: threads}
			if want := os.Getenv("ASM_BENCH_ONLY"); want == "" || want == fmt.Sprintf("%s/%d", device, threads) {
				q.Bench = append(q.Bench, c)
			}
		}
	}
	r := prog.run(t, q)
	work := float64(flops(p))
	for i, c := range q.Bench {
		b := r.Bench[i]
		rate := work / b.Step / 1e9
		fmt.Printf("%-4s %-10s %d threads  %10.2f us  %7.1f GFLOP/s of %6.1f: %5.1f %%  (best %5.1f %%)\n",
			p.Name, c.Device, c.Threads, b.Step*1e6, rate, b.Peak, 100*rate/b.Peak, 100*work/b.Best/1e9/b.Peak)
	}
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
