package vec

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
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
	if e.isa == AVX512 {
		return e.blendMasked(c, x, y)
	}
	switch {
	case isZero(x):
		return e.AndNot(c.v, y)
	case isZero(y):
		return e.And(c.v, x)
	}
	op, _ := e.source(x)
	below := e.Reg(y)
	d := e.Fresh()
	e.VBLENDVPS(c.v.r, op, below.r, d.r)
	return d
}

// blendMasked is Blend by a mask register.
func (e *Emitter) blendMasked(c Cond, x, y Val) Vec {
	d := e.Fresh()
	last, bcst := e.source(x) // taken where the mask is set
	blend := x86.VBLENDMPS
	if bcst {
		blend = x86.VBLENDMPS_BCST
	}
	i, err := blend(last, e.Reg(y).r, c.k, d.r)
	if err != nil {
		e.errs = append(e.errs, err)
		return d
	}
	// avo takes every masked instruction to read its destination. This one does
	// not, and a register that is read before it is written would be alive from
	// the function's start.
	i.Inputs = slices.DeleteFunc(i.Inputs, func(o operand.Op) bool { return o == operand.Op(d.r) })
	e.Instruction(i)
	return d
}

func isZero(v Val) bool {
	c, ok := v.(Const)
	return ok && c.isZero()
}

// Where returns x where a p b holds and y elsewhere.
func (e *Emitter) Where(a Val, p Pred, b, x, y Val) Vec {
	_, regX := x.(Vec)
	_, regY := y.(Vec)
	switch {
	case e.isa == AVX512 && isZero(x):
		return e.keep(e.Cmp(a, p.not(), b), y)
	case e.isa == AVX512 && isZero(y):
		return e.keep(e.Cmp(a, p, b), x)
	case regX && !regY && !isZero(y):
		// An operand in memory can only be the one taken where the mask is set.
		return e.Blend(e.Cmp(a, p.not(), b), y, x)
	}
	return e.Blend(e.Cmp(a, p, b), x, y)
}

// keep returns v where c holds and zero elsewhere, on AVX-512.
func (e *Emitter) keep(c Cond, v Val) Vec {
	d := e.Fresh()
	op, bcst := e.source(v)
	if bcst {
		e.VBROADCASTSS_Z(op, c.k, d.r)
	} else {
		e.VMOVUPS_Z(op, c.k, d.r)
	}
	return d
}
