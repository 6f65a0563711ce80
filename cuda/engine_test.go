//go:build linux && (amd64 || arm64)

package cuda_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/internal/runner"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/internal/fakecuda"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/internal/scratch"
	"github.com/dnngen/dnngen/runtime/engine"
)

// fakePTX is PTX that has the kernels' names and arguments, which is all that
// the fake driver reads.
func fakePTX(pl *plan.Plan) []byte {
	var b strings.Builder
	b.WriteString(".version 7.0\n.target sm_80\n.address_size 64\n")
	for _, l := range pl.Launches() {
		fmt.Fprintf(&b, ".visible .entry %s(\n\t.param .u64 %s_param_0\n)\n.maxntid %d, 1, 1\n{\n\tret;\n}\n", l.Name, l.Name, plan.Threads)
	}
	return []byte(b.String())
}

// runnerPath is the package that trains with emitted engines.
const runnerPath = "cuda/internal/runner"

// newModule has what emitted engines of GPUs import.
func newModule(t *testing.T, links ...string) *scratch.Module {
	t.Helper()
	return scratch.New(t, append(links, "cuda/cublaslt", "cuda/driver", "cuda/host", "cuda/internal/dynamic")...)
}

// build compiles the emitted engines of some trainings into one program. images
// makes the files that lie beside a network's source.
func build(t *testing.T, list []*training, images func(pl *plan.Plan, source []byte) map[string][]byte) (binary string) {
	t.Helper()
	m := newModule(t, runnerPath)
	var packages []string
	for _, tr := range list {
		files, err := cuda.EmitWith(tr.plan.Program, tr.name, tr.options)
		if err != nil {
			t.Fatal(err)
		}
		base := "cuda/nets/" + tr.name
		for _, f := range files {
			m.Put(base+"/"+f.Path, f.Content)
			if f.Path == cuda.Source {
				for name, content := range images(tr.plan, f.Content) {
					m.Put(base+"/cuda/"+name, content)
				}
			}
		}
		m.Register(base, tr.name, cuda.Devices, runnerPath)
		packages = append(packages, base)
	}
	return m.Program(runnerPath, packages)
}

func (tr *training) request() *runner.Request {
	p := tr.plan.Program
	q := &runner.Request{Net: tr.name, Precision: tr.plan.Precision.Name, Params: tr.params, Outputs: p.Output, States: len(p.Rule.States)}
	if tr.plan.Precision.Scaled {
		q.Scaling = &engine.Scaling{Scale: testScale}
	}
	for i, b := range tr.steps {
		q.Steps = append(q.Steps, engines.Step{
			X: b.X, Target: engine.Target{Class: b.Class, Value: b.Value}, Rows: b.Rows,
			Hyper: engine.Hyper{LR: rate, Momentum: float32(tr.momentum()), Step: int64(i + 1)},
		})
	}
	q.Infer, q.InferRows = tr.steps[0].X, tr.steps[0].Rows
	return q
}

// serve runs one request in a process of its own, under what CUDA_WRAPPER names
// (compute-sanitizer and its flags), with more variables in its environment.
func serve(t *testing.T, binary string, q *runner.Request, env ...string) runner.Response {
	t.Helper()
	var in, out bytes.Buffer
	if err := gob.NewEncoder(&in).Encode(q); err != nil {
		t.Fatal(err)
	}
	command := append(strings.Fields(os.Getenv("CUDA_WRAPPER")), binary)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var r runner.Response
	if err := gob.NewDecoder(&out).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEngine trains emitted engines on a driver that is not there, with kernels
// that are emulated, and compares them with the interpreter.
func TestEngine(t *testing.T) {
	t.Parallel()
	emulator.Compiler(t)
	directory := fakecuda.Directory(t)
	list := []*training{small(t)}
	count := 4
	if os.Getenv("CUDA_ALL") != "" {
		count = 20
	}
	full := false
	for seed := uint64(0); len(list) < count || !full; seed++ {
		pl := planOf(t, nettest.Random(seed+3000, nettest.Limits{Width: 20, Linear: 3}))
		if pl.Program.Full || len(list) < count {
			full = full || pl.Program.Full
			list = append(list, newTraining(fmt.Sprintf("net%d", seed), pl, seed))
		}
	}
	binary := build(t, list, func(pl *plan.Plan, _ []byte) map[string][]byte {
		return map[string][]byte{"kernels.sm_80.ptx": fakePTX(pl)}
	})
	for _, tr := range list {
		t.Run(tr.name, func(t *testing.T) {
			report := filepath.Join(t.TempDir(), "report")
			r := serve(t, binary, tr.request(), append(fakecuda.Variables(directory), "FAKECUDA_REPORT="+report,
				"FAKECUDA_KERNELS="+emulator.Library(t, tr.plan))...)
			if r.Err != "" {
				t.Fatal(r.Err)
			}
			if err := tr.check(&result{r.Losses, r.Slots, r.Raw}); err != nil {
				t.Error(err)
			}
			if r.Allocs != 0 {
				t.Errorf("%v allocations a step", r.Allocs)
			}
			text, err := os.ReadFile(report)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"blocks=0\n", "pinned=0\n", "graphs=0\n", "modules=0\n", "wrong=\n"} {
				if !strings.Contains("\n"+string(text), "\n"+want) {
					t.Errorf("the driver reports\n%swant %s", text, want)
				}
			}
		})
	}
	tr := list[0]
	kernels := emulator.Library(t, tr.plan)
	t.Run("no_driver", func(t *testing.T) {
		r := serve(t, binary, tr.request(), fakecuda.Variables(t.TempDir())...)
		if r.Device != "cuda:0" || !strings.Contains(r.Err, "there is no CUDA driver") && !strings.Contains(r.Err, "no GPU") {
			t.Errorf("got %q on %s", r.Err, r.Device)
		}
	})
	for _, c := range []struct {
		name, settings string
		want           []string
		failed         bool
	}{
		{"too_little_memory", "memory=1000000", []string{"the network needs", "MiB are free"}, false},
		{"too_old_a_device", "cc=70", []string{"NVRTC is not installed"}, false},
		{"no_pinned_memory", "host_memory=1000", []string{"cuMemHostAlloc"}, false},
		{"device_lost", "lost_at=120", []string{"device cuda:0 failed", "CUDA error 700"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := serve(t, binary, tr.request(), append(fakecuda.Variables(directory), "FAKECUDA="+c.settings, "FAKECUDA_KERNELS="+kernels)...)
			if r.Failed != c.failed {
				t.Errorf("failed in the middle: %v", r.Failed)
			}
			for _, want := range c.want {
				if !strings.Contains(r.Err, want) {
					t.Errorf("got %q, want %q in it", r.Err, want)
				}
			}
		})
	}
}

// TestEnginePrecisions trains on the fake driver in the precisions of tensor cores.
func TestEnginePrecisions(t *testing.T) {
	t.Parallel()
	emulator.Compiler(t)
	directory := fakecuda.Directory(t)
	var list []*training
	for i := 1; i < len(op.Precisions); i++ {
		tr := smallIn(t, "small_"+op.Precisions[i].Name, i)
		tr.plan = emitted(t, tr.plan)
		list = append(list, tr)
	}
	binary := build(t, list, func(pl *plan.Plan, _ []byte) map[string][]byte {
		return map[string][]byte{pl.Precision.Name + "/kernels.sm_80.ptx": fakePTX(pl)}
	})
	for i, tr := range list {
		t.Run(tr.plan.Precision.Name, func(t *testing.T) {
			kernels := emulator.Library(t, tr.plan)
			ask := func(q *runner.Request, settings string) runner.Response {
				return serve(t, binary, q, append(fakecuda.Variables(directory), "FAKECUDA_KERNELS="+kernels, "FAKECUDA="+settings)...)
			}
			q := tr.request()
			r := ask(q, "")
			if r.Err != "" {
				t.Fatal(r.Err)
			}
			if err := tr.checkPerturbed(&result{r.Losses, r.Slots, r.Raw}, op.Precisions[1+i].Roundoff()); err != nil {
				t.Error(err)
			}
			if r.Allocs != 0 {
				t.Errorf("%v allocations a step", r.Allocs)
			}
			if r := ask(q, "cc=75"); !strings.Contains(r.Err, "compute capability 7.5, and "+q.Precision+" needs 8.0") {
				t.Errorf("on an old GPU: %q", r.Err)
			}
			q.Precision = ""
			if r := ask(q, ""); !strings.Contains(r.Err, "NVRTC") {
				t.Errorf("without an image in fp32: %q", r.Err)
			}
			if (r.Scaling != nil) != tr.plan.Precision.Scaled {
				t.Fatalf("the scaling is %v", r.Scaling)
			}
			if r.Scaling == nil {
				return
			}
			// Steps that overflow are left out, and do not count as updates.
			q = tr.request()
			q.Scaling = &engine.Scaling{Scale: 1 << 26, Good: 7}
			one := q.Steps[0]
			q.Steps = nil
			for i := range 40 {
				one.Hyper.Step = int64(i + 1)
				q.Steps = append(q.Steps, one)
			}
			r = ask(q, "")
			if s := r.Scaling; r.Err != "" || s.LeftOut < 5 || s.Scale >= 1<<26 || s.Good+s.LeftOut < 40 {
				t.Errorf("with too large a scale: %s, %+v", r.Err, s)
			}
			// Where no scale helps, the loss says so.
			q.Steps = q.Steps[:1]
			q.Scaling = &engine.Scaling{Scale: 0x1p-25}
			if r = ask(q, ""); r.Losses[0] == r.Losses[0] {
				t.Errorf("with a scale below the least: the loss is %g", r.Losses[0])
			}
		})
	}
}
