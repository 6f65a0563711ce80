package emulate

import "math"

// Instructions on exponents and ranges, which AVX-512 alone has.
var _ = known(map[string]entry{
	"VGETEXPPS":  {"v v|m v", lanewise1(getExponent)},
	"VGETMANTPS": {"$ v v", immediate1(getMantissa)},
	"VSCALEFPS":  {"v v v|m v v|.BCST m v v", lanewise2(scale)},
	"VRANGEPS":   {"$ v v v|$ m v v|.BCST $ m v v", immediate2(inRange)},
})

// getExponent gives the exponent as a number, also of denormal ones.
func getExponent(a uint32) uint32 {
	switch {
	case nan(a):
		return a | quiet
	case a&^signBit == infinity:
		return infinity
	case a&^signBit == 0:
		return infinity | signBit
	}
	return raw(float32(math.Ilogb(float64(float(a)))))
}

// getMantissa scales numbers by a power of two into the interval that bits 0 and 1 of
// the immediate name. With bit 2 the sign is dropped, with bit 3 negative numbers have
// no result.
func getMantissa(how uint64) func(a uint32) uint32 {
	return func(a uint32) uint32 {
		if nan(a) {
			return a | quiet
		}
		sign := a & signBit
		if how&8 != 0 && sign != 0 && a != signBit {
			return indefinite
		}
		if how&4 != 0 {
			sign = 0
		}
		a &^= signBit
		if a == 0 || a == infinity {
			return raw(1) | sign
		}
		f, e := math.Frexp(float64(float(a))) // f in [0.5, 1)
		half := false
		switch how & 3 {
		case 1: // [0.5, 2): by an even power
			half = (e-1)%2 != 0
		case 2: // [0.5, 1)
			half = true
		case 3: // [0.75, 1.5)
			half = f >= 0.75
		}
		if !half {
			f *= 2
		}
		return raw(float32(f)) | sign
	}
}

// scale multiplies a by two to the power of the largest whole number that is not
// above b.
func scale(a, b uint32) uint32 {
	minus := uint32(infinity | signBit)
	switch {
	case nan(a):
		if a&quiet != 0 && b == infinity {
			return infinity
		}
		if a&quiet != 0 && b == minus {
			return 0
		}
		return a | quiet
	case nan(b):
		return b | quiet
	case a&^signBit == infinity && b == minus, a&^signBit == 0 && b == infinity:
		return indefinite
	case a&^signBit == infinity, a&^signBit == 0:
		return a
	}
	// Beyond these powers every number has left the range of float32.
	power := math.Floor(max(-400, min(400, float64(float(b)))))
	return raw(float32(math.Ldexp(float64(float(a)), int(power))))
}

// inRange takes the smaller or larger of two numbers, or of their magnitudes with bit
// 1 of the immediate; bits 2 and 3 tell the sign: that of a, that of the number, none,
// or minus.
func inRange(how uint64) func(a, b uint32) uint32 {
	return func(a, b uint32) uint32 {
		switch {
		case nan(a) && a&quiet == 0:
			return a | quiet
		case nan(b) && b&quiet == 0:
			return b | quiet
		}
		var v uint32
		switch {
		case nan(b):
			v = a
		case nan(a):
			v = b
		default:
			// Of equal magnitudes the negative one is smaller, of zeros too.
			x, y := float(a), float(b)
			if how&2 != 0 {
				x, y = float(a&^signBit), float(b&^signBit)
			}
			first := x < y || x == y && a&signBit != 0
			if v = b; first == (how&1 == 0) {
				v = a
			}
		}
		switch how >> 2 & 3 {
		case 0:
			v = v&^signBit | a&signBit
		case 2:
			v &^= signBit
		case 3:
			v |= signBit
		}
		return v
	}
}
