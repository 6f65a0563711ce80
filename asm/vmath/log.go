package vmath

import (
	"math"

	"github.com/dnngen/dnngen/asm/vec"
)

// Log returns the natural logarithm: -Inf of 0 and -0, NaN of negative x.
func Log(e *vec.Emitter, x vec.Vec) vec.Vec {
	m, n := e.Frexp(x)
	f := e.Sub(m, vec.C(1))
	// The terms are added from the smallest to the largest.
	square := e.Mul(f, f)
	y := e.Fma(square, poly(e, f, square, logCoeffs), e.Mul(n, vec.C(ln2Lo)))
	y = e.Add(y, f)
	return e.Fma(n, vec.C(ln2Hi), y)
}

// log1pUnit returns log(1+y) of y in [0, 1].
func log1pUnit(e *vec.Emitter, y vec.Vec) vec.Vec {
	square := e.Mul(y, y)
	return e.Fma(square, poly(e, y, square, log1pCoeffs), y)
}

// softplus returns log(1 + e^x), as max(x, 0) + log(1 + e^-|x|). It needs
// small, e^-|x|.
func softplus(e *vec.Emitter, x, small vec.Vec) vec.Vec {
	return e.Add(e.Max(x, vec.C(0)), log1pUnit(e, small))
}

// expNegAbs returns e^-|x|.
func expNegAbs(e *vec.Emitter, x vec.Vec) vec.Vec {
	return ExpNegative(e, e.Or(x, vec.C(math.Copysign(0, -1))))
}
