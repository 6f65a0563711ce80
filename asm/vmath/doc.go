// Package vmath writes the exponential, the logarithm and their kin as vector
// code over asm/vec.
package vmath

//go:generate go run ./internal/minimax -o zcoeffs.go
