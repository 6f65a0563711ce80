package cuda_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/spec"
)

// randomNets is the number of random networks of a test run; the environment
// variable CUDA_NETS sets another.
func randomNets(t *testing.T) int {
	if s := os.Getenv("CUDA_NETS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 30
}

func planOf(t testing.TB, net *spec.Network) *plan.Plan { return planIn(t, net, 0) }

// planIn is planOf in a precision of the language, by its number, layer by layer.
func planIn(t testing.TB, net *spec.Network, precision int) *plan.Plan {
	t.Helper()
	p, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	pl, err := plan.With(p, plan.Options{Precision: p.Precisions[precision]})
	if err != nil {
		t.Fatal(err)
	}
	pl.Fused = nil // tested by themselves: see fusedPlan
	return pl
}

// training is a program with what it is trained on.
type training struct {
	name   string
	plan   *plan.Plan
	params [][]float32
	steps  []nettest.Batch
	// options are those with which it is emitted.
	options plan.Options
}

// newTraining draws data for a plan: full batches, a short one, and one row.
func newTraining(name string, pl *plan.Plan, seed uint64) *training {
	p := pl.Program
	full := p.Batch
	if p.Full {
		full = p.Batch + 70 // a chunk and a short one
	}
	tr := &training{name: name, plan: pl, params: nettest.Params(p, seed)}
	for i, rows := range []int{full, (full + 2) / 3, full, 1} {
		tr.steps = append(tr.steps, nettest.Data(p, rows, seed+uint64(i)))
	}
	return tr
}

const rate = 0.01

func (tr *training) momentum() float64 { return tr.plan.Program.Settings.Momentum }

// checkRows infers row by row: a row's outputs do not depend on the others.
func (tr *training) checkRows(t *emulator.Trainer, raw []float32) error {
	p := tr.plan.Program
	b := tr.steps[0]
	for r := range min(b.Rows, 3) {
		got := t.Infer(b.X[r*p.Input:(r+1)*p.Input], 1)
		if !slices.Equal(got, raw[r*p.Output:(r+1)*p.Output]) {
			return fmt.Errorf("row %d alone gives %g", r, got)
		}
	}
	return nil
}

// result is all that a training leaves.
type result struct {
	losses []float64
	slots  [][][]float32
	raw    []float32
}

func (tr *training) run(d *emulator.Device) (*result, error) {
	return tr.runBy(d, emulator.NewTrainer(d, tr.params))
}

// runGathered starts an emulated device and trains there on rows that it
// gathers itself.
func (tr *training) runGathered(t *testing.T, prog *emulator.Program, schedule int) (*result, error) {
	most := 0
	for _, b := range tr.steps {
		most = max(most, b.Rows)
	}
	d := prog.StartWith(t, tr.name, emulator.FeedWords(tr.plan, most))
	d.Schedule = schedule
	trainer := emulator.NewTrainer(d, tr.params)
	trainer.Gather(most)
	return tr.runBy(d, trainer)
}

func (tr *training) runBy(d *emulator.Device, t *emulator.Trainer) (*result, error) {
	p := tr.plan.Program
	if tr.plan.Precision.Scaled {
		t.SetScaling(emulator.Scaling{Scale: testScale})
	}
	r := &result{}
	for _, b := range tr.steps {
		r.losses = append(r.losses, t.Step(b, rate, tr.momentum()))
	}
	for s := range 1 + len(p.Rule.States) {
		r.slots = append(r.slots, nil)
		for i := range p.Params {
			r.slots[s] = append(r.slots[s], t.Slot(s, i))
		}
	}
	r.raw = t.Infer(tr.steps[0].X, tr.steps[0].Rows)
	if err := d.Err(); err != nil {
		return r, err
	}
	return r, tr.checkRows(t, r.raw)
}

// check compares a result with the interpreter's.
func (tr *training) check(r *result) error {
	p := tr.plan.Program
	m := eval.New(p)
	for i, v := range tr.params {
		copy(m.Params[i], nettest.Float64(v))
	}
	for i, b := range tr.steps {
		x, y := b.Float64()
		if want := m.Step(x, y, b.Rows, float64(float32(rate)), float64(float32(tr.momentum()))); !near(r.losses[i], want) {
			return fmt.Errorf("loss %d is %.9g, want %.9g", i, r.losses[i], want)
		}
	}
	for s, tensors := range append([][][]float64{m.Params}, m.States...) {
		for i, q := range p.Params {
			for j, want := range tensors[i] {
				if got := r.slots[s][i][j]; !near(float64(got), want) {
					return fmt.Errorf("slot %d %s[%d] is %.9g, want %.9g", s, q.Name, j, got, want)
				}
			}
		}
	}
	x, _ := tr.steps[0].Float64()
	for i, want := range m.Infer(x, tr.steps[0].Rows) {
		if !near(float64(r.raw[i]), want) {
			return fmt.Errorf("raw %d is %.9g, want %.9g", i, r.raw[i], want)
		}
	}
	return nil
}

// near allows for a few steps of float32 rounding.
func near(got, want float64) bool {
	return math.Abs(got-want) <= 2e-4*(1+math.Abs(want)) || math.IsNaN(got) && math.IsNaN(want) || got == want
}

func (r *result) same(o *result) bool {
	bits := func(a, b []float32) bool {
		return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
	}
	sameLosses := slices.EqualFunc(r.losses, o.losses, func(x, y float64) bool { return x == y || x != x && y != y })
	if !sameLosses || !bits(r.raw, o.raw) {
		return false
	}
	for s := range r.slots {
		for i := range r.slots[s] {
			if !bits(r.slots[s][i], o.slots[s][i]) {
				return false
			}
		}
	}
	return true
}

// TestRandom trains random networks on emulated kernels and compares them with
// the float64 interpreter, and all orders of threads with each other, bit by
// bit.
func TestRandom(t *testing.T) {
	t.Parallel()
	var nets []emulator.Net
	var list []*training
	for seed := range uint64(randomNets(t)) {
		limits := nettest.Limits{Width: 24, Linear: 3}
		if seed%5 == 0 {
			limits.Width = 80
		}
		net := nettest.Random(seed+2000, limits)
		tr := newTraining(fmt.Sprintf("net%d", seed), planOf(t, net), seed)
		nets = append(nets, emulator.Net{Name: tr.name, Plan: tr.plan})
		list = append(list, tr)
	}
	prog := emulator.Build(t, emulator.Options{}, nets...)
	for i, tr := range list {
		t.Run(tr.name, func(t *testing.T) {
			first, err := tr.run(prog.Start(t, tr.name))
			if err == nil {
				err = tr.check(first)
			}
			if err != nil {
				t.Fatal(err)
			}
			d := prog.Start(t, tr.name)
			d.Schedule = 1 + i%3
			other, err := tr.run(d)
			if err != nil {
				t.Fatal(err)
			}
			if !first.same(other) {
				t.Errorf("another order of threads gives other bits")
			}
		})
	}
}
