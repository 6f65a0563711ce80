package compare

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/dnngen/dnngen/bench/autograd"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// lazy is an engine that leaves work out.
type lazy struct {
	*autograd.Model
	step func(m *autograd.Model, x []float32, y engine.Target, rows int, h engine.Hyper) float64
}

func (l *lazy) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	return l.step(l.Model, x, y, rows, h)
}

// frozen makes steps that leave a share of parameter i as it is.
func frozen(i, share int) func(*autograd.Model, []float32, engine.Target, int, engine.Hyper) float64 {
	return func(m *autograd.Model, x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
		_, shape := m.Param(i)
		n := shape[0]
		if len(shape) == 2 {
			n *= shape[1]
		}
		before, after := make([]float32, n), make([]float32, n)
		m.Read(0, i, 0, before)
		loss := m.Step(x, y, rows, h)
		m.Read(0, i, 0, after)
		copy(after[:n/share], before)
		m.Write(0, i, 0, after)
		return loss
	}
}

// TestAFastWrongAnswerIsFound: who saves time by leaving out a part of the step
// is found, before any time is told.
func TestAFastWrongAnswerIsFound(t *testing.T) {
	net, _, err := spec.Parse("net.yaml", []byte(`name: net
input: 16
layers: [{linear: 32}, tanh, {linear: 32}, relu, {linear: 4}]
loss: cross_entropy
output: softmax
train: {batch: 32, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}
`), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := autograd.New(net, engine.Options{Threads: 1})
	defer m.Close()
	p := drawn(net, m)
	for _, test := range []struct {
		name string
		step func(m *autograd.Model, x []float32, y engine.Target, rows int, h engine.Hyper) float64
	}{
		{"nothing is left out", (*autograd.Model).Step},
		{"no momentum", func(m *autograd.Model, x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
			h.Momentum = 0
			return m.Step(x, y, rows, h)
		}},
		{"no update", func(m *autograd.Model, x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
			h.LR = 0
			return m.Step(x, y, rows, h)
		}},
		{"a learning rate 1 % off", func(m *autograd.Model, x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
			h.LR *= 1.01
			return m.Step(x, y, rows, h)
		}},
		{"the last row of a batch", func(m *autograd.Model, x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
			return m.Step(x, y, rows-1, h)
		}},
		{"the first layer's weights", frozen(0, 1)},
		{"a sixteenth of the first layer's weights", frozen(0, 16)},
		{"the first layer's bias", frozen(1, 1)},
		{"the last layer's bias", frozen(5, 1)},
	} {
		entries := []bench.Entry{
			{Name: "right", Threads: 1, Contender: bench.NewTrainee(m, p)},
			{Name: "lazy", Threads: 1, Contender: bench.NewTrainee(&lazy{m, test.step}, p)},
		}
		_, err := bench.Measure(t.Context(), entries, bench.Options{Seconds: 0.01, Check: checkedSteps, Batch: p.Batch})
		var d *bench.Disagreement
		if test.name == "nothing is left out" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		} else if !errors.As(err, &d) || d.Name != "lazy" {
			t.Errorf("%s: error %v", test.name, err)
		}
	}
}

// drawn makes a problem of random rows and parameters.
func drawn(net *spec.Network, m *autograd.Model) *bench.Problem {
	const batches = 4
	r := rand.New(rand.NewPCG(1, 4))
	p := &bench.Problem{
		Inputs: net.Input, Outputs: net.Output, Batch: net.Train.Batch, Rows: batches * net.Train.Batch, States: m.States(),
		LR: float32(net.Train.OptimizerSet.Num("lr")), Momentum: float32(net.Train.OptimizerSet.Num("momentum")),
	}
	for range p.Rows {
		for range p.Inputs {
			p.X = append(p.X, float32(r.NormFloat64()))
		}
		p.Y.Class = append(p.Y.Class, r.Int32N(int32(p.Outputs)))
	}
	for i := range m.Params() {
		_, shape := m.Param(i)
		values := make([]float32, shape[0])
		if len(shape) == 2 {
			values = make([]float32, shape[0]*shape[1])
			for k := range values {
				values[k] = float32(r.NormFloat64() / math.Sqrt(float64(shape[1])))
			}
		}
		p.Params = append(p.Params, bench.Whole(values))
	}
	return p
}
