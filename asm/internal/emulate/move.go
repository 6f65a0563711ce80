package emulate

import "unsafe"

// Moves, broadcasts, masks and selections.
var _ = known(map[string]entry{
	"VMOVUPS": {"m v|v m|v k m|.Z m k v|.Z v k v", moveVector},
	"VMOVAPS": {"v v|.Z v k v", moveVector},
	"VMOVSS":  {"m X|X m", moveScalar(1)},
	"VMOVSD":  {"m X|X m", moveScalar(2)},

	"VBROADCASTSS": {"m v|X X|X Y|X Z|.Z m k v", broadcast},

	"KMOVW":      {"r k", func(i *instruction) step { return moveMask(i.args[0].reg, i.args[1].reg) }},
	"VMASKMOVPS": {"m v v|v v m", moveMasked},
	"VBLENDVPS":  {"v v v v|v m v v", blendBySign},
	"VBLENDMPS":  {"v v k v|m v k v|.BCST m v k v", blend},

	"VZEROUPPER": {"", func(*instruction) step { return zeroUpper }},
})

// masked returns the operand that is a mask, if there is one, and the instruction
// without it.
func (i *instruction) masked() (mask int, rest *instruction) {
	if i.args[1].kind != 'k' {
		return 0, i
	}
	t := *i
	t.args = []operand{i.args[0], i.args[2]}
	return i.args[1].reg, &t
}

// lane tells whether a lane takes part. No mask is K0.
func (m *machine) lane(k, l int) bool { return k == 0 || m.k[k]>>l&1 != 0 }

func moveVector(i *instruction) step {
	k, i := i.masked()
	from, to, n := i.args[0], i.args[1], i.lanes
	switch {
	case to.kind == memory:
		return func(m *machine) {
			p := to.mem.at(m)
			for l := range n {
				if m.lane(k, l) {
					*(*uint32)(unsafe.Add(p, 4*l)) = m.v[from.reg][l]
				}
			}
		}
	case k == 0:
		s := i.source(0)
		return func(m *machine) {
			var tmp vector
			m.v[to.reg] = *s.get(m, &tmp)
			m.v[to.reg].finish(n)
		}
	}
	// Lanes outside the mask become 0, and memory of theirs is not read.
	return func(m *machine) {
		var v vector
		for l := range n {
			switch {
			case !m.lane(k, l):
			case from.kind == memory:
				v[l] = *(*uint32)(unsafe.Add(from.mem.at(m), 4*l))
			default:
				v[l] = m.v[from.reg][l]
			}
		}
		m.v[to.reg] = v
	}
}

// moveScalar moves the first n lanes to memory, or from there with zeros behind them.
func moveScalar(n int) func(i *instruction) step {
	return func(i *instruction) step {
		from, to := i.args[0], i.args[1]
		if to.kind == memory {
			return func(m *machine) {
				copy(unsafe.Slice((*uint32)(to.mem.at(m)), n), m.v[from.reg][:])
			}
		}
		return func(m *machine) {
			copy(m.v[to.reg][:n], unsafe.Slice((*uint32)(from.mem.at(m)), n))
			m.v[to.reg].finish(n)
		}
	}
}

func broadcast(i *instruction) step {
	k, i := i.masked()
	from, to := i.args[0], i.args[1]
	return func(m *machine) {
		var one uint32
		switch {
		case from.kind == lanes:
			one = m.v[from.reg][0]
		case k == 0 || m.k[k] != 0: // memory is not read for no lane
			one = *(*uint32)(from.mem.at(m))
		}
		v := &m.v[to.reg]
		for l := range v {
			if v[l] = 0; l < to.lanes && m.lane(k, l) {
				v[l] = one
			}
		}
	}
}

func moveMask(from, to int) step {
	return func(m *machine) { m.k[to] = uint16(m.r[from]) }
}

// moveMasked loads or stores the lanes whose sign bit in a vector is set.
func moveMasked(i *instruction) step {
	n, by := i.lanes, i.args[1].reg
	if to := i.args[2]; to.kind == memory {
		from := i.args[0].reg
		return func(m *machine) {
			for l := range n {
				if m.v[by][l]>>31 != 0 {
					*(*uint32)(unsafe.Add(to.mem.at(m), 4*l)) = m.v[from][l]
				}
			}
		}
	}
	from, to := i.args[0].mem, i.args[2].reg
	return func(m *machine) {
		var v vector
		for l := range n {
			if m.v[by][l]>>31 != 0 {
				v[l] = *(*uint32)(unsafe.Add(from.at(m), 4*l))
			}
		}
		m.v[to] = v
	}
}

// blendBySign takes Intel's second source where the sign bit of the last is set,
// which is the first here.
func blendBySign(i *instruction) step {
	by := i.args[0].reg
	i = i.tail()
	s, first, to, n := i.source(0), i.args[1].reg, i.args[2].reg, i.lanes
	return func(m *machine) {
		var tmp vector
		b := s.get(m, &tmp)
		v := m.v[first]
		for l := range n {
			if m.v[by][l]>>31 != 0 {
				v[l] = b[l]
			}
		}
		v.finish(n)
		m.v[to] = v
	}
}

// blend takes Intel's second source where the mask is set.
func blend(i *instruction) step {
	s, first, k, to, n := i.source(0), i.args[1].reg, i.args[2].reg, i.args[3].reg, i.lanes
	return func(m *machine) {
		var tmp vector
		b := s.get(m, &tmp)
		v := m.v[first]
		for l := range n {
			if m.lane(k, l) {
				v[l] = b[l]
			}
		}
		v.finish(n)
		m.v[to] = v
	}
}

func zeroUpper(m *machine) {
	for i := range 16 {
		m.v[i].finish(4)
	}
}
