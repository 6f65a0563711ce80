package vec

import (
	"cmp"
	"slices"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// Constants are read from memory where they are used, and a processor reads
// two vectors a cycle: as many as it multiplies. Polynomials have a constant
// for each multiplication, so where registers are left over they hold the
// constants that are read most often.

// manyReads is the number of reads, outside of loops, from which on a constant
// is worth a register.
const manyReads = 3

// spare is the number of registers that constants leave free: an allocation
// that just fits is not always found.
const spare = 1

// keeping is a constant that might get a register within one block.
type keeping struct {
	offset int   // in the pool
	reads  []int // instructions that read it
}

// keepConstants gives registers that are left over to constants. What f says
// of the function does not hold afterwards.
func (e *Emitter) keepConstants(fn *ir.Function, f *flow) {
	before := map[ir.Node][]ir.Node{}
	fresh := newSpiller(e, fn)
	for b := range f.blocks {
		blk := &f.blocks[b]
		candidates := e.constantReads(f, blk)
		pressure := f.pressureIn(b)
		head, loop := f.loopHead(fn, b)
		for _, c := range candidates {
			first, last, at := blk.first, blk.end-1, head
			if !loop {
				if len(c.reads) < manyReads {
					break
				}
				first, last = c.reads[0], c.reads[len(c.reads)-1]
				at = f.code[first]
			}
			room := pressure[first-blk.first : last-blk.first+1]
			if slices.Max(room) >= e.isa.Registers()-spare {
				continue
			}
			for i := range room {
				room[i]++
			}
			r := fresh.full(fresh.fresh.VirtualRegister(reg.KindVector, reg.S512))
			before[at] = append(before[at], e.loadConstant(c.offset, r))
			for _, i := range c.reads {
				e.readRegister(f.code[i], r)
			}
		}
	}
	var nodes []ir.Node
	for _, n := range fn.Nodes {
		nodes = append(nodes, before[n]...)
		nodes = append(nodes, n)
	}
	fn.Nodes = nodes
}

// loopHead returns, of a block that is a loop of its own, entered only from
// above, the label at its head.
func (f *flow) loopHead(fn *ir.Function, b int) (head ir.Node, ok bool) {
	blk := &f.blocks[b]
	if !slices.Contains(blk.succ, b) || b == 0 {
		return nil, false
	}
	for p := range f.blocks {
		if p != b && p != b-1 && slices.Contains(f.blocks[p].succ, b) {
			return nil, false
		}
	}
	// A branch from the block above to this one's label would jump over what
	// is put before the label.
	if f.code[f.blocks[b-1].end-1].TargetLabel() != nil && slices.Index(f.blocks[b-1].succ, b) == 0 {
		return nil, false
	}
	for n := f.nodes[blk.first] - 1; n >= 0; n-- {
		switch fn.Nodes[n].(type) {
		case ir.Label:
			head = fn.Nodes[n]
		case *ir.Instruction:
			return head, head != nil
		}
	}
	return head, head != nil
}

// pressureIn returns for each instruction of a block the registers needed
// during it: before, or after.
func (f *flow) pressureIn(b int) []int {
	blk := &f.blocks[b]
	p := make([]int, blk.end-blk.first)
	before := blk.in.count()
	f.backwardIn(b, func(i int, live bitset) {
		n := live.count()
		if i+1 < blk.end {
			p[i+1-blk.first] = max(p[i+1-blk.first], n)
		}
		for _, d := range f.defs[i] {
			if !live.has(d) {
				n++
			}
		}
		p[i-blk.first] = n
	})
	p[0] = max(p[0], before)
	return p
}

// constantReads lists the constants that a block reads, most read first.
func (e *Emitter) constantReads(f *flow, blk *block) []keeping {
	byOffset := map[int]*keeping{}
	var all []*keeping
	for i := blk.first; i < blk.end; i++ {
		at := e.constantOperand(f.code[i])
		if at < 0 {
			continue
		}
		offset := f.code[i].Operands[at].(operand.Mem).Disp
		if byOffset[offset] == nil {
			byOffset[offset] = &keeping{offset: offset}
			all = append(all, byOffset[offset])
		}
		byOffset[offset].reads = append(byOffset[offset].reads, i)
	}
	slices.SortStableFunc(all, func(a, b *keeping) int { return cmp.Compare(len(b.reads), len(a.reads)) })
	out := make([]keeping, len(all))
	for i, c := range all {
		out[i] = *c
	}
	return out
}

// constantOperand returns which operand of an instruction is a constant of the
// pool that could as well be in a register, -1 if none.
func (e *Emitter) constantOperand(i *ir.Instruction) int {
	load := len(i.Operands) == 2 && (i.Opcode == "VBROADCASTSS" || i.Opcode == "VMOVUPS")
	for k, op := range i.Operands {
		m, ok := op.(operand.Mem)
		if !ok || m.Symbol != e.pool.symbol || m.Index != nil || m.Base != reg.StaticBase {
			continue
		}
		if !e.pool.offsets[m.Disp] {
			return -1
		}
		// What reads four bytes without spreading them is not vector code.
		if load && len(i.Suffixes) == 0 || slices.Contains(i.Suffixes, "BCST") || e.isa == AVX2 && i.Opcode != "VBROADCASTSS" && i.Opcode != "VMOVUPS" {
			return k
		}
	}
	return -1
}

// readRegister has an instruction read its constant from a register.
func (e *Emitter) readRegister(i *ir.Instruction, r reg.Register) {
	at := e.constantOperand(i)
	if i.Opcode == "VBROADCASTSS" || i.Opcode == "VMOVUPS" {
		move, err := x86.VMOVAPS(r, i.Operands[1])
		if err != nil {
			e.errs = append(e.errs, err)
			return
		}
		*i = *move
		return
	}
	mem := i.Operands[at]
	i.Operands[at] = r
	for k := range i.Inputs {
		if i.Inputs[k] == mem {
			i.Inputs[k] = r
		}
	}
	i.Suffixes = slices.DeleteFunc(slices.Clone(i.Suffixes), func(s string) bool { return s == "BCST" })
}

// loadConstant builds the load of a constant of the pool.
func (e *Emitter) loadConstant(offset int, to reg.Register) *ir.Instruction {
	m := operand.NewDataAddr(e.pool.symbol, offset)
	build := x86.VMOVUPS
	if e.isa == AVX512 {
		build = x86.VBROADCASTSS
	}
	i, err := build(m, to)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return i
}
