package cuda_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

// small is a network with more than one slab in each direction, a gated unit,
// a learned slope and a row-wise loss.
func small(t *testing.T) *training {
	b := nettest.New("small", 37).Linear(36, true)
	for _, name := range []string{"swiglu", "prelu"} {
		row, set, ok := op.Find(op.Activations, name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		b.Activation(row, set)
	}
	b.Linear(5, true).Batch(40)
	loss, set, ok := op.Find(op.Losses, "cross_entropy")
	if !ok {
		t.Fatal("no cross_entropy")
	}
	momentum := op.Values{"momentum": 0.9}
	return newTraining("small", planOf(t, b.Loss(loss, set).Optimizer(op.Optimizers[0], momentum).Network()), 1)
}

// fault runs the training under all orders of threads, where the pass gathers its
// rows by turns so and from a batch, and returns the first thing that is wrong.
func (tr *training) fault(t *testing.T, o emulator.Options, check func(*result) error) string {
	prog := emulator.Build(t, o, emulator.Net{Name: tr.name, Plan: tr.plan})
	var first *result
	for schedule := range 4 {
		var r *result
		var err error
		if tr.plan.Fetch == nil && schedule%2 == 1 {
			r, err = tr.runGathered(t, prog, schedule)
		} else {
			d := prog.Start(t, tr.name)
			d.Schedule = schedule
			r, err = tr.run(d)
		}
		if err == nil {
			err = check(r)
		}
		if err != nil {
			return err.Error()
		}
		if first == nil {
			first = r
		} else if !first.same(r) {
			return "another order of threads gives other bits"
		}
	}
	return ""
}

// TestPlantedBugs breaks the device code and wants it noticed.
func TestPlantedBugs(t *testing.T) {
	t.Parallel()
	tr := small(t)
	if got := tr.fault(t, emulator.Options{Sanitize: true}, tr.check); got != "" {
		t.Fatalf("without a bug: %s", got)
	}
	for _, bug := range []struct {
		name, old, new, want string
		sanitize             bool
	}{
		{"no barrier before a slab is read", "k, to);\n        DNN_SYNC();\n        DNN_UNROLL", "k, to);\n        DNN_UNROLL", "", false},
		{"no barrier before a slab is overwritten", "+ thread];\n        }\n        DNN_SYNC();", "+ thread];\n        }", "", false},
		{"a barrier for half the block", "if (thread < half) part[thread] +=", "if (thread < half) DNN_SYNC();\n        if (thread < half) part[thread] +=", "divergence: thread", false},
		{"a shuffle that some lanes miss", "if (lane == 0) loss +=", "if (lane == 0) DNN_SHUFFLE(sum, 1);\n        if (lane == 0) loss +=", "divergence: thread", false},
		{"a read past the end", "row < end; row += stride", "row <= end; row += stride", "use-after-poison", true},
		{"no barrier before the loss", "DNN_SYNC(); // the block's part of", "// the block's part of", "", false},
		{"a job begins with the wrong block", "(unsigned)(dnn_block_x() - first)", "(unsigned)dnn_block_x()", "", false},
		{"rows and columns of a tile swapped", "dnn_place<TN>(tx, j)];", "dnn_place<TN>(ty, j)];", "", false},
	} {
		t.Run(strings.ReplaceAll(bug.name, " ", "_"), func(t *testing.T) {
			got := tr.fault(t, emulator.Options{Sanitize: bug.sanitize, Edit: func(s string) string {
				return strings.Replace(s, bug.old, bug.new, 1)
			}}, tr.check)
			if got == "" || !strings.Contains(got, bug.want) {
				t.Errorf("got %q, want %q in it", got, bug.want)
			}
		})
	}
}

// TestNotFinite gives a batch whose loss is NaN or infinite: parameters and
// states stay, and the training goes on as if there had been no such batch.
func TestNotFinite(t *testing.T) {
	t.Parallel()
	tr := small(t)
	prog := emulator.Build(t, emulator.Options{}, emulator.Net{Name: tr.name, Plan: tr.plan})
	want, err := tr.run(prog.Start(t, tr.name))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		d := prog.Start(t, tr.name)
		e := emulator.NewTrainer(d, tr.params)
		var losses []float64
		for _, b := range tr.steps {
			losses = append(losses, e.Step(b, rate, tr.momentum()))
			broken := b
			broken.X = slices.Clone(b.X)
			broken.X[len(broken.X)-1] = bad
			if loss := e.Step(broken, rate, tr.momentum()); loss-loss == 0 {
				t.Errorf("the loss of a batch with %g in it is %g", bad, loss)
			}
		}
		got := &result{losses: losses, slots: want.slots, raw: e.Infer(tr.steps[0].X, tr.steps[0].Rows)}
		for s := range want.slots {
			for i := range want.slots[s] {
				if !slices.Equal(e.Slot(s, i), want.slots[s][i]) {
					t.Errorf("slot %d of %s has changed", s, tr.plan.Params[i].Name)
				}
			}
		}
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
		if !got.same(want) {
			t.Errorf("losses are %v, want %v", got.losses, want.losses)
		}
	}
}
