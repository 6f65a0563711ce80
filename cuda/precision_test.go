package cuda_test

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// testScale is a scale of gradients with which no test's network overflows.
const testScale = 1 << 10

// tensorRows are those that need tensor cores: all but the first.
var tensorRows = op.Precisions[1:]

// rounder rounds to a precision's operands.
func rounder(p *op.Precision) func(float64) float64 {
	bias := 1<<(p.Exponent-1) - 1
	most := math.Ldexp(2-math.Ldexp(1, -p.Mantissa), bias)
	return func(v float64) float64 {
		v = nearest(v, p.Mantissa+1, 2-bias, p.Bytes == 4)
		if math.Abs(v) > most {
			return math.Copysign(math.Inf(1), v)
		}
		return v
	}
}

// layered is planIn without the kernels that do a pass at once: its own are to be
// compiled and run.
func layered(t testing.TB, net *spec.Network, precision int) *plan.Plan {
	t.Helper()
	pl := planIn(t, net, precision)
	pl.Fused = nil
	return pl
}

// apart is how far a number is off, as a share of its size or of 1.
func apart(got, want float64) float64 {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return 0
	}
	return math.Abs(got-want) / (1 + math.Abs(want))
}

// checkOperands compares a result with the interpreter's, whose operands are
// rounded alike: what is left is the rounding of float32. Only where a sum lies
// between two operands may it go to the other one, by twice the unit roundoff u,
// which few numbers of a training notice and none by more than 8u.
//
// Without that rounding, the first loss may be 64u apart: it follows from some
// hundred operands, each off by u at most, in random directions. What comes after
// it may follow a gradient that is nearly 0 either way.
func (tr *training) checkOperands(r *result, precision *op.Precision) error {
	p, u := tr.plan.Program, precision.Roundoff()
	exact, rounded := eval.New(p), eval.New(p)
	scale := 1.0
	if precision.Scaled() {
		scale = testScale
	}
	rounded.Round(rounder(precision), scale)
	for i, v := range tr.params {
		copy(exact.Params[i], nettest.Float64(v))
		copy(rounded.Params[i], nettest.Float64(v))
	}
	count, flipped := 0, 0
	compare := func(what string, got, want float64) error {
		count++
		d := apart(got, want)
		if d > 1e-4 {
			flipped++
		}
		if !(d <= 8*u) {
			return fmt.Errorf("%s is %.9g, want %.9g", what, got, want)
		}
		return nil
	}
	for i, b := range tr.steps {
		x, y := b.Float64()
		lr, momentum := float64(float32(rate)), float64(float32(tr.momentum()))
		what := fmt.Sprintf("loss %d", i)
		if err := compare(what, r.losses[i], rounded.Step(x, y, b.Rows, lr, momentum)); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		if want := exact.Loss(x, y, b.Rows); !(apart(r.losses[0], want) <= 64*u) {
			return fmt.Errorf("%s is %.9g, far from %.9g", what, r.losses[0], want)
		}
	}
	for s := range 1 + len(p.Rule.States) {
		want := rounded.Params
		if s > 0 {
			want = rounded.States[s-1]
		}
		for i, q := range p.Params {
			for j, got := range r.slots[s][i] {
				if err := compare(fmt.Sprintf("slot %d %s[%d]", s, q.Name, j), float64(got), want[i][j]); err != nil {
					return err
				}
			}
		}
	}
	x, _ := tr.steps[0].Float64()
	want := rounded.Infer(x, tr.steps[0].Rows)
	for i, got := range r.raw {
		if err := compare(fmt.Sprintf("raw %d", i), float64(got), want[i]); err != nil {
			return err
		}
	}
	if flipped > 1+count/20 {
		return fmt.Errorf("%d of %d numbers are off by more than float32 rounds", flipped, count)
	}
	return nil
}

// TestRandomPrecisions is TestRandom on tensor cores, in each precision by turns.
func TestRandomPrecisions(t *testing.T) {
	t.Parallel()
	var nets []emulator.Net
	var list []*training
	for seed := range uint64(randomNets(t)) {
		limits := nettest.Limits{Width: 24, Linear: 3}
		if seed%5 == 0 {
			limits.Width = 80
		}
		net := nettest.Random(seed+5000, limits)
		tr := newTraining(fmt.Sprintf("net%d", seed), layered(t, net, 1+int(seed)%len(tensorRows)), seed)
		nets = append(nets, emulator.Net{Name: tr.name, Plan: tr.plan})
		list = append(list, tr)
	}
	prog := emulator.Build(t, emulator.Options{}, nets...)
	for i, tr := range list {
		t.Run(tr.name, func(t *testing.T) {
			first, err := tr.run(prog.Start(t, tr.name))
			if err == nil {
				err = tr.checkOperands(first, tensorRows[i%len(tensorRows)])
			}
			if err != nil {
				t.Fatalf("%s: %v", tr.plan.Precision.Name, err)
			}
			other, err := tr.runGathered(t, prog, 1+i%3)
			if err != nil {
				t.Fatal(err)
			}
			if !first.same(other) {
				t.Errorf("another order of threads, on rows that are gathered, gives other bits")
			}
		})
	}
}

// TestGoldenPrecisions trains every reference case on tensor cores, in one
// precision or, with CUDA_ALL in the environment, in each.
func TestGoldenPrecisions(t *testing.T) {
	t.Parallel()
	var nets []emulator.Net
	cases := golden.Load(t)
	var list []*golden.Case
	for k, c := range cases {
		for i, p := range tensorRows {
			if os.Getenv("CUDA_ALL") != "" || k%len(tensorRows) == i {
				nets = append(nets, emulator.Net{Name: c.Name + "_" + p.Name, Plan: layered(t, c.Net, 1+i)})
				list = append(list, c)
			}
		}
	}
	prog := emulator.Build(t, emulator.Options{}, nets...)
	for k, net := range nets {
		t.Run(net.Name, func(t *testing.T) {
			c, p := list[k], net.Plan.Program
			d := prog.Start(t, net.Name)
			tr := emulator.NewTrainer(d, initial(p, c))
			if net.Plan.Precision.Scaled {
				tr.SetScaling(emulator.Scaling{Scale: testScale})
			}
			r := &result{}
			batches := c.Batches()
			for s, b := range batches {
				rows := nettest.Batch{Rows: b[1] - b[0], X: c.X[b[0]*p.Input : b[1]*p.Input]}
				if c.Class != nil {
					rows.Class = c.Class[b[0]:b[1]]
				} else {
					rows.Value = c.Value[b[0]*p.Output : b[1]*p.Output]
				}
				lr := float64(float32(learningRate(net.Plan, c, s, len(batches)/c.Net.Train.Epochs)))
				r.losses = append(r.losses, tr.Step(rows, lr, p.Settings.Momentum))
			}
			r.raw = tr.Infer(c.X, c.Rows)
			if err := d.Err(); err != nil {
				t.Fatal(err)
			}
			if err := nearGolden(c, r, net.Plan.Precision.Roundoff); err != nil {
				t.Errorf("%s: %v", net.Plan.Precision.Name, err)
			}
		})
	}
}

// nearGolden compares a training whose operands are rounded with a reference case.
// Operands are off by u at most, and errors of a step carry on to the next: of s
// steps, losses may be 8u(1+s/8) apart, and raw outputs at the end as much.
func nearGolden(c *golden.Case, r *result, u float64) error {
	allowed := func(step int) float64 { return 8 * u * (1 + float64(step)/8) }
	for s, loss := range r.losses {
		if !(apart(loss, c.Losses[s]) <= allowed(s)) {
			return fmt.Errorf("loss %d is %g, want %g", s, loss, c.Losses[s])
		}
	}
	for i, v := range r.raw {
		if !(apart(float64(v), float64(c.Raw[i])) <= allowed(len(r.losses))) {
			return fmt.Errorf("raw %d is %g, want %g", i, v, c.Raw[i])
		}
	}
	return nil
}
