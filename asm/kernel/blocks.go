package kernel

import "github.com/mmcloughlin/avo/operand"

// weightNames are the parameters that point to what an update changes, or to
// a kept gradient.
func weightNames(r *Rule) []string {
	if r == nil {
		return []string{"w"}
	}
	return append([]string{"w"}, r.States...)
}

// step tells by how many bytes pointers move from one block to the next.
type step struct {
	bytes int
	names []string
}

// goToBlock moves pointers in the frame to the first block of 16 inputs, which
// the parameter block numbers. Where the inputs are no multiple of 16, block
// becomes the number of whole blocks to do, and blocks that of the last one, 0
// or 1.
func (f *function) goToBlock(inputs int, steps ...step) {
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
		return
	}
	whole := f.GP64()
	f.MOVQ(operand.U32(uint32(inputs/Lanes)), whole)
	f.SUBQ(block, whole)
	f.CMPQ(whole, f.slot("blocks"))
	f.CMOVQGT(f.slot("blocks"), whole)
	f.MOVQ(whole, f.slot("block"))
	f.SUBQ(whole, f.slot("blocks"))
}

// wholeBlocks writes the loop over whole blocks, after goToBlock.
func (f *function) wholeBlocks(inputs int, body func()) {
	if inputs < Lanes {
		return
	}
	count := "blocks"
	if inputs%Lanes > 0 {
		count = "block"
	}
	left := f.GP64()
	f.MOVQ(f.slot(count), left)
	f.loopReg("block", left, body)
}

// restBlock writes the last block, if it is not whole.
func (f *function) restBlock(inputs int, body func(rest int)) {
	rest := inputs % Lanes
	if rest == 0 {
		return
	}
	left := f.GP64()
	f.MOVQ(f.slot("blocks"), left)
	f.loopReg("rest", left, func() { body(rest) })
}
