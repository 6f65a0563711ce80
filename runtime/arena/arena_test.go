package arena

import (
	"testing"
	"unsafe"
)

func TestSlicesAreAlignedAndApart(t *testing.T) {
	sizes := []int{1, 16, 17, 1000, 1 << 20, 0, 3}
	total := 0
	for _, n := range sizes {
		total += (n + 15) / 16 * 16
	}
	a, err := New(total)
	if err != nil {
		t.Fatal(err)
	}
	var slices [][]float32
	for i, n := range sizes {
		s := a.Floats(n)
		if len(s) != n || cap(s) != n {
			t.Fatalf("asked for %d, got %d of capacity %d", n, len(s), cap(s))
		}
		if n > 0 && uintptr(unsafe.Pointer(&s[0]))%Align != 0 {
			t.Errorf("slice of %d is not aligned", n)
		}
		for j := range s {
			if s[j] != 0 {
				t.Fatal("memory is not zero")
			}
			s[j] = float32(i)
		}
		slices = append(slices, s)
	}
	for i, s := range slices {
		for _, v := range s {
			if v != float32(i) {
				t.Fatal("slices overlap")
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a.Close() == nil {
		t.Error("closed twice without an error")
	}
}

func TestTooLarge(t *testing.T) {
	for _, n := range []int{-1, maxFloats + 1} {
		if _, err := New(n); err == nil {
			t.Errorf("New(%d) gave no error", n)
		}
	}
}

func TestAligned(t *testing.T) {
	for n := 1; n < 100; n++ {
		s := Aligned(n)
		if len(s) != n || uintptr(unsafe.Pointer(&s[0]))%Align != 0 {
			t.Fatalf("Aligned(%d): %d at %p", n, len(s), &s[0])
		}
	}
}
