package half

import (
	"math"
	"testing"
)

// Every half is held against its definition, in float64.
func TestFloat32(t *testing.T) {
	for h := range 1 << 16 {
		sign, exponent, fraction := 1.0, h>>10&0x1f, float64(h&0x3ff)
		if h>>15 == 1 {
			sign = -1
		}
		want := sign * math.Ldexp(1024+fraction, exponent-25)
		switch {
		case exponent == 0:
			want = math.Copysign(math.Ldexp(fraction, -24), sign)
		case exponent == 31 && fraction == 0:
			want = math.Inf(int(sign))
		case exponent == 31:
			want = math.NaN()
		}
		got := float64(Float32(uint16(h)))
		if got != want && !(got != got && want != want) || math.Signbit(got) != (sign < 0) {
			t.Fatalf("%#04x: %g, want %g", h, got, want)
		}
	}
}
