// Package testkernels holds kernels that use each operation of vec, and random
// programs that need more registers than there are, so that tests can run
// them.
package testkernels

//go:generate go test -run ^TestGenerated$ -update .

// Kernel is one test program. It reads variable i from in[i*Stride:] and
// writes result j to out[j*Stride:], Lanes elements each.
type Kernel struct {
	Name         string
	AVX2, AVX512 func(out, in *float32, n int)
}

// An array holds Lanes elements: two vectors of AVX2, one of AVX-512. Stride
// is the distance of two arrays.
const (
	Lanes  = 16
	Stride = 16
)
