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

// spiller moves values from registers to the stack. A spilled value is stored
// after each write and read back before each use; a constant is loaded again
// from the pool instead.
type spiller struct {
	e       *Emitter
	fn      *ir.Function
	fresh   *reg.Collection // gives registers that the function does not use yet
	fixed   map[reg.ID]bool // those that spilling made; they live too short to be spilled
	spills  int
	reloads int
}

func newSpiller(e *Emitter, fn *ir.Function) *spiller {
	s := &spiller{e: e, fn: fn, fresh: reg.NewCollection(), fixed: map[reg.ID]bool{}}
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

// weights returns, per register, how often it is read or written, a loop
// counting tenfold, and the number of instructions during which it lives.
func weights(f *flow) (cost, length []float64) {
	cost, length = make([]float64, len(f.regs)), make([]float64, len(f.regs))
	f.backward(func(b *block, i int, live bitset) {
		w := 1.0
		for range b.depth {
			w *= 10
		}
		for _, set := range [][]int{f.uses[i], f.defs[i]} {
			for _, v := range set {
				cost[v] += w
			}
		}
		live.each(func(v int) { length[v]++ })
	})
	return cost, length
}

// spill rewrites the function so that fewer values are alive at once. It
// chooses at each point of too many values those that are used least for the
// time they live.
func (s *spiller) spill(f *flow, g *graph, colour []int) error {
	k := s.e.isa.Registers()
	cost, length := weights(f)
	victims := map[int]bool{}
	worst := 0
	choose := func(candidates []int) {
		best := -1
		for _, v := range candidates {
			if victims[v] || s.fixed[f.regs[v].ID()] {
				continue
			}
			if best < 0 || cost[v]*length[best] < cost[best]*length[v] {
				best = v
			}
		}
		if best >= 0 {
			victims[best] = true
		}
	}
	f.backward(func(_ *block, i int, live bitset) {
		var at []int
		live.each(func(v int) {
			if !victims[v] {
				at = append(at, v)
			}
		})
		// What the instruction reads or writes needs a register there in any
		// case, so another value has to go.
		busy := 0
		for _, d := range f.defs[i] {
			if !live.has(d) || victims[d] {
				busy++
			}
		}
		for n := len(at) + busy; n > k; n-- {
			worst = max(worst, n)
			choose(at)
		}
	})
	if len(victims) == 0 {
		// The pressure fits, yet the painting got stuck: free one that got stuck.
		for v, c := range colour {
			if c < 0 {
				choose(append([]int{v}, g.near[v]...))
				break
			}
		}
	}
	if len(victims) == 0 {
		return tooMany(s.fn, s.e.isa, max(worst, k+1))
	}
	s.rewrite(f, victims)
	return nil
}

// rewrite puts the victims on the stack.
func (s *spiller) rewrite(f *flow, victims map[int]bool) {
	slot := map[int]operand.Mem{}
	again := map[int]*ir.Instruction{}
	for v := range f.regs { // in rising order, so that frames come out the same
		if !victims[v] {
			continue
		}
		if i := constantLoad(f, v); i != nil {
			again[v] = i
			continue
		}
		slot[v] = s.fn.AllocLocal(s.e.isa.Bytes())
		s.spills++
	}
	if s.fn.LocalSize > nosplitFrame {
		s.fn.Attributes &^= attr.NOSPLIT
	}
	var nodes []ir.Node
	at := 0
	for _, n := range s.fn.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok {
			nodes = append(nodes, n)
			continue
		}
		before, after := s.replace(f, at, victims, slot, again)
		at++
		for _, b := range before {
			nodes = append(nodes, b)
		}
		if !dropped(i, again) {
			nodes = append(nodes, i)
		}
		for _, a := range after {
			nodes = append(nodes, a)
		}
	}
	s.fn.Nodes = nodes
}

// dropped reports whether i loads a constant that is now loaded where needed.
func dropped(i *ir.Instruction, again map[int]*ir.Instruction) bool {
	for _, l := range again {
		if l == i {
			return true
		}
	}
	return false
}

// replace makes instruction at use fresh registers for the victims, and
// returns what has to stand before and after it.
func (s *spiller) replace(f *flow, at int, victims map[int]bool, slot map[int]operand.Mem, again map[int]*ir.Instruction) (before, after []*ir.Instruction) {
	i := f.code[at]
	fresh := map[reg.ID]reg.VecVirtual{}
	get := func(v int) reg.VecVirtual {
		id := f.regs[v].ID()
		if fresh[id] == nil {
			fresh[id] = s.fresh.ZMM()
			if s.e.isa == AVX2 {
				fresh[id] = s.fresh.YMM()
			}
			s.fixed[fresh[id].ID()] = true
		}
		return fresh[id]
	}
	read := map[int]bool{}
	for _, u := range f.uses[at] {
		if !victims[u] || read[u] {
			continue
		}
		read[u] = true
		s.reloads++
		if load := again[u]; load != nil {
			l := clone(load)
			substitute(l, map[reg.ID]reg.VecVirtual{f.regs[u].ID(): get(u)})
			before = append(before, l)
		} else {
			before = append(before, s.e.move(slot[u], get(u)))
		}
	}
	for _, d := range f.defs[at] {
		if victims[d] && again[d] == nil {
			after = append(after, s.e.move(get(d), slot[d]))
		}
	}
	substitute(i, fresh)
	return before, after
}

// move builds a load or a store of a whole register.
func (e *Emitter) move(from, to operand.Op) *ir.Instruction {
	i, err := x86.VMOVUPS(from, to)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return i
}

// substitute replaces registers in an instruction, keeping their widths.
func substitute(i *ir.Instruction, by map[reg.ID]reg.VecVirtual) {
	for _, ops := range [][]operand.Op{i.Operands, i.Inputs, i.Outputs} {
		for k, op := range ops {
			r, ok := op.(reg.Register)
			if !ok || by[r.ID()] == nil {
				continue
			}
			to := by[r.ID()]
			switch r.Size() {
			case 16:
				ops[k] = to.AsX()
			case 32:
				ops[k] = to.AsY()
			default:
				ops[k] = to.AsZ()
			}
		}
	}
}

// constantLoad returns the instruction that gives v its value, if there is
// only one and it loads a constant.
func constantLoad(f *flow, v int) *ir.Instruction {
	var load *ir.Instruction
	for i, defs := range f.defs {
		for _, d := range defs {
			if d != v {
				continue
			}
			if load != nil || len(f.uses[i]) > 0 {
				return nil
			}
			load = f.code[i]
		}
	}
	if load == nil || load.CancellingInputs {
		return load
	}
	m, ok := load.Operands[0].(operand.Mem)
	if !ok || m.Base != reg.StaticBase || m.Index != nil || len(load.Operands) != 2 {
		return nil
	}
	return load
}
