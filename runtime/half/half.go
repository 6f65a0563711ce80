// Package half widens floating point numbers of 16 bits to 32.
package half

import "math"

// Float32 widens an IEEE 754 binary16 number: a sign, 5 bits of exponent with
// bias 15, 10 bits of fraction. Every such number is exact in 32 bits.
func Float32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h) & 0x3ff
	switch exponent {
	case 0: // zero, and numbers below 2⁻¹⁴: fraction · 2⁻²⁴
		v := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// BFloat32 widens a bfloat16 number, which is the upper half of a float32.
func BFloat32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }
