package vmath

import (
	"math"

	"github.com/dnngen/dnngen/asm/vec"
)

// ln2 in two parts. The high part has 16 bits, so that its product with a
// whole number below 256 is exact; both are positive.
const (
	ln2Hi = 0x1.62e4p-1
	ln2Lo = math.Ln2 - ln2Hi
)

// shifter, added to a number below 2^22 in magnitude, rounds it to an integer.
const shifter = 0x1.8p23

// reduced is x = n*ln2/unit + r, n being a whole number.
type reduced struct{ n, r vec.Vec }

// reduce splits x/unit into a multiple of ln2 and a rest of at most ln2/2 in
// magnitude, both in units of 1/unit: n*ln2 + unit*r = unit*x. unit is a power
// of two, with a sign.
func reduce(e *vec.Emitter, x vec.Vec, unit float64) reduced {
	n := e.Sub(e.Fma(x, vec.C(unit/math.Ln2), vec.C(shifter)), vec.C(shifter))
	r := e.Fma(n, vec.C(-ln2Hi/unit), x)
	r = e.Fma(n, vec.C(-ln2Lo/unit), r)
	return reduced{n, r}
}

// expOf returns scale*exp(unit*r), scale being a power of two too. Such
// factors change no bits of the mantissa, so the result is the same for every
// scale and unit.
func expOf(e *vec.Emitter, r vec.Vec, unit, scale float64) vec.Vec {
	q := poly(e, r, e.Mul(r, r), scaled(expCoeffs, scale*unit*unit, unit))
	return e.Fma(r, e.Fma(r, q, vec.C(scale*unit)), vec.C(scale))
}

// scaled returns c[i]*first*ratio^i, exact for powers of two.
func scaled(c []float64, first, ratio float64) []float64 {
	out := make([]float64, len(c))
	for i, x := range c {
		out[i] = x * first
		first *= ratio
	}
	return out
}

// poly evaluates a polynomial, lowest coefficient first, given x and x^2. It
// sums pairs c[i] + c[i+1]*x by Horner's rule in x^2: as many operations as
// Horner's rule in x has, and half the time for them to follow each other.
func poly(e *vec.Emitter, x, square vec.Vec, c []float64) vec.Vec {
	n := len(c) - 1
	var y vec.Val
	if n%2 == 0 {
		y = vec.C(c[n])
		n--
	}
	for ; n > 0; n -= 2 {
		pair := e.Fma(vec.C(c[n]), x, vec.C(c[n-1]))
		if y != nil {
			pair = e.Fma(square, y, pair)
		}
		y = pair
	}
	return e.Reg(y)
}

// Below lowest exp is less than half of the least float32 and rounds to zero;
// above highest it is infinite.
const (
	lowest  = -104
	highest = 89
)

// Exp returns e^x: 0 where that is too small, +Inf where too large, denormal
// numbers between.
func Exp(e *vec.Emitter, x vec.Vec) vec.Vec {
	x = e.Max(e.Min(x, vec.C(highest)), vec.C(lowest))
	a := reduce(e, x, 1)
	return e.Scalb(expOf(e, a.r, 1, 1), a.n)
}

// ExpNegative returns what Exp does, for x <= 0 or NaN and in fewer
// instructions; softmax and its kin have no other arguments.
func ExpNegative(e *vec.Emitter, x vec.Vec) vec.Vec {
	x = e.Max(x, vec.C(lowest))
	a := reduce(e, x, 1)
	if e.ISA() == vec.AVX512 {
		return e.Scalb(expOf(e, a.r, 1, 1), a.n)
	}
	// Carried 2^25 too large, the number is normal until the last, exact
	// but for its one rounding, multiplication.
	const lift = 1 << 25
	return e.Mul(e.ScalbNormal(expOf(e, a.r, 1, lift), a.n), vec.C(1.0/lift))
}

// Expm1 returns e^x - 1, without loss of digits near zero.
func Expm1(e *vec.Emitter, x vec.Vec) vec.Vec {
	const settled = -30 // far below the x where e^x - 1 becomes -1
	a := reduce(e, e.Max(e.Min(x, vec.C(highest)), vec.C(settled)), 1)
	square := e.Mul(a.r, a.r)
	p := e.Fma(square, poly(e, a.r, square, expm1Coeffs), a.r) // e^r - 1
	// e^x - 1 = 2^n*p + (2^n - 1). Half of that is computed and doubled, for
	// 2^n may be too large a number where e^x is not.
	half := e.ScalbNormal(e.Reg(vec.C(0.5)), a.n)
	y := e.Fma(half, p, e.Sub(half, vec.C(0.5)))
	y = e.Add(y, y)
	// So small an r belongs to an x that is its own result; halving it could
	// have cost its last bit, and -0 its sign.
	return e.Where(square, vec.Lt, vec.C(0x1p-100), x, y)
}
