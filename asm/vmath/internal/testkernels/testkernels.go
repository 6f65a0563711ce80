// Package testkernels holds expressions as kernels over slices, lowered by
// vmath for each instruction set, so that tests and benchmarks can run them:
// every primitive alone, and the tables of activations, losses, outputs and
// optimizers.
package testkernels

//go:generate go test -run ^TestGenerated$ -update .

// Kernel is one set of expressions.
type Kernel struct {
	Name  string
	Vars  []string // in the order of the inputs
	Roots int
	// AVX2 and AVX512 read variable i from in[i*Stride:] and write root j to
	// out[j*Stride:], for the given number of vectors of 8 or 16.
	AVX2, AVX512 func(out, in *float32, vectors int)
}

// Stride is the distance of two arrays, in elements; an array holds at most
// Elements. They differ so that equal places of two arrays do not lie a power
// of two apart, which slows down stores.
const (
	Elements = 1024
	Stride   = Elements + 16
)
