package vec

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
)

// Scalb returns p * 2^n, rounded once where it is denormal, infinite where it
// is too large. p is in [1/4, 4], n a whole number in [-250, 250]; where p is
// NaN, n may be too.
func (e *Emitter) Scalb(p, n Vec) Vec {
	if e.isa == AVX512 {
		return e.scalef(p, n)
	}
	// Half of n goes into the exponent's bits, which leaves a normal number;
	// the product with the other half is the one that rounds.
	i := e.ToInt(n)
	h := e.Sar(i, 1)
	rest := e.AddInt(e.Shl(e.SubInt(i, h), 23), C(1))
	return e.Mul(e.AddInt(p, e.Shl(h, 23)), rest)
}

// ScalbNormal returns p * 2^n where that is a normal number; n is whole. Where
// p is NaN, n may be too.
func (e *Emitter) ScalbNormal(p, n Vec) Vec {
	if e.isa == AVX512 {
		return e.scalef(p, n)
	}
	// A NaN n becomes 0x80000000, and nothing when shifted.
	return e.AddInt(p, e.Shl(e.ToInt(n), 23))
}

func (e *Emitter) scalef(p, n Vec) Vec {
	d := e.Fresh()
	e.VSCALEFPS(n.r, p.r, d.r)
	return d
}

// Frexp splits x = m * 2^n with m in [3/4, 3/2). Zero gives n = -Inf and m = 1,
// infinity n = +Inf and m = 1. NaN and negative x give m = NaN.
func (e *Emitter) Frexp(x Vec) (m, n Vec) {
	if e.isa == AVX512 {
		// Interval [3/4, 3/2), NaN for negative numbers, zero without its sign.
		const control = 3 | 3<<2
		m, n = e.Fresh(), e.Fresh()
		e.VGETMANTPS(operand.U8(control), x.r, m.r)
		e.VGETEXPPS(x.r, n.r)
		low := e.Fresh()
		e.VGETEXPPS(m.r, low.r)
		return m, e.Sub(n, low)
	}
	const threeQuarters = 0x3f400000
	// Denormal numbers are brought into the normal range first.
	denormal := e.Cmp(x, Lt, C(0x1p-126))
	y := e.Blend(denormal, e.Mul(x, C(0x1p23)), x)
	// Zero and infinity come out with m = 1 by themselves.
	i := e.Sar(e.SubInt(y, Bits(threeQuarters)), 23)
	m = e.SubInt(y, e.Shl(i, 23))
	m = e.Where(x, Ge, C(0), m, C(math.NaN()))
	n = e.Sub(e.FromInt(i), e.And(denormal.v, C(23)))
	n = e.Where(x, Eq, C(0), C(math.Inf(-1)), n)
	n = e.Where(x, Lt, C(math.Inf(1)), n, C(math.Inf(1)))
	return m, n
}
