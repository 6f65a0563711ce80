package vec

import "github.com/mmcloughlin/avo/operand"

// Wide is 16 lanes: one vector on AVX-512, two on AVX2, the first of which
// holds lanes 0 to 7. Reductions have this shape on both, so that they add in
// the same order.
type Wide []Vec

// PerWide returns the number of vectors in 16 lanes.
func (e *Emitter) PerWide() int { return 16 / e.Lanes() }

// Sum adds 16 lanes: lane i and i+8, then i and i+4, i and i+2, the last two.
// The sum stands in lane 0 of the result; the other lanes are not specified.
func (e *Emitter) Sum(w Wide) Vec {
	add := func(hi, lo, d operand.Op) { e.VADDPS(hi, lo, d) }
	return e.fold(w, add)
}

// MaxLane returns the largest of 16 lanes in lane 0 of the result. Lanes that
// are NaN are not ordered: where there may be some, test for them before.
func (e *Emitter) MaxLane(w Wide) Vec {
	largest := func(hi, lo, d operand.Op) { e.VMAXPS(hi, lo, d) }
	return e.fold(w, largest)
}

func (e *Emitter) fold(w Wide, op func(hi, lo, d operand.Op)) Vec {
	d := e.Fresh()
	hi := e.Fresh()
	if e.isa == AVX512 {
		e.VEXTRACTF64X4(operand.U8(1), w[0].r, hi.r.AsY())
		op(hi.r.AsY(), w[0].r.AsY(), d.r.AsY())
		e.VEXTRACTF32X4(operand.U8(1), d.r.AsY(), hi.X())
	} else {
		op(w[1].r, w[0].r, d.r)
		e.VEXTRACTF128(operand.U8(1), d.r, hi.X())
	}
	op(hi.X(), d.X(), d.X())
	e.VPERMILPS(operand.U8(0x0e), d.X(), hi.X()) // lanes 2 and 3 to the front
	op(hi.X(), d.X(), d.X())
	e.VPERMILPS(operand.U8(0x01), d.X(), hi.X()) // lane 1 to the front
	op(hi.X(), d.X(), d.X())
	return d
}

// StoreLane writes lane 0.
func (e *Emitter) StoreLane(v Vec, m operand.Mem) { e.VMOVSS(v.X(), m) }
