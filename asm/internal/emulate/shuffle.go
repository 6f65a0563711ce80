package emulate

// Moves between lanes.
var _ = known(map[string]entry{
	"VSHUFPS":    {"$ v v v|$ m v v", whole2(shuffle)},
	"VUNPCKLPS":  {"v v v|m v v", whole2(unpack(1, 0))},
	"VUNPCKHPS":  {"v v v|m v v", whole2(unpack(1, 2))},
	"VUNPCKLPD":  {"v v v|m v v", whole2(unpack(2, 0))},
	"VUNPCKHPD":  {"v v v|m v v", whole2(unpack(2, 2))},
	"VPERMILPS":  {"$ v v|$ m v", whole1(permute)},
	"VPERMILPD":  {"$ X X", whole1(permutePairs)},
	"VPERM2F128": {"$ Y Y Y", whole2(permuteHalves)},
	"VSHUFF32X4": {"$ Z Z Z", whole2(shuffleQuarters)},
	"VSHUFF64X2": {"$ Z Z Z", whole2(shuffleQuarters)},

	"VINSERTF128":   {"$ m Y Y|$ X Y Y", insertHalf},
	"VEXTRACTF128":  {"$ Y X", extract(4)},
	"VEXTRACTF32X4": {"$ Y X|$ Z X", extract(4)},
	"VEXTRACTF64X2": {"$ Y X|$ Z X", extract(4)},
	"VEXTRACTF64X4": {"$ Z Y", extract(8)},
})

// shuffle takes, in each 128 bits, two lanes of a and then two of b; the immediate
// has two bits for each.
func shuffle(how uint64, a, b vector) (v vector) {
	for l := range v {
		from := &a
		if l%4 >= 2 {
			from = &b
		}
		v[l] = from[l&^3|int(how>>(2*(l%4))&3)]
	}
	return v
}

// unpack takes, in each 128 bits, n lanes of a and n of b in turn, from a lane on.
func unpack(n, first int) func(how uint64, a, b vector) vector {
	return func(_ uint64, a, b vector) (v vector) {
		for l := range v {
			from := &a
			if l/n%2 == 1 {
				from = &b
			}
			v[l] = from[l&^3+first+l%4/(2*n)*n+l%n]
		}
		return v
	}
}

func permute(how uint64, a vector) (v vector) {
	for l := range v {
		v[l] = a[l&^3|int(how>>(2*(l%4))&3)]
	}
	return v
}

// permutePairs takes for each pair of lanes one of the two pairs in its 128 bits.
func permutePairs(how uint64, a vector) (v vector) {
	for l := range v {
		v[l] = a[l&^3|int(how>>(l/2)&1)*2|l&1]
	}
	return v
}

// permuteHalves takes for each half of a Y register a half of a or b, or zeros.
func permuteHalves(how uint64, a, b vector) (v vector) {
	halves := [][]uint32{a[:4], a[4:8], b[:4], b[4:8]}
	for half := range 2 {
		if c := how >> (4 * half); c&8 == 0 {
			copy(v[4*half:], halves[c&3])
		}
	}
	return v
}

// shuffleQuarters takes two quarters of a and then two of b.
func shuffleQuarters(how uint64, a, b vector) (v vector) {
	for quarter, from := range []vector{a, a, b, b} {
		copy(v[4*quarter:4*quarter+4], from[4*(how>>(2*quarter)&3):])
	}
	return v
}

func insertHalf(i *instruction) step {
	how, i := int(i.args[0].value&1), i.tail()
	s, first, to := i.source(0), i.args[1].reg, i.args[2].reg
	s.n = 4
	return func(m *machine) {
		var tmp vector
		b, v := s.get(m, &tmp), m.v[first]
		copy(v[4*how:4*how+4], b[:])
		v.finish(8)
		m.v[to] = v
	}
}

// extract takes the part of n lanes that the immediate names.
func extract(n int) func(i *instruction) step {
	return func(i *instruction) step {
		how, from, to := int(i.args[0].value), i.args[1], i.args[2].reg
		at := how % (from.lanes / n) * n
		return func(m *machine) {
			v := m.v[from.reg]
			copy(v[:n], v[at:at+n])
			v.finish(n)
			m.v[to] = v
		}
	}
}
