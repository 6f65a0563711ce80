// Package gather copies the rows of a batch to one place, in the order of a
// training.
package gather

import "github.com/dnngen/dnngen/runtime/engine"

// Rows is a matrix x [rows, Inputs] and its targets, of Outputs values each
// where they are no classes.
type Rows struct {
	Inputs, Outputs int
	X               []float32
	Y               engine.Target
}

// Batch copies the rows that order names to the first rows of to, which has
// room for them and targets of the same kind.
func (r *Rows) Batch(to *Rows, order []int32) {
	floats(to.X, r.X, order, r.Inputs)
	if r.Y.Class == nil {
		floats(to.Y.Value, r.Y.Value, order, r.Outputs)
		return
	}
	class := to.Y.Class[:len(order)]
	for i, from := range order {
		class[i] = r.Y.Class[from]
	}
}

// Copy copies the rows lo to hi as they lie to the first rows of to.
func (r *Rows) Copy(to *Rows, lo, hi int) {
	copy(to.X, r.X[lo*r.Inputs:hi*r.Inputs])
	from := r.Y.Rows(lo, hi, r.Outputs)
	copy(to.Y.Class, from.Class)
	copy(to.Y.Value, from.Value)
}

// floats copies rows of src [.., width] to dst [len(order), width].
func floats(dst, src []float32, order []int32, width int) {
	const short = 8 // up to this, a loop beats a call of copy
	switch {
	case width == 1:
		dst = dst[:len(order)]
		for i, r := range order {
			dst[i] = src[r]
		}
	case width <= short:
		for i, r := range order {
			d := dst[i*width : (i+1)*width]
			s := src[int(r)*width:][:len(d)]
			//lint:ignore S1001 a call of copy takes twice as long here
			for k, v := range s {
				d[k] = v
			}
		}
	default:
		for i, r := range order {
			copy(dst[i*width:(i+1)*width], src[int(r)*width:])
		}
	}
}
