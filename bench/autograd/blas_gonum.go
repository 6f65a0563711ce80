//go:build !netlib

package autograd

// BLAS names the implementation of the matrix products.
const BLAS = "gonum"
