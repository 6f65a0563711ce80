package vec

import (
	"fmt"
	"math/bits"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/reg"
)

// flow is a function's instructions with the registers of one kind that each
// reads and writes, and the control flow between its blocks.
type flow struct {
	kind   reg.Kind
	code   []*ir.Instruction
	nodes  []int // index of each instruction among the function's nodes
	regs   []reg.Virtual
	index  map[reg.ID]int
	uses   [][]int
	defs   [][]int
	blocks []block
}

// block is a run of instructions that is entered at its first and left after
// its last.
type block struct {
	first, end int // instructions first to end-1
	succ       []int
	in, out    bitset
	depth      int // loops around it
}

// analyse finds blocks and the liveness of one kind of registers. A write of
// part of a register counts as a write of all of it: every vector instruction
// clears the rest.
func analyse(fn *ir.Function, kind reg.Kind) (*flow, error) {
	f := &flow{kind: kind, index: map[reg.ID]int{}}
	leader := map[int]bool{0: true}
	label := map[ir.Label]int{}
	for n, node := range fn.Nodes {
		switch node := node.(type) {
		case ir.Label:
			label[node] = len(f.code)
			leader[len(f.code)] = true
		case *ir.Instruction:
			f.code = append(f.code, node)
			f.nodes = append(f.nodes, n)
			if node.IsBranch || node.IsTerminal {
				leader[len(f.code)] = true
			}
		}
	}
	f.uses = make([][]int, len(f.code))
	f.defs = make([][]int, len(f.code))
	for i := range f.code {
		if err := f.scan(i); err != nil {
			return nil, fmt.Errorf("vec: %s: %w", fn.Name, err)
		}
	}
	starts := map[int]int{}
	for i := range f.code {
		if leader[i] {
			starts[i] = len(f.blocks)
			f.blocks = append(f.blocks, block{first: i})
		}
		f.blocks[len(f.blocks)-1].end = i + 1
	}
	for b := range f.blocks {
		if err := f.connect(b, label, starts); err != nil {
			return nil, fmt.Errorf("vec: %s: %w", fn.Name, err)
		}
	}
	f.solve()
	return f, nil
}

// scan notes the registers that instruction i reads and writes.
func (f *flow) scan(i int) error {
	ins := f.code[i]
	f.uses[i], f.defs[i] = nil, nil
	for _, r := range ins.InputRegisters() {
		if r.Kind() == f.kind {
			n, err := f.number(r)
			if err != nil {
				return err
			}
			f.uses[i] = append(f.uses[i], n)
		}
	}
	for _, r := range ins.OutputRegisters() {
		if r.Kind() == f.kind {
			n, err := f.number(r)
			if err != nil {
				return err
			}
			f.defs[i] = append(f.defs[i], n)
		}
	}
	return nil
}

func (f *flow) number(r reg.Register) (int, error) {
	v := reg.ToVirtual(r)
	if v == nil {
		return 0, fmt.Errorf("register %s is named; only virtual ones are allocated", r.Asm())
	}
	n, ok := f.index[r.ID()]
	if !ok {
		n = len(f.regs)
		f.index[r.ID()] = n
		f.regs = append(f.regs, v)
	}
	return n, nil
}

// connect sets the successors of a block.
func (f *flow) connect(b int, label map[ir.Label]int, starts map[int]int) error {
	blk := &f.blocks[b]
	last := f.code[blk.end-1]
	if l := last.TargetLabel(); l != nil {
		at, ok := label[*l]
		if !ok {
			return fmt.Errorf("no label %q", *l)
		}
		to := starts[at]
		blk.succ = append(blk.succ, to)
		if to <= b {
			for i := to; i <= b; i++ {
				f.blocks[i].depth++
			}
		}
	}
	if !last.IsTerminal && !last.IsUnconditionalBranch() {
		if b+1 == len(f.blocks) {
			return fmt.Errorf("control runs off the end")
		}
		blk.succ = append(blk.succ, b+1)
	}
	return nil
}

// solve computes the registers that are live at the borders of the blocks.
func (f *flow) solve() {
	n := len(f.regs)
	for b := range f.blocks {
		f.blocks[b].in, f.blocks[b].out = newBitset(n), newBitset(n)
	}
	live := newBitset(n)
	for changed := true; changed; {
		changed = false
		for b := len(f.blocks) - 1; b >= 0; b-- {
			blk := &f.blocks[b]
			for _, s := range blk.succ {
				blk.out.union(f.blocks[s].in)
			}
			copy(live, blk.out)
			for i := blk.end - 1; i >= blk.first; i-- {
				f.step(live, i)
			}
			if blk.in.union(live) {
				changed = true
			}
		}
	}
}

// step turns the registers live after instruction i to those live before it.
func (f *flow) step(live bitset, i int) {
	for _, d := range f.defs[i] {
		live.clear(d)
	}
	for _, u := range f.uses[i] {
		live.set(u)
	}
}

// backward calls visit for every instruction, last to first, with the
// registers live after it.
func (f *flow) backward(visit func(i int, live bitset)) {
	for b := len(f.blocks) - 1; b >= 0; b-- {
		f.backwardIn(b, visit)
	}
}

// backwardIn does so for one block.
func (f *flow) backwardIn(b int, visit func(i int, live bitset)) {
	blk := &f.blocks[b]
	live := append(bitset(nil), blk.out...)
	for i := blk.end - 1; i >= blk.first; i-- {
		visit(i, live)
		f.step(live, i)
	}
}

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (s bitset) set(i int)      { s[i/64] |= 1 << (i % 64) }
func (s bitset) clear(i int)    { s[i/64] &^= 1 << (i % 64) }
func (s bitset) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

// union adds t and reports whether that changed s.
func (s bitset) union(t bitset) bool {
	changed := false
	for i, w := range t {
		if s[i]|w != s[i] {
			s[i] |= w
			changed = true
		}
	}
	return changed
}

func (s bitset) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// each calls visit for the members in rising order.
func (s bitset) each(visit func(i int)) {
	for k, w := range s {
		for ; w != 0; w &= w - 1 {
			visit(64*k + bits.TrailingZeros64(w))
		}
	}
}
