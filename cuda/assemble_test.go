package cuda_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// large are networks whose tiles the reference cases are too small for.
const large = "../bench/kernels/*.yaml"

// TestAssemble makes machine code of kernels, where that can be had: of each
// reference network, in one precision and for one architecture by turns, and of
// large ones in bf16, or, with CUDA_ALL in the environment, of each in all
// precisions and for all architectures. The assembler must take all of it
// without a warning, and no kernel may need the stack.
func TestAssemble(t *testing.T) {
	tools := toolchain.Find(t.Context())
	archs := tools.Archs()
	if len(archs) == 0 {
		t.Skip("NOTICE: no ptxas beside clang 19, and no nvcc: no kernel is assembled")
	}
	t.Logf("with %v, for %v", tools, archs)
	type job struct {
		name      string
		net       *spec.Network
		precision int
		sm        int
	}
	var jobs []job
	all := os.Getenv("CUDA_ALL") != ""
	add := func(name string, net *spec.Network, turn int, chosen int) {
		for k := range op.Precisions {
			for a, sm := range archs {
				if all || k == chosen && a == turn%len(archs) {
					jobs = append(jobs, job{fmt.Sprintf("%s/%s/sm_%d", name, op.Precisions[k].Name, sm), net, k, sm})
				}
			}
		}
	}
	for i, c := range golden.Load(t) {
		add(c.Name, c.Net, i, i%len(op.Precisions))
	}
	files, err := filepath.Glob(large)
	if err != nil || len(files) < 3 {
		t.Fatalf("%s: %q, %v", large, files, err)
	}
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		net, problems, err := spec.Parse(file, text, spec.Options{})
		if err != nil {
			t.Fatal(problems, err)
		}
		add(net.Name, net, 3+i, 2)
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for _, j := range jobs {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			for _, fault := range assemble(t, tools, j.net, j.precision, j.sm) {
				t.Errorf("%s: %s", j.name, fault)
			}
		})
	}
	group.Wait()
}

// assemble makes machine code of a network's kernels, and lists what is wrong.
func assemble(t *testing.T, tools *toolchain.Toolchain, net *spec.Network, precision, sm int) (faults []string) {
	p, err := lower.Lower(net)
	if err != nil {
		return []string{err.Error()}
	}
	var plans []*plan.Plan
	for _, precision := range p.Precisions {
		pl, err := plan.With(p, plan.Options{Precision: precision})
		if err != nil {
			return []string{err.Error()}
		}
		plans = append(plans, pl)
	}
	text := append([]byte(engine.Define(p.Precisions[precision].Name)), cuda.Text(plans)...)
	_, list, warnings, err := tools.Usage(t.Context(), text, sm)
	if err != nil {
		return []string{err.Error()}
	}
	faults = warnings
	if want := len(plans[precision].Launches()); len(list) != want {
		faults = append(faults, fmt.Sprintf("%d kernels, want %d", len(list), want))
	}
	for _, u := range list {
		if !fits(plans[precision], u.Kernel, sm) {
			continue
		}
		if u.Spilled > 0 || u.Stack > 0 {
			faults = append(faults, fmt.Sprintf("%s spills %d bytes and has %d on the stack, with %d registers", u.Kernel, u.Spilled, u.Stack, u.Registers))
		}
		if strings.HasPrefix(u.Kernel, "fused") && u.Barriers == 0 {
			faults = append(faults, u.Kernel+" has no barrier")
		}
	}
	return faults
}

// fits tells whether an architecture's blocks have the shared memory of a kernel: one
// that is never launched there may spill.
func fits(pl *plan.Plan, kernel string, sm int) bool {
	return !slices.ContainsFunc(pl.Launches(), func(l *plan.Launch) bool { return l.Name == kernel && l.Shared > plan.SharedLimit(sm) })
}
