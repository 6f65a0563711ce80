package vec

import "github.com/mmcloughlin/avo/operand"

// And returns the bitwise and of a and b.
func (e *Emitter) And(a, b Val) Vec {
	a, b = memLast(a, b)
	if e.isa == AVX512 {
		return e.op(instr{e.VPANDD, e.VPANDD_BCST}, a, b)
	}
	return e.op(instr{e.VANDPS, nil}, a, b)
}

// AndNot returns the bits of b that a does not have.
func (e *Emitter) AndNot(a, b Val) Vec {
	if e.isa == AVX512 {
		return e.op(instr{e.VPANDND, e.VPANDND_BCST}, a, b)
	}
	return e.op(instr{e.VANDNPS, nil}, a, b)
}

// Or returns the bitwise or of a and b.
func (e *Emitter) Or(a, b Val) Vec {
	a, b = memLast(a, b)
	if e.isa == AVX512 {
		return e.op(instr{e.VPORD, e.VPORD_BCST}, a, b)
	}
	return e.op(instr{e.VORPS, nil}, a, b)
}

// Xor returns the bitwise exclusive or of a and b.
func (e *Emitter) Xor(a, b Val) Vec {
	if x, ok := a.(Vec); ok && b == Val(x) {
		return e.Zero() // avo does not count such operands as read
	}
	a, b = memLast(a, b)
	if e.isa == AVX512 {
		return e.op(instr{e.VPXORD, e.VPXORD_BCST}, a, b)
	}
	return e.op(instr{e.VXORPS, nil}, a, b)
}

// CopySign returns a's magnitude, a being not negative, with the sign of b.
func (e *Emitter) CopySign(a, b Vec) Vec {
	sign := Bits(0x80000000)
	if e.isa == AVX512 {
		// A truth table: where the third source has a one the second, else the first.
		const pick = 0xd8
		d := e.Copy(a)
		e.VPTERNLOGD_BCST(operand.U8(pick), e.pool.mem(sign), b.r, d.r)
		return d
	}
	return e.Or(a, e.And(b, sign))
}

// AddInt returns a + b, lanes being 32-bit integers.
func (e *Emitter) AddInt(a, b Val) Vec {
	a, b = memLast(a, b)
	return e.op(instr{e.VPADDD, e.VPADDD_BCST}, a, b)
}

// SubInt returns a - b, lanes being 32-bit integers.
func (e *Emitter) SubInt(a, b Val) Vec { return e.op(instr{e.VPSUBD, e.VPSUBD_BCST}, a, b) }

// Shl shifts 32-bit lanes to the left.
func (e *Emitter) Shl(a Vec, n uint8) Vec { return e.shift(e.VPSLLD, a, n) }

// Sar shifts 32-bit lanes to the right and fills with the sign.
func (e *Emitter) Sar(a Vec, n uint8) Vec { return e.shift(e.VPSRAD, a, n) }

func (e *Emitter) shift(op func(...operand.Op), a Vec, n uint8) Vec {
	d := e.Fresh()
	op(operand.U8(n), a.r, d.r)
	return d
}

// ToInt converts to 32-bit integers, rounding to nearest, halves to even. What
// does not fit, and NaN, becomes 0x80000000.
func (e *Emitter) ToInt(a Vec) Vec {
	d := e.Fresh()
	e.VCVTPS2DQ(a.r, d.r)
	return d
}

// FromInt converts 32-bit integers to float32.
func (e *Emitter) FromInt(a Vec) Vec {
	d := e.Fresh()
	e.VCVTDQ2PS(a.r, d.r)
	return d
}
