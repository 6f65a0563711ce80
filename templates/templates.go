// Package templates holds the files that text serves best: what dnngen init
// writes, and the CUDA C++ that all emitted kernels share.
package templates

import "embed"

// Scaffold holds the files of a starter project, below "scaffold".
//
//go:embed scaffold
var Scaffold embed.FS

// CUDA holds the headers of emitted kernels and the emulator that runs them
// without a GPU, below "cuda".
//
//go:embed cuda
var CUDA embed.FS
