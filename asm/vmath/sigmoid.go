package vmath

import (
	"github.com/dnngen/dnngen/asm/vec"
)

// Sigmoid returns 1 / (1 + e^-x), denormal numbers included.
func Sigmoid(e *vec.Emitter, x vec.Vec) vec.Vec {
	return sigmoid(e, x, expNegAbs(e, x))
}

// sigmoid needs small, e^-|x|. With w = small/(1 + small) the result is 1 - w
// for x >= 0, and w below, taken as small*(1 - w): the rounding of 1 + small
// then counts less.
func sigmoid(e *vec.Emitter, x, small vec.Vec) vec.Vec {
	w := e.Div(small, e.Add(small, vec.C(1)))
	top := e.Where(x, vec.Lt, vec.C(0), small, vec.C(1))
	return e.Fnma(top, w, top)
}

// Tanh returns the hyperbolic tangent.
//
// Near zero it is an odd polynomial; elsewhere, with t = e^(-2|x|), it is
// 1 - 2t/(1 + t).
func Tanh(e *vec.Emitter, x vec.Vec) vec.Vec {
	const settled = 10 // far beyond the x where the result becomes 1
	a := reduce(e, e.Min(e.Abs(x), vec.C(settled)), -2)
	t := e.ScalbNormal(expOf(e, a.r, -2, 1), a.n)
	w := e.Div(t, e.Add(t, vec.C(1)))
	big := e.CopySign(e.Fnma(w, vec.C(2), vec.C(1)), x)
	u := e.Mul(x, x)
	small := e.Fma(e.Mul(x, u), poly(e, u, tanhCoeffs), x)
	return e.Where(u, vec.Lt, vec.C(tanhBorder*tanhBorder), small, big)
}

// tanhBorder and erfBorder part the arguments near zero from the others; the
// coefficients are fitted to them.
const (
	tanhBorder = 0.7
	erfBorder  = 0.92
)

// Erf returns the error function.
//
// Near zero it is an odd polynomial; elsewhere it is 1 - e^g, where g is a
// polynomial for the logarithm of 1 - erf|x|.
func Erf(e *vec.Emitter, x vec.Vec) vec.Vec {
	const settled = 4 // beyond the x where the result becomes 1
	g := poly(e, e.Min(e.Abs(x), vec.C(settled)), erfcCoeffs)
	a := reduce(e, g, 1)
	t := e.ScalbNormal(expOf(e, a.r, 1, 1), a.n)
	big := e.CopySign(e.Sub(vec.C(1), t), x)
	u := e.Mul(x, x)
	small := e.Fma(x, poly(e, u, erfCoeffs), x)
	return e.Where(u, vec.Lt, vec.C(erfBorder*erfBorder), small, big)
}

// tanhSoftplus returns tanh(softplus(x)), needing small, e^-|x|.
//
// With t = e^x it is n/(n + 2), n = t*(t + 2). For x > 0 both parts are
// divided by t^2, so that nothing overflows: with s = 1/t the numerator is
// 1 + 2s and the denominator adds 2s^2.
func tanhSoftplus(e *vec.Emitter, x, small vec.Vec) vec.Vec {
	negative := e.Cmp(x, vec.Le, vec.C(0))
	square := e.Mul(small, small)
	twice := e.Add(small, small)
	n := e.Add(twice, e.Blend(negative, square, vec.C(1)))
	rest := e.Blend(negative, vec.C(2), e.Add(square, square))
	return e.Div(n, e.Add(n, rest))
}
