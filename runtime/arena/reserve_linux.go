//go:build linux

package arena

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page. A block of several of them starts at
// the border of one and is marked for them; the mark is advice, so that its
// failure does no harm.
const hugePage = 2 << 20

func reserve(floats int) ([]float32, func() error, error) {
	if floats == 0 {
		return nil, func() error { return nil }, nil
	}
	size := 4 * floats
	extra := 0
	if size >= hugePage {
		extra = hugePage
	}
	block, err := unix.Mmap(-1, 0, size+extra, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	skip := 0
	if extra > 0 {
		skip = int(-uintptr(unsafe.Pointer(unsafe.SliceData(block))) % hugePage)
		_ = unix.Madvise(block, unix.MADV_HUGEPAGE)
	}
	all := unsafe.Slice((*float32)(unsafe.Pointer(&block[skip])), floats)
	return all, func() error { return unix.Munmap(block) }, nil
}
