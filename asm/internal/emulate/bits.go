package emulate

// Logic and integers in lanes.
var _ = known(map[string]entry{
	"VANDPS":  {"v v v|m v v", lanewise2(andBits)},
	"VANDNPS": {"v v v|m v v", lanewise2(andNotBits)},
	"VORPS":   {"v v v|m v v", lanewise2(orBits)},
	"VXORPS":  {"v v v|m v v", lanewise2(xorBits)},
	"VPANDD":  {"v v v|m v v|.BCST m v v", lanewise2(andBits)},
	"VPANDND": {"v v v|m v v|.BCST m v v", lanewise2(andNotBits)},
	"VPORD":   {"v v v|m v v|.BCST m v v", lanewise2(orBits)},
	"VPXORD":  {"v v v|m v v|.BCST m v v", lanewise2(xorBits)},

	"VPADDD": {"v v v|m v v|.BCST m v v", lanewise2(func(a, b uint32) uint32 { return a + b })},
	"VPSUBD": {"v v v|m v v|.BCST m v v", lanewise2(func(a, b uint32) uint32 { return a - b })},
	"VPSLLD": {"$ v v", immediate1(func(by uint64) func(uint32) uint32 {
		return func(a uint32) uint32 { return a << (by & 0xff) }
	})},
	"VPSRAD": {"$ v v", immediate1(func(by uint64) func(uint32) uint32 {
		return func(a uint32) uint32 { return uint32(int32(a) >> (by & 0xff)) }
	})},

	"VPTERNLOGD": {"$ v v v|$ m v v|.BCST $ m v v", ternary},
})

func andBits(a, b uint32) uint32    { return a & b }
func andNotBits(a, b uint32) uint32 { return ^a & b }
func orBits(a, b uint32) uint32     { return a | b }
func xorBits(a, b uint32) uint32    { return a ^ b }

// ternary looks up each bit in the immediate: at the number that the bits of the
// destination and of Intel's second and third operand make.
func ternary(i *instruction) step {
	how, i := uint32(i.args[0].value), i.tail()
	s, second, to, n := i.source(0), i.args[1].reg, i.args[2].reg, i.lanes
	return func(m *machine) {
		var tmp vector
		c, b, d := s.get(m, &tmp), &m.v[second], &m.v[to]
		for l := range n {
			var v uint32
			for bit := range 32 {
				at := d[l]>>bit&1<<2 | b[l]>>bit&1<<1 | c[l]>>bit&1
				v |= how >> at & 1 << bit
			}
			d[l] = v
		}
		d.finish(n)
	}
}
