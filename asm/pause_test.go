package asm_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/runner"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

// BenchmarkCollection tells how long a garbage collection in a host program
// waits for a training to stop, which it can between two calls of kernels, and
// which calls are the longest. -v lists them. Beside it stands what it waits for
// goroutines that only count.
func BenchmarkCollection(b *testing.B) {
	for _, name := range []string{"w3", "w5"} {
		b.Run(name, func(b *testing.B) {
			p := workload(b, name)
			prog := build(b, map[string]*ir.Program{p.Name: p})
			tr := newTraining(p.Name, p, 1)
			for _, device := range append(devices(), runner.Counting) {
				b.Run(strings.TrimPrefix(device, "cpu:"), func(b *testing.B) {
					q := tr.request(device, 2)
					q.Steps = q.Steps[:1]
					q.Steps[0].Hyper.LR = 1e-6 // the same step again and again must not diverge
					q.Collections = b.N
					r := prog.run(b, q).Pauses
					b.ReportMetric(0, "ns/op") // of no meaning here
					b.ReportMetric(1e6*r.Median, "µs/median")
					b.ReportMetric(1e6*r.Most, "µs/99%")
					b.ReportMetric(1e6*r.Worst, "µs/worst")
					if device == runner.Counting {
						return
					}
					q.Collections, q.Calls = 0, 20
					list := prog.run(b, q).Calls.List
					slices.SortFunc(list, func(x, y runner.Call) int { return cmp.Compare(y.Longest, x.Longest) })
					for _, c := range list {
						b.Logf("%-16s %-16s %5d calls a step, median %6.1f µs, 99 %% below %6.1f µs", c.Step, c.Kernel, c.Count, 1e6*c.Median, 1e6*c.Longest)
					}
				})
			}
		})
	}
}

// workload compiles one of the workloads that speed is measured on.
func workload(t testing.TB, name string) *ir.Program {
	t.Helper()
	file := name + ".yaml"
	text, err := os.ReadFile(filepath.Join(golden.Root(t), "bench", "workloads", file))
	if err != nil {
		t.Fatal(err)
	}
	net, _, err := spec.Parse(file, text, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
