//go:build linux && (amd64 || arm64)

package cuda_test

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/cuda/internal/runner"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/engine"
)

// TestGPU trains the reference cases and random networks on the machine's first
// GPU, in each precision, step by step and by calls of many steps: both ways give
// the same bits.
//
// GPU_PROGRAM names a file for the program that has these networks. Where it is not
// there it is compiled, also on a machine without a GPU; where it is, neither Go nor
// a compiler is needed.
func TestGPU(t *testing.T) {
	keep := os.Getenv("GPU_PROGRAM")
	_, missing := driver.Open()
	if missing != nil && keep == "" {
		t.Skipf("no GPU: %v", missing)
	}
	var list []*training
	requests, feeds := map[string]*runner.Request{}, map[string]*runner.Feed{}
	cases := golden.Load(t)
	for _, c := range cases {
		tr := &training{name: c.Name, plan: planOf(t, c.Net)}
		list = append(list, tr)
		requests[tr.name] = goldenRequest(tr, c)
		f := &runner.Feed{X: c.X, Target: engine.Target{Class: c.Class, Value: c.Value}, Rows: c.Rows}
		for i, b := range c.Batches() {
			f.Steps = append(f.Steps, engine.Planned{Lo: b[0], Hi: b[1], Hyper: requests[tr.name].Steps[i].Hyper})
		}
		feeds[tr.name] = f
	}
	for seed := range uint64(randomNets(t)) {
		pl := planOf(t, nettest.Random(seed+4000, nettest.Limits{Width: 200, Linear: 4}))
		tr := newTraining(fmt.Sprintf("net%d", seed), pl, seed)
		list = append(list, tr)
		requests[tr.name] = tr.request()
	}
	binary := keep
	if _, err := os.Stat(keep); err != nil {
		if keep != "" {
			t.Setenv("SCRATCH_KEEP", keep)
		}
		binary = buildForGPU(t, list)
	}
	if missing != nil {
		t.Skipf("no GPU: %v", missing)
	}
	for k, precision := range op.Precisions {
		t.Run(precision.Name, func(t *testing.T) {
			for i, tr := range list {
				t.Run(tr.name, func(t *testing.T) {
					q := *requests[tr.name]
					q.Precision = precision.Name
					if precision.Scaled() {
						q.Scaling = &engine.Scaling{Scale: testScale}
					}
					check := tr.check
					switch {
					case k == 0 && i < len(cases):
						check = func(r *result) error { return checkGolden(cases[i], tr, r) }
					case i < len(cases):
						check = func(r *result) error { return nearGolden(cases[i], r, precision.Roundoff()) }
					case k > 0:
						check = func(r *result) error { return tr.checkPerturbed(r, precision.Roundoff()) }
					}
					trainTwice(t, binary, q, feeds[tr.name], check)
				})
			}
		})
	}
}

// buildForGPU compiles engines with their kernels in each precision, as PTX alone:
// machine code for every architecture would take minutes. So it is the driver that
// makes the code which is tested here.
func buildForGPU(t *testing.T, list []*training) (binary string) {
	t.Helper()
	tools := toolchain.Find(t.Context()).Portable()
	return build(t, list, func(_ *plan.Plan, source []byte) map[string][]byte {
		files := map[string][]byte{}
		for _, p := range op.Precisions {
			folder := ""
			if engine.Define(p.Name) != "" {
				folder = p.Name + "/"
			}
			r, err := tools.Compile(t.Context(), "kernels", append([]byte(engine.Define(p.Name)), source...))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Files {
				files[folder+f.Name] = f.Content
			}
		}
		return files
	})
}

// trainTwice trains step by step and then, where there is a feed, by calls of
// many steps.
func trainTwice(t *testing.T, binary string, q runner.Request, f *runner.Feed, check func(*result) error) {
	t.Helper()
	r := serve(t, binary, &q)
	if r.Err != "" {
		t.Fatal(r.Err)
	}
	got := &result{r.Losses, r.Slots, r.Raw}
	if err := check(got); err != nil {
		t.Error(err)
	}
	if q.Feed = f; f != nil {
		q.Steps = nil
	}
	again := serve(t, binary, &q)
	if f != nil && !again.Kept {
		t.Error("the rows are not kept")
	}
	if !got.same(&result{again.Losses, again.Slots, again.Raw}) {
		t.Error("a second run gives other bits")
	}
}

func goldenRequest(tr *training, c *golden.Case) *runner.Request {
	p := tr.plan.Program
	q := &runner.Request{Net: tr.name, Params: initial(p, c), Outputs: p.Output, States: len(p.Rule.States), Infer: c.X, InferRows: c.Rows}
	batches := c.Batches()
	for i, b := range batches {
		q.Steps = append(q.Steps, engines.Step{
			X: c.X[b[0]*p.Input : b[1]*p.Input], Rows: b[1] - b[0],
			Target: engine.Target{Class: c.Class, Value: c.Value}.Rows(b[0], b[1], p.Output),
			Hyper: engine.Hyper{
				LR:       float32(learningRate(tr.plan, c, i, len(batches)/c.Net.Train.Epochs)),
				Momentum: float32(p.Settings.Momentum), Step: int64(i + 1),
			},
		})
	}
	return q
}

func checkGolden(c *golden.Case, tr *training, r *result) error {
	if err := c.CheckLosses(r.losses); err != nil {
		return err
	}
	for i, q := range tr.plan.Program.Params {
		if err := c.CheckParam(q.Name, r.slots[0][i]); err != nil {
			return err
		}
	}
	for i, v := range r.raw {
		if w := float64(c.Raw[i]); !(math.Abs(float64(v)-w) <= 1e-4*math.Max(1, math.Abs(w))) {
			return fmt.Errorf("raw[%d] is %g, want %g", i, v, w)
		}
	}
	return nil
}
