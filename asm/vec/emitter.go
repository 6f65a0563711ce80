// Package vec writes vector code once for two instruction sets: a thin layer
// of typed operations over avo, whose values are one native vector of float32
// (8 lanes on AVX2, 16 on AVX-512).
//
// Operations return new values and never change their arguments, except those
// whose name ends in Into. Constants are operands, not registers: they live
// in one read-only data section and are read from memory where they are used;
// only registers that are left over hold some. Every operation rounds as the
// IEEE standard says, so the same calls give the same bits on both instruction
// sets, NaN payloads excepted.
//
// Vectors are in virtual registers. Compile allocates them with an allocator
// of this package, which spills what does not fit and says so in Stats.
//
// An Emitter holds one file. It embeds avo's build.Context: kernels mix the
// operations below with avo's instructions and its general-purpose registers
// as they need.
package vec

import (
	"errors"
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Emitter builds one assembly file for one instruction set.
type Emitter struct {
	*build.Context
	isa  ISA
	pool pool
	errs []error
	// fusings holds the ways of writing each fused operation.
	fusings    map[*ir.Instruction]fusings
	forWriting map[*ir.Instruction]bool // the prefetches that are a PREFETCHW
	legends    map[string][]*legend     // by function
	current    string                   // function being built
	values     int                      // vectors it has made
}

// New returns an Emitter for one file. The file's constants are kept in a
// static data section named pool.
func New(isa ISA, poolName string) *Emitter {
	return &Emitter{Context: build.NewContext(), isa: isa, pool: newPool(isa, poolName), fusings: map[*ir.Instruction]fusings{}, forWriting: map[*ir.Instruction]bool{}, legends: map[string][]*legend{}}
}

// ISA returns the instruction set that the Emitter writes for.
func (e *Emitter) ISA() ISA { return e.isa }

// Lanes returns the number of float32 in one Vec.
func (e *Emitter) Lanes() int { return e.isa.Lanes() }

// Function starts a function.
func (e *Emitter) Function(name string) {
	// avo numbers virtual registers with 16 bits, for all functions together.
	e.Collection = *reg.NewCollection()
	e.current, e.values = name, 0
	e.Context.Function(name)
}

// maxValues is the number of vectors that a function may make: what avo's
// numbers hold, less some for spilling.
const maxValues = 60000

// Errorf records an error of the caller's; Compile reports it.
func (e *Emitter) Errorf(format string, args ...any) {
	e.errs = append(e.errs, fmt.Errorf(format, args...))
}

// Err returns the errors recorded so far.
func (e *Emitter) Err() error { return errors.Join(e.errs...) }

// Val is an operand of an operation: a Vec, a Const or a Mem.
type Val interface{ isVal() }

// Mem is an operand in memory that is read where it is used. Used often, it is
// better loaded once.
type Mem struct {
	m    operand.Mem
	bcst bool
}

func (Mem) isVal() {}

// Broadcast reports whether m is a single float32 for all lanes.
func (m Mem) Broadcast() bool { return m.bcst }

// At is the vector at m.
func At(m operand.Mem) Mem { return Mem{m: m} }

// Each is the single float32 at m, for all lanes.
func Each(m operand.Mem) Mem { return Mem{m: m, bcst: true} }

// Vec is one native vector in a virtual register.
type Vec struct{ r reg.VecVirtual }

func (Vec) isVal() {}

// Reg returns the virtual register, for use with avo's own instructions.
func (v Vec) Reg() reg.VecVirtual { return v.r }

// X returns the register's lowest four lanes.
func (v Vec) X() reg.Register { return v.r.AsX() }

// Fresh returns a Vec that holds nothing yet.
func (e *Emitter) Fresh() Vec {
	if e.values++; e.values == maxValues {
		e.Errorf("vec: %s makes more than %d vectors", e.current, maxValues)
	}
	if e.isa == AVX512 {
		return Vec{e.ZMM()}
	}
	return Vec{e.YMM()}
}

// Reg returns v in a register: v itself, or what it is loaded to.
func (e *Emitter) Reg(v Val) Vec {
	if r, ok := v.(Vec); ok {
		return r
	}
	return e.Copy(v)
}

// Copy returns a new register with v's value, for the Into operations.
func (e *Emitter) Copy(v Val) Vec {
	d := e.Fresh()
	e.copyInto(d, v)
	return d
}

func (e *Emitter) copyInto(d Vec, v Val) {
	switch v := v.(type) {
	case Vec:
		e.VMOVAPS(v.r, d.r)
	case Const:
		e.constInto(d, v)
	case Mem:
		if v.bcst {
			e.VBROADCASTSS(v.m, d.r)
		} else {
			e.VMOVUPS(v.m, d.r)
		}
	default:
		e.Errorf("vec: operand %T is none of Vec, Const and Mem", v)
	}
}

// source returns v as the last source of an instruction: a register, or memory
// that the instruction reads itself, broadcasting it or not.
func (e *Emitter) source(v Val) (op operand.Op, bcst bool) {
	switch v := v.(type) {
	case Const:
		return e.pool.mem(v), e.isa == AVX512
	case Mem:
		if !v.bcst || e.isa == AVX512 {
			return v.m, v.bcst
		}
	}
	return e.Reg(v).r, false
}

// direct returns v if it is in a register or can be an instruction's own
// memory operand, and else loads it.
func (e *Emitter) direct(v Val) Val {
	if m, ok := v.(Mem); ok && m.bcst && e.isa == AVX2 {
		return e.Reg(v)
	}
	return v
}

// Zero returns a register of zeros.
func (e *Emitter) Zero() Vec {
	d := e.Fresh()
	e.zeroInto(d)
	return d
}

func (e *Emitter) zeroInto(d Vec) { e.VXORPS(d.r, d.r, d.r) }

// LoadVec reads one vector from memory that need not be aligned.
func (e *Emitter) LoadVec(m operand.Mem) Vec {
	d := e.Fresh()
	e.VMOVUPS(m, d.r)
	return d
}

// StoreVec writes one vector to memory that need not be aligned.
func (e *Emitter) StoreVec(v Vec, m operand.Mem) { e.VMOVUPS(v.r, m) }

// Broadcast reads one float32 into all lanes.
func (e *Emitter) Broadcast(m operand.Mem) Vec {
	d := e.Fresh()
	e.VBROADCASTSS(m, d.r)
	return d
}

// BroadcastLane copies lane 0 of v into all lanes.
func (e *Emitter) BroadcastLane(v Vec) Vec {
	d := e.Fresh()
	e.VBROADCASTSS(v.X(), d.r)
	return d
}
