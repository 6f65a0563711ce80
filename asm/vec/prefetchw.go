package vec

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// PREFETCHW fetches a line that is soon written, and takes it from the cores that
// have read it. A line that PREFETCHT0 fetches stays theirs too: each store to it
// then waits until they have given it up, and stores wait for one another.
//
// Every processor with AVX2 runs it, and Intel's of before Broadwell do nothing here:
// no feature is asked for. Go's assembler has no such instruction, nor has avo: it
// goes through avo's passes as a PREFETCHT0 and is written as bytes.
func (e *Emitter) PREFETCHW(line operand.Mem) {
	i, err := x86.PREFETCHT0(line)
	if err != nil {
		e.Errorf("vec: PREFETCHW: %w", err)
		return
	}
	e.forWriting[i] = true
	e.Instruction(i)
}

// encodePrefetchW replaces each PREFETCHW by its bytes, when registers are known.
func (e *Emitter) encodePrefetchW(fn *ir.Function) error {
	for _, i := range fn.Instructions() {
		if !e.forWriting[i] {
			continue
		}
		line, ok := i.Operands[0].(operand.Mem)
		if !ok || line.Symbol.Name != "" || line.Index != nil && line.Scale != 1 {
			return fmt.Errorf("vec: PREFETCHW cannot address %s", i.Operands[0].Asm())
		}
		var text []string
		for _, b := range prefetchw(line) {
			text = append(text, fmt.Sprintf("BYTE $0x%02x", b))
		}
		i.Opcode = strings.Join(text, "; ") + " // PREFETCHW " + line.Asm()
		i.Operands = nil
	}
	return nil
}

// prefetchw encodes PREFETCHW m8, which is 0F 0D /1 (Intel's manual, volume 2).
// The address has 32 bits of displacement, and a SIB byte where it has an index or
// the base demands one.
func prefetchw(line operand.Mem) []byte {
	const (
		rex, rexBase, rexIndex = 0x40, 1, 2 // prefixes for the registers from R8 on
		far                    = 2 << 6     // mod: 32 bits of displacement follow
		operation              = 1 << 3     // what 0F 0D does
		sib                    = 4          // rm: a SIB byte follows; index: there is none
	)
	number := func(r reg.Register) byte { return byte(reg.ToPhysical(r).PhysicalIndex()) }
	base, index, prefix := number(line.Base), byte(sib), byte(rex)
	if base >= 8 {
		prefix |= rexBase
	}
	if line.Index != nil {
		if index = number(line.Index); index >= 8 {
			prefix |= rexIndex
		}
	}
	var code []byte
	if prefix != rex {
		code = append(code, prefix)
	}
	code = append(code, 0x0f, 0x0d)
	if line.Index != nil || base%8 == sib {
		code = append(code, far|operation|sib, index%8<<3|base%8)
	} else {
		code = append(code, far|operation|base%8)
	}
	d := uint32(int32(line.Disp))
	return append(code, byte(d), byte(d>>8), byte(d>>16), byte(d>>24))
}
