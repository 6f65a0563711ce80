package host

import (
	"encoding/binary"
	"math"

	"github.com/dnngen/dnngen/cuda/cublaslt"
	"github.com/dnngen/dnngen/runtime/half"
)

// numbers draws and reads float32 and operands of a precision, as they stand in
// the arena.
type numbers struct {
	kind  cublaslt.Type
	whole []byte // drawn float32
	short []byte // drawn operands of 16 bits
}

// drawnNumbers is prime, so that rows of a matrix differ.
const drawnNumbers = 65537

// newNumbers draws multiples of 1/128 from [-1, 1): each precision has them, and
// sums of their products are exact as long as they stay below 1024, in any order.
func newNumbers(precision string) *numbers {
	n := &numbers{kind: libraryTypes[precision]}
	state := uint32(1)
	for range drawnNumbers {
		state ^= state << 13 // xorshift32 of Marsaglia, 2003
		state ^= state >> 17
		state ^= state << 5
		v := float32(int(state>>8%256)-128) / 128
		n.whole = binary.NativeEndian.AppendUint32(n.whole, math.Float32bits(v))
		word := uint16(math.Float32bits(v) >> 16)
		if n.kind == cublaslt.Float16 {
			word = float16(v)
		}
		n.short = binary.NativeEndian.AppendUint16(n.short, word)
	}
	return n
}

// float16 encodes 0, or a number between 2^-14 and 65504 with at most ten bits of
// fraction.
func float16(v float32) uint16 {
	if v == 0 {
		return 0
	}
	bits := math.Float32bits(v)
	return uint16(bits>>16&0x8000 | (bits>>23&0xff-112)<<10 | bits>>13&0x3ff)
}

// bytes is the size of a number.
func (n *numbers) bytes(operand bool) int {
	if operand && (n.kind == cublaslt.BFloat16 || n.kind == cublaslt.Float16) {
		return 2
	}
	return 4
}

// drawn returns drawn numbers and the bytes of each.
func (n *numbers) drawn(operand bool) (words []byte, each int) {
	if each = n.bytes(operand); each == 2 {
		return n.short, each
	}
	return n.whole, each
}

// read reads a number.
func (n *numbers) read(b []byte, operand bool) float64 {
	if n.bytes(operand) == 4 {
		return float64(math.Float32frombits(binary.NativeEndian.Uint32(b)))
	}
	word := binary.NativeEndian.Uint16(b)
	if n.kind == cublaslt.Float16 {
		return float64(half.Float32(word))
	}
	return float64(math.Float32frombits(uint32(word) << 16))
}
