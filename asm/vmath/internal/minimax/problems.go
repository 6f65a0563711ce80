package main

import "math"

// problems lists the polynomials of package vmath. Degrees are the least that
// leave the error of the whole function to rounding.
func problems() []problem {
	// Half of the width of the reduced argument of exp, with a little more for
	// the rounding of x/ln2.
	const half = math.Ln2/2 + 1e-5
	return []problem{
		{
			name: "expCoeffs", doc: "exp(r) = 1 + r + r^2*(sum c[i]*r^i)",
			lo: -half, hi: half, degree: 4,
			value:  expm1Tail,
			weight: func(x float64) float64 { return x * x * math.Exp(-x) },
		},
		{
			name: "expRoughCoeffs", doc: "exp(r) = sum c[i]*r^i",
			lo: -half, hi: half, fixed: []float64{1}, degree: 5,
			value:  math.Exp,
			weight: func(x float64) float64 { return math.Exp(-x) },
		},
		{
			name: "expm1Coeffs", doc: "exp(r) - 1 = r + r^2*(sum c[i]*r^i)",
			lo: -half, hi: half, fixed: []float64{0.5}, degree: 4,
			value:  expm1Tail,
			weight: func(x float64) float64 { return safeRatio(x*x, math.Expm1(x), math.Abs(x)) },
		},
		{
			name: "logCoeffs", doc: "log(1+f) = f + f^2*(sum c[i]*f^i)",
			lo: -0.25, hi: 0.5, fixed: []float64{-0.5}, degree: 8,
			value:  log1pTail,
			weight: func(x float64) float64 { return safeRatio(x*x, math.Log1p(x), math.Abs(x)) },
		},
		{
			name: "log1pCoeffs", doc: "log(1+e) = e + e^2*(sum c[i]*e^i)",
			lo: 0, hi: 1, degree: 8,
			value:  log1pTail,
			weight: func(x float64) float64 { return safeRatio(x*x, math.Log1p(x), math.Abs(x)) },
		},
		{
			name: "tanhCoeffs", doc: "tanh(x) = x + x*u*(sum c[i]*u^i), u = x^2",
			lo: 0, hi: tanhBorder * tanhBorder, degree: 4,
			value: func(u float64) float64 {
				if u < 1e-6 {
					return -1.0/3 + u*2/15
				}
				x := math.Sqrt(u)
				return (math.Tanh(x)/x - 1) / u
			},
			weight: func(u float64) float64 {
				x := math.Sqrt(u)
				return safeRatio(x*u, math.Tanh(x), u)
			},
		},
		{
			name: "erfCoeffs", doc: "erf(x) = x + x*(sum c[i]*u^i), u = x^2",
			lo: 0, hi: erfBorder * erfBorder, degree: 5,
			value: func(u float64) float64 {
				if u < 1e-12 {
					return 2/math.SqrtPi - 1
				}
				x := math.Sqrt(u)
				return math.Erf(x)/x - 1
			},
			weight: func(u float64) float64 {
				x := math.Sqrt(u)
				return safeRatio(x, math.Erf(x), 1)
			},
		},
		{
			name: "erfcCoeffs", doc: "log(erfc(a)) = sum c[i]*a^i",
			lo: erfBorder, hi: 4, degree: 6,
			value:  func(x float64) float64 { return math.Log(math.Erfc(x)) },
			weight: func(x float64) float64 { return math.Erfc(x) / math.Erf(x) },
		},
	}
}

// tanhBorder and erfBorder part the arguments near zero from the others.
const (
	tanhBorder = 0.6
	erfBorder  = 0.8
)

// expm1Tail returns (e^x - 1 - x) / x^2.
func expm1Tail(x float64) float64 {
	if math.Abs(x) < 1e-3 {
		return 0.5 + x*(1.0/6+x*(1.0/24+x/120))
	}
	return (math.Expm1(x) - x) / (x * x)
}

// log1pTail returns (log(1+x) - x) / x^2.
func log1pTail(x float64) float64 {
	if math.Abs(x) < 1e-3 {
		return -0.5 + x*(1.0/3+x*(-0.25+x*0.2))
	}
	return (math.Log1p(x) - x) / (x * x)
}

// safeRatio returns |a/b|, or limit where both vanish.
func safeRatio(a, b, limit float64) float64 {
	if b == 0 {
		return math.Abs(limit)
	}
	return math.Abs(a / b)
}
