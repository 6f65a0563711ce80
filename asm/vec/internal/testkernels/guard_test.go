//go:build amd64 && !noasm && linux

package testkernels_test

import (
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns 16 float32 behind which a page begins that must not be touched.
func guarded(t *testing.T) []float32 {
	t.Helper()
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(mem) })
	if err := syscall.Mprotect(mem[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&mem[page-64])), 16)
}

// TestTailTouchesNothingElse has the masked lanes lie in forbidden memory.
func TestTailTouchesNothingElse(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		in, out := guarded(t), guarded(t)
		run := kernel(t, m, "tail")
		for n := 1; n <= m.lanes; n++ {
			for i := range in {
				in[i] = float32(i)
			}
			run(&out[16-n], &in[16-n], n)
			for i := 16 - n; i < 16; i++ {
				if out[i] != in[i]+1 {
					t.Errorf("length %d: element %d is %v", n, i, out[i])
				}
			}
		}
		kernel(t, m, "tail5")(&make([]float32, 16)[0], &in[11], 0)
	})
}
