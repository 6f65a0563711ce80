package kernel

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
)

// Sums over lanes, for sixteen rows at once: lane r of the result is the sum of
// row r. Each row is added as vec.Emitter.Sum does it, lane i and i+8 first,
// then i and i+4, i and i+2, and the last two.
//
// On each level two vectors become one, which holds the sums of both side by
// side. The rows are paired so that they come out in order.

// pairSums adds a's parts and b's parts, as two shuffles bring them together.
func (f *function) pairSums(shuffle func(high bool, b, a, d operand.Op), a, b vec.Vec) vec.Vec {
	low, high := f.Fresh(), f.Fresh()
	shuffle(false, b.Reg(), a.Reg(), low.Reg())
	shuffle(true, b.Reg(), a.Reg(), high.Reg())
	return f.Add(low, high)
}

// sumRows adds up the lanes of a vector of rows; rows makes the next n of them.
func (f *function) sumRows(rows func(n int) []vec.Wide) vec.Vec {
	if f.ISA() == vec.AVX512 {
		return f.reduce16(rows(Lanes))
	}
	// Two registers each are too many for eight rows at once.
	var halves []vec.Vec
	for range 2 {
		for _, r := range rows(4) {
			halves = append(halves, f.Add(r[0], r[1]))
		}
	}
	return f.reduce8(halves)
}

// reduce16 adds up the lanes of 16 rows of AVX-512. It needs row 4q+j at position base[q] + step[j].
func (f *function) reduce16(rows []vec.Wide) vec.Vec {
	base, step := [4]int{0, 8, 4, 12}, [4]int{0, 2, 1, 3}
	v := make([]vec.Vec, Lanes)
	for q := range 4 {
		for j := range 4 {
			v[base[q]+step[j]] = rows[4*q+j][0]
		}
	}
	for r := range 8 {
		v[r] = f.pairSums(func(high bool, b, a, d operand.Op) {
			f.VSHUFF64X2(operand.U8(choose(high, 0xee, 0x44)), b, a, d)
		}, v[r], v[r+8])
	}
	for r := range 4 {
		v[r] = f.pairSums(func(high bool, b, a, d operand.Op) {
			f.VSHUFF32X4(operand.U8(choose(high, 0xdd, 0x88)), b, a, d)
		}, v[r], v[r+4])
	}
	return f.reduceQuarters(v)
}

// reduce8 adds up the lanes of 8 rows of AVX2, whose halves are added already.
// It needs row 4q+j at position 4q + step[j].
func (f *function) reduce8(rows []vec.Vec) vec.Vec {
	step := [4]int{0, 2, 1, 3}
	v := make([]vec.Vec, 8)
	for q := range 2 {
		for j := range 4 {
			v[4*q+step[j]] = rows[4*q+j]
		}
	}
	for r := range 4 {
		v[r] = f.pairSums(func(high bool, b, a, d operand.Op) {
			f.VPERM2F128(operand.U8(choose(high, 0x31, 0x20)), b, a, d)
		}, v[r], v[r+4])
	}
	return f.reduceQuarters(v)
}

// reduceQuarters adds up quarters of four lanes of four vectors.
func (f *function) reduceQuarters(v []vec.Vec) vec.Vec {
	for r := range 2 {
		v[r] = f.pairSums(func(high bool, b, a, d operand.Op) {
			if high {
				f.VUNPCKHPD(b, a, d)
			} else {
				f.VUNPCKLPD(b, a, d)
			}
		}, v[r], v[r+2])
	}
	return f.pairSums(func(high bool, b, a, d operand.Op) {
		f.VSHUFPS(operand.U8(choose(high, 0xdd, 0x88)), b, a, d)
	}, v[0], v[1])
}

func choose(c bool, yes, no uint8) uint8 {
	if c {
		return yes
	}
	return no
}
