// Package npy reads and writes NumPy's array files: one array as .npy, several
// named ones as .npz.
//
// Numbers of every width and byte order are read; floating point becomes
// float32, whole numbers and booleans become int64. Objects, strings and
// records are refused: reading objects would mean running what the file says.
package npy

import "fmt"

// Array is an array in C order: the last index runs fastest. Exactly one of
// Float and Int is set, also where the array has no element.
type Array struct {
	Shape []int // empty for a scalar
	Float []float32
	Int   []int64
}

// Len returns the number of elements.
func (a *Array) Len() int {
	if a.Float != nil {
		return len(a.Float)
	}
	return len(a.Int)
}

// elements multiplies the dimensions of a shape; ok is false where the product
// is more than limit.
func elements(shape []int, limit int64) (n int64, ok bool) {
	n = 1
	for _, d := range shape {
		if d == 0 {
			return 0, true
		}
	}
	for _, d := range shape {
		if d < 0 || n > limit/int64(d) {
			return 0, false
		}
		n *= int64(d)
	}
	return n, true
}

// Error says what is wrong with an array file.
type Error struct{ Msg string }

func (e *Error) Error() string { return "npy: " + e.Msg }

func errorf(format string, args ...any) error {
	return &Error{Msg: fmt.Sprintf(format, args...)}
}
