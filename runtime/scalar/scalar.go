// Package scalar computes the primitives of activations and losses on single
// float32 values, for the portable backend. Each is computed in float64 and
// rounded once.
package scalar

import "math"

// Exp returns e^x.
func Exp(x float32) float32 { return float32(math.Exp(float64(x))) }

// Expm1 returns e^x - 1.
func Expm1(x float32) float32 { return float32(math.Expm1(float64(x))) }

// Log returns the natural logarithm of x.
func Log(x float32) float32 { return float32(math.Log(float64(x))) }

// Tanh returns the hyperbolic tangent of x.
func Tanh(x float32) float32 { return float32(math.Tanh(float64(x))) }

// Sigmoid returns 1/(1 + e^-x).
func Sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

// Softplus returns log(1 + e^x), as max(x, 0) + log(1 + e^-|x|).
func Softplus(x float32) float32 {
	v := float64(x)
	return float32(max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))))
}

// Erf returns the error function of x.
func Erf(x float32) float32 { return float32(math.Erf(float64(x))) }

// Sqrt returns the square root of x.
func Sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// Abs returns |x|.
func Abs(x float32) float32 { return float32(math.Abs(float64(x))) }
