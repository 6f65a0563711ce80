package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Problem is what all contenders train: the same rows in the same order, from
// the same parameters.
type Problem struct {
	Inputs, Outputs int
	Batch           int // rows of a full step
	Rows            int // a multiple of Batch
	X               []float32
	Y               engine.Target
	Params          []Start // before the first step
	States          int     // that the optimizer keeps for each parameter
	LR, Momentum    float32
}

// Start hands the elements of a parameter on, row-major, from the first to the
// last, in pieces that are valid until f returns.
type Start func(f func(first int, values []float32))

// Whole is a parameter that lies in memory.
func Whole(values []float32) Start {
	return func(f func(first int, values []float32)) { f(0, values) }
}

const (
	// maxBytes bounds the rows; one batch is always held.
	maxBytes = 64 << 20
	// fullRows is the batch of gradient descent where there are no data.
	fullRows   = 1024
	maxBatches = 64
)

// batchOf returns the rows of a step and the number of batches to hold: one in
// gradient descent, whose batch is all there is. have is the number of rows of
// the data, 0 where there are none.
func batchOf(n *engine.Network, have int) (batch, batches int) {
	batch = n.Batch
	if batch == 0 {
		if batch = have; batch == 0 {
			batch = fullRows
		}
		return batch, 1
	}
	bytes := batch * 4 * (n.Inputs + n.Outputs)
	batches = max(1, min(maxBatches, maxBytes/bytes))
	if have > 0 {
		batches = max(1, min(batches, have/batch))
	}
	return batch, batches
}

// Draw makes a problem of random rows: normally distributed features and
// targets, and classes of equal frequency.
func Draw(n *engine.Network, seed uint64) *Problem {
	batch, batches := batchOf(n, 0)
	p := newProblem(n, batch, batch*batches)
	r := rand.New(rand.NewPCG(seed, 0x62656e6368)) // "bench": apart from other streams
	p.X = make([]float32, p.Rows*n.Inputs)
	for i := range p.X {
		p.X[i] = float32(r.NormFloat64())
	}
	if n.Classes {
		for range p.Rows {
			p.Y.Class = append(p.Y.Class, r.Int32N(int32(n.Outputs)))
		}
		return p
	}
	for range p.Rows * n.Outputs {
		v := float32(r.NormFloat64())
		if n.Metrics == "binary" {
			v = float32(r.IntN(2))
		}
		p.Y.Value = append(p.Y.Value, v)
	}
	return p
}

// Of makes a problem of rows x [rows, inputs] in the order in which they lie.
// Fewer rows than a batch are repeated.
func Of(n *engine.Network, x []float32, y engine.Target, rows int) *Problem {
	batch, batches := batchOf(n, rows)
	p := newProblem(n, batch, batch*batches)
	for len(p.X) < p.Rows*n.Inputs {
		take := min(rows, p.Rows-len(p.X)/n.Inputs)
		p.X = append(p.X, x[:take*n.Inputs]...)
		if n.Classes {
			p.Y.Class = append(p.Y.Class, y.Class[:take]...)
		} else {
			p.Y.Value = append(p.Y.Value, y.Value[:take*n.Outputs]...)
		}
	}
	return p
}

func newProblem(n *engine.Network, batch, rows int) *Problem {
	return &Problem{
		Inputs: n.Inputs, Outputs: n.Outputs, Batch: batch, Rows: rows,
		States: len(n.States), LR: float32(n.LR), Momentum: float32(n.Momentum),
	}
}

// FLOPsPerRow counts the floating-point operations of a step's matrix products
// for one row: a multiplication and an addition for each weight on the way
// forward, in the gradient by the weights and in that by the input, which the
// first layer does not need.
func FLOPsPerRow(n *engine.Network) float64 {
	sum, first := 0.0, true
	for _, p := range n.Params {
		if len(p.Shape) != 2 {
			continue
		}
		products := 3.0
		if first {
			products = 2
		}
		first = false
		sum += 2 * products * float64(p.Size())
	}
	return sum
}

// Trainee is a contender made of an engine.
type Trainee struct {
	engine  engine.Engine
	runner  engine.Runner // the engine, where it is one
	problem *Problem
	step    int64
	at      int // next row
	plan    []engine.Planned
	losses  []float64
}

// NewTrainee returns a contender. The engine is its own.
func NewTrainee(e engine.Engine, p *Problem) *Trainee {
	t := &Trainee{engine: e, problem: p}
	most := 1
	if t.runner, _ = e.(engine.Runner); t.runner != nil {
		t.runner.Hold(p.X, p.Y, p.Rows)
		t.runner.Order(nil)
		most = engine.MostSteps
	}
	t.plan, t.losses = make([]engine.Planned, most), make([]float64, most)
	return t
}

// Close closes the engine.
func (t *Trainee) Close() { t.engine.Close() }

// Runs implements engine.Sharing, for engines that do.
func (t *Trainee) Runs() (alone, all int64) {
	if s, ok := t.engine.(engine.Sharing); ok {
		return s.Runs()
	}
	return 0, 0
}

// begin sets the parameters and clears the optimizer's state.
func (t *Trainee) begin() {
	var zeros []float32
	for i, start := range t.problem.Params {
		start(func(first int, values []float32) {
			t.engine.Write(0, i, first, values)
			if len(zeros) < len(values) {
				zeros = make([]float32, len(values))
			}
			for slot := range t.problem.States {
				t.engine.Write(1+slot, i, first, zeros[:len(values)])
			}
		})
	}
	t.step, t.at = 0, 0
}

// next makes up to most steps and returns their losses.
func (t *Trainee) next(most, rows int, lr float32) []float64 {
	p := t.problem
	n := min(most, len(t.plan))
	at := t.at
	for i := range n {
		if at+rows > p.Rows {
			at = 0
		}
		t.plan[i] = engine.Planned{Lo: at, Hi: at + rows, Hyper: engine.Hyper{LR: lr, Momentum: p.Momentum, Step: t.step + 1 + int64(i)}}
		at += rows
	}
	if t.runner != nil {
		n = t.runner.Run(t.plan[:n], t.losses)
	} else {
		q := &t.plan[0]
		t.losses[0] = t.engine.Step(p.X[q.Lo*p.Inputs:q.Hi*p.Inputs], p.Y.Rows(q.Lo, q.Hi, p.Outputs), rows, q.Hyper)
	}
	t.at = t.plan[n-1].Hi
	t.step += int64(n)
	return t.losses[:n]
}

// Losses trains anew; see Contender.
func (t *Trainee) Losses(steps, rows int) ([]float64, error) {
	t.begin()
	losses := make([]float64, 0, steps)
	for len(losses) < steps {
		losses = append(losses, t.next(steps-len(losses), rows, t.problem.LR)...)
	}
	return losses, checkFinite(losses)
}

// still is the learning rate's factor while time is taken: the parameters stay
// about where they are, so that each step is the same work.
const still = 1e-6

// Time makes steps; see Contender.
func (t *Trainee) Time(steps, rows int, fresh bool) (float64, error) {
	if fresh {
		t.begin()
	}
	lr := t.problem.LR * still
	start := time.Now()
	loss := 0.0
	for left := steps; left > 0; {
		losses := t.next(left, rows, lr)
		for _, v := range losses {
			loss += v
		}
		left -= len(losses)
	}
	return time.Since(start).Seconds(), checkFinite([]float64{loss})
}

func checkFinite(losses []float64) error {
	i := slices.IndexFunc(losses, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if i >= 0 {
		return fmt.Errorf("the loss of step %d is %g: such a training cannot be timed", i, losses[i])
	}
	return nil
}
