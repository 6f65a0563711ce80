// Package arena gives aligned memory to vector code: one block, page-aligned,
// outside Go's heap where the system allows, on huge pages where it has them.
package arena

import (
	"errors"
	"fmt"
	"unsafe"
)

// Align is the alignment of every slice in bytes: a cache line.
const Align = 64

// Arena is a block of float32 that is cut into slices. It is not safe for
// concurrent use.
type Arena struct {
	all    []float32
	used   int
	unmap  func() error
	closed bool
}

// New returns an arena of at least size float32, all 0. Memory that is not
// touched is not used up.
func New(size int) (*Arena, error) {
	if size < 0 || size > maxFloats {
		return nil, fmt.Errorf("arena: %d numbers are too many", size)
	}
	all, unmap, err := reserve(round(size))
	if err != nil {
		return nil, fmt.Errorf("arena: cannot reserve %d MiB: %w", size>>18, err)
	}
	return &Arena{all: all, unmap: unmap}, nil
}

// maxFloats bounds an arena, so that sizes in bytes do not overflow.
const maxFloats = 1 << 40

// Floats returns the next n float32 of the arena, 64-byte aligned. Asking for
// more than New was told is a programming error and panics.
func (a *Arena) Floats(n int) []float32 {
	s := a.all[a.used : a.used+n : a.used+n]
	a.used += round(n)
	return s
}

// Skip leaves the next n float32 unused.
func (a *Arena) Skip(n int) { a.Floats(n) }

// Close gives the memory back. Slices of the arena are not used afterwards.
func (a *Arena) Close() error {
	if a.closed {
		return errors.New("arena: closed twice")
	}
	a.closed = true
	a.all = nil
	return a.unmap()
}

// round rounds a number of float32 up to whole cache lines.
func round(n int) int { return (n + Align/4 - 1) &^ (Align/4 - 1) }

// Aligned returns n float32 of Go's heap, aligned to a cache line.
func Aligned(n int) []float32 {
	const slack = Align/4 - 1
	s := make([]float32, n+slack)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(s)))%Align) / 4
	return s[skip : skip+n : skip+n]
}
