package emulate

import "unsafe"

// source is an operand that instructions on vectors read.
type source struct {
	operand
	n int // lanes
}

// source returns operand k, of as many lanes as the instruction's vectors have.
func (i *instruction) source(k int) *source { return &source{i.args[k], i.lanes} }

// get returns the lanes of a register, or what it has read from memory into tmp.
func (s *source) get(m *machine, tmp *vector) *vector {
	if s.kind == lanes {
		return &m.v[s.reg]
	}
	p := s.mem.at(m)
	if s.each {
		one := *(*uint32)(p)
		for i := range tmp {
			tmp[i] = one
		}
		return tmp
	}
	copy(tmp[:], unsafe.Slice((*uint32)(p), s.n))
	return tmp
}

// finish clears what lies above the lanes that an instruction has written, as all do
// that have a VEX or EVEX prefix.
func (v *vector) finish(n int) { clear(v[n:]) }

// lanewise1 is an instruction that makes each lane of one.
func lanewise1(f func(a uint32) uint32) func(i *instruction) step {
	return func(i *instruction) step {
		s, to, n := i.source(0), i.args[1].reg, i.lanes
		return func(m *machine) {
			var tmp vector
			a, d := s.get(m, &tmp), &m.v[to]
			for l := range n {
				d[l] = f(a[l])
			}
			d.finish(n)
		}
	}
}

// lanewise2 is an instruction that makes each lane of two: of Intel's first source,
// which is the last but one here, and of the second.
func lanewise2(f func(a, b uint32) uint32) func(i *instruction) step {
	return func(i *instruction) step {
		s, first, to, n := i.source(0), i.args[1].reg, i.args[2].reg, i.lanes
		return func(m *machine) {
			var tmp vector
			b, a, d := s.get(m, &tmp), &m.v[first], &m.v[to]
			for l := range n {
				d[l] = f(a[l], b[l])
			}
			d.finish(n)
		}
	}
}

// immediate1 is lanewise1 with an immediate in front.
func immediate1(f func(how uint64) func(a uint32) uint32) func(i *instruction) step {
	return func(i *instruction) step { return lanewise1(f(i.args[0].value))(i.tail()) }
}

// immediate2 is lanewise2 with an immediate in front.
func immediate2(f func(how uint64) func(a, b uint32) uint32) func(i *instruction) step {
	return func(i *instruction) step { return lanewise2(f(i.args[0].value))(i.tail()) }
}

// tail is the instruction without its first operand.
func (i *instruction) tail() *instruction {
	t := *i
	t.args = i.args[1:]
	return &t
}

// whole1 is an instruction that makes a vector of a vector.
func whole1(f func(how uint64, a vector) vector) func(i *instruction) step {
	return func(i *instruction) step {
		how, s, to, n := i.args[0].value, i.source(1), i.args[2].reg, i.lanes
		return func(m *machine) {
			var tmp vector
			m.v[to] = f(how, *s.get(m, &tmp))
			m.v[to].finish(n)
		}
	}
}

// whole2 is an instruction that makes a vector of two, Intel's first source first.
func whole2(f func(how uint64, a, b vector) vector) func(i *instruction) step {
	return func(i *instruction) step {
		var how uint64
		if i.args[0].kind == immediate {
			how, i = i.args[0].value, i.tail()
		}
		s, first, to, n := i.source(0), i.args[1].reg, i.args[2].reg, i.lanes
		return func(m *machine) {
			var tmp vector
			m.v[to] = f(how, m.v[first], *s.get(m, &tmp))
			m.v[to].finish(n)
		}
	}
}
