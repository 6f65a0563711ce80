package vec

import (
	"fmt"
	"math/bits"
	"slices"
	"sort"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Why not avo's allocator: it takes all 32 vector registers to exist on AVX2,
// does not spill, does not remove copies, and its time grows with the square of
// the number of values.

// Stats says how a function used the vector registers.
type Stats struct {
	Function string
	Pressure int // most values alive at once, before spilling
	Used     int // registers used
	Spills   int // instructions that store a value on the stack
	Reloads  int // instructions that read one back, or load a constant again
}

// allocate gives the vector registers of fn, and spills what does not fit.
func (e *Emitter) allocate(fn *ir.Function) (Stats, error) {
	stats := Stats{Function: fn.Name}
	f, err := analyse(fn, reg.KindVector)
	if err != nil {
		return stats, err
	}
	e.chooseFusings(f)
	stats.Pressure = f.pressure()
	e.keepConstants(fn, f)
	var sp *spiller
	for range maxRounds {
		if f, err = analyse(fn, reg.KindVector); err != nil {
			return stats, err
		}
		g := interference(f)
		colour, ok := g.colour(f, e.isa.Registers())
		if ok {
			stats.Used = e.bind(fn, f, colour)
			if sp != nil {
				stats.Spills, stats.Reloads = sp.spills, sp.reloads
			}
			return stats, nil
		}
		if sp == nil {
			// It numbers its registers after those that exist by now.
			sp = newSpiller(e, fn)
		}
		stuck := slices.Index(colour, -1)
		if err := sp.spill(f, g.near[stuck], stuck); err != nil {
			return stats, err
		}
	}
	return stats, tooMany(fn, e.isa, stats.Pressure)
}

// allocateScalars gives the general-purpose or the mask registers of fn. They
// are few, so that nothing is spilled.
func (e *Emitter) allocateScalars(fn *ir.Function, kind reg.Kind) error {
	f, err := analyse(fn, kind)
	if err != nil {
		return err
	}
	colour, ok := interference(f).colour(f, len(e.physical(kind)))
	if !ok {
		return fmt.Errorf("vec: %s needs more than the %d registers of kind %d", fn.Name, len(e.physical(kind)), kind)
	}
	e.bind(fn, f, colour)
	return nil
}

// physical lists the registers of a kind that may be used, in the order in
// which they are taken. The frame pointer has to be saved, so it comes last.
func (e *Emitter) physical(kind reg.Kind) []reg.ID {
	if kind == reg.KindVector {
		var list []reg.ID
		for i := range e.isa.Registers() {
			list = append(list, reg.LookupPhysical(kind, reg.Index(i), reg.S128).ID())
		}
		return list
	}
	var list, last []reg.ID
	for _, r := range reg.FamilyOfKind(kind).Registers() {
		switch {
		case r.Size() != 8 || r.Info()&reg.Restricted != 0:
		case r.Info()&reg.BasePointer != 0:
			last = append(last, r.ID())
		default:
			list = append(list, r.ID())
		}
	}
	return append(list, last...)
}

// maxRounds bounds the rounds of spilling; one or two are the rule.
const maxRounds = 20

// chooseFusings settles which source each fused operation overwrites.
func (e *Emitter) chooseFusings(f *flow) {
	f.backward(func(i int, live bitset) {
		ways, ok := e.fusings[f.code[i]]
		if !ok {
			return
		}
		ways.choose(f.code[i], func(v Vec) bool {
			n, known := f.index[v.r.ID()]
			return known && live.has(n)
		})
		// All registers are known by now, so scanning again cannot fail.
		_ = f.scan(i - 1)
		_ = f.scan(i)
	})
}

// pressure returns the most registers that are needed at once.
func (f *flow) pressure() int {
	most := 0
	f.backward(func(i int, live bitset) {
		n := live.count()
		for _, d := range f.defs[i] {
			if !live.has(d) {
				n++
			}
		}
		most = max(most, n)
	})
	return most
}

// graph says which registers may not share a place, and which would like to.
type graph struct {
	near  [][]int // by register: those alive where it is written, both ways
	moves [][]int // by register: the other ends of copies
	first []int   // by register: its first write
}

func interference(f *flow) *graph {
	n := len(f.regs)
	g := &graph{near: make([][]int, n), moves: make([][]int, n), first: make([]int, n)}
	for i := range g.first {
		g.first[i] = len(f.code)
	}
	f.backward(func(i int, live bitset) {
		from := -1
		if isCopy(f.code[i], f.kind) {
			from = f.uses[i][0]
			d := f.defs[i][0]
			g.moves[d] = append(g.moves[d], from)
			g.moves[from] = append(g.moves[from], d)
		}
		for _, d := range f.defs[i] {
			g.first[d] = min(g.first[d], i)
			live.each(func(l int) {
				if l != d && l != from {
					g.near[d] = append(g.near[d], l)
					g.near[l] = append(g.near[l], d)
				}
			})
		}
	})
	return g
}

// isCopy reports whether an instruction copies one whole register of a kind to
// another.
func isCopy(i *ir.Instruction, kind reg.Kind) bool {
	switch i.Opcode {
	case "VMOVAPS", "VMOVUPS", "MOVQ":
	default:
		return false
	}
	if len(i.Operands) != 2 || len(i.Suffixes) > 0 {
		return false
	}
	from, ok := i.Operands[0].(reg.Register)
	to, also := i.Operands[1].(reg.Register)
	return ok && also && from.Kind() == kind && to.Kind() == kind && (i.Opcode == "MOVQ") == (kind == reg.KindGP)
}

// colour gives a register to each value, -1 to those that got none.
//
// In straight-line code where each value is written once, values taken in the
// order of their writes need no more registers than are alive at once. With
// loops and accumulators that is no longer sure, so a second order is tried:
// the values with few neighbours last.
func (g *graph) colour(f *flow, k int) ([]int, bool) {
	order := make([]int, len(f.regs))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return g.first[order[a]] < g.first[order[b]] })
	colour, ok := g.paint(order, k)
	if ok {
		return colour, true
	}
	if c, ok := g.paint(g.simplify(k), k); ok {
		return c, true
	}
	return colour, false
}

func (g *graph) paint(order []int, k int) ([]int, bool) {
	colour := make([]int, len(order))
	for i := range colour {
		colour[i] = -1
	}
	all := true
	for _, v := range order {
		free := uint64(1)<<k - 1
		for _, u := range g.near[v] {
			if colour[u] >= 0 {
				free &^= 1 << colour[u]
			}
		}
		for _, u := range g.moves[v] {
			if colour[u] >= 0 && free>>colour[u]&1 != 0 {
				colour[v] = colour[u]
				break
			}
		}
		switch {
		case colour[v] >= 0:
		case free == 0:
			all = false
		default:
			colour[v] = bits.TrailingZeros64(free)
		}
	}
	return colour, all
}

// simplify orders the values so that those which surely find a place come last.
func (g *graph) simplify(k int) []int {
	n := len(g.near)
	near := make([]map[int]bool, n)
	for v := range near {
		near[v] = map[int]bool{}
		for _, u := range g.near[v] {
			near[v][u] = true
		}
	}
	gone := make([]bool, n)
	order := make([]int, n)
	for at := n - 1; at >= 0; at-- {
		pick, degree := -1, 0
		for v := range near {
			if gone[v] {
				continue
			}
			d := len(near[v])
			// The first that surely fits; failing that, the one with most neighbours.
			if d < k {
				pick = v
				break
			}
			if pick < 0 || d > degree {
				pick, degree = v, d
			}
		}
		gone[pick] = true
		order[at] = pick
		for u := range near[pick] {
			delete(near[u], pick)
		}
	}
	return order
}

// bind notes the registers' places, for applyAllocation, and returns how many
// are used.
func (e *Emitter) bind(fn *ir.Function, f *flow, colour []int) int {
	if fn.Allocation == nil {
		fn.Allocation = reg.NewEmptyAllocation()
	}
	physical := e.physical(f.kind)
	used := map[int]bool{}
	for v, r := range f.regs {
		used[colour[v]] = true
		fn.Allocation[r.ID()] = physical[colour[v]]
	}
	return len(used)
}

// applyAllocation replaces the virtual registers and drops copies that became
// void.
func applyAllocation(fn *ir.Function) {
	// avo finds a physical register by searching all of them.
	found := map[reg.Register]reg.Register{}
	place := func(r reg.Register) reg.Register {
		if r == nil || reg.ToVirtual(r) == nil {
			return r
		}
		p, ok := found[r]
		if !ok {
			p = fn.Allocation.LookupRegisterDefault(r)
			found[r] = p
		}
		return p
	}
	var nodes []ir.Node
	for _, n := range fn.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok {
			nodes = append(nodes, n)
			continue
		}
		for _, ops := range [][]operand.Op{i.Operands, i.Inputs, i.Outputs} {
			for k, op := range ops {
				switch op := op.(type) {
				case reg.Register:
					ops[k] = place(op)
				case operand.Mem:
					op.Base, op.Index = place(op.Base), place(op.Index)
					ops[k] = op
				}
			}
		}
		void := (isCopy(i, reg.KindVector) || isCopy(i, reg.KindGP)) && i.Operands[0] == i.Operands[1]
		if !void {
			nodes = append(nodes, n)
		}
	}
	fn.Nodes = nodes
}

// tooMany says that a function cannot be allocated.
func tooMany(fn *ir.Function, isa ISA, n int) error {
	return fmt.Errorf("vec: %s needs %d vector registers at one instruction; %s has %d", fn.Name, n, isa, isa.Registers())
}
