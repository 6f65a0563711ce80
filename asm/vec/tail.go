package vec

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Tail is a mask of the first n lanes of a vector. It holds a register of its
// own: a mask register on AVX-512, a vector register on AVX2.
type Tail struct {
	k reg.OpmaskVirtual
	v Vec
}

// TailOf returns the mask of the first n lanes, n being 0 to Lanes.
func (e *Emitter) TailOf(n int) Tail {
	if n < 0 || n > e.Lanes() {
		e.Errorf("vec: tail of %d lanes; a vector has %d", n, e.Lanes())
		n = 0
	}
	if e.isa == AVX512 {
		r := e.GP32()
		e.MOVL(operand.U32(1<<n-1), r)
		return e.kmov(r)
	}
	d := e.Fresh()
	e.VMOVUPS(e.pool.tailTable().Offset(4*(8-n)), d.r)
	return Tail{v: d}
}

// TailReg returns the mask of the first n lanes, n being a 64-bit register
// that holds 0 to Lanes. The register is left as it is.
func (e *Emitter) TailReg(n reg.GPVirtual) Tail {
	if e.isa == AVX512 {
		r := e.GP32() // 2^n - 1
		e.XORL(r, r)
		e.BTSL(n.As32(), r)
		e.DECL(r)
		return e.kmov(r)
	}
	p := e.GP64()
	e.LEAQ(e.pool.tailTable().Offset(4*8), p)
	i := e.GP64()
	e.MOVQ(n, i)
	e.NEGQ(i)
	d := e.Fresh()
	e.VMOVUPS(operand.Mem{Base: p, Index: i, Scale: 4}, d.r)
	return Tail{v: d}
}

func (e *Emitter) kmov(r reg.GPVirtual) Tail {
	k := e.K()
	e.KMOVW(r, k)
	return Tail{k: k}
}

// LoadTail reads the lanes of t and sets the others to zero. Memory of the
// others is not touched.
func (e *Emitter) LoadTail(m operand.Mem, t Tail) Vec {
	d := e.Fresh()
	if e.isa == AVX512 {
		e.VMOVUPS_Z(m, t.k, d.r)
	} else {
		e.VMASKMOVPS(m, t.v.r, d.r)
	}
	return d
}

// StoreTail writes the lanes of t. Memory of the others is not touched.
func (e *Emitter) StoreTail(v Vec, m operand.Mem, t Tail) {
	if e.isa == AVX512 {
		e.VMOVUPS(v.r, t.k, m)
	} else {
		e.VMASKMOVPS(v.r, t.v.r, m)
	}
}

// KeepTail returns v in the lanes of t and zero in the others.
func (e *Emitter) KeepTail(v Vec, t Tail) Vec {
	if e.isa == AVX2 {
		return e.And(v, t.v)
	}
	d := e.Fresh()
	e.VMOVAPS_Z(v.r, t.k, d.r)
	return d
}
