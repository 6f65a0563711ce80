package emulate

import "math"

// Arithmetic in lanes. Roundings are to the nearest, ties to even, and numbers are
// denormal where they are: what MXCSR says when nobody has changed it.
var _ = known(map[string]entry{
	"VADDPS":  {"v v v|m v v|.BCST m v v", lanewise2(addFloat)},
	"VSUBPS":  {"v v v|m v v|.BCST m v v", lanewise2(subFloat)},
	"VMULPS":  {"v v v|m v v|.BCST m v v", lanewise2(mulFloat)},
	"VDIVPS":  {"v v v|m v v|.BCST m v v", lanewise2(divFloat)},
	"VMAXPS":  {"v v v|m v v|.BCST m v v", lanewise2(maxFloat)},
	"VMINPS":  {"v v v|m v v|.BCST m v v", lanewise2(minFloat)},
	"VSQRTPS": {"v v|m v|.BCST m v", lanewise1(squareRoot)},

	"VADDSS": {"X X X|m X X", scalar(addFloat)},
	"VSUBSS": {"X X X|m X X", scalar(subFloat)},
	"VDIVSS": {"X X X|m X X", scalar(divFloat)},

	"VADDPD":   {"v v v", doubles(16, addDouble)},
	"VADDSD":   {"X X X|m X X", doubles(2, addDouble)},
	"VSUBSD":   {"X X X|m X X", doubles(2, subDouble)},
	"VUCOMISD": {"X X", compareDoubles},
})

const (
	indefinite = 0xffc00000 // the NaN that an operation without a result gives
	quiet      = 1 << 22
	signBit    = 1 << 31
	infinity   = 0x7f800000
)

func nan(a uint32) bool { return a&^signBit > infinity }

// binary makes a number of two. A NaN among them is the result, the first before the
// second, made quiet.
func binary(a, b uint32, f func(a, b float32) float32) uint32 {
	v := f(float(a), float(b))
	if v != v {
		switch {
		case nan(a):
			return a | quiet
		case nan(b):
			return b | quiet
		}
		return indefinite
	}
	return raw(v)
}

func addFloat(a, b uint32) uint32 {
	return binary(a, b, func(a, b float32) float32 { return a + b })
}

func subFloat(a, b uint32) uint32 {
	return binary(a, b, func(a, b float32) float32 { return a - b })
}

func mulFloat(a, b uint32) uint32 {
	return binary(a, b, func(a, b float32) float32 { return a * b })
}

func divFloat(a, b uint32) uint32 {
	return binary(a, b, func(a, b float32) float32 { return a / b })
}

// maxFloat gives the second number where one is a NaN or both are zeros.
func maxFloat(a, b uint32) uint32 {
	if float(a) > float(b) {
		return a
	}
	return b
}

func minFloat(a, b uint32) uint32 {
	if float(a) < float(b) {
		return a
	}
	return b
}

func squareRoot(a uint32) uint32 {
	// Twice the digits and two more: the second rounding changes nothing.
	return binary(a, a, func(a, _ float32) float32 { return float32(math.Sqrt(float64(a))) })
}

// scalar is an instruction on the first lane; the others are of Intel's first source.
func scalar(f func(a, b uint32) uint32) func(i *instruction) step {
	return func(i *instruction) step {
		s, first, to := i.source(0), i.args[1].reg, i.args[2].reg
		s.n = 1
		return func(m *machine) {
			var tmp vector
			v := m.v[first]
			v[0] = f(v[0], s.get(m, &tmp)[0])
			v.finish(4)
			m.v[to] = v
		}
	}
}

func (v *vector) double(l int) float64 {
	return math.Float64frombits(uint64(v[l]) | uint64(v[l+1])<<32)
}

func (v *vector) setDouble(l int, f float64) {
	b := math.Float64bits(f)
	v[l], v[l+1] = uint32(b), uint32(b>>32)
}

// doubles is an instruction on float64, of which a pair of lanes holds one: on the
// first n lanes, or on those of the registers if these have less. Lanes between them
// and the fourth are of Intel's first source.
func doubles(n int, f func(a, b float64) float64) func(i *instruction) step {
	return func(i *instruction) step {
		s, first, to := i.source(0), i.args[1].reg, i.args[2].reg
		n := min(n, i.lanes)
		s.n = n
		return func(m *machine) {
			var tmp vector
			v, b := m.v[first], s.get(m, &tmp)
			for l := 0; l < n; l += 2 {
				v.setDouble(l, f(v.double(l), b.double(l)))
			}
			v.finish(max(n, 4))
			m.v[to] = v
		}
	}
}

func addDouble(a, b float64) float64 { return doubleNaN(a, b, a+b) }
func subDouble(a, b float64) float64 { return doubleNaN(a, b, a-b) }

func doubleNaN(a, b, v float64) float64 {
	const quiet = 1 << 51
	switch {
	case v == v:
		return v
	case a != a:
		return math.Float64frombits(math.Float64bits(a) | quiet)
	case b != b:
		return math.Float64frombits(math.Float64bits(b) | quiet)
	}
	return math.Float64frombits(0xfff8 << 48)
}

// compareDoubles compares Intel's first operand, which is the last, with the other.
func compareDoubles(i *instruction) step {
	second, first := i.args[0].reg, i.args[1].reg
	return func(m *machine) {
		a, b := m.v[first].double(0), m.v[second].double(0)
		unordered := a != a || b != b
		m.zero, m.parity, m.carry = one(unordered || a == b), one(unordered), one(unordered || a < b)
		m.overflow, m.sign = 0, 0
	}
}
