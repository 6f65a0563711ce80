package emulate

import "math"

// Conversions, roundings and comparisons.
var _ = known(map[string]entry{
	"VCVTDQ2PS":   {"v v", lanewise1(func(a uint32) uint32 { return raw(float32(int32(a))) })},
	"VCVTPS2DQ":   {"v v", lanewise1(toInteger)},
	"VCVTPS2PD":   {"X Y|Y Z", widen},
	"VROUNDPS":    {"$ v v", immediate1(func(how uint64) func(uint32) uint32 { return roundScaled(how & 0xf) })},
	"VRNDSCALEPS": {"$ v v", immediate1(roundScaled)},
	"VCMPPS":      {"$ v v v|$ m v v|$ v v k|$ m v k|.BCST $ m v k", compareFloats},
})

// toInteger rounds to the nearest; what no int32 holds is the least one.
func toInteger(a uint32) uint32 {
	f := math.RoundToEven(float64(float(a)))
	if f >= -1<<31 && f < 1<<31 {
		return uint32(int32(f))
	}
	return 1 << 31
}

func widen(i *instruction) step {
	from, to := i.args[0], i.args[1].reg
	return func(m *machine) {
		var v vector
		for l := range from.lanes {
			v.setDouble(2*l, float64(float(m.v[from.reg][l]|quietBit(m.v[from.reg][l]))))
		}
		m.v[to] = v
	}
}

func quietBit(a uint32) uint32 {
	if nan(a) {
		return quiet
	}
	return 0
}

// roundScaled rounds to a multiple of 2^-M, M being the upper four bits of the
// immediate. The lower ones say how: bit 2 to take the mode from MXCSR, which is to
// the nearest, else bits 0 and 1 tell it; bit 3 keeps quiet about exceptions.
func roundScaled(how uint64) func(a uint32) uint32 {
	modes := []func(float64) float64{math.RoundToEven, math.Floor, math.Ceil, math.Trunc}
	mode := modes[how&3]
	if how&4 != 0 {
		mode = math.RoundToEven
	}
	scale := math.Ldexp(1, int(how>>4&0xf))
	return func(a uint32) uint32 {
		f := float64(float(a))
		switch {
		case nan(a):
			return a | quiet
		case math.IsInf(f, 0):
			return a
		}
		return raw(float32(mode(f*scale) / scale))
	}
}

// predicates are those of comparisons, for ordered numbers less, equal and greater
// and for unordered ones; the numbers of 16 and more differ from them in exceptions.
var predicates = []func(less, equal, unordered bool) bool{
	func(_, e, _ bool) bool { return e },              // equal
	func(l, _, _ bool) bool { return l },              // less
	func(l, e, _ bool) bool { return l || e },         // less or equal
	func(_, _, u bool) bool { return u },              // unordered
	func(_, e, _ bool) bool { return !e },             // not equal, or unordered
	func(l, _, _ bool) bool { return !l },             // not less, or unordered
	func(l, e, _ bool) bool { return !l && !e },       // not less or equal, or unordered
	func(_, _, u bool) bool { return !u },             // ordered
	func(_, e, u bool) bool { return e || u },         // equal, or unordered
	func(l, _, u bool) bool { return l || u },         // not greater or equal
	func(l, e, u bool) bool { return l || e || u },    // not greater
	func(_, _, _ bool) bool { return false },          // false
	func(_, e, u bool) bool { return !e && !u },       // not equal, and ordered
	func(l, _, u bool) bool { return !l && !u },       // greater or equal
	func(l, e, u bool) bool { return !l && !e && !u }, // greater
	func(_, _, _ bool) bool { return true },           // true
}

// compareFloats compares Intel's first source with the second, into a vector of ones
// or zeros or into a mask.
func compareFloats(i *instruction) step {
	is, i := predicates[i.args[0].value&15], i.tail()
	s, first, to, n := i.source(0), i.args[1].reg, i.args[2], i.lanes
	return func(m *machine) {
		var tmp, v vector
		b, a := s.get(m, &tmp), &m.v[first]
		var k uint16
		for l := range n {
			x, y := float(a[l]), float(b[l])
			if is(x < y, x == y, x != x || y != y) {
				v[l] = 1<<32 - 1
				k |= 1 << l
			}
		}
		if to.kind == mask {
			m.k[to.reg] = k
		} else {
			m.v[to.reg] = v
		}
	}
}
