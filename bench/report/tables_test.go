package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/spec"
)

func result(name string, threads int, seconds float64) bench.Result {
	return bench.Result{
		Name: name, Threads: threads, Steps: 1, Step: bench.Spread{Median: seconds}, Samples: 64 / seconds, GFLOPS: 1 / seconds, Share: 0.5,
	}
}

// measured writes results of two networks into a folder like the repository's.
func measured(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, "bench", "results")
	for _, d := range []string{dir, filepath.Join(root, "docs", "img")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"README.md", filepath.Join("bench", "README.md")} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("before\n"+begin+end+"after\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stages := &bench.Report{Batch: 64, Results: []bench.Result{
		result(compare.Interpreted, 1, 8e-3), result(compare.Plain, 1, 6e-3), result("cpu:go", 1, 4e-3), result("cpu:avx2", 1, 2e-3), result("cpu:avx512", 1, 1e-3),
		result(compare.Interpreted, 2, 5e-3), result("cpu:avx512", 2, 5e-4),
	}}
	stages.Results[len(stages.Results)-1].Share = 1.1
	peers := &bench.Report{Batch: 64, Results: []bench.Result{
		result("dnngen cpu:avx512", 1, 1e-3), result("dnngen cpu:avx512", 2, 5e-4), result("dnngen cuda:0", 1, 1e-6), result(compare.Interpreted, 1, 8e-3),
		result(compare.TorchEager, 1, 3e-3), result(compare.JAX, 2, 2e-3), result(compare.TorchGraph, 1, 1e-6),
	}}
	long := &bench.Report{Batch: 64, Results: []bench.Result{
		result("dnngen cpu:avx512", 2, 1e-1), result(compare.TorchEager, 1, 9e-1), result(compare.TorchEager, 2, 4e-1),
	}}
	suite := record.Suite{Reports: []compare.Report{{Network: "w4", Report: stages}, {Network: "digits", Report: stages}}}
	growth := record.Growth{}
	for _, name := range []string{"width", "depth"} {
		growth.Curves = append(growth.Curves, record.Curve{Name: name, Fixed: "batch 64", Points: []record.Point{
			{Size: 16, Peak: bench.Peak{One: 100}, FLOPs: 1e6, Results: []bench.Result{result("cpu:avx512", 1, 1e-3)}},
			{Size: 32, Peak: bench.Peak{One: 100}, FLOPs: 2e6, Results: []bench.Result{result("cpu:avx512", 1, 2e-3)}},
		}})
	}
	for name, v := range map[string]any{
		"suite": suite, "openblas": suite, "growth": growth,
		"peers": record.Peers{Reports: []*compare.PeerReport{
			{Report: compare.Report{Network: "w4", Source: "w4.yaml", Report: peers}, Absent: []compare.Absence{{Name: compare.Gorgonia, Why: "it is not here"}}},
			{Report: compare.Report{Network: "w5", Source: "w5.yaml", Report: long}},
		}},
		"accuracy": record.Accuracy{Results: []record.Training{{Task: "digits", Program: "dnngen", Threads: 1, Accuracy: 0.97, Epochs: []int{2, 3}}}},
		"cost":     record.Cost{Own: []record.Own{{Spec: "w4.yaml"}}, Peers: []record.Library{{Name: "torch", Missing: "it is not here"}}},
	} {
		if err := lab.Write(filepath.Join(dir, name+".json"), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "growth-width.md"), []byte("It bends at 32, where L1 ends.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestReport: everything is written from the results, a second time nothing is
// stale, and a figure that somebody edits is.
func TestReport(t *testing.T) {
	root := measured(t)
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err != nil {
		t.Error(err)
	}
	short, long := read(t, root, "README.md"), read(t, root, filepath.Join("bench", "README.md"))
	// The nearest is on the CPU, as dnngen is.
	for _, want := range []string{
		"| 784-128-10, batch 64 | 8.00 ms | 3.00 ms | - | - | **1.00 ms** | 3.0× |",
		"| 1024-4096-4096-1000, batch 512; 2 threads | - | 400 ms | - | - | **100 ms** | 4.0× |",
		"dnngen on cpu:avx512,",
	} {
		if !strings.Contains(short, want) {
			t.Errorf("no %q in\n%s", want, short)
		}
	}
	for _, want := range []string{
		"| 784-128-10, batch 64 | 8.00 ms | 8.00 ms | 6.00 ms | 4.00 ms | 2.00 ms | 1.00 ms | 50 % | 8.0× | 8.0× |",
		"### With 2 threads", "| 110 % |", "A share above 100 %", "- w4.yaml, Gorgonia: it is not here", "growth-width.svg)", "| digits | dnngen | 1 |",
		"at width 16", "\n\nIt bends at 32, where L1 ends.\n\n![step time against depth]",
	} {
		if !strings.Contains(long, want) {
			t.Errorf("no %q in\n%s", want, long)
		}
	}
	if strings.Contains(long, "On a GPU") {
		t.Errorf("there is a table of a GPU that nobody measured:\n%s", long)
	}
	withGPU(t, root)
	edited := filepath.Join(root, "README.md")
	if err := os.WriteFile(edited, []byte(strings.Replace(short, "3.0×", "9.0×", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err == nil || !strings.Contains(err.Error(), "README.md") {
		t.Errorf("an edited figure: error %v", err)
	}
	if err := os.Remove(filepath.Join(root, "bench", "results", "cost.json")); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err == nil || !strings.Contains(err.Error(), "make bench") {
		t.Errorf("without a file: error %v", err)
	}
}

// withGPU adds what a GPU was asked, and wants its table.
func withGPU(t *testing.T, root string) {
	t.Helper()
	var g record.GPU
	g.Device, g.Driver, g.Commit = "NVIDIA X", "1.2.3", "abc"
	g.Note(record.Check{Part: "golden:bf16", Done: true, Result: "passed: 3 networks"}, nil)
	for part, reach := range map[string]float64{"time:a:bf16": 2e-5, "time:b:bf16": 0} {
		own := &bench.Report{Batch: 64, Results: []bench.Result{
			result("dnngen cpu:avx2", 2, 1e-3), result("dnngen cuda:0", 1, 4e-5), result(compare.TorchEager, 1, 2e-4), result(compare.TorchGraph, 1, 6e-5),
		}}
		s := &record.Steps{Part: part, Shape: part, Reach: reach, GPUReport: &compare.GPUReport{Precision: "bf16"}}
		s.Report.Report, s.Absent = own, []compare.Absence{{Name: compare.TorchCompile, Why: "no Triton"}}
		g.Note(record.Check{Part: part, Done: true, Result: "passed"}, s)
	}
	if err := lab.Write(filepath.Join(root, "bench", "results", "gpu.json"), g); err != nil {
		t.Fatal(err)
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	text := read(t, root, filepath.Join("bench", "README.md"))
	for _, want := range []string{
		"### On a GPU", "NVIDIA X, driver 1.2.3", "commit abc", "| golden:bf16 | passed: 3 networks |", "- time:a:bf16, PyTorch torch.compile: no Triton",
		"| time:a:bf16 | bf16 | 40.0 µs | 200 µs | - | 60.0 µs | - | 1.50× | ≤ 20.0 µs | no |",
		"| time:b:bf16 | bf16 | 40.0 µs | 200 µs | - | 60.0 µs | - | 1.50× | ahead of PyTorch | yes |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func read(t *testing.T, root, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLines: each device that is drawn has a colour.
func TestLines(t *testing.T) {
	if len(devices) != len(lines) {
		t.Errorf("%v are drawn in %d colours", devices, len(lines))
	}
	for _, name := range devices {
		if lines[name] == nil {
			t.Errorf("%s has no colour", name)
		}
	}
}

// TestShapes: every network that is measured has the shape that its spec says.
func TestShapes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "workloads", "w*.yaml"))
	if err != nil || len(files) != 8 {
		t.Fatalf("workloads %v, error %v", files, err)
	}
	for _, file := range append(files, filepath.Join("..", "..", "examples", "digits.yaml")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		net, _, err := spec.Parse(file, text, spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(`(\d+) × (\d+)`).ReplaceAllStringFunc(shapes[net.Name], func(s string) string {
			width, times, _ := strings.Cut(s, " × ")
			n, _ := strconv.Atoi(times) // digits, by the expression
			return strings.Join(slices.Repeat([]string{width}, n), "-")
		})
		if want := shapeOf(net); got != want {
			t.Errorf("%s is described as %q, and is %q", file, got, want)
		}
	}
}

func shapeOf(net *spec.Network) string {
	widths, activations := []string{strconv.Itoa(net.Input)}, []string(nil)
	for _, l := range net.Layers {
		if l.Activation == nil {
			widths = append(widths, strconv.Itoa(l.Out))
		} else if name := l.Activation.Name; name != "relu" && !slices.Contains(activations, name) {
			activations = append(activations, name)
		}
	}
	return strings.Join(slices.Concat([]string{strings.Join(widths, "-")}, activations, []string{fmt.Sprintf("batch %d", net.Train.Batch)}), ", ")
}
