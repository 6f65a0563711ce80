package simd

import (
	"slices"
	"testing"
	"time"
)

func TestEveryColumnHasOnePlace(t *testing.T) {
	for _, l := range []Layout{{1, 0}, {16, 0}, {17, 0}, {130, 0}, {2, 1}, {10, 1}, {32, 1}, {34, 1}, {68, 2}, {8, 3}} {
		var seen []int
		for p := range l.Panels() {
			for lane := range Lanes {
				if c := l.Column(p, lane); c >= 0 {
					seen = append(seen, c)
				}
			}
		}
		slices.Sort(seen)
		for i, c := range seen {
			if c != i {
				t.Fatalf("%v: columns %v", l, seen)
			}
		}
		if len(seen) != l.Width {
			t.Fatalf("%v: %d columns", l, len(seen))
		}
	}
}

func TestPairsAreNeighbours(t *testing.T) {
	l := Layout{Width: 40, Pairs: 1}
	for lane := range Lanes {
		for p := 0; p < l.Panels(); p += 2 {
			even, odd := l.Column(p, lane), l.Column(p+1, lane)
			if even >= 0 && (even%2 != 0 || odd != even+1) || even < 0 && odd >= 0 {
				t.Errorf("panel %d lane %d: columns %d and %d", p, lane, even, odd)
			}
		}
	}
}

func TestPlaceIsTheInverseOfColumn(t *testing.T) {
	for _, l := range []Layout{{1, 0}, {17, 0}, {130, 0}, {34, 1}, {68, 2}, {136, 3}} {
		for c := range l.Width {
			panel, lane := l.place(c)
			if got := l.Column(panel, lane); got != c {
				t.Errorf("%v: column %d is placed at panel %d, lane %d, where column %d stands", l, c, panel, lane, got)
			}
		}
	}
}

// Pieces of any size at any place are as the whole.
func TestPackInPieces(t *testing.T) {
	for _, s := range []Tensor{{Layout{33, 0}, 5, 16, 16}, {Layout{34, 1}, 3, 16, 0}, {Layout{20, 0}, 1, 1, 0}} {
		src := make([]float32, s.Size())
		for i := range src {
			src[i] = float32(i + 1)
		}
		want := make([]float32, s.Offset+s.Panels()*s.InPad*Lanes)
		s.Pack(want, 0, src)
		for size := 1; size <= len(src); size++ {
			all, back := make([]float32, len(want)), make([]float32, len(src))
			for lo := 0; lo < len(src); lo += size {
				hi := min(lo+size, len(src))
				s.Pack(all, lo, src[lo:hi])
				s.Unpack(back[lo:hi], want, lo)
			}
			if !slices.Equal(all, want) || !slices.Equal(back, src) {
				t.Errorf("%v in pieces of %d: packed %v, want %v; unpacked %v", s, size, all, want, back)
			}
		}
	}
}

func TestPackRefusesWhatIsBesideTheTensor(t *testing.T) {
	s := Tensor{Layout{3, 0}, 2, 16, 0}
	all := make([]float32, s.Panels()*s.InPad*Lanes)
	for _, bad := range []struct{ first, count int }{{-1, 1}, {6, 1}, {5, 2}, {0, 7}} {
		for name, access := range map[string]func([]float32){
			"Pack":   func(v []float32) { s.Pack(all, bad.first, v) },
			"Unpack": func(v []float32) { s.Unpack(v, all, bad.first) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s takes %d elements from %d on", name, bad.count, bad.first)
					}
				}()
				access(make([]float32, bad.count))
			}()
		}
	}
}

func TestPackAndUnpack(t *testing.T) {
	for _, s := range []Tensor{
		{Layout{5, 0}, 3, 16, 32}, {Layout{33, 0}, 17, 32, 0}, {Layout{34, 1}, 2, 16, 16}, {Layout{20, 0}, 1, 1, 0},
	} {
		src := make([]float32, s.Size())
		for i := range src {
			src[i] = float32(i + 1)
		}
		all := make([]float32, s.Offset+s.Panels()*s.InPad*Lanes)
		for i := range all {
			all[i] = -1
		}
		s.Pack(all, 0, src)
		for i := range s.Offset {
			if all[i] != -1 {
				t.Fatalf("%v: wrote before its place", s)
			}
		}
		dst := make([]float32, s.Size())
		s.Unpack(dst, all, 0)
		if !slices.Equal(src, dst) {
			t.Errorf("%v: %v became %v", s, src, dst)
		}
		s.ClearPadding(all)
		clear(dst)
		s.Unpack(dst, all, 0)
		if !slices.Equal(src, dst) {
			t.Errorf("%v: clearing the padding changed %v to %v", s, src, dst)
		}
		zeros := 0
		for _, v := range all[s.Offset:] {
			if v == 0 {
				zeros++
			}
		}
		if padding := len(all) - s.Offset - s.Size(); zeros != padding {
			t.Errorf("%v: %d zeros in place of %d", s, zeros, padding)
		}
	}
}

func TestFold(t *testing.T) {
	sums, parts := make([]float32, Lanes), make([]float32, 3*Lanes)
	for i := range parts {
		parts[i] = float32(i)
	}
	for range 2 { // the sums of the last step are gone
		Fold(sums, parts)
		if sums[0] != 47*48/2 || slices.Max(sums[1:]) != 0 {
			t.Errorf("folded to %v", sums)
		}
	}
}

func TestPeak(t *testing.T) {
	for _, isa := range []string{"avx2", "avx512"} {
		_, _, err := peakOf(isa)
		got, peakErr := Peak(isa, 2, time.Millisecond)
		if err != nil {
			if peakErr == nil {
				t.Errorf("%s is missing, yet has a peak", isa)
			}
			continue
		}
		if peakErr != nil || got <= 0 {
			t.Errorf("%s: %g GFLOP/s, %v", isa, got, peakErr)
		}
	}
	if _, err := Peak("mmx", 1, 0); err == nil {
		t.Error("an unknown instruction set has a peak")
	}
}
