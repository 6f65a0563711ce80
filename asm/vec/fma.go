package vec

import "github.com/mmcloughlin/avo/operand"

// fmaOp is one of the fused operations, with its three operand orders.
type fmaOp int

const (
	fmadd  fmaOp = iota // a*b + c
	fmsub               // a*b - c
	fnmadd              // c - a*b
)

// forms returns the three orders of an operation. Of destination d, second
// source s and last source m they compute 132: d*m+s, 213: s*d+m, 231: s*m+d.
func (e *Emitter) forms(o fmaOp) (f132, f213, f231 instr) {
	switch o {
	case fmsub:
		return instr{e.VFMSUB132PS, e.VFMSUB132PS_BCST}, instr{e.VFMSUB213PS, e.VFMSUB213PS_BCST}, instr{e.VFMSUB231PS, e.VFMSUB231PS_BCST}
	case fnmadd:
		return instr{e.VFNMADD132PS, e.VFNMADD132PS_BCST}, instr{e.VFNMADD213PS, e.VFNMADD213PS_BCST}, instr{e.VFNMADD231PS, e.VFNMADD231PS_BCST}
	}
	return instr{e.VFMADD132PS, e.VFMADD132PS_BCST}, instr{e.VFMADD213PS, e.VFMADD213PS_BCST}, instr{e.VFMADD231PS, e.VFMADD231PS_BCST}
}

// fma emits a fused operation into a new register. The instruction overwrites
// one of its sources, so that source is copied first, unless it is a constant,
// whose load serves as the copy.
func (e *Emitter) fma(o fmaOp, a, b, c Val) Vec {
	_, f213, f231 := e.forms(o)
	a, b = constLast(a, b)
	_, constA := a.(Const)
	_, constB := b.(Const)
	_, constC := c.(Const)
	switch {
	case constA: // all of a*b is constant
		d := e.Copy(a)
		e.last(f213, c, e.Reg(b).r, d.r)
		return d
	case constB && constC: // the load of b is the copy
		d := e.Copy(b)
		e.last(f213, c, a.(Vec).r, d.r)
		return d
	case constB:
		d := e.Copy(c)
		e.last(f231, b, a.(Vec).r, d.r)
		return d
	case constC:
		d := e.Copy(a)
		e.last(f213, c, b.(Vec).r, d.r)
		return d
	}
	d := e.Copy(a)
	f213.plain([]operand.Op{c.(Vec).r, b.(Vec).r, d.r}...)
	return d
}
