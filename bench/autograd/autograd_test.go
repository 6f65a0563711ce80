package autograd_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/dnngen/dnngen/bench/autograd"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// TestGolden repeats PyTorch's trainings, as every backend must.
func TestGolden(t *testing.T) {
	for _, c := range golden.Load(t) {
		t.Run(c.Name, func(t *testing.T) {
			p := lower.Build(c.Net)
			m := autograd.New(c.Net, engine.Options{Threads: 2})
			defer m.Close()
			for i := range m.Params() {
				name, shape := m.Param(i)
				for _, tensor := range c.Init {
					if tensor.Name == name && fmt.Sprint(tensor.Shape) == fmt.Sprint(shape) {
						m.Write(0, i, 0, tensor.Data)
					}
				}
			}
			target := engine.Target{Class: c.Class, Value: c.Value}
			var losses []float64
			for i, rows := range c.Batches() {
				lo, hi := rows[0], rows[1]
				h := engine.Hyper{LR: float32(p.Settings.LR), Momentum: float32(p.Settings.Momentum), Step: int64(i + 1)}
				losses = append(losses, m.Step(c.X[lo*p.Input:hi*p.Input], target.Rows(lo, hi, p.Output), hi-lo, h))
			}
			if err := c.CheckLosses(losses); err != nil {
				t.Error(err)
			}
			for i := range m.Params() {
				name, shape := m.Param(i)
				values := make([]float32, size(shape))
				m.Read(0, i, 0, values)
				if err := c.CheckParam(name, values); err != nil {
					t.Error(err)
				}
			}
			raw := make([]float32, c.Rows*p.Output)
			m.Infer(c.X, raw, c.Rows)
			for i, v := range raw {
				if w := float64(c.Raw[i]); !(math.Abs(float64(v)-w) <= 1e-4*math.Max(1, math.Abs(w))) {
					t.Fatalf("raw[%d] is %g, want %g", i, v, w)
				}
			}
		})
	}
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// TestRandomNetworks compares trainings of random networks with the float64
// interpreter: every activation, loss and optimizer with settings all over
// their range.
func TestRandomNetworks(t *testing.T) {
	const networks, steps = 150, 3
	for seed := range uint64(networks) {
		net := nettest.Random(seed, nettest.Small)
		p := lower.Build(net)
		rows := max(p.Batch, 1)
		if p.Full {
			rows = 9
		}
		m, reference := autograd.New(net, engine.Options{Threads: 1}), eval.New(p)
		if m.Params() != len(p.Params) {
			t.Fatalf("network %d: %d parameters, want %d", seed, m.Params(), len(p.Params))
		}
		for i, values := range nettest.Params(p, seed) {
			m.Write(0, i, 0, values)
			copy(reference.Params[i], nettest.Float64(values))
		}
		for step := range steps {
			b := nettest.Data(p, rows, seed+uint64(step))
			x, y := b.Float64()
			lr, momentum := p.Settings.LR, p.Settings.Momentum
			want := reference.Step(x, y, rows, float64(float32(lr)), float64(float32(momentum)))
			h := engine.Hyper{LR: float32(lr), Momentum: float32(momentum), Step: int64(step + 1)}
			got := m.Step(b.X, engine.Target{Class: b.Class, Value: b.Value}, rows, h)
			if math.IsNaN(want) || math.Abs(want) > 1e3 {
				break // wild settings: rounding grows without bound
			}
			if !(math.Abs(got-want) <= 2e-3*math.Max(1, math.Abs(want))) || step == 0 && !(math.Abs(got-want) <= 1e-5*math.Max(1, math.Abs(want))) {
				t.Errorf("network %d, step %d: loss %g, want %g\n%s", seed, step, got, want, net.Text)
				break
			}
			if step == 0 {
				compareParams(t, seed, p, m, reference, net)
			}
		}
		m.Close()
	}
}

// compareParams compares the parameters after the first step.
func compareParams(t *testing.T, seed uint64, p *ir.Program, m *autograd.Model, reference *eval.Machine, net *spec.Network) {
	t.Helper()
	for i, q := range p.Params {
		got := make([]float32, q.Size())
		m.Read(0, i, 0, got)
		for j, want := range reference.Params[i] {
			// Adam divides by the root of a squared gradient: near a gradient of 0 the
			// sign of rounding decides on a whole step.
			tolerance := 1e-4 * math.Max(1, math.Abs(want))
			if len(p.Rule.Scalars) > 0 {
				tolerance += 2 * p.Settings.LR
			}
			if !(math.Abs(float64(got[j])-want) <= tolerance) {
				t.Errorf("network %d: %s[%d] is %g, want %g\n%s", seed, q.Name, j, got[j], want, net.Text)
				return
			}
		}
	}
}

// wide is a network whose tensors are large enough to be shared among workers.
func wide(batch int, activation *op.Activation) *spec.Network {
	return nettest.New("wide", 8).Linear(512, true).Activation(activation, nil).Linear(4, true).Batch(batch).Network()
}

func trained(t *testing.T, net *spec.Network, threads, steps int) []float64 {
	t.Helper()
	p := lower.Build(net)
	m := autograd.New(net, engine.Options{Threads: threads})
	defer m.Close()
	for i, values := range nettest.Params(p, 1) {
		m.Write(0, i, 0, values)
	}
	b := nettest.Data(p, p.Batch, 1)
	var losses []float64
	for step := range steps {
		losses = append(losses, m.Step(b.X, engine.Target{Class: b.Class, Value: b.Value}, p.Batch, engine.Hyper{LR: 0.01, Step: int64(step + 1)}))
	}
	return losses
}

func TestThreadsGiveTheSameLosses(t *testing.T) {
	for _, row := range op.Activations {
		net := wide(200, row)
		one, three := trained(t, net, 1, 3), trained(t, net, 3, 3)
		for i := range one {
			if one[i] != three[i] || math.IsNaN(one[i]) {
				t.Errorf("%s: losses %v with one thread, %v with three", row.Name, one, three)
				break
			}
		}
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	for _, row := range op.Activations {
		net := nettest.New("small", 6).Linear(16, true).Activation(row, nil).Linear(3, true).Batch(12).Network()
		p := lower.Build(net)
		m := autograd.New(net, engine.Options{Threads: 1})
		b := nettest.Data(p, 12, 1)
		y := engine.Target{Class: b.Class, Value: b.Value}
		allocs := testing.AllocsPerRun(20, func() { m.Step(b.X, y, 12, engine.Hyper{LR: 0.01, Step: 1}) })
		if allocs != 0 {
			t.Errorf("%s: %v allocations a step", row.Name, allocs)
		}
		m.Close()
	}
}

// TestALossThatIsNotFiniteChangesNothing, as the contract of engines has it.
func TestALossThatIsNotFiniteChangesNothing(t *testing.T) {
	net := nettest.New("small", 2).Linear(1, true).Batch(1).Network()
	m := autograd.New(net, engine.Options{Threads: 1})
	defer m.Close()
	m.Write(0, 0, 0, []float32{1, 2})
	x := []float32{float32(math.Inf(1)), 0}
	if loss := m.Step(x, engine.Target{Value: []float32{0}}, 1, engine.Hyper{LR: 1, Step: 1}); !math.IsNaN(loss) && !math.IsInf(loss, 0) {
		t.Fatalf("loss %g", loss)
	}
	got := make([]float32, 2)
	if m.Read(0, 0, 0, got); got[0] != 1 || got[1] != 2 {
		t.Errorf("weights became %v", got)
	}
	if loss := m.Step([]float32{1, 1}, engine.Target{Value: []float32{0}}, 1, engine.Hyper{Step: 1}); loss == 0 || math.IsNaN(loss) {
		t.Errorf("the step after it has loss %g", loss)
	}
}

// TestEveryPrimitiveHasALoop holds expressions of a single primitive against
// float64.
func TestEveryPrimitiveHasALoop(t *testing.T) {
	for _, o := range expr.Ops() {
		if o.Arity() == 0 || o.HostOnly() {
			continue
		}
		autograd.CheckPrimitive(t, o)
	}
}
