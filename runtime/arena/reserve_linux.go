//go:build linux

package arena

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// hugePage is the size of a huge page. A block on huge pages starts at the
	// border of one and is marked for them; the mark is advice, so that its failure
	// does no harm.
	hugePage = 2 << 20
	// worthHuge is the size from which a block is put on huge pages: on small ones,
	// whose places in memory are random, a block of this size collides with itself
	// in the second cache.
	worthHuge = 256 << 10
)

func reserve(floats int) ([]float32, func() error, error) {
	if floats == 0 {
		return nil, func() error { return nil }, nil
	}
	size := 4 * floats
	if size >= worthHuge {
		// Whole huge pages, and as much again as it takes to find a border.
		size = (size+hugePage-1)/hugePage*hugePage + hugePage
	}
	block, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	skip := 0
	if size > hugePage {
		skip = int(-uintptr(unsafe.Pointer(unsafe.SliceData(block))) % hugePage)
		_ = unix.Madvise(block, unix.MADV_HUGEPAGE)
	}
	all := unsafe.Slice((*float32)(unsafe.Pointer(&block[skip])), floats)
	return all, func() error { return unix.Munmap(block) }, nil
}
