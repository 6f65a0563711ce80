package emulate

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// Instructions that AVX-512 alone has, against other ways to the same number.

// TestExponents: the exponent and the mantissa of a number make the number, whose bits
// tell them.
func TestExponents(t *testing.T) {
	each(t, "VGETEXPPS Z1, Z0", func(a, _ uint32) uint32 {
		switch exp := a >> 23 & 0xff; {
		case a<<1 == 0:
			return 0xff800000 // minus infinity
		case exp == 255 && a<<9 != 0:
			return a | 0x00400000
		case exp == 255:
			return 0x7f800000
		case exp == 0: // denormal: the exponent of the leading digit
			return raw(float32(bits.Len32(a<<9>>9) - 1 - 149))
		default:
			return raw(float32(exp) - 127)
		}
	})
	for how := range 16 {
		each(t, fmt.Sprintf("VGETMANTPS $%d, Z1, Z0", how), func(a, _ uint32) uint32 {
			sign, digits := a&0x80000000, a&0x7fffffff
			if digits > 0x7f800000 {
				return a | 0x00400000
			}
			if how&8 != 0 && sign != 0 && digits != 0 {
				return 0xffc00000
			}
			if how&4 != 0 {
				sign = 0
			}
			if digits == 0 || digits == 0x7f800000 {
				return sign | 0x3f800000
			}
			exp := int(digits>>23) - 127
			if exp == -127 { // denormal: move the leading digit to its place
				shift := bits.LeadingZeros32(digits) - 8
				digits <<= shift
				exp = -126 - shift
			}
			digits &= 0x007fffff
			below := how&3 == 2 || how&3 == 1 && exp&1 != 0 || how&3 == 3 && digits>>22 != 0
			if below {
				return sign | 126<<23 | digits
			}
			return sign | 127<<23 | digits
		})
	}
}

// TestScale multiplies by powers in two halves, which float64 holds.
func TestScale(t *testing.T) {
	each(t, "VSCALEFPS Z2, Z1, Z0", func(a, b uint32) uint32 {
		x, y := float64(float(a)), float64(float(b))
		quietNaN := x != x && a&0x00400000 != 0
		switch {
		case quietNaN && math.IsInf(y, 1):
			return 0x7f800000
		case quietNaN && math.IsInf(y, -1):
			return 0
		case x != x:
			return a | 0x00400000
		case y != y:
			return b | 0x00400000
		case math.IsInf(y, 0):
			// Infinity times zero has no result, nor has zero times infinity.
			if x == 0 && y > 0 || math.IsInf(x, 0) && y < 0 {
				return 0xffc00000
			}
			return raw(float32(x * math.Exp2(y)))
		}
		y = math.Floor(y)
		y = max(-600, min(600, y))
		return raw(float32(x * math.Exp2(y)))
	})
}

// TestRange sorts numbers by their bits, whose order is that of whole numbers with a
// sign apart.
func TestRange(t *testing.T) {
	for how := range 16 {
		each(t, fmt.Sprintf("VRANGEPS $%d, Z2, Z1, Z0", how), func(a, b uint32) uint32 {
			isNaN := func(v uint32) bool { return v<<1 > 0xff000000 }
			isQuiet := func(v uint32) bool { return isNaN(v) && v&0x00400000 != 0 }
			if isNaN(a) && !isQuiet(a) {
				return a | 0x00400000
			}
			if isNaN(b) && !isQuiet(b) {
				return b | 0x00400000
			}
			key := func(v uint32) int64 {
				k := 2 * int64(v&0x7fffffff)
				switch {
				case how&2 != 0: // magnitudes, and of equal ones the negative is smaller
					return k - int64(v>>31)
				case v>>31 != 0:
					return -k - 1
				}
				return k
			}
			v := a
			switch {
			case isNaN(b):
			case isNaN(a):
				v = b
			case how&1 == 0 && key(b) < key(a), how&1 != 0 && key(b) > key(a):
				v = b
			}
			switch how >> 2 {
			case 0:
				return v&0x7fffffff | a&0x80000000
			case 2:
				return v & 0x7fffffff
			case 3:
				return v | 0x80000000
			}
			return v
		})
	}
}

// TestRound: by adding and taking away 2^23 for whole numbers; multiples of 2^-M are
// whole after scaling.
func TestRound(t *testing.T) {
	for m := range 16 {
		each(t, fmt.Sprintf("VRNDSCALEPS $%d, Z1, Z0", m<<4|8), func(a, _ uint32) uint32 {
			x := float(a)
			if x != x {
				return a | 0x00400000
			}
			if size := math.Abs(float64(x)); size >= math.Ldexp(1, 23-m) {
				return a
			}
			big := math.Ldexp(1, 52-m)
			r := math.Abs(float64(x)) + big // to the nearest, ties to even
			return raw(float32(math.Copysign(r-big, float64(x))))
		})
	}
	for mode, f := range []func(float64) float64{math.RoundToEven, math.Floor, math.Ceil, math.Trunc, math.RoundToEven} {
		each(t, fmt.Sprintf("VRNDSCALEPS $%d, Z1, Z0", mode), func(a, _ uint32) uint32 {
			if x := float(a); x == x {
				return raw(float32(f(float64(x))))
			}
			return a | 0x00400000
		})
	}
}

// TestTernary makes known functions of three bits.
func TestTernary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for how, f := range map[int]func(d, a, b uint32) uint32{
		0xd8: func(d, a, b uint32) uint32 { return b&a | ^b&d },
		0xe8: func(d, a, b uint32) uint32 { return d&a | a&b | b&d },
		0x96: func(d, a, b uint32) uint32 { return d ^ a ^ b },
		0xe4: func(d, a, b uint32) uint32 { return b&d | ^b&a },
		0xea: func(d, a, b uint32) uint32 { return d&a | b },
		0x80: func(d, a, b uint32) uint32 { return d & a & b },
		0x02: func(d, a, b uint32) uint32 { return ^d & ^a & b },
	} {
		var d, a, b vector
		for l := range d {
			d[l], a[l], b[l] = r.Uint32(), r.Uint32(), r.Uint32()
		}
		got := prepare(t, fmt.Sprintf("VPTERNLOGD $%#x, Z2, Z1, Z0", how))(a, b, d, 0)
		for l := range d {
			if want := f(d[l], a[l], b[l]); got[l] != want {
				t.Errorf("%#x: lane %d is %#x, want %#x", how, l, got[l], want)
			}
		}
	}
}

// lanesFrom is a vector of the numbers from first on.
func lanesFrom(first uint32) (v vector) {
	for l := range v {
		v[l] = first + uint32(l)
	}
	return v
}

// TestLanes writes down what moves between lanes make: a has the lanes 100 to 115, b
// 200 to 215, and the destination before 0 to 15.
func TestLanes(t *testing.T) {
	for code, want := range map[string]vector{
		"VSHUFF32X4 $0x1b, Z2, Z1, Z0":     {112, 113, 114, 115, 108, 109, 110, 111, 204, 205, 206, 207, 200, 201, 202, 203},
		"VSHUFF64X2 $0x4e, Z2, Z1, Z0":     {108, 109, 110, 111, 112, 113, 114, 115, 200, 201, 202, 203, 204, 205, 206, 207},
		"VSHUFPS $0x1b, Z2, Z1, Z0":        {103, 102, 201, 200, 107, 106, 205, 204, 111, 110, 209, 208, 115, 114, 213, 212},
		"VUNPCKLPS Z2, Z1, Z0":             {100, 200, 101, 201, 104, 204, 105, 205, 108, 208, 109, 209, 112, 212, 113, 213},
		"VUNPCKHPS Z2, Z1, Z0":             {102, 202, 103, 203, 106, 206, 107, 207, 110, 210, 111, 211, 114, 214, 115, 215},
		"VUNPCKLPD Z2, Z1, Z0":             {100, 101, 200, 201, 104, 105, 204, 205, 108, 109, 208, 209, 112, 113, 212, 213},
		"VUNPCKHPD Z2, Z1, Z0":             {102, 103, 202, 203, 106, 107, 206, 207, 110, 111, 210, 211, 114, 115, 214, 215},
		"VEXTRACTF64X4 $1, Z1, Y0":         {108, 109, 110, 111, 112, 113, 114, 115},
		"VEXTRACTF32X4 $3, Z1, X0":         {112, 113, 114, 115},
		"VEXTRACTF32X4 $1, Y1, X0":         {104, 105, 106, 107},
		"VEXTRACTF64X2 $1, Y1, X0":         {104, 105, 106, 107},
		"VPERM2F128 $0x21, Y2, Y1, Y0":     {104, 105, 106, 107, 200, 201, 202, 203},
		"VPERM2F128 $0x83, Y2, Y1, Y0":     {204, 205, 206, 207},
		"VPERMILPS $0x1b, X1, X0":          {103, 102, 101, 100},
		"VPERMILPD $0x01, X1, X0":          {102, 103, 100, 101},
		"VINSERTF128 $1, (BX), Y1, Y0":     {100, 101, 102, 103, 200, 201, 202, 203},
		"VBLENDMPS Z2, Z1, K1, Z0":         {200, 101, 202, 103, 204, 205, 106, 107, 108, 109, 110, 111, 112, 113, 114, 215},
		"VBLENDMPS.BCST 8(BX), Z1, K1, Z0": {202, 101, 202, 103, 202, 202, 106, 107, 108, 109, 110, 111, 112, 113, 114, 202},
		"VMOVAPS.Z Z1, K1, Z0":             {100, 0, 102, 0, 104, 105, 9: 0, 15: 115},
		"VMOVUPS.Z (AX), K1, Z0":           {100, 0, 102, 0, 104, 105, 9: 0, 15: 115},
		"VBROADCASTSS.Z 4(AX), K1, Z0":     {101, 0, 101, 0, 101, 101, 9: 0, 15: 101},
		"VBROADCASTSS X1, Z0":              {100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100},
		"VMOVAPS Y1, Y0":                   {100, 101, 102, 103, 104, 105, 106, 107},
		"VMOVSS 4(AX), X0":                 {101},
		"VMOVSD 4(AX), X0":                 {101, 102},
		"VPADDD.BCST (BX), Z1, Z0":         lanesFrom(300),
		"VPSUBD Z1, Z2, Z0":                {100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100},
		"VZEROUPPER":                       {0, 1, 2, 3},
	} {
		if got := prepare(t, code)(lanesFrom(100), lanesFrom(200), lanesFrom(0), 0x8035); got != want {
			t.Errorf("%s gives %v, want %v", code, got, want)
		}
	}
}

// TestCompare: each predicate of two numbers is told by which of four ways they are
// ordered in; these bits for each predicate are those of the manual's table.
func TestCompare(t *testing.T) {
	// Greater, less, equal, unordered.
	table := []string{
		"0010", "0100", "0110", "0001", "1101", "1011", "1001", "1110",
		"0011", "0101", "0111", "0000", "1100", "1010", "1000", "1111",
	}
	for p := range 32 {
		each(t, fmt.Sprintf("VCMPPS $%d, Z2, Z1, K2\n VPXORD Z0, Z0, Z0\n VPTERNLOGD $0xff, Z3, Z3, Z3\n VMOVAPS.Z Z3, K2, Z0", p), func(a, b uint32) uint32 {
			x, y := float(a), float(b)
			way := 3
			switch {
			case x > y:
				way = 0
			case x < y:
				way = 1
			case x == y:
				way = 2
			}
			if table[p&15][way] == '1' {
				return 0xffffffff
			}
			return 0
		})
	}
}

// TestBroadcastOperand: one number of memory stands for all lanes, and Intel's first
// source comes last.
func TestBroadcastOperand(t *testing.T) {
	a, b := lanesFrom(0), lanesFrom(0)
	for l := range a {
		a[l], b[l] = raw(float32(l)), raw(float32(2*l+1))
	}
	for code, f := range map[string]func(a float32) float32{
		"VSUBPS.BCST 4(BX), Z1, Z0":                               func(a float32) float32 { return a - 3 },
		"VDIVPS.BCST 4(BX), Z1, Z0":                               func(a float32) float32 { return a / 3 },
		"VMOVAPS Z1, Z0\n VFMADD231PS.BCST 4(BX), Z1, Z0":         func(a float32) float32 { return a*3 + a },
		"VMOVAPS Z1, Z0\n VFMSUB132PS.BCST 4(BX), Z1, Z0":         func(a float32) float32 { return a*3 - a },
		"VMOVAPS Z1, Z0\n VFNMADD213PS.BCST 4(BX), Z1, Z0":        func(a float32) float32 { return 3 - a*a },
		"VMOVAPS Z1, Z0\n VFNMSUB213PS.BCST 4(BX), Z1, Z0":        func(a float32) float32 { return -3 - a*a },
		"VSQRTPS.BCST 16(BX), Z0":                                 func(float32) float32 { return 3 },
		"VCVTPS2DQ Z1, Z0\n VCVTDQ2PS Z0, Z0\n VPSLLD $0, Z0, Z0": func(a float32) float32 { return a },
	} {
		got := prepare(t, code)(a, b, vector{}, 0)
		for l := range got {
			if want := f(float(a[l])); float(got[l]) != want {
				t.Errorf("%s: lane %d is %g, want %g", code, l, float(got[l]), want)
			}
		}
	}
}
