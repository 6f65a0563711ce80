package emulate

import "math"

// Fused multiply-adds. Of the three operands, in Intel's order 1 (the destination), 2
// and 3, the digits name the factors and then what is added.
var _ = known(fused())

func fused() map[string]entry {
	rows := map[string]entry{}
	for name, signs := range map[string][2]uint32{
		"VFMADD": {0, 0}, "VFMSUB": {0, signBit}, "VFNMADD": {signBit, 0}, "VFNMSUB": {signBit, signBit},
	} {
		for _, order := range []string{"132", "213", "231"} {
			rows[name+order+"PS"] = entry{"v v v|m v v|.BCST m v v", multiplyAdd(order, signs[0], signs[1])}
		}
	}
	return rows
}

func multiplyAdd(order string, product, addend uint32) func(i *instruction) step {
	return func(i *instruction) step {
		s, second, to, n := i.source(0), i.args[1].reg, i.args[2].reg, i.lanes
		return func(m *machine) {
			var tmp vector
			operands := [3]*vector{&m.v[to], &m.v[second], s.get(m, &tmp)}
			d, x, y, z := operands[0], operands[order[0]-'1'], operands[order[1]-'1'], operands[order[2]-'1']
			for l := range n {
				d[l] = fma(x[l], y[l], z[l], product, addend)
			}
			d.finish(n)
		}
	}
}

// fma returns x*y+z, rounded once; product and addend are sign bits that turn the
// sign of x*y and of z.
//
// The product of two float32 is exact in float64, and the sum s is rounded there. The
// second rounding, to float32, gives another number than one rounding of the exact
// sum only if s lies halfway between two float32 and the exact sum does not. Normal
// numbers are halfway if the lowest 29 bits of s are a one and 28 zeros; others are
// left to fmaSlow.
func fma(x, y, z, product, addend uint32) uint32 {
	s := float64(float(x^product))*float64(float(y)) + float64(float(z^addend))
	b := math.Float64bits(s)
	if e := b >> 52 & 0x7ff; e < 1023-126 || e > 1023+127 || b&(1<<29-1) == 1<<28 {
		return fmaSlow(x, y, z, product, addend)
	}
	return raw(float32(s))
}

// fmaSlow rounds to odd first: where the sum of float64 is not exact, of the two
// numbers around it, it takes the one whose last bit is set. With two bits and more
// to spare, rounding that to any float32 is rounding the exact sum (Boldo and
// Melquiond, Emulation of FMA and correctly rounded sums, 2008).
func fmaSlow(x, y, z, product, addend uint32) uint32 {
	for _, v := range []uint32{x, y, z} {
		if nan(v) {
			return v | quiet
		}
	}
	p, c := float64(float(x^product))*float64(float(y)), float64(float(z^addend))
	s := p + c
	if s != s {
		return indefinite
	}
	if !math.IsInf(s, 0) {
		// What the sum lacks, exactly (Knuth's TwoSum).
		t := s - p
		lacks := (p - (s - t)) + (c - t)
		if b := math.Float64bits(s); lacks != 0 && b&1 == 0 {
			if (lacks > 0) == (s > 0) {
				b++
			} else {
				b--
			}
			s = math.Float64frombits(b)
		}
	}
	return raw(float32(s))
}
