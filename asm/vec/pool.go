package vec

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
)

// Const is a float32, by its bits, that all lanes share.
type Const struct{ bits uint32 }

func (Const) isVal() {}

// C returns a constant. It is rounded to float32.
func C(x float64) Const { return Const{math.Float32bits(float32(x))} }

// Bits returns the constant with the given bits, for integer operations.
func Bits(b uint32) Const { return Const{b} }

// isZero reports whether c is +0.
func (c Const) isZero() bool { return c.bits == 0 }

// isNaN reports whether c is a NaN.
func (c Const) isNaN() bool { return c.bits&0x7fffffff > 0x7f800000 }

// pool is the data section of a file's constants. Constants are keyed by
// their bits: a NaN used as a key would never be found again.
//
// AVX-512 instructions broadcast a four-byte operand themselves; AVX2 ones
// read a whole vector, so there each constant is stored eight times.
type pool struct {
	symbol  operand.Symbol
	width   int // words kept for one constant
	words   []uint32
	index   map[uint32]int // bits of the constant -> byte offset
	offsets map[int]bool   // byte offsets of constants
	tail    int            // byte offset of the table of tail masks; -1 without one
}

func newPool(isa ISA, name string) pool {
	p := pool{symbol: operand.NewStaticSymbol(name), width: 1, index: map[uint32]int{}, offsets: map[int]bool{}, tail: -1}
	if isa == AVX2 {
		p.width = AVX2.Lanes()
	}
	return p
}

func (p *pool) mem(c Const) operand.Mem {
	at, ok := p.index[c.bits]
	if !ok {
		at = p.append(repeat(c.bits, p.width)...)
		p.index[c.bits] = at
		p.offsets[at] = true
	}
	return operand.NewDataAddr(p.symbol, at)
}

// tailTable returns a table of 8 words of ones and 8 of zeros. The 8 words
// that start n words before its middle are AVX2's mask of the first n lanes.
func (p *pool) tailTable() operand.Mem {
	if p.tail < 0 {
		p.tail = p.append(append(repeat(0xffffffff, 8), repeat(0, 8)...)...)
	}
	return operand.NewDataAddr(p.symbol, p.tail)
}

func (p *pool) append(words ...uint32) int {
	at := 4 * len(p.words)
	p.words = append(p.words, words...)
	return at
}

func repeat(w uint32, n int) []uint32 {
	s := make([]uint32, n)
	for i := range s {
		s[i] = w
	}
	return s
}

// flushPool writes the data section.
func (e *Emitter) flushPool() {
	if len(e.pool.words) == 0 {
		return
	}
	e.StaticGlobal(e.pool.symbol.Name)
	e.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, w := range e.pool.words {
		e.AppendDatum(operand.U32(w))
	}
}

func (e *Emitter) constInto(d Vec, c Const) {
	switch {
	case c.isZero():
		e.zeroInto(d)
	case e.isa == AVX512:
		e.VBROADCASTSS(e.pool.mem(c), d.r)
	default:
		e.VMOVUPS(e.pool.mem(c), d.r)
	}
}
