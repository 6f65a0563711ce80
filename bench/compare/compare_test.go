package compare

import (
	"bytes"
	"errors"
	"go/parser"
	"go/token"
	"math"
	"path"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/bench/autograd"
	"github.com/dnngen/dnngen/bench/problem"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/bench"
)

func result(name string, threads int, seconds float64) bench.Result {
	return bench.Result{Name: name, Threads: threads, Step: bench.Spread{Median: seconds, Low: seconds, High: seconds}, Samples: 4 / seconds}
}

func sample() *Report {
	r := &Report{Network: "net", Source: "net.yaml", BLAS: autograd.BLAS, Report: &bench.Report{Batch: 4, Rounds: 3, Checked: 10, Results: []bench.Result{
		result(Interpreted, 1, 64), result(Plain, 1, 32), result("cpu:go", 1, 16), result("cpu:avx2", 1, 4), result("cpu:avx512", 1, 2),
		result(Interpreted, 2, 40), result("cpu:go", 2, 8), result("cpu:avx2", 2, 3), result("cpu:avx512", 2, 1),
	}}}
	r.Gains = gains(r.Results)
	return r
}

func TestGains(t *testing.T) {
	want := map[string]float64{
		"dispatch": 2, "fusion": 2, "SIMD, 8 lanes": 4, "SIMD, 16 lanes": 2, "2 threads": 2, "interpreter, threads alone": 1.6, "all together": 64,
	}
	product := 1.0
	for _, g := range sample().Gains {
		if math.Abs(g.Factor-want[g.Stage]) > 1e-9 {
			t.Errorf("%s gains %g, want %g", g.Stage, g.Factor, want[g.Stage])
		}
		if !strings.Contains(g.Stage, "alone") && !strings.Contains(g.Stage, "together") {
			product *= g.Factor
		}
		delete(want, g.Stage)
	}
	if len(want) > 0 || product != 64 {
		t.Errorf("without %v; the stages' product is %g", want, product)
	}
}

func TestGainsOfAMachineWithLess(t *testing.T) {
	list := gains([]bench.Result{result(Interpreted, 1, 8), result("cpu:go", 1, 4)})
	if len(list) != 2 || list[0].Stage != "fusion" || list[1].Factor != 2 {
		t.Errorf("%+v", list)
	}
	// Where whole batches take one thread too long, there is nothing to compare.
	if list := gains([]bench.Result{result("cpu:go", 2, 4)}); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestShow(t *testing.T) {
	var out bytes.Buffer
	sample().Table(&out)
	for _, want := range []string{"net.yaml", "what each stage gained", "cpu:avx512, 2 threads", "64.00 x", autograd.BLAS} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	svg := string(sample().SVG())
	if strings.Count(svg, "<rect") != 1+9 || !strings.Contains(svg, "2 threads") && !strings.Contains(svg, "0 threads") {
		t.Error(svg)
	}
}

// TestEmitPlain: every activation can be emitted without fusion.
func TestEmitPlain(t *testing.T) {
	for _, row := range op.Activations {
		net := nettest.New("net", 4).Linear(6, true).Activation(row, nil).Linear(2, true).Network()
		files, err := EmitPlain(net, "example.com/net")
		if err != nil {
			t.Fatalf("%s: %v", row.Name, err)
		}
		for _, f := range files {
			if path.Ext(f.Path) != ".go" {
				continue
			}
			if _, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Content, 0); err != nil {
				t.Errorf("%s: %v", row.Name, err)
			}
		}
	}
}

func TestReadProblemNeedsEverything(t *testing.T) {
	dir := t.TempDir()
	net := nettest.New("net", 4).Linear(2, true).Network()
	if _, err := readProblem(dir, net); err == nil {
		t.Error("an empty folder is read")
	}
	if err := problem.WriteNetwork(dir, problem.Network{Name: "net", Input: 4, Output: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := readProblem(dir, net); err == nil {
		t.Error("a folder without rows is read")
	}
}

func TestLeaveOut(t *testing.T) {
	r := &PeerReport{}
	for threads := range 2 {
		r.leaveOut(Peer{Name: JAX, Threads: 1 + threads}, errors.New("it is not here"))
	}
	if len(r.Absent) != 1 || r.Absent[0] != (Absence{JAX, "it is not here"}) {
		t.Errorf("%+v", r.Absent)
	}
}

func TestOnCPU(t *testing.T) {
	for name, want := range map[string]bool{TorchEager: true, TorchGraph: false, TorchCompiledGraph: false, ownName + "cpu:avx2": true, ownName + "cuda:0": false, Interpreted: true} {
		if OnCPU(name) != want {
			t.Errorf("%s is on the CPU: %v", name, !want)
		}
	}
}
