package vmath

import (
	"math"

	"github.com/dnngen/dnngen/asm/vec"
)

// Tanh and Erf are odd and settle at 1. Near zero they are odd polynomials;
// beyond a border they are one minus something small, of which an exponential
// with a few digits less than Exp is enough.

// tanhBorder and erfBorder part the two ways; the coefficients are fitted to
// them.
const (
	tanhBorder = 0.6
	erfBorder  = 0.8
)

// Tanh returns the hyperbolic tangent: beyond the border, with t = e^(-2|x|),
// it is 1 - 2t/(1 + t).
func Tanh(e *vec.Emitter, x vec.Vec) vec.Vec {
	const settled = 10 // far beyond the x where the result becomes 1
	b := e.MinAbs(x, vec.C(settled))
	t := expRough(e, b, -2)
	w := e.Div(t, e.Add(t, vec.C(1)))
	big := e.Fnma(w, vec.C(2), vec.C(1))
	u := e.Mul(x, x) // here NaN comes in; b is a number
	small := e.Fma(e.Mul(b, u), horner(e, u, tanhCoeffs), b)
	return e.CopySign(e.Where(u, vec.Ge, vec.C(tanhBorder*tanhBorder), big, small), x)
}

// Erf returns the error function: beyond the border it is 1 - e^g, where g is
// a polynomial for the logarithm of 1 - erf|x|.
func Erf(e *vec.Emitter, x vec.Vec) vec.Vec {
	const settled = 4 // beyond the x where the result becomes 1
	b := e.MinAbs(x, vec.C(settled))
	t := expRough(e, poly(e, b, e.Mul(b, b), erfcCoeffs), 1)
	big := e.Sub(vec.C(1), t)
	u := e.Mul(x, x) // here NaN comes in; b is a number
	small := e.Fma(b, horner(e, u, erfCoeffs), b)
	return e.CopySign(e.Where(u, vec.Ge, vec.C(erfBorder*erfBorder), big, small), x)
}

// expRough returns e^(unit*x) with an error of up to 2^-23 of it, for unit*x
// in [-40, 0] and not NaN, unit being a power of two with a sign.
func expRough(e *vec.Emitter, x vec.Vec, unit float64) vec.Vec {
	shifted := e.Fma(x, vec.C(unit/math.Ln2), vec.C(shifter))
	n := e.Sub(shifted, vec.C(shifter))
	r := e.Fma(n, vec.C(-math.Ln2/unit), x)
	p := horner(e, r, scaled(expRoughCoeffs, 1, unit))
	if e.ISA() == vec.AVX512 {
		return e.ScalbNormal(p, n)
	}
	// The low bits of the shifted number are those of n.
	return e.AddInt(p, e.Shl(shifted, 23))
}

// horner evaluates a polynomial, lowest coefficient first.
func horner(e *vec.Emitter, x vec.Vec, c []float64) vec.Vec {
	n := len(c) - 1
	y := e.Fma(vec.C(c[n]), x, vec.C(c[n-1]))
	for i := n - 2; i >= 0; i-- {
		y = e.Fma(y, x, vec.C(c[i]))
	}
	return y
}
