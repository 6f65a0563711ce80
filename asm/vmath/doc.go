// Package vmath writes the exponential, the logarithm and their kin as vector
// code over asm/vec, and lowers whole expressions with them.
//
// A function is the same sequence of rounded operations on both instruction
// sets, so its bits are the same: scaling by powers of two and the splitting
// of numbers, which the sets do by different instructions, are exact. All
// functions propagate NaN, give the right infinities and zeros, and denormal
// results where they are due.
//
// The polynomials' coefficients are those of internal/minimax, which fits them
// to package math. Errors are the largest over all 2^32 inputs, in units of
// the last place of the float64 result, rounded; bits were compared for all
// inputs too. Set DNNGEN_SWEEP=1 and run the tests to measure again; the
// default tests take a sample and all inputs near the special ones.
//
//	function        error   ns an element, in the first cache
//	                [ulp]   AVX-512  AVX2   math
//	exp             0.92    0.10     0.29    8.6
//	expm1           1.61    0.13     0.27   34
//	log             0.98    0.10     0.39    7.5
//	tanh            1.94    0.18     0.37   25
//	sigmoid         1.65    0.16     0.35    8.5
//	softplus        1.93    0.25     0.55   23
//	erf             1.43    0.22     0.44   20
//	tanh(softplus)  2.39    0.25     0.54   48
//
// The times are of one core of an AMD EPYC of the Zen 5 family in a shared
// virtual machine, the least of many runs; math is package math in float64.
package vmath

//go:generate go run ./internal/minimax -o zcoeffs.go
