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
			multiplyAddLanes(d, x, y, z, n, product, addend)
			d.finish(n)
		}
	}
}

// multiplyAddLanes makes n lanes of x*y+z, rounded once; product and addend are sign
// bits that turn the signs of x*y and of z. It is where an emulation spends its time.
func multiplyAddLanes(d, x, y, z *vector, n int, product, addend uint32) {
	for l := range n {
		s := sum(x[l]^product, y[l], z[l]^addend)
		if certain(s) {
			d[l] = raw(float32(s))
		} else {
			d[l] = roundOnce(x[l], y[l], z[l], product, addend)
		}
	}
}

// sum returns x*y+z, rounded to float64, in which the product is exact.
func sum(x, y, z uint32) float64 {
	return float64(float(x))*float64(float(y)) + float64(float(z))
}

// certain tells whether rounding a sum to float32 rounds the exact sum. It gives
// another number only if the sum lies halfway between two float32 and the exact one
// does not. Of numbers that are normal in float32, those are halfway whose lowest 29
// bits are a one and 28 zeros; a sum of zero is exact; others are left to roundOnce.
func certain(s float64) bool {
	b := math.Float64bits(s)
	return b>>52&0x7ff-(1023-126) <= 126+127 && b&(1<<29-1) != 1<<28 || s == 0
}

// roundOnce rounds to odd first: where the sum of float64 is not exact, of the two
// numbers around it, it takes the one whose last bit is set. With two bits and more
// to spare, rounding that to any float32 is rounding the exact sum (Boldo and
// Melquiond, Emulation of FMA and correctly rounded sums, 2008).
func roundOnce(x, y, z, product, addend uint32) uint32 {
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
