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
	t := expRough(e, e.MinAbs(x, vec.C(settled)), -2)
	w := e.Div(t, e.Add(t, vec.C(1)))
	big := e.CopySign(e.Fnma(w, vec.C(2), vec.C(1)), x)
	u := e.Mul(x, x)
	small := e.Fma(e.Mul(x, u), horner(e, u, tanhCoeffs), x)
	return e.Where(u, vec.Ge, vec.C(tanhBorder*tanhBorder), big, small)
}

// Erf returns the error function: beyond the border it is 1 - e^g, where g is
// a polynomial for the logarithm of 1 - erf|x|.
func Erf(e *vec.Emitter, x vec.Vec) vec.Vec {
	const settled = 4 // beyond the x where the result becomes 1
	b := e.MinAbs(x, vec.C(settled))
	t := expRough(e, poly(e, b, e.Mul(b, b), erfcCoeffs), 1)
	big := e.CopySign(e.Sub(vec.C(1), t), x)
	u := e.Mul(x, x)
	small := e.Fma(x, horner(e, u, erfCoeffs), x)
	return e.Where(u, vec.Ge, vec.C(erfBorder*erfBorder), big, small)
}

// expRough returns e^(unit*x) with an error of up to 2^-23 of it, for unit*x
// in [-40, 0] and not NaN, unit being a power of two with a sign.
func expRough(e *vec.Emitter, x vec.Vec, unit float64) vec.Vec {
	shifted := e.Fma(x, vec.C(unit/math.Ln2), vec.C(shifter))
	n := e.Sub(shifted, vec.C(shifter))
	r := e.Fma(n, vec.C(-math.Ln2/unit), x)
	c := make([]float64, len(expRoughCoeffs))
	power := 1.0
	for i := range c {
		c[i] = expRoughCoeffs[i] * power
		power *= unit
	}
	p := horner(e, r, c)
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
