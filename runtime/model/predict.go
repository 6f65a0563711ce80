package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/modelfile"
)

// ErrUnprepared says that a model knows no categories: it was neither trained
// on rows that have them nor loaded from a file that does.
var ErrUnprepared = errors.New("the model knows no categories: train it on rows of the data, or load it from a file that a trainer or Save wrote")

// predictRows is the number of rows that a prediction of many walks at a time,
// so that a training gets its turn between them.
const predictRows = 1024

// row is the memory of one prediction. It is borrowed, so that a prediction
// allocates nothing and the caller's variables may stay on its stack.
type row struct{ x, raw, out []float32 }

func newRow(n *engine.Network) *row {
	return &row{make([]float32, n.Inputs), make([]float32, n.Outputs), make([]float32, n.OutputWidth)}
}

// Predict writes the raw outputs [Outputs] of a row of numbers x [Inputs], and
// their transformation out [OutputWidth], which may be empty. Where x holds
// what cannot be prepared, or is not finite, all outputs are NaN.
func (m *Model) Predict(x, raw, out []float32) {
	r := m.rows.Get().(*row)
	defer m.rows.Put(r)
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.prepare(r.x, x)
	m.infer(r.x, r.raw, r.out, 1)
	copy(raw, r.raw)
	copy(out, r.out)
}

// PredictCells is Predict for a row as the data has it, a cell for each feature
// in order. It fails, with a *data.Error, where a category is unknown or a
// value is missing and nothing fills it, and with ErrUnprepared.
func (m *Model) PredictCells(cells []data.Cell, raw, out []float32) error {
	r := m.rows.Get().(*row)
	defer m.rows.Put(r)
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.encode(cells, r.x); err != nil {
		return err
	}
	m.infer(r.x, r.raw, r.out, 1)
	copy(raw, r.raw)
	copy(out, r.out)
	return nil
}

// Encode writes the network's inputs x [Inputs] of a row as the data has it.
// Its errors are those of PredictCells.
func (m *Model) Encode(cells []data.Cell, x []float32) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.encode(cells, x)
}

func (m *Model) encode(cells []data.Cell, x []float32) error {
	if !m.fitted && len(m.net.Data.Categorical) > 0 {
		return fmt.Errorf("%s: %w", m.net.Name, ErrUnprepared)
	}
	return m.prep.Row(x, cells)
}

// PredictRows writes the raw outputs [rows, Outputs] of rows of numbers x
// [rows, Inputs], and their transformation out [rows, OutputWidth], which may
// be empty. What it writes for a row is what Predict writes for it alone.
func (m *Model) PredictRows(x, raw, out []float32, rows int) {
	n := m.net
	prepared := make([]float32, min(rows, predictRows)*n.Inputs)
	for lo := 0; lo < rows; lo += predictRows {
		hi := min(lo+predictRows, rows)
		to := out
		if len(out) > 0 {
			to = out[lo*n.OutputWidth : hi*n.OutputWidth]
		}
		m.predictPart(prepared[:(hi-lo)*n.Inputs], x[lo*n.Inputs:hi*n.Inputs], raw[lo*n.Outputs:hi*n.Outputs], to, hi-lo)
	}
}

func (m *Model) predictPart(prepared, x, raw, out []float32, rows int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.prepare(prepared, x)
	m.infer(prepared, raw, out, rows)
}

// prepare writes rows of numbers as the network reads them. m.mu is held.
func (m *Model) prepare(dst, x []float32) {
	if m.numbers {
		m.prep.Numbers(dst, x)
		return
	}
	copy(dst, x)
}

// infer computes the outputs of prepared rows. m.mu is held.
func (m *Model) infer(x, raw, out []float32, rows int) {
	m.mustBeOpen()
	n := m.net
	m.engine.Infer(x, raw, rows)
	if len(out) > 0 {
		n.Transform(raw, out, rows)
	}
	if modelfile.NotFinite(x) < 0 {
		return
	}
	// A layer such as ReLU may hide what is not a number.
	for r := range rows {
		if modelfile.NotFinite(x[r*n.Inputs:(r+1)*n.Inputs]) < 0 {
			continue
		}
		fill(raw[r*n.Outputs : (r+1)*n.Outputs])
		if len(out) > 0 {
			fill(out[r*n.OutputWidth : (r+1)*n.OutputWidth])
		}
	}
}

func fill(values []float32) {
	for i := range values {
		values[i] = float32(math.NaN())
	}
}

// Largest returns the index of the largest of the raw outputs of a classifier,
// the first of equals, or -1 where one is NaN.
func Largest(raw []float32) int {
	best := 0
	for i, v := range raw {
		if v != v {
			return -1
		}
		if v > raw[best] {
			best = i
		}
	}
	return best
}

// Positive returns the answer of a binary classifier by its raw output: 1 where
// it is above 0, which is a probability above one half, 0 where it is not, and
// -1 where it is NaN.
func Positive(raw float32) int {
	switch {
	case raw > 0:
		return 1
	case raw <= 0:
		return 0
	}
	return -1
}
