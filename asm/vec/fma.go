package vec

import (
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/x86"
)

// fmaOp is one of the fused operations.
type fmaOp int

const (
	fmadd  fmaOp = iota // a*b + c
	fmsub               // a*b - c
	fnmadd              // c - a*b
)

// constructor is a function of avo's x86 package.
type constructor func(ops ...operand.Op) (*ir.Instruction, error)

// order is one of an operation's operand orders. Of last source m, second
// source s and destination d they compute 132: d*m+s, 213: s*d+m, 231: s*m+d.
type order struct{ plain, bcst constructor }

// orders holds the three orders of each operation.
var orders = [...]struct{ f132, f213, f231 order }{
	fmadd: {
		order{x86.VFMADD132PS, x86.VFMADD132PS_BCST},
		order{x86.VFMADD213PS, x86.VFMADD213PS_BCST},
		order{x86.VFMADD231PS, x86.VFMADD231PS_BCST},
	},
	fmsub: {
		order{x86.VFMSUB132PS, x86.VFMSUB132PS_BCST},
		order{x86.VFMSUB213PS, x86.VFMSUB213PS_BCST},
		order{x86.VFMSUB231PS, x86.VFMSUB231PS_BCST},
	},
	fnmadd: {
		order{x86.VFNMADD132PS, x86.VFNMADD132PS_BCST},
		order{x86.VFNMADD213PS, x86.VFNMADD213PS_BCST},
		order{x86.VFNMADD231PS, x86.VFNMADD231PS_BCST},
	},
}

// A fused instruction overwrites one of its sources. Which of them dies there
// is not known while code is emitted, so a fused operation is emitted as a
// copy of one source and the instruction on the copy, together with the other
// ways of writing it; the allocator takes a way whose copied source dies, and
// the copy vanishes.

// fusing is one way of writing a fused operation.
type fusing struct {
	victim    Vec // the source that is copied and overwritten
	copy, fma *ir.Instruction
}

// fma emits a fused operation into a new register.
func (e *Emitter) fma(o fmaOp, a, b, c Val) Vec {
	// At most one operand can be the instruction's own memory operand.
	a, b = memLast(e.direct(a), e.direct(b))
	c = e.direct(c)
	f := orders[o]
	x := e.Reg(a)
	d := e.Fresh()
	y, regB := b.(Vec)
	z, regC := c.(Vec)
	switch {
	case !regB && !regC:
		// The load of b serves as the copy.
		e.copyInto(d, b)
		e.Instruction(e.fused(f.f213, c, x, d))
	case !regB:
		e.emitFused(
			e.way(z, d, f.f231, b, x),
			e.way(x, d, f.f132, b, z))
	case !regC:
		e.emitFused(
			e.way(x, d, f.f213, c, y),
			e.way(y, d, f.f213, c, x))
	default:
		e.emitFused(
			e.way(x, d, f.f213, z, y),
			e.way(y, d, f.f213, z, x),
			e.way(z, d, f.f231, y, x))
	}
	return d
}

// way returns the copy of victim to d and the instruction on d.
func (e *Emitter) way(victim, d Vec, f order, last Val, second Vec) fusing {
	move, err := x86.VMOVAPS(victim.r, d.r)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return fusing{victim, move, e.fused(f, last, second, d)}
}

func (e *Emitter) fused(f order, last Val, second, d Vec) *ir.Instruction {
	build := f.plain
	op, bcst := e.source(last)
	if bcst {
		build = f.bcst
	}
	i, err := build(op, second.r, d.r)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return i
}

// emitFused emits the first way and notes the others.
func (e *Emitter) emitFused(ways ...fusing) {
	w := ways[0]
	first := fusing{w.victim, clone(w.copy), clone(w.fma)}
	e.Instruction(first.copy)
	e.Instruction(first.fma)
	e.fusings[first.fma] = fusings{first.copy, ways}
}

// fusings is an emitted fused operation: its copy and the ways to choose from.
type fusings struct {
	copy *ir.Instruction
	ways []fusing
}

// choose rewrites the emitted pair to the first way whose victim is dead after
// it, if there is one.
func (f fusings) choose(fma *ir.Instruction, live func(Vec) bool) {
	for _, w := range f.ways {
		if !live(w.victim) {
			*f.copy, *fma = *clone(w.copy), *clone(w.fma)
			return
		}
	}
}

// clone copies an instruction; the allocator changes operands in place.
func clone(i *ir.Instruction) *ir.Instruction {
	c := *i
	c.Operands = append([]operand.Op(nil), i.Operands...)
	c.Inputs = append([]operand.Op(nil), i.Inputs...)
	c.Outputs = append([]operand.Op(nil), i.Outputs...)
	return &c
}
