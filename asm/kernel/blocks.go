package kernel

import (
	"github.com/mmcloughlin/avo/operand"
)

// weightNames are the parameters that point to what an update changes, or to
// a kept gradient.
func weightNames(r *Rule) []string {
	if r == nil {
		return []string{"w"}
	}
	return append([]string{"w"}, r.stateNames()...)
}

// step tells by how many bytes pointers move from one block to the next.
type step struct {
	bytes int
	names []string
}

// goToBlock moves pointers in the frame to the first block of 16 inputs, which
// the parameter block numbers. It returns how many whole blocks there are to
// do, and whether the last one of fewer inputs, 0 or 1 times.
func (f *function) goToBlock(inputs int, steps ...step) (whole, rest count) {
	if first, ok := f.known("block"); ok {
		for _, s := range steps {
			for _, name := range s.names {
				f.move(name, first*s.bytes)
			}
		}
		n, _ := f.known("blocks")
		w := min(n, inputs/Lanes-first)
		return count{n: w}, count{n: n - w}
	}
	block, offset := f.GP64(), f.GP64()
	f.Comment("Go to the first block.")
	f.MOVQ(f.slot("block"), block)
	for _, s := range steps {
		f.IMUL3Q(operand.U32(uint32(s.bytes)), block, offset)
		for _, name := range s.names {
			f.ADDQ(offset, f.slot(name))
		}
	}
	if inputs%Lanes == 0 {
		return count{word: "blocks"}, count{}
	}
	least := f.GP64()
	f.Comment("Whole blocks, and the last one of fewer inputs.")
	f.MOVQ(operand.U32(uint32(inputs/Lanes)), least)
	f.SUBQ(block, least)
	f.CMPQ(least, f.slot("blocks"))
	f.CMOVQGT(f.slot("blocks"), least)
	f.MOVQ(least, f.slot("block"))
	f.SUBQ(least, f.slot("blocks"))
	return count{word: "block"}, count{word: "blocks"}
}
