package half_test

import (
	"math"
	"testing"

	"github.com/dnngen/dnngen/runtime/half"
)

// All 65,536 numbers, by the formula of the standard in float64.
func TestFloat32(t *testing.T) {
	for h := range 1 << 16 {
		sign, exponent, fraction := 1.0, h>>10&0x1f, float64(h&0x3ff)
		if h>>15 == 1 {
			sign = -1
		}
		want := sign * math.Ldexp(1+fraction/1024, exponent-15)
		switch {
		case exponent == 0:
			want = math.Copysign(math.Ldexp(fraction, -24), sign)
		case exponent == 0x1f && fraction == 0:
			want = math.Inf(int(sign))
		case exponent == 0x1f:
			want = math.NaN()
		}
		got := half.Float32(uint16(h))
		if math.IsNaN(want) {
			if got == got {
				t.Fatalf("%#04x is %v, want NaN", h, got)
			}
		} else if math.Float32bits(got) != math.Float32bits(float32(want)) {
			t.Fatalf("%#04x is %v, want %v", h, got, want)
		}
	}
}

func TestBFloat32(t *testing.T) {
	for b, want := range map[uint16]float32{0x3fc0: 1.5, 0xc000: -2, 0x0000: 0, 0x7f80: float32(math.Inf(1))} {
		if got := half.BFloat32(b); got != want {
			t.Errorf("%#04x is %v, want %v", b, got, want)
		}
	}
}
