//go:build linux && (amd64 || arm64)

package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/internal/runner"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/internal/fakecuda"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/engine"
)

// full is a network that is trained on the whole set at once. Its rows take more
// room than its arena.
func full(t *testing.T, inputs int) *training {
	loss, set, ok := op.Find(op.Losses, "mse")
	if !ok {
		t.Fatal("no mse")
	}
	net := nettest.New(fmt.Sprintf("full%d", inputs), inputs).Linear(3, true).Batch(0).Loss(loss, set)
	return newTraining(net.Network().Name, planOf(t, net.Optimizer(op.Optimizers[0], op.Values{"momentum": 0.9}).Network()), 9)
}

// room is what a table and losses take at most, beside the rows.
const room = 64 << 10

// feedOf makes a training of some epochs, in an order of its own or, without
// one, as the rows lie. There are more rows than the arena has room for, of
// which the order names the first ones.
func (tr *training) feedOf(rows, epochs int, shuffled bool) *runner.Feed {
	p := tr.plan.Program
	count := rows
	if !p.Full {
		count += (tr.plan.Total+room)/p.Input + 2*p.Batch
	}
	b := nettest.Data(p, count, 77)
	f := &runner.Feed{X: b.X, Target: engine.Target{Class: b.Class, Value: b.Value}, Rows: count}
	if shuffled {
		f.Order = make([]int32, count)
		for i, r := range rand.New(rand.NewPCG(1, 2)).Perm(count) {
			f.Order[i] = int32(r)
		}
	}
	for range epochs {
		for lo := 0; lo < rows; {
			hi := min(lo+p.Batch, rows)
			if p.Full {
				hi = rows
			}
			n := len(f.Steps)
			f.Steps = append(f.Steps, engine.Planned{Lo: lo, Hi: hi, Hyper: engine.Hyper{
				LR: rate / float32(1+n), Momentum: float32(tr.momentum()), Step: int64(n + 1)}})
			lo = hi
		}
	}
	return f
}

// apart are the steps of a feed as calls of Engine.Step.
func (tr *training) apart(f *runner.Feed) (steps []engines.Step) {
	p := tr.plan.Program
	for _, q := range f.Steps {
		s := engines.Step{Rows: q.Hi - q.Lo, Hyper: q.Hyper}
		for i := q.Lo; i < q.Hi; i++ {
			r := i
			if f.Order != nil {
				r = int(f.Order[i])
			}
			s.X = append(s.X, f.X[r*p.Input:(r+1)*p.Input]...)
			y := f.Target.Rows(r, r+1, p.Output)
			s.Target.Class = append(s.Target.Class, y.Class...)
			s.Target.Value = append(s.Target.Value, y.Value...)
		}
		steps = append(steps, s)
	}
	return steps
}

// lastAlone has the last of a feed's steps made by Engine.Step.
func lastAlone(f *runner.Feed, steps []engines.Step) {
	last := len(steps) - 1
	f.Steps, f.Then = f.Steps[:last], steps[last:]
}

func sameBits(a, b runner.Response) bool {
	return (&result{a.Losses, a.Slots, a.Raw}).same(&result{b.Losses, b.Slots, b.Raw})
}

// TestFeed trains on rows that the engine holds, on the device and not, layer by
// layer and in one kernel, and wants the bits of a training step by step. The last
// step is made by itself.
func TestFeed(t *testing.T) {
	t.Parallel()
	emulator.Compiler(t)
	directory := fakecuda.Directory(t)
	list := []*training{small(t), full(t, 80), full(t, 2)}
	for seed := uint64(0); len(list) < 4; seed++ {
		pl := planOf(t, nettest.Random(seed+3100, nettest.Limits{Width: 20, Linear: 3}))
		if !pl.Program.Full {
			list = append(list, newTraining(fmt.Sprintf("feed%d", seed), pl, seed))
		}
	}
	fused := smallFused(t).plan.Program
	pl, err := plan.With(fused, plan.Options{Precision: precisionOf(t, fused, "bf16")})
	if err != nil {
		t.Fatal(err)
	}
	// The same where a block has not the shared memory for one kernel.
	list = append(list, newTraining("fused", pl, 1), newTraining("layered", pl, 1))
	binary := build(t, list, func(pl *plan.Plan, _ []byte) map[string][]byte {
		if len(pl.Fused) > 0 {
			return map[string][]byte{"bf16/kernels.sm_80.ptx": fakePTX(pl)}
		}
		return map[string][]byte{"kernels.sm_80.ptx": fakePTX(pl)}
	})
	for i, tr := range list {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			p := tr.plan.Program
			kernels := "FAKECUDA_KERNELS=" + emulator.Library(t, tr.plan)
			report := filepath.Join(t.TempDir(), "report")
			ask := func(q *runner.Request, settings string) runner.Response {
				if tr.name == "fused" {
					settings = fmt.Sprintf("shared=%d,%s", tr.plan.Fused[0].Shared, settings)
				}
				r := serve(t, binary, q, append(fakecuda.Variables(directory), "FAKECUDA_REPORT="+report, kernels, "FAKECUDA="+settings)...)
				if r.Err != "" {
					t.Fatal(r.Err)
				}
				text, err := os.ReadFile(report)
				if err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{"blocks=0\n", "pinned=0\n", "graphs=0\n", "templates=0\n", "events=0\n", "streams=0\n", "wrong=\n"} {
					if !strings.Contains("\n"+string(text), "\n"+want) {
						t.Errorf("the driver reports\n%swant %s", text, want)
					}
				}
				return r
			}
			rows, epochs := 2*p.Batch+(p.Batch+2)/3, 3
			switch i {
			case 1: // more room than two batches
				rows, epochs = 5*p.Batch+7, 2
			case 2: // more passes than a graph has
				rows, epochs = 66*p.Batch-3, 2
			}
			streamed := fmt.Sprintf("largest=%d", max(4*tr.plan.Total, 8*p.Batch*(p.Input+p.Output)+room))
			for _, shuffled := range []bool{false, true} {
				f := tr.feedOf(rows, epochs, shuffled)
				q := tr.request()
				q.Steps = tr.apart(f)
				want := ask(q, "")
				lastAlone(f, q.Steps)
				q.Steps, q.Feed = nil, f
				for _, kept := range []bool{true, false} {
					settings := ""
					if !kept && i == 2 {
						continue // the rows are smaller than the arena
					}
					if !kept {
						settings = streamed
					}
					got := ask(q, settings)
					if got.Kept != kept {
						t.Fatalf("the rows are kept: %v, want %v", got.Kept, kept)
					}
					if !sameBits(got, want) {
						t.Errorf("shuffled %v, kept %v: losses are %v, want %v", shuffled, kept, got.Losses, want.Losses)
					}
					if got.Allocs != 0 {
						t.Errorf("%v allocations at a call", got.Allocs)
					}
					if len(got.Calls) != 1 {
						t.Errorf("steps were made in calls of %v, want one", got.Calls)
					}
				}
			}
			// A loss that is not finite, in the middle of a call. Rows that stream go on
			// making way for others meanwhile.
			f := tr.feedOf(rows, epochs, false)
			bad := len(f.Steps) / 2
			lo := f.Steps[bad].Lo
			f.X[(lo+1)*p.Input] = float32(math.Inf(1))
			q := tr.request()
			q.Steps = tr.apart(f)
			want := ask(q, "")
			lastAlone(f, q.Steps)
			q.Steps, q.Feed = nil, f
			f.Again = 1
			for _, settings := range []string{"", streamed} {
				if got := ask(q, settings); !sameBits(got, want) {
					t.Errorf("with a loss that is not finite, %q: losses are %v, want %v", settings, got.Losses, want.Losses)
				}
				if i == 2 {
					break // the rows are smaller than the arena
				}
			}
			if !slices.ContainsFunc(want.Losses, func(v float64) bool { return v-v != 0 }) {
				t.Errorf("losses are %v: none is not finite", want.Losses)
			}
		})
	}
	tr := list[0]
	kernels := emulator.Library(t, tr.plan)
	// Enough for the engine itself.
	pinned := 4*(tr.plan.X.Size+tr.plan.Y.Size+tr.plan.Layout.Step.Size+tr.plan.InferRows*tr.plan.Program.Output) + 16
	for _, c := range []struct {
		name, settings, want string
		failed               bool
	}{
		{"no_room_for_two_batches", fmt.Sprintf("memory=%d", 4*tr.plan.Total+64<<20), "", false},
		{"no_pinned_memory_for_rows", fmt.Sprintf("host_memory=%d", pinned), "cuMemHostAlloc", true},
		{"device_lost", "lost_at=150", "CUDA error 700", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := tr.request()
			q.Steps, q.Feed = nil, tr.feedOf(2*tr.plan.Program.Batch, 40, true)
			r := serve(t, binary, q, append(fakecuda.Variables(directory), "FAKECUDA="+c.settings, "FAKECUDA_KERNELS="+kernels)...)
			if r.Failed != c.failed || !strings.Contains(r.Err, c.want) || c.want == "" && r.Err != "" {
				t.Errorf("failed in the middle %v: %q, want %q in it", r.Failed, r.Err, c.want)
			}
		})
	}
}
