// Package kernel writes the loops of a training step as vector code: products
// with their epilogues, weight gradients with the optimizer's update, losses,
// element-wise maps and the changes of layout.
//
// All kernels share one layout. A matrix [rows, width] of activations is
// blocked: panel p holds columns 16p to 16p+15 of all rows, [width/16][rows][16].
// A weight [out, in] is packed the same way by outputs, [out/16][in][16]: row i
// of panel p holds what input i gives to outputs 16p to 16p+15. Vectors run over
// the 16 lanes, one register on AVX-512 and two on AVX2, and every sum over
// inputs, outputs or rows is one chain of fused multiply-adds in rising order.
// So both instruction sets give the same bits, whatever their tiles.
package kernel

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/asm/vmath"
	"github.com/dnngen/dnngen/internal/expr"
)

// Lanes is the width of a panel.
const Lanes = 16

// gp is a general-purpose register.
type gp = reg.GPVirtual

// stackSmall is the least frame for which the assembler does not leave out the
// look at the stack's size of a function that calls none (StackSmall of Go's
// internal/abi).
const stackSmall = 128

// lineBytes is the size of one row of a panel: a cache line.
const lineBytes = 4 * Lanes

// Kernel is one assembly function. It is written once for each instruction
// set, under FuncName followed by the set's name.
type Kernel interface {
	// FuncName is the name without the instruction set.
	FuncName() string
	// Params are the parameters and the result.
	Params() Params
	// Key tells kernels apart: equal keys, equal code.
	Key() string
	// about says in a sentence what the kernel does, without its subject.
	about() string
	// body writes the code, which runs off its end.
	body(f *function)
}

// Emit writes a kernel as a function.
func Emit(e *vec.Emitter, k Kernel) {
	e.Function(Symbol(k, e.ISA()))
	// The runtime stops a goroutine where a function looks at its stack's size, or
	// by a signal that meets Go code, which in a loop over kernels it hardly ever
	// does. So every kernel looks: a collection waits for one call, not for a loop.
	e.AllocLocal(stackSmall)
	f := &function{Emitter: e, params: k.Params(), labels: new(int)}
	e.SignatureExpr(f.params.Signature())
	doc := []string{Symbol(k, e.ISA()) + " " + k.about()}
	for _, q := range f.params.List {
		doc = append(doc, fmt.Sprintf("  %-8s %s", q.Name, q.Doc))
	}
	e.Doc(doc...)
	k.body(f)
	f.VZEROUPPER()
	f.RET()
}

// Params is the parameter list of a kernel.
type Params struct {
	List   []Param
	Result string // Go type; empty for none
}

// Param is one parameter.
type Param struct {
	Name string
	Type string // "*float32", "int", …
	Doc  string // what it points to, with its shape
}

// Pointer returns a parameter that points to float32.
func Pointer(name, doc string) Param { return Param{name, "*float32", doc} }

// Count returns an integer parameter.
func Count(name, doc string) Param { return Param{name, "int", doc} }

// Signature writes the parameters as a Go function type.
func (p Params) Signature() string {
	var list []string
	for _, q := range p.List {
		list = append(list, q.Name+" "+q.Type)
	}
	s := "func(" + strings.Join(list, ", ") + ")"
	if p.Result != "" {
		s += " " + p.Result
	}
	return s
}

// Symbol returns the name of a kernel's function for one instruction set.
func Symbol(k Kernel, isa vec.ISA) string {
	if isa == vec.AVX512 {
		return k.FuncName() + "AVX512"
	}
	return k.FuncName() + "AVX2"
}

// function is the body of a kernel being written.
type function struct {
	*vec.Emitter
	params Params
	labels *int
	inline *inline // nil: the kernel is a function of its own
}

// lower writes the code of expressions.
func (f *function) lower(roots []*expr.Node, vars map[string]vec.Val) []vec.Vec {
	values, err := vmath.Lower(f.Emitter, roots, vars)
	if err != nil {
		f.Errorf("kernel: %w", err)
		values = make([]vec.Vec, len(roots))
		for i := range values {
			values[i] = f.Zero()
		}
	}
	return values
}

// label returns a new label.
func (f *function) label(what string) string {
	*f.labels++
	return fmt.Sprintf("%s%d", what, *f.labels)
}

// loop writes body n times at run time, n being a constant.
func (f *function) loop(what string, n int, body func()) {
	if n == 0 {
		return
	}
	if n == 1 {
		body()
		return
	}
	count := f.GP64()
	f.MOVQ(operand.U32(uint32(n)), count)
	l := f.label(what)
	f.Label(l)
	body()
	f.DECQ(count)
	f.JNZ(operand.LabelRef(l))
}

// loopReg writes a loop that runs count times, count being 0 or more. The
// register is used up.
func (f *function) loopReg(what string, count reg.GPVirtual, body func()) {
	done, again := f.label(what+"Done"), f.label(what)
	f.TESTQ(count, count)
	f.JZ(operand.LabelRef(done))
	f.Label(again)
	body()
	f.DECQ(count)
	f.JNZ(operand.LabelRef(again))
	f.Label(done)
}

// add adds a constant to a register or to a word of memory.
func (f *function) add(n int, to operand.Op) {
	if n != 0 {
		f.ADDQ(operand.I32(int32(n)), to)
	}
}

// at is the memory at base + disp.
func at(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

// parts is the number of vectors in 16 lanes.
func (f *function) parts() int { return f.PerWide() }

// part is the offset in bytes of vector v of 16 lanes.
func (f *function) part(v int) int { return v * f.ISA().Bytes() }

// scratch reserves n bytes of the frame, aligned to a cache line, and returns
// a register that points there.
func (f *function) scratch(n int) reg.GPVirtual {
	p := f.GP64()
	if f.inline != nil {
		f.LEAQ(f.inline.scratch(f, n), p)
	} else {
		f.LEAQ(f.reserve(n+lineBytes).Offset(lineBytes-1), p)
	}
	f.ANDQ(operand.I8(-lineBytes), p)
	return p
}

// reserve takes n bytes of the frame.
func (f *function) reserve(n int) operand.Mem { return f.AllocLocal(n) }
