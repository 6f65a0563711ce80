package vec

import "github.com/mmcloughlin/avo/operand"

// instr is an instruction of avo with its form for a broadcast operand.
type instr struct{ plain, bcst func(ops ...operand.Op) }

// op emits a two-operand instruction: d = a OP b. Only b may be a constant in
// memory; a constant a is loaded first.
func (e *Emitter) op(i instr, a, b Val) Vec {
	x := e.Reg(a)
	d := e.Fresh()
	e.last(i, b, x.r, d.r)
	return d
}

// last emits an instruction whose last source, the first operand in Go's
// order, is v.
func (e *Emitter) last(i instr, v Val, rest ...operand.Op) {
	op, bcst := e.source(v)
	ops := append([]operand.Op{op}, rest...)
	if bcst {
		i.bcst(ops...)
	} else {
		i.plain(ops...)
	}
}

// memLast orders the operands of a commutative operation so that one in a
// register comes first, if there is one.
func memLast(a, b Val) (Val, Val) {
	if _, ok := a.(Vec); !ok {
		return b, a
	}
	return a, b
}

// Add returns a + b.
func (e *Emitter) Add(a, b Val) Vec {
	a, b = memLast(a, b)
	return e.op(instr{e.VADDPS, e.VADDPS_BCST}, a, b)
}

// Sub returns a - b.
func (e *Emitter) Sub(a, b Val) Vec { return e.op(instr{e.VSUBPS, e.VSUBPS_BCST}, a, b) }

// Mul returns a * b.
func (e *Emitter) Mul(a, b Val) Vec {
	a, b = memLast(a, b)
	return e.op(instr{e.VMULPS, e.VMULPS_BCST}, a, b)
}

// Div returns a / b.
func (e *Emitter) Div(a, b Val) Vec { return e.op(instr{e.VDIVPS, e.VDIVPS_BCST}, a, b) }

// Sqrt returns the square root of a.
func (e *Emitter) Sqrt(a Val) Vec {
	d := e.Fresh()
	e.last(instr{e.VSQRTPS, e.VSQRTPS_BCST}, a, d.r)
	return d
}

// AddInto does d += a.
func (e *Emitter) AddInto(d Vec, a Val) { e.last(instr{e.VADDPS, e.VADDPS_BCST}, a, d.r, d.r) }

// Fma returns a*b + c, rounded once.
func (e *Emitter) Fma(a, b, c Val) Vec { return e.fma(fmadd, a, b, c) }

// Fms returns a*b - c, rounded once.
func (e *Emitter) Fms(a, b, c Val) Vec { return e.fma(fmsub, a, b, c) }

// Fnma returns c - a*b, rounded once.
func (e *Emitter) Fnma(a, b, c Val) Vec { return e.fma(fnmadd, a, b, c) }

// FmaInto does d += a*b, rounded once.
func (e *Emitter) FmaInto(d, a Vec, b Val) {
	e.last(instr{e.VFMADD231PS, e.VFMADD231PS_BCST}, b, a.r, d.r)
}

// Max returns the larger of a and b, NaN where one of them is NaN. Of two
// zeros it returns either.
func (e *Emitter) Max(a, b Val) Vec {
	return e.extremum(instr{e.VMAXPS, e.VMAXPS_BCST}, a, b)
}

// Min returns the smaller of a and b, NaN where one of them is NaN. Of two
// zeros it returns either.
func (e *Emitter) Min(a, b Val) Vec {
	return e.extremum(instr{e.VMINPS, e.VMINPS_BCST}, a, b)
}

// extremum emits a maximum or minimum. The instruction returns its last
// source where either is NaN: enough if only that source can be NaN.
func (e *Emitter) extremum(i instr, a, b Val) Vec {
	b, a = memLast(b, a)
	if c, ok := a.(Const); ok && !c.isNaN() {
		return e.op(i, c, e.Reg(b))
	}
	x, y := e.Reg(a), e.Reg(b)
	return e.Blend(e.Cmp(x, Unordered, x), x, e.op(i, x, y))
}

// MinAbs returns the smaller of |a| and limit, and limit where a is NaN; limit
// is not negative.
func (e *Emitter) MinAbs(a Vec, limit Const) Vec {
	if e.isa == AVX512 {
		// The smaller in magnitude, without its sign.
		const magnitude = 2 | 2<<2
		d := e.Fresh()
		e.VRANGEPS_BCST(operand.U8(magnitude), e.pool.mem(limit), a.r, d.r)
		return d
	}
	return e.op(instr{e.VMINPS, e.VMINPS_BCST}, e.Abs(a), limit)
}

// Neg returns a with its sign flipped.
func (e *Emitter) Neg(a Val) Vec { return e.Xor(a, Bits(0x80000000)) }

// Abs returns a without its sign.
func (e *Emitter) Abs(a Val) Vec { return e.And(a, Bits(0x7fffffff)) }
