package model

import (
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/modelfile"
)

// Step trains one batch, x [rows, Inputs] and its targets, at the model's
// learning rate, and returns the mean loss before the update.
//
// Step returns NaN and changes nothing where an input cannot be prepared or is
// not finite, a class is not in [0, Outputs), or a target value is not finite;
// where the loss itself is not finite it returns that and changes nothing. It
// panics where the lengths do not fit, or where rows is less than 1 or more
// than the network's batch. It does not allocate, except where the network takes
// any number of rows and these are more than ever before.
func (m *Model) Step(x []float32, y engine.Target, rows int) float64 {
	n := m.net
	if rows < 1 || n.Batch > 0 && rows > n.Batch {
		panic(fmt.Sprintf("%s: a step of %d rows; the network takes %s", n.Name, rows, stepRows(n)))
	}
	if len(x) != rows*n.Inputs || n.Classes && len(y.Class) != rows || !n.Classes && len(y.Value) != rows*n.Outputs {
		panic(fmt.Sprintf("%s: %d inputs and %d targets are no %d rows", n.Name, len(x), len(y.Class)+len(y.Value), rows))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustBeOpen()
	if m.numbers {
		if len(m.batch) < len(x) {
			m.batch = make([]float32, len(x))
		}
		prepared := m.batch[:len(x)]
		m.prep.Numbers(prepared, x)
		x = prepared
	}
	if modelfile.NotFinite(x) >= 0 || !targetsFit(n, y) {
		return math.NaN()
	}
	return m.update(x, y, rows, engine.Hyper{LR: float32(m.lr), Momentum: float32(m.momentum)})
}

func stepRows(n *engine.Network) string {
	if n.Batch == 0 {
		return "1 or more"
	}
	return fmt.Sprintf("1 to %d", n.Batch)
}

func targetsFit(n *engine.Network, y engine.Target) bool {
	for _, c := range y.Class {
		if c < 0 || int(c) >= n.Outputs {
			return false
		}
	}
	return modelfile.NotFinite(y.Value) < 0
}

// update makes a step of the engine, and counts it. m.mu is held.
func (m *Model) update(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	h.Step = m.steps + 1
	loss := m.engine.Step(x, y, rows, h)
	if loss-loss == 0 {
		m.steps++
	}
	return loss
}

// SetLearningRate sets the learning rate of the steps and trainings to come. It
// fails, and changes nothing, where lr is not a positive number, or one that a float32 cannot hold.
func (m *Model) SetLearningRate(lr float64) error {
	if err := checkRate(lr); err != nil {
		return fmt.Errorf("%s: %w", m.net.Name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lr = lr
	return nil
}

// shared is the model's engine for a training that shares it with predictions:
// each call takes its turn.
type shared struct{ m *Model }

func (s shared) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.mustBeOpen()
	return s.m.update(x, y, rows, h)
}

func (s shared) Infer(x, raw []float32, rows int) {
	s.m.mu.RLock()
	defer s.m.mu.RUnlock()
	s.m.mustBeOpen()
	s.m.engine.Infer(x, raw, rows)
}

func (s shared) Read(slot, i, first int, dst []float32) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.mustBeOpen()
	s.m.engine.Read(slot, i, first, dst)
}

func (s shared) Write(slot, i, first int, src []float32) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.mustBeOpen()
	s.m.engine.Write(slot, i, first, src)
}

// Close leaves the engine to the model that owns it.
func (s shared) Close() {}

// ahead is shared for an engine that makes many steps at a call: predictions
// take their turn between two calls.
type ahead struct {
	shared
	runner engine.Runner
}

// forLoop is the model's engine as a training sees it.
func (m *Model) forLoop() engine.Engine {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if r, ok := m.engine.(engine.Runner); ok {
		return ahead{shared{m}, r}
	}
	return shared{m}
}

func (a ahead) Hold(x []float32, y engine.Target, rows int) bool {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	a.m.mustBeOpen()
	return a.runner.Hold(x, y, rows)
}

func (a ahead) Order(rows []int32) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	a.m.mustBeOpen()
	a.runner.Order(rows)
}

func (a ahead) Run(steps []engine.Planned, losses []float64) int {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	a.m.mustBeOpen()
	for i := range steps {
		steps[i].Hyper.Step = a.m.steps + 1 + int64(i)
	}
	made := a.runner.Run(steps, losses)
	a.m.steps += int64(made)
	if last := losses[made-1]; last-last != 0 {
		a.m.steps--
	}
	return made
}
