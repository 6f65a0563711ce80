// Package testkernels holds the functions of vmath as kernels over slices, so
// that tests and benchmarks can run them.
package testkernels

//go:generate go run ./gen
