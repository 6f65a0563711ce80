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
