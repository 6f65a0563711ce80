package emulate

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"
)

// odd are numbers that instructions treat by themselves.
var odd = []uint32{
	0, signBit, 1, signBit | 1, 2, 0x007fffff, 0x00800000, 0x807fffff, 0x00800001, raw(1), raw(-1), raw(0.75), raw(1.5), raw(-2), raw(2.5), raw(0.5),
	raw(3), 0x3f7fffff, 0x3f800001, 0x4b000001, raw(126), raw(-126.5), raw(-149), raw(127), raw(150), raw(1e10), raw(-1e30),
	0x7f7fffff, 0xff7fffff, infinity, infinity | signBit, indefinite, 0x7fc00000, 0x7fc01234, 0x7f800001, 0xffa00000, 0x4f000000, 0xcf000000, 0xcf000001, 0x4effffff,
}

// number draws one of odd, or any float32, or one near 1.
func number(r *rand.Rand) uint32 {
	switch r.IntN(3) {
	case 0:
		return odd[r.IntN(len(odd))]
	case 1:
		return r.Uint32()
	}
	return raw(float32(r.NormFloat64()))
}

// once returns x*y+z in as many digits as it takes, rounded once.
func once(x, y, z float32) float32 {
	of := func(f float32) *big.Float { return new(big.Float).SetPrec(700).SetFloat64(float64(f)) }
	s := of(x)
	s.Mul(s, of(y))
	s.Add(s, of(z))
	f, _ := s.Float32()
	return f
}

// fma is one lane.
func fma(x, y, z, product, addend uint32) uint32 {
	var d vector
	multiplyAddLanes(&d, &vector{x}, &vector{y}, &vector{z}, 1, product, addend)
	return d[0]
}

// TestFMA compares with one rounding of the exact sum.
func TestFMA(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	check := func(x, y, z float32) {
		t.Helper()
		want := once(x, y, z)
		for _, got := range []uint32{fma(raw(x), raw(y), raw(z), 0, 0), roundOnce(raw(x), raw(y), raw(z), 0, 0)} {
			if got != raw(want) && (want != 0 || float(got) != 0) { // signs of zeros are below
				t.Fatalf("%g*%g+%g (%#x, %#x, %#x) is %g, want %g", x, y, z, raw(x), raw(y), raw(z), float(got), want)
			}
		}
	}
	wrong := 0 // cases in which rounding twice is wrong
	for range 50000 {
		// x*y lies at half a unit of z's last place, so that the sum lies halfway between
		// two numbers, or just beside it. Some of the numbers are denormal.
		z := float32(math.Ldexp(float64(1<<23+r.IntN(1<<23)), []int{-100, -20, 30, -149, -155}[r.IntN(5)]))
		half := math.Nextafter32(z, math.MaxFloat32) - z
		x := 0.5 + float32(r.IntN(5)-2)*0x1p-24
		y := half * (1 + float32(r.IntN(5)-2)*0x1p-23)
		for _, sign := range []float32{1, -1} {
			check(sign*x, y, z)
			check(sign*x, y, -z)
			if float32(float64(sign*x)*float64(y)+float64(z)) != once(sign*x, y, z) {
				wrong++
			}
		}
	}
	if wrong < 1000 {
		t.Errorf("only %d cases tell one rounding from two", wrong)
	}
	for range 50000 {
		x, y, z := float(number(r)), float(number(r)), float(number(r))
		if x-x == 0 && y-y == 0 && z-z == 0 {
			check(x, y, z)
		}
	}
	for _, c := range []struct{ x, y, z, product, addend, want uint32 }{
		{0, raw(1), signBit, 0, 0, 0},
		{signBit, raw(1), signBit, 0, 0, signBit},
		{raw(2), raw(3), raw(6), 0, signBit, 0},
		{raw(2), raw(3), raw(6), signBit, 0, 0},
		{0, raw(3), 0, signBit, signBit, signBit},
		{infinity, 0, raw(1), 0, 0, indefinite},
		{infinity, raw(1), infinity, signBit, 0, indefinite},
		{infinity, raw(1), infinity, 0, 0, infinity},
		{infinity, 0, 0x7f800001, 0, 0, 0x7fc00001},
		{0x7f812345, raw(1), raw(1), signBit, signBit, 0x7fc12345}, // a NaN keeps its sign
	} {
		if got := fma(c.x, c.y, c.z, c.product, c.addend); got != c.want {
			t.Errorf("%#x gives %#x", c, got)
		}
	}
}

// prepare returns a function that executes instructions and returns what they leave
// in Z0. They find a in Z1 and at (AX), b in Z2 and at (BX), c in Z0, and a mask in K1.
func prepare(t *testing.T, code string) func(a, b, c vector, k int) vector {
	t.Helper()
	p, err := Load(fmt.Appendf(nil, `TEXT ·f(SB), NOSPLIT, $0-40
	MOVQ d+0(FP), DI
	MOVQ a+8(FP), AX
	MOVQ b+16(FP), BX
	MOVQ c+24(FP), SI
	MOVQ k+32(FP), R8
	KMOVW R8, K1
	VMOVUPS (SI), Z0
	VMOVUPS (AX), Z1
	VMOVUPS (BX), Z2
	%s
	VMOVUPS Z0, (DI)
	VZEROUPPER
	RET
`, code))
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.Func("f", reflect.TypeFor[func(d, a, b, c *float32, k int)]())
	if err != nil {
		t.Fatal(err)
	}
	call := f.Interface().(func(d, a, b, c *float32, k int))
	at := func(v *vector) *float32 { return (*float32)(unsafe.Pointer(v)) }
	return func(a, b, c vector, k int) (d vector) {
		call(at(&d), at(&a), at(&b), at(&c), k)
		return d
	}
}

// each calls check with the lanes of what an instruction makes of many numbers.
func each(t *testing.T, code string, check func(a, b uint32) (want uint32)) {
	t.Helper()
	r := rand.New(rand.NewPCG(2, uint64(len(code))))
	f := prepare(t, code)
	for range 1000 {
		var a, b vector
		for l := range a {
			a[l], b[l] = number(r), number(r)
		}
		got := f(a, b, vector{}, 0)
		for l := range a {
			if want := check(a[l], b[l]); got[l] != want {
				t.Fatalf("%s of %g (%#x) and %g (%#x) is %g (%#x), want %g (%#x)", code,
					float(a[l]), a[l], float(b[l]), b[l], float(got[l]), got[l], float(want), want)
			}
		}
	}
}
