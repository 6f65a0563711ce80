package vmath

import (
	"github.com/dnngen/dnngen/asm/vec"
)

// sigmoid returns 1 / (1 + e^-x), denormal numbers included. It needs small,
// e^-|x|. With w = small/(1 + small) the result is 1 - w for x >= 0, and w
// below, taken as small*(1 - w): the rounding of 1 + small then counts less.
func sigmoid(e *vec.Emitter, x, small vec.Vec) vec.Vec {
	w := e.Div(small, e.Add(small, vec.C(1)))
	top := e.Where(x, vec.Lt, vec.C(0), small, vec.C(1))
	return e.Fnma(top, w, top)
}

// tanhSoftplus returns tanh(softplus(x)), needing small, e^-|x|.
//
// With t = e^x it is n/(n + 2), n = t*(t + 2). For x > 0 both parts are divided
// by t^2, so that nothing overflows; with s = 1/t it is then 1 - w,
// w = 2s^2/(1 + 2s + 2s^2). For x <= 0 it is taken as n/2*(1 - w) with
// w = n/(n + 2), for the sake of its last digit, as in sigmoid.
func tanhSoftplus(e *vec.Emitter, x, small vec.Vec) vec.Vec {
	positive := e.Cmp(x, vec.NotLe, vec.C(0))
	square := e.Mul(small, small)
	double := e.Add(small, small)
	n := e.Add(double, square)
	over := e.Blend(positive, e.Add(square, square), n)
	under := e.Add(over, e.Blend(positive, e.Add(double, vec.C(1)), vec.C(2)))
	top := e.Blend(positive, vec.C(1), e.Mul(n, vec.C(0.5)))
	return e.Fnma(top, e.Div(over, under), top)
}
