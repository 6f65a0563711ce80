package emulate

import (
	"math/bits"
	"unsafe"
)

// Instructions on general registers, and what they leave in the flags. A flag that
// an instruction leaves undefined is unknown, and reading it is a fault.
var _ = known(map[string]entry{
	"MOVQ":    {"$ r|$ m|r r|r m|m r", move(8)},
	"MOVL":    {"$ r", move(4)},
	"MOVLQSX": {"m r", signExtend},
	"LEAQ":    {"m r", lea},
	"ADDQ":    {"$ r|$ m|r r|m r|r m", twoOperands(8, add)},
	"SUBQ":    {"$ r|$ m|r r|m r|r m", twoOperands(8, sub)},
	"ANDQ":    {"$ r|r r", twoOperands(8, and)},
	"XORQ":    {"r r", twoOperands(8, xor)},
	"XORL":    {"r r", twoOperands(4, xor)},
	"SHLQ":    {"$ r", twoOperands(8, shiftLeft)},
	"SHRQ":    {"$ r", twoOperands(8, shiftRight)},
	"BTSL":    {"r r", twoOperands(4, setBit)},
	"DECQ":    {"r|m", oneOperand(8, decrement)},
	"DECL":    {"r", oneOperand(4, decrement)},
	"NEGQ":    {"r", oneOperand(8, negate)},
	"IMUL3Q":  {"$ r r", multiply},
	"CMPQ":    {"r $|m $|r r|r m|m r", compare},
	"TESTQ":   {"r r", test},

	"CMOVQGT": {"r r|m r", moveWhere(greater)},
	"CMOVQLT": {"r r|m r", moveWhere(less)},
	"CMOVQNE": {"r r|m r", moveWhere(notEqual)},

	"JMP": {"l", jumpWhere(always)},
	"JE":  {"l", jumpWhere(equal)},
	"JZ":  {"l", jumpWhere(equal)},
	"JNE": {"l", jumpWhere(notEqual)},
	"JNZ": {"l", jumpWhere(notEqual)},
	"JGT": {"l", jumpWhere(greater)},
	"JLE": {"l", jumpWhere(notGreater)},
	"JPS": {"l", jumpWhere(even)},
	"RET": {"", func(*instruction) step { return func(m *machine) { m.pc = -1 } }},

	"PREFETCHT0": {"m", nothing},
	"PREFETCHT1": {"m", nothing},
})

// read returns the value of an operand of 8 or 4 bytes.
func (o *operand) read(m *machine, size int) uint64 {
	switch o.kind {
	case immediate:
		return truncate(o.value, size)
	case general:
		return truncate(m.r[o.reg], size)
	}
	if size == 4 {
		return uint64(*(*uint32)(o.mem.at(m)))
	}
	return *(*uint64)(o.mem.at(m))
}

// write changes a register or memory. Of a register, 4 bytes clear the others.
func (o *operand) write(m *machine, size int, v uint64) {
	switch {
	case o.kind == general:
		m.r[o.reg] = truncate(v, size)
	case size == 4:
		*(*uint32)(o.mem.at(m)) = uint32(v)
	default:
		*(*uint64)(o.mem.at(m)) = v
	}
}

func truncate(v uint64, size int) uint64 {
	if size == 4 {
		return uint64(uint32(v))
	}
	return v
}

func move(size int) func(i *instruction) step {
	return func(i *instruction) step {
		from, to := i.args[0], i.args[1]
		return func(m *machine) { to.write(m, size, from.read(m, size)) }
	}
}

func signExtend(i *instruction) step {
	from, to := i.args[0], i.args[1]
	return func(m *machine) { m.r[to.reg] = uint64(int32(from.read(m, 4))) }
}

func lea(i *instruction) step {
	from, to := i.args[0].mem, i.args[1].reg
	return func(m *machine) { m.r[to] = from.of(m) }
}

// twoOperands is an instruction that changes its last operand by its first.
func twoOperands(size int, f func(m *machine, to, from uint64, size int) uint64) func(i *instruction) step {
	return func(i *instruction) step {
		from, to := i.args[0], i.args[1]
		return func(m *machine) { to.write(m, size, f(m, to.read(m, size), from.read(m, size), size)) }
	}
}

func oneOperand(size int, f func(m *machine, v uint64, size int) uint64) func(i *instruction) step {
	return func(i *instruction) step {
		o := i.args[0]
		return func(m *machine) { o.write(m, size, f(m, o.read(m, size), size)) }
	}
}

func one(b bool) flag { return *(*flag)(unsafe.Pointer(&b)) }

// result sets the flags that depend on a result alone.
func (m *machine) result(v uint64, size int) uint64 {
	v = truncate(v, size)
	m.zero, m.sign = one(v == 0), one(v>>(8*size-1) != 0)
	m.parity = one(bits.OnesCount8(uint8(v))%2 == 0)
	return v
}

func top(v uint64, size int) bool { return v>>(8*size-1)&1 != 0 }

func add(m *machine, a, b uint64, size int) uint64 {
	v := m.result(a+b, size)
	m.carry, m.overflow = one(v < a), one(top((a^v)&(b^v), size))
	return v
}

func sub(m *machine, a, b uint64, size int) uint64 {
	v := m.result(a-b, size)
	m.carry, m.overflow = one(a < b), one(top((a^b)&(a^v), size))
	return v
}

func (m *machine) logic(v uint64, size int) uint64 {
	m.carry, m.overflow = 0, 0
	return m.result(v, size)
}

func and(m *machine, a, b uint64, size int) uint64 { return m.logic(a&b, size) }
func xor(m *machine, a, b uint64, size int) uint64 { return m.logic(a^b, size) }

// decrement leaves the carry as it was.
func decrement(m *machine, v uint64, size int) uint64 {
	carry := m.carry
	v = sub(m, v, 1, size)
	m.carry = carry
	return v
}

func negate(m *machine, v uint64, size int) uint64 { return sub(m, 0, v, size) }

func shiftLeft(m *machine, v, by uint64, size int) uint64 {
	if by &= 63; by == 0 {
		return v
	}
	m.carry, m.overflow = one(v>>(64-by)&1 != 0), unknown
	return m.result(v<<by, size)
}

func shiftRight(m *machine, v, by uint64, size int) uint64 {
	if by &= 63; by == 0 {
		return v
	}
	m.carry, m.overflow = one(v>>(by-1)&1 != 0), unknown
	return m.result(v>>by, size)
}

// setBit leaves zero as it was.
func setBit(m *machine, v, at uint64, _ int) uint64 {
	bit := uint64(1) << (at & 31)
	m.carry = one(v&bit != 0)
	m.sign, m.overflow, m.parity = unknown, unknown, unknown
	return v | bit
}

func multiply(i *instruction) step {
	by, from, to := int64(i.args[0].value), i.args[1].reg, i.args[2].reg
	return func(m *machine) {
		v := int64(m.r[from]) * by
		hi, _ := bits.Mul64(m.r[from], uint64(by))
		hi -= uint64(by)&uint64(int64(m.r[from])>>63) + m.r[from]&uint64(by>>63) // of signed numbers
		m.carry = one(int64(hi) != v>>63)
		m.overflow = m.carry
		m.zero, m.sign, m.parity = unknown, unknown, unknown
		m.r[to] = uint64(v)
	}
}

// compare subtracts the second operand from the first: Go's assembler writes CMPQ in
// Intel's order.
func compare(i *instruction) step {
	a, b := i.args[0], i.args[1]
	return func(m *machine) { sub(m, a.read(m, 8), b.read(m, 8), 8) }
}

func test(i *instruction) step {
	a, b := i.args[0].reg, i.args[1].reg
	return func(m *machine) { m.logic(m.r[a]&m.r[b], 8) }
}

func (f flag) is() bool {
	if f == unknown {
		panic("reads a flag that is undefined")
	}
	return f != 0
}

func always(*machine) bool       { return true }
func equal(m *machine) bool      { return m.zero.is() }
func notEqual(m *machine) bool   { return !m.zero.is() }
func less(m *machine) bool       { return m.sign.is() != m.overflow.is() }
func greater(m *machine) bool    { return !m.zero.is() && !less(m) }
func notGreater(m *machine) bool { return !greater(m) }
func even(m *machine) bool       { return m.parity.is() }

func moveWhere(condition func(*machine) bool) func(i *instruction) step {
	return func(i *instruction) step {
		from, to := i.args[0], i.args[1].reg
		return func(m *machine) {
			v := from.read(m, 8) // memory is read in any case
			if condition(m) {
				m.r[to] = v
			}
		}
	}
}

func jumpWhere(condition func(*machine) bool) func(i *instruction) step {
	return func(i *instruction) step {
		to := i.body.labels[i.args[0].text]
		return func(m *machine) {
			if condition(m) {
				m.pc = to
			}
		}
	}
}
