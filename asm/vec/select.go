package vec

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Pred is a comparison. All but Unordered and those named Not are false where
// an operand is NaN.
type Pred uint8

// The predicates, by the numbers that the instructions use; all are quiet.
const (
	Eq        Pred = 0x00
	Lt        Pred = 0x11
	Le        Pred = 0x12
	Unordered Pred = 0x03
	NotEq     Pred = 0x04
	NotLt     Pred = 0x15
	NotLe     Pred = 0x16
	Gt        Pred = 0x1e
	Ge        Pred = 0x1d
)

// not returns the predicate that is true exactly where p is false.
func (p Pred) not() Pred {
	switch p {
	case Eq:
		return NotEq
	case NotEq:
		return Eq
	case Lt:
		return NotLt
	case NotLt:
		return Lt
	case Le:
		return NotLe
	case NotLe:
		return Le
	case Unordered:
		return 0x07
	case Gt:
		return 0x1a
	case Ge:
		return 0x19
	}
	return p ^ 0x04
}

// Cond is the outcome of a comparison, a truth value a lane: a mask register
// on AVX-512, a vector register on AVX2.
type Cond struct {
	k reg.OpmaskVirtual
	v Vec
}

// Cmp compares a with b.
func (e *Emitter) Cmp(a Val, p Pred, b Val) Cond {
	x := e.Reg(a)
	if e.isa == AVX512 {
		k := e.K()
		e.last(instr{
			func(ops ...operand.Op) { e.VCMPPS(append([]operand.Op{operand.U8(p)}, ops...)...) },
			func(ops ...operand.Op) { e.VCMPPS_BCST(append([]operand.Op{operand.U8(p)}, ops...)...) },
		}, b, x.r, k)
		return Cond{k: k}
	}
	d := e.Fresh()
	e.last(instr{func(ops ...operand.Op) { e.VCMPPS(append([]operand.Op{operand.U8(p)}, ops...)...) }, nil}, b, x.r, d.r)
	return Cond{v: d}
}

// Blend returns x where c holds and y elsewhere.
func (e *Emitter) Blend(c Cond, x, y Val) Vec {
	d := e.Fresh()
	if e.isa == AVX512 {
		// The last source is taken where the mask is set.
		yr := e.Reg(y)
		if k, ok := x.(Const); ok && !k.isZero() {
			e.VBLENDMPS_BCST(e.pool.mem(k), yr.r, c.k, d.r)
			return d
		}
		e.VBLENDMPS(e.Reg(x).r, yr.r, c.k, d.r)
		return d
	}
	if k, ok := x.(Const); ok && k.isZero() {
		return e.AndNot(c.v, e.Reg(y))
	}
	if k, ok := y.(Const); ok && k.isZero() {
		return e.And(c.v, x)
	}
	var last operand.Op
	if k, ok := x.(Const); ok {
		last = e.pool.mem(k)
	} else {
		last = x.(Vec).r
	}
	e.VBLENDVPS(c.v.r, last, e.Reg(y).r, d.r)
	return d
}

// Where returns x where a p b holds and y elsewhere.
func (e *Emitter) Where(a Val, p Pred, b, x, y Val) Vec {
	if k, ok := x.(Const); ok && k.isZero() && e.isa == AVX512 {
		c := e.Cmp(a, p.not(), b)
		d := e.Fresh()
		e.VMOVAPS_Z(e.Reg(y).r, c.k, d.r)
		return d
	}
	if k, ok := y.(Const); ok && k.isZero() && e.isa == AVX512 {
		c := e.Cmp(a, p, b)
		d := e.Fresh()
		e.VMOVAPS_Z(e.Reg(x).r, c.k, d.r)
		return d
	}
	if k, ok := y.(Const); ok && !k.isZero() {
		// Constants are cheapest as the value taken where the condition holds.
		if _, both := x.(Const); !both {
			return e.Blend(e.Cmp(a, p.not(), b), y, x)
		}
	}
	return e.Blend(e.Cmp(a, p, b), x, y)
}

// Select returns x where c <= 0, and y elsewhere, also where c is NaN.
func (e *Emitter) Select(c, x, y Val) Vec { return e.Where(c, Le, C(0), x, y) }
