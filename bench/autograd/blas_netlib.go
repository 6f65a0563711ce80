//go:build netlib

package autograd

import (
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/netlib/blas/netlib"
)

// BLAS names the implementation of the matrix products: the library that cgo
// links. OPENBLAS_NUM_THREADS sets the threads of OpenBLAS.
const BLAS = "OpenBLAS"

func init() { blas32.Use(netlib.Implementation{}) }
