package nettest

import (
	"math"
	"math/rand/v2"

	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/op"
)

// Batch is rows to train on. Exactly one of Class and Value is set, as the
// program's loss wants.
type Batch struct {
	Rows  int
	X     []float32 // [rows, input]
	Class []int32   // [rows]
	Value []float32 // [rows, output]
}

// Data draws rows for a program. The same seed gives the same rows.
func Data(p *ir.Program, rows int, seed uint64) Batch {
	r := rand.New(rand.NewPCG(seed, 0x64617461))
	b := Batch{Rows: rows, X: make([]float32, rows*p.Input)}
	for i := range b.X {
		b.X[i] = float32(r.NormFloat64())
	}
	if p.Loss.Classes() {
		for range rows {
			b.Class = append(b.Class, r.Int32N(int32(p.Output)))
		}
		return b
	}
	for range rows * p.Output {
		v := float32(r.NormFloat64())
		if p.Settings.Metrics == string(op.Binary) {
			v = float32(r.IntN(2))
		}
		b.Value = append(b.Value, v)
	}
	return b
}

// Float64 returns the rows in the interpreter's types.
func (b Batch) Float64() (x []float64, y eval.Target) {
	if b.Class != nil {
		for _, c := range b.Class {
			y.Class = append(y.Class, int(c))
		}
	} else {
		y.Value = Float64(b.Value)
	}
	return Float64(b.X), y
}

// Params draws values for a program's parameters: weights that keep the size
// of what passes through, biases and learned slopes away from 0.
func Params(p *ir.Program, seed uint64) [][]float32 {
	r := rand.New(rand.NewPCG(seed, 0x706172))
	list := make([][]float32, len(p.Params))
	for i, q := range p.Params {
		list[i] = make([]float32, q.Size())
		for j := range list[i] {
			v := r.NormFloat64()
			switch {
			case len(q.Shape) == 2:
				v *= 1.2 / math.Sqrt(float64(q.Shape[1]))
			case p.Layers[q.Layer].Linear:
				v *= 0.5
			default:
				v = q.Init.Scale + 0.3*v
			}
			list[i][j] = float32(v)
		}
	}
	return list
}

// Float64 converts exactly.
func Float64(list []float32) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = float64(v)
	}
	return out
}
