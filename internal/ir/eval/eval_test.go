package eval_test

import (
	"math"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

func row[R op.Row](t *testing.T, table []R, name string) R {
	t.Helper()
	r, _, ok := op.Find(table, name)
	if !ok {
		t.Fatalf("no row %s", name)
	}
	return r
}

// TestByHand follows one step of 2 -> 2 -> 1 with a rectifier, whose numbers
// were worked out on paper.
func TestByHand(t *testing.T) {
	net := nettest.New("hand", 2).Linear(2, true).Activation(row(t, op.Activations, "relu"), nil).Linear(1, true).
		Loss(row(t, op.Losses, "mse"), nil).Batch(2).Optimizer(row(t, op.Optimizers, "sgd"), nil).Network()
	for name, p := range both(t, net) {
		m := eval.New(p)
		copy(m.Params[0], []float64{1, 2, -1, 1}) // rows are outputs
		copy(m.Params[1], []float64{0.5, 0})
		copy(m.Params[2], []float64{2, -3})
		copy(m.Params[3], []float64{1})
		x := []float64{1, 1, 2, -1}
		y := eval.Target{Value: []float64{8, 4}}
		// z = (3.5, 0) and (0.5, -3); a = (3.5, 0) and (0.5, 0); outputs 8 and 2.
		// Losses 0 and 4, mean 2; slopes 2(0)/2 = 0 and 2(-2)/2 = -2.
		if loss := m.Gradients(x, y, 2); loss != 2 {
			t.Errorf("%s: loss %g, want 2", name, loss)
		}
		if raw := m.Infer(x, 2); !slices.Equal(raw, []float64{8, 2}) {
			t.Errorf("%s: outputs %v", name, raw)
		}
		for i, want := range [][]float64{{-8, 4, 0, 0}, {-4, 0}, {-1, 0}, {-2}} {
			if got := m.Grad(i); !slices.Equal(got, want) {
				t.Errorf("%s: gradient of %s is %v, want %v", name, p.Params[i].Name, got, want)
			}
		}
		if loss := m.Step(x, y, 2, 0.5, 0); loss != 2 {
			t.Errorf("%s: loss %g before the update, want 2", name, loss)
		}
		for i, want := range [][]float64{{5, 0, -1, 1}, {2.5, 0}, {2.5, -3}, {2}} {
			if got := m.Params[i]; !slices.Equal(got, want) {
				t.Errorf("%s: %s is %v after the step, want %v", name, p.Params[i].Name, got, want)
			}
		}
	}
}

// both returns the plain and the lowered program of a network.
func both(t *testing.T, net *spec.Network) map[string]*ir.Program {
	t.Helper()
	final, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*ir.Program{"plain": lower.Build(net), "lowered": final}
}

// TestCrossEntropy compares with the definition, and stays finite where the
// definition does not.
func TestCrossEntropy(t *testing.T) {
	net := nettest.New("classes", 1).Linear(3, true).Loss(row(t, op.Losses, "cross_entropy"), nil).Batch(2).Network()
	for name, p := range both(t, net) {
		m := eval.New(p)
		logits := []float64{0.3, -1.2, 2}
		copy(m.Params[1], logits)
		loss := m.Gradients([]float64{0, 0}, eval.Target{Class: []int{1, 2}}, 2)
		sum := math.Exp(logits[0]) + math.Exp(logits[1]) + math.Exp(logits[2])
		want := -(math.Log(math.Exp(logits[1])/sum) + math.Log(math.Exp(logits[2])/sum)) / 2
		if math.Abs(loss-want) > 1e-15 {
			t.Errorf("%s: loss %.17g, want %.17g", name, loss, want)
		}
		for i, hot := range []float64{0, 0.5, 0.5} {
			if got, want := m.Grad(1)[i], math.Exp(logits[i])/sum-hot; math.Abs(got-want) > 1e-15 {
				t.Errorf("%s: slope %d is %.17g, want %.17g", name, i, got, want)
			}
		}
	}
}

// TestLossesOfLargeLogits: ±1e4 and equal logits give finite losses and
// gradients, for every row of the table of losses.
func TestLossesOfLargeLogits(t *testing.T) {
	for _, l := range op.Losses {
		net := nettest.New("large", 1).Linear(4, true).Loss(l, nil).Batch(1).Network()
		for name, p := range both(t, net) {
			for _, logits := range [][]float64{{1e4, -1e4, 0, 1}, {-1e4, -1e4, -1e4, -1e4}, {1e4, 1e4, 1e4, 1e4}, {0, 0, 0, -1e4}} {
				for class := range 4 {
					y := eval.Target{Value: []float64{1, 0, 1, 0}}
					if p.Loss.Classes() {
						y = eval.Target{Class: []int{class}}
					}
					m := eval.New(p)
					copy(m.Params[1], logits)
					loss := m.Gradients([]float64{0}, y, 1)
					if math.IsNaN(loss) || math.IsInf(loss, 0) || loss < -1e-9 {
						t.Errorf("%s %s of %v: loss %g", name, l.Name, logits, loss)
					}
					for _, g := range m.Grad(1) {
						if math.IsNaN(g) || math.IsInf(g, 0) {
							t.Errorf("%s %s of %v: gradient %v", name, l.Name, logits, m.Grad(1))
						}
					}
				}
			}
		}
	}
}

// TestFullSetInChunks: gradient descent over chunks is the descent over one
// batch of all rows.
func TestFullSetInChunks(t *testing.T) {
	for seed := range uint64(40) {
		net := nettest.Random(seed, nettest.Small)
		const rows = 11
		net.Train.Batch = rows
		whole := lower.Build(net)
		net.Train.Batch = 0
		x, y := nettest.Data(whole, rows, seed).Float64()
		params := nettest.Params(whole, seed)
		for name, p := range both(t, net) {
			if p.Batch != lower.ChunkRows {
				t.Fatalf("chunks of %d rows", p.Batch)
			}
			p.Batch = 4
			one, many := eval.New(whole), eval.New(p)
			for i, q := range params {
				copy(one.Params[i], nettest.Float64(q))
				copy(many.Params[i], nettest.Float64(q))
			}
			want := one.Step(x, y, rows, 0.1, 0.5)
			if got := many.Loss(x, y, rows); math.Abs(got-want) > 1e-13*math.Max(1, want) {
				t.Errorf("%s seed %d: loss %g in chunks, %g at once", name, seed, got, want)
			}
			if got := many.Step(x, y, rows, 0.1, 0.5); math.Abs(got-want) > 1e-13*math.Max(1, want) {
				t.Errorf("%s seed %d: loss %g in chunks, %g at once", name, seed, got, want)
			}
			for i := range one.Params {
				for j, v := range one.Params[i] {
					if d := math.Abs(many.Params[i][j] - v); !(d < 1e-9) {
						t.Errorf("%s seed %d: %s differs by %g", name, seed, p.Params[i].Name, d)
					}
				}
			}
		}
	}
}

// TestNonFiniteLossChangesNothing: the last good parameters survive.
func TestNonFiniteLossChangesNothing(t *testing.T) {
	for _, batch := range []int{3, 0} {
		net := nettest.New("bad", 2).Linear(3, true).Activation(row(t, op.Activations, "prelu"), nil).Linear(1, true).
			Loss(row(t, op.Losses, "mse"), nil).Batch(batch).
			Optimizer(row(t, op.Optimizers, "adam"), nil).Network()
		for name, p := range both(t, net) {
			p.Batch = 3
			for _, bad := range []float64{math.NaN(), math.Inf(1)} {
				m, twin := eval.New(p), eval.New(p)
				for i, q := range nettest.Params(p, 1) {
					copy(m.Params[i], nettest.Float64(q))
					copy(twin.Params[i], nettest.Float64(q))
				}
				rows := 3
				if p.Full {
					rows = 7
				}
				x, y := nettest.Data(p, rows, 1).Float64()
				m.Step(x, y, rows, 0.1, 0)
				twin.Step(x, y, rows, 0.1, 0)
				spoilt := slices.Clone(x)
				spoilt[len(x)-1] = bad
				if loss := m.Step(spoilt, y, rows, 0.1, 0); !math.IsNaN(loss) && !math.IsInf(loss, 0) {
					t.Errorf("%s: loss %g of a row with %g", name, loss, bad)
				}
				// The step does not count either: Adam's corrections go on.
				m.Step(x, y, rows, 0.1, 0)
				twin.Step(x, y, rows, 0.1, 0)
				for i := range m.Params {
					if !slices.Equal(m.Params[i], twin.Params[i]) {
						t.Errorf("%s: %s went on from a spoilt state", name, p.Params[i].Name)
					}
				}
			}
		}
	}
}

// TestInferenceOfARowIsItsOwn: the other rows do not matter.
func TestInferenceOfARowIsItsOwn(t *testing.T) {
	for seed := range uint64(40) {
		net := nettest.Random(seed, nettest.Small)
		const rows = 6
		for name, p := range both(t, net) {
			m := eval.New(p)
			for i, q := range nettest.Params(p, seed) {
				copy(m.Params[i], nettest.Float64(q))
			}
			x, _ := nettest.Data(p, rows, seed).Float64()
			all := m.Infer(x, rows)
			for r := range rows {
				alone := m.Infer(x[r*p.Input:(r+1)*p.Input], 1)
				if !slices.Equal(alone, all[r*p.Output:(r+1)*p.Output]) {
					t.Errorf("%s seed %d: row %d alone %v, among others %v", name, seed, r, alone, all[r*p.Output:(r+1)*p.Output])
				}
			}
			// Training and inference see one network.
			m.Loss(x, dataTarget(p, rows, seed), min(rows, p.Batch))
			raw := m.Buffer(p.Raw)
			for i, v := range raw {
				if d := math.Abs(v - all[i]); d > 1e-14*math.Max(1, math.Abs(v)) {
					t.Errorf("%s seed %d: output %d is %g in training, %g in inference", name, seed, i, v, all[i])
				}
			}
		}
	}
}

func dataTarget(p *ir.Program, rows int, seed uint64) eval.Target {
	_, y := nettest.Data(p, rows, seed).Float64()
	return y
}

// TestArenaShowsOverlaps: two living buffers in one place give other numbers,
// and a column that nobody wrote gives NaN.
func TestArenaShowsOverlaps(t *testing.T) {
	net := nettest.New("arena", 3).Linear(4, true).Activation(row(t, op.Activations, "tanh"), nil).
		Linear(4, true).Activation(row(t, op.Activations, "tanh"), nil).Linear(1, true).
		Loss(row(t, op.Losses, "mse"), nil).Batch(5).Network()
	run := func(spoil func(*ir.Program)) (losses [2]float64) {
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatal(err)
		}
		spoil(p)
		m := eval.InArena(p)
		for i, q := range nettest.Params(p, 1) {
			copy(m.Params[i], nettest.Float64(q))
		}
		x, y := nettest.Data(p, 5, 1).Float64()
		for i := range losses {
			losses[i] = m.Step(x, y, 5, 0.1, 0)
		}
		return losses
	}
	right := run(func(*ir.Program) {})
	overlapping := run(func(p *ir.Program) {
		for _, b := range p.Buffers {
			if b.Role == ir.Activation {
				b.Column = 0
			}
		}
	})
	if right[0] != overlapping[0] || right[1] == overlapping[1] {
		t.Errorf("losses %v with the plan, %v with an overlap of what backward reads", right, overlapping)
	}
	unwritten := run(func(p *ir.Program) {
		for _, s := range p.Forward {
			if m := ir.FusedMap(s); m != nil && m.Layer == 1 {
				m.Width--
			}
		}
	})
	if !math.IsNaN(unwritten[0]) {
		t.Errorf("loss %g over a column that nobody wrote", unwritten[0])
	}
}

func TestScalarsReadEarlierOnes(t *testing.T) {
	o := row(t, op.Optimizers, "adam")
	net := nettest.New("adam", 1).Linear(1, true).Optimizer(o, op.Values{"beta1": 0.5, "beta2": 0.75}).Network()
	for name, p := range both(t, net) {
		s := eval.Scalars(p.Rule, 0.3, 0, 2)
		if got, want := s["correction1"], 0.75; math.Abs(got-want) > 1e-15 {
			t.Errorf("%s: correction1 = %g, want %g", name, got, want)
		}
		if got, want := s["correction2"], math.Sqrt(1-0.75*0.75); math.Abs(got-want) > 1e-15 {
			t.Errorf("%s: correction2 = %g, want %g", name, got, want)
		}
		if name == "lowered" {
			found := false
			for _, v := range s {
				found = found || math.Abs(v-0.3/0.75) < 1e-15
			}
			if !found {
				t.Errorf("lr/correction1 was not hoisted: %v", s)
			}
		}
	}
}
