package loop

import (
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

// NonFinite says that a training met a number that is not finite, and where.
type NonFinite struct {
	Step  int64   // counted from 0; -1: before the first step
	Epoch int     // counted from 0
	Loss  float64 // of the step
	// Layer is the first layer that gave such a number, as an index into
	// Network.Layers; -1 where none did.
	Layer int
	Name  string // of that layer
	Line  int    // of the spec
	Param string // the parameter that held one, if any
	Row   int    // of the training data, counted from 0; -1 where unknown
	Where string // that row stands in its source, where that tells more
	// Column is the feature (or, with Target, the target) that is not finite
	// in the data; -1 where the data is finite.
	Column int
	Target bool
	Device string // of the engine that could not find the place again, if any
}

func (e *NonFinite) Error() string {
	if e.Step < 0 {
		what := "feature"
		if e.Target {
			what = "target"
		}
		return fmt.Sprintf("%s %d of %s is %s", what, e.Column, e.row(), kind(e.Loss))
	}
	s := fmt.Sprintf("the loss of step %d (epoch %d) is %s", e.Step, e.Epoch, kind(e.Loss))
	switch {
	case e.Param != "":
		return s + fmt.Sprintf(": parameter %s of layer %d (%s, line %d of the spec) is no longer finite since the update before", e.Param, e.Layer, e.Name, e.Line)
	case e.Layer >= 0:
		return s + fmt.Sprintf(": layer %d (%s, line %d of the spec) is the first to give it, for %s", e.Layer, e.Name, e.Line, e.row())
	case e.Row >= 0:
		return s + fmt.Sprintf(": all layers are finite, the loss itself is not, for %s", e.row())
	}
	return s + fmt.Sprintf(": %s gives finite numbers for the same rows", e.Device)
}

func (e *NonFinite) row() string {
	if e.Where == "" {
		return fmt.Sprintf("training row %d", e.Row)
	}
	return fmt.Sprintf("training row %d (%s)", e.Row, e.Where)
}

func kind(v float64) string {
	if math.IsNaN(v) {
		return "NaN"
	}
	return "infinite"
}

// finiteSet looks for numbers in the data that no training survives. It is
// done once and up front: a layer such as ReLU would hide a NaN.
func finiteSet(n *engine.Network, s *data.Set) error {
	if i := bad(s.X); i >= 0 {
		row := i / n.Inputs
		return &NonFinite{Step: -1, Loss: float64(s.X[i]), Layer: -1, Row: row, Where: s.Where(row), Column: i % n.Inputs}
	}
	if i := bad(s.Target.Value); i >= 0 {
		row := i / n.Outputs
		return &NonFinite{Step: -1, Loss: float64(s.Target.Value[i]), Layer: -1, Row: row, Where: s.Where(row), Column: i % n.Outputs, Target: true}
	}
	return nil
}

// bad returns the index of the first value that is not finite, or -1.
func bad(values []float32) int {
	const exponent = 0xff << 23
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
}

// locate says where the non-finite loss of the rows lo to hi came from. It asks
// the parameters first, then runs the rows again on the portable engine.
func (l *Loop) locate(x []float32, y engine.Target, epoch, lo, hi int, loss float64) error {
	found := &NonFinite{Step: l.state.Step, Epoch: epoch, Loss: loss, Layer: -1, Row: -1, Column: -1}
	portable := l.net.Devices[len(l.net.Devices)-1]
	found.Device = portable.Name
	if p := l.badParam(); p != nil {
		found.Param = p.Name
		found.layer(l.net, p.Layer)
		return found
	}
	e, err := portable.New(engine.Options{Threads: 1})
	if err != nil {
		return found
	}
	defer e.Close()
	piece := l.net.Piece()
	for i, p := range l.net.Params {
		for lo, hi := range engine.Pieces(p.Size()) {
			l.engine.Read(0, i, lo, piece[:hi-lo])
			e.Write(0, i, lo, piece[:hi-lo])
		}
	}
	row := l.trace(e, x, y, hi-lo, found)
	if row >= 0 {
		found.Row = lo + row
		if l.order != nil {
			found.Row = int(l.order[lo+row])
		}
		found.Where = l.train.Where(found.Row)
	}
	return found
}

// badParam returns the first parameter that holds a number that is not finite,
// or nil.
func (l *Loop) badParam() *engine.Param {
	piece := l.net.Piece()
	for i := range l.net.Params {
		p := &l.net.Params[i]
		for lo, hi := range engine.Pieces(p.Size()) {
			l.engine.Read(0, i, lo, piece[:hi-lo])
			if bad(piece[:hi-lo]) >= 0 {
				return p
			}
		}
	}
	return nil
}

func (e *NonFinite) layer(n *engine.Network, i int) {
	e.Layer, e.Name, e.Line = i, n.Layers[i].Name, n.Layers[i].Line
}

// trace runs rows rows through e in pieces, notes the first layer that gives a
// number that is not finite, and returns the row of the batch, or -1. Where all
// layers are finite it looks for a row whose loss is not.
func (l *Loop) trace(e engine.Engine, x []float32, y engine.Target, rows int, found *NonFinite) int {
	in, out := l.net.Inputs, l.net.Outputs
	if t, ok := e.(engine.Tracer); ok {
		piece := t.TraceRows()
		for lo := 0; lo < rows; lo += piece {
			hi := min(lo+piece, rows)
			row := -1
			t.Trace(x[lo*in:hi*in], hi-lo, func(layer int, values []float32, width int) {
				if i := bad(values[:(hi-lo)*width]); row < 0 && i >= 0 {
					found.layer(l.net, layer)
					row = lo + i/width
				}
			})
			if row >= 0 {
				return row
			}
		}
	}
	raw := make([]float32, out)
	for r := range rows {
		e.Infer(x[r*in:(r+1)*in], raw, 1)
		if !finite(l.net.LossOf(raw, y.Rows(r, r+1, out), 1)) {
			return r
		}
	}
	return -1
}
