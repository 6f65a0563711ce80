package vec

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// nosplitFrame is the largest frame, in bytes, that a function may have
// without checking the stack's size; the runtime keeps about 800 bytes free.
const nosplitFrame = 256

// spiller moves values from registers to the stack.
//
// A value is moved for the length of one block: stored where the block begins
// or where the block writes it, read back before each use in the block, and
// brought back to its register at the block's end if it is needed further. So
// what an epilogue lacks does not slow down the loop before it. Only where
// more values cross from block to block than there are registers, some are on
// the stack everywhere. Constants are loaded again from the pool instead.
type spiller struct {
	e       *Emitter
	fn      *ir.Function
	fresh   *reg.Collection // gives registers that the function does not use yet
	fixed   map[reg.ID]bool // those that spilling made; they live too short to be spilled
	slots   map[reg.ID]operand.Mem
	spills  int
	reloads int
}

func newSpiller(e *Emitter, fn *ir.Function) *spiller {
	s := &spiller{
		e: e, fn: fn,
		fresh: reg.NewCollection(),
		fixed: map[reg.ID]bool{},
		slots: map[reg.ID]operand.Mem{},
	}
	for _, i := range fn.Instructions() {
		for _, r := range i.Registers() {
			v := reg.ToVirtual(r)
			if v == nil || v.Kind() != reg.KindVector {
				continue
			}
			for s.fresh.VirtualRegister(reg.KindVector, reg.S512).VirtualIndex() < v.VirtualIndex() {
			}
		}
	}
	return s
}

// round is one round of spilling: which values go to the stack, and where.
type round struct {
	*spiller
	f          *flow
	everywhere map[int]bool
	within     []map[int]bool          // by block
	constants  map[int]*ir.Instruction // values that one instruction loads from the pool
}

func (r *round) spilled(b, v int) bool { return r.everywhere[v] || r.within[b][v] }

// spill rewrites the function so that fewer values are in registers at once.
// stuck is a value that found no register.
func (s *spiller) spill(f *flow, near []int, stuck int) error {
	r := &round{spiller: s, f: f, everywhere: map[int]bool{}, within: make([]map[int]bool, len(f.blocks)), constants: f.constants()}
	for b := range r.within {
		r.within[b] = map[int]bool{}
	}
	worst := r.chooseCrossing()
	for b := range f.blocks {
		worst = max(worst, r.chooseWithin(b))
	}
	if worst <= s.e.isa.Registers() {
		// The values fit, yet the painting got stuck.
		r.cheapest(append([]int{stuck}, near...), f.weigh(0, len(f.blocks)), r.everywhere)
	}
	n := len(r.everywhere)
	for _, vs := range r.within {
		n += len(vs)
	}
	if n == 0 {
		return tooMany(s.fn, s.e.isa, worst)
	}
	r.rewrite()
	return nil
}

// chooseCrossing chooses, where too many values cross from block to block, the
// cheapest to be on the stack everywhere. It returns the most that cross.
func (r *round) chooseCrossing() int {
	w := r.f.weigh(0, len(r.f.blocks))
	worst := 0
	for _, b := range r.f.blocks {
		var crossing []int
		b.in.each(func(v int) {
			if !r.everywhere[v] {
				crossing = append(crossing, v)
			}
		})
		worst = max(worst, len(crossing))
		for n := len(crossing); n > r.e.isa.Registers(); n-- {
			r.cheapest(crossing, w, r.everywhere)
		}
	}
	return worst
}

// chooseWithin chooses, where a block holds too many values at once, the
// cheapest to be on the stack within it. It returns the most it holds at once.
func (r *round) chooseWithin(b int) int {
	w := r.f.weigh(b, b+1)
	worst := 0
	r.f.backwardIn(b, func(i int, live bitset) {
		var at []int
		live.each(func(v int) {
			if !r.spilled(b, v) {
				at = append(at, v)
			}
		})
		// What the instruction writes needs a register there in any case.
		busy := 0
		for _, d := range r.f.defs[i] {
			if !live.has(d) || r.spilled(b, d) {
				busy++
			}
		}
		worst = max(worst, len(at)+busy)
		for n := len(at) + busy; n > r.e.isa.Registers(); n-- {
			r.cheapest(at, w, r.within[b])
		}
	})
	return worst
}

// cheapest adds to chosen the candidate that is used least for the time it
// lives, if there is one.
func (r *round) cheapest(candidates []int, w weights, chosen map[int]bool) {
	best := -1
	for _, v := range candidates {
		if chosen[v] || r.fixed[r.f.regs[v].ID()] {
			continue
		}
		if best < 0 || w.cost[v]*w.length[best] < w.cost[best]*w.length[v] {
			best = v
		}
	}
	if best >= 0 {
		chosen[best] = true
	}
}

// weights says of each value how many moves to and from the stack it would
// take, a loop counting tenfold, and during how many instructions it lives.
type weights struct{ cost, length []float64 }

// weigh weighs the values over blocks from to end-1.
func (f *flow) weigh(from, end int) weights {
	w := weights{make([]float64, len(f.regs)), make([]float64, len(f.regs))}
	for b := from; b < end; b++ {
		blk := &f.blocks[b]
		once := 1.0
		for range blk.depth {
			once *= 10
		}
		blk.in.each(func(v int) { w.cost[v] += once })
		blk.out.each(func(v int) { w.cost[v] += once })
		f.backwardIn(b, func(i int, live bitset) {
			for _, set := range [][]int{f.uses[i], f.defs[i]} {
				for _, v := range set {
					w.cost[v] += once
				}
			}
			live.each(func(v int) { w.length[v]++ })
		})
	}
	return w
}

// constants returns the values that a single instruction loads from the pool
// or clears.
func (f *flow) constants() map[int]*ir.Instruction {
	loads := map[int]*ir.Instruction{}
	writes := map[int]int{}
	for i, defs := range f.defs {
		for _, d := range defs {
			writes[d]++
			if loadsConstant(f.code[i]) {
				loads[d] = f.code[i]
			}
		}
	}
	for v := range loads {
		if writes[v] > 1 {
			delete(loads, v)
		}
	}
	return loads
}

func loadsConstant(i *ir.Instruction) bool {
	if i.CancellingInputs && len(i.InputRegisters()) == 0 {
		return true
	}
	if len(i.Operands) != 2 {
		return false
	}
	m, ok := i.Operands[0].(operand.Mem)
	return ok && m.Base == reg.StaticBase && m.Index == nil
}

// rewrite puts the chosen values on the stack.
func (r *round) rewrite() {
	before, after := map[*ir.Instruction][]*ir.Instruction{}, map[*ir.Instruction][]*ir.Instruction{}
	gone := map[*ir.Instruction]bool{}
	for b := range r.f.blocks {
		blk := &r.f.blocks[b]
		for i := blk.first; i < blk.end; i++ {
			code := r.f.code[i]
			before[code], after[code] = r.replace(b, i)
			for _, d := range r.f.defs[i] {
				gone[code] = gone[code] || r.spilled(b, d) && r.constants[d] == code
			}
		}
		r.border(b, before, after)
	}
	var nodes []ir.Node
	for _, n := range r.fn.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok {
			nodes = append(nodes, n)
			continue
		}
		for _, m := range before[i] {
			nodes = append(nodes, m)
		}
		if !gone[i] {
			nodes = append(nodes, i)
		}
		for _, m := range after[i] {
			nodes = append(nodes, m)
		}
	}
	r.fn.Nodes = nodes
	if r.fn.LocalSize > nosplitFrame {
		r.fn.Attributes &^= attr.NOSPLIT
	}
}

// border stores the values spilled within block b at its begin, and reads them
// back at its end where they live on.
func (r *round) border(b int, before, after map[*ir.Instruction][]*ir.Instruction) {
	blk := &r.f.blocks[b]
	first, last := r.f.code[blk.first], r.f.code[blk.end-1]
	var stores, loads []*ir.Instruction
	for v, old := range r.f.regs {
		if !r.within[b][v] {
			continue
		}
		full := r.full(old)
		if blk.in.has(v) && r.constants[v] == nil {
			stores = append(stores, r.move(full, r.slot(v)))
			r.spills++
		}
		if blk.out.has(v) {
			loads = append(loads, r.load(v, full))
		}
	}
	before[first] = append(stores, before[first]...)
	if last.IsBranch || last.IsTerminal {
		before[last] = append(before[last], loads...)
	} else {
		after[last] = append(after[last], loads...)
	}
}

// replace makes instruction i use fresh registers for the spilled values, and
// returns what has to stand before and after it.
func (r *round) replace(b, i int) (before, after []*ir.Instruction) {
	fresh := map[reg.ID]reg.Register{}
	get := func(v int) reg.Register {
		id := r.f.regs[v].ID()
		if fresh[id] == nil {
			fresh[id] = r.full(r.fresh.VirtualRegister(reg.KindVector, reg.S512))
			r.fixed[fresh[id].ID()] = true
		}
		return fresh[id]
	}
	read := map[int]bool{}
	for _, u := range r.f.uses[i] {
		if r.spilled(b, u) && !read[u] {
			read[u] = true
			before = append(before, r.load(u, get(u)))
		}
	}
	for _, d := range r.f.defs[i] {
		if r.spilled(b, d) && r.constants[d] == nil {
			after = append(after, r.move(get(d), r.slot(d)))
			r.spills++
		}
	}
	substitute(r.f.code[i], fresh)
	return before, after
}

// slot returns the value's place on the stack.
func (r *round) slot(v int) operand.Mem {
	id := r.f.regs[v].ID()
	m, ok := r.slots[id]
	if !ok {
		m = r.fn.AllocLocal(r.e.isa.Bytes())
		r.slots[id] = m
	}
	return m
}

// load reads value v back into a register.
func (r *round) load(v int, to reg.Register) *ir.Instruction {
	r.reloads++
	if c := r.constants[v]; c != nil {
		l := clone(c)
		substitute(l, map[reg.ID]reg.Register{r.f.regs[v].ID(): to})
		return l
	}
	return r.move(r.slot(v), to)
}

// move builds a load or a store of a whole register.
func (s *spiller) move(from, to operand.Op) *ir.Instruction {
	i, err := x86.VMOVUPS(from, to)
	if err != nil {
		s.e.errs = append(s.e.errs, err)
	}
	return i
}

// full returns the register in the width of the instruction set.
func (s *spiller) full(r reg.Virtual) reg.Register {
	spec := reg.S256
	if s.e.isa == AVX512 {
		spec = reg.S512
	}
	return reg.NewVirtual(r.VirtualIndex(), r.Kind(), spec)
}

// substitute replaces registers in an instruction, keeping their widths.
func substitute(i *ir.Instruction, by map[reg.ID]reg.Register) {
	for _, ops := range [][]operand.Op{i.Operands, i.Inputs, i.Outputs} {
		for k, op := range ops {
			r, ok := op.(reg.Register)
			if !ok || by[r.ID()] == nil {
				continue
			}
			to := reg.ToVirtual(by[r.ID()])
			ops[k] = reg.NewVirtual(to.VirtualIndex(), to.Kind(), reg.Spec(r.Mask()))
		}
	}
}
