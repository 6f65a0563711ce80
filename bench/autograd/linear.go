package autograd

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/dnngen/dnngen/spec"
)

// linear computes x·Wᵀ + b.
type linear struct {
	w, b *tensor // b may be nil
}

func (m *Model) linear(index int, l spec.Layer) layer {
	f := &linear{w: m.add(fmt.Sprintf("%d.weight", index), l.Out, l.In)}
	if l.Bias {
		f.b = m.add(fmt.Sprintf("%d.bias", index), l.Out)
	}
	return f
}

func (l *linear) forward(t *tape, x *tensor) *tensor {
	out := t.make(x.rows, l.w.rows)
	beta := float32(0)
	if l.b != nil {
		// The product is added to the bias, which spares a pass.
		for r := range x.rows {
			copy(out.data[r*out.cols:(r+1)*out.cols], l.b.data)
		}
		beta = 1
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, x.matrix(), l.w.matrix(), beta, out.matrix())
	t.record(record{back: l, in: x, out: out})
	return out
}

// backward computes dW = dzᵀ·x, db = the sum of dz over rows, dx = dz·W.
func (l *linear) backward(t *tape, r *record) {
	x, dz := r.in, matrix(r.out.grad, r.out.rows, r.out.cols)
	dw, beta := t.gradMatrix(l.w)
	blas32.Gemm(blas.Trans, blas.NoTrans, 1, dz, x.matrix(), beta, dw)
	if l.b != nil {
		db, add := t.gradOf(l.b)
		if !add {
			clear(db)
		}
		sumRows(db, r.out.grad)
	}
	if x.wants {
		dx, beta := t.gradMatrix(x)
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, dz, l.w.matrix(), beta, dx)
	}
}

// gradMatrix returns the gradient of a tensor, and the factor of what it holds
// already.
func (t *tape) gradMatrix(x *tensor) (blas32.General, float32) {
	grad, add := t.gradOf(x)
	if add {
		return matrix(grad, x.rows, x.cols), 1
	}
	return matrix(grad, x.rows, x.cols), 0
}

// sumRows adds the rows of a matrix as wide as dst to dst.
func sumRows(dst, rows []float32) {
	for ; len(rows) >= len(dst); rows = rows[len(dst):] {
		row := rows[:len(dst)]
		for i, v := range row {
			dst[i] += v
		}
	}
}

func (x *tensor) matrix() blas32.General { return matrix(x.data, x.rows, x.cols) }
