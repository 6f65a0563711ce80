package kernel

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
)

// Whole is a training step as one function: the bodies of other kernels, one
// after the other, on the places that a plan gave to all matrices. It returns
// the sum of the losses, and changes nothing if that is not finite.
type Whole struct {
	Name     string
	Target   string // Go type of the targets: "*float32" or "*int32"
	Forward  []Call
	Loss     []Call // their results are added up in this order
	Backward []Call
}

// Call is a kernel with its arguments, in the order of its parameters.
type Call struct {
	Kernel Kernel
	Args   []Arg
}

// Arg is an argument of a Call.
type Arg struct {
	Kind ArgKind
	N    int // a number, or an offset in elements of four bytes
}

// ArgKind says what an Arg counts from.
type ArgKind int

// The kinds of arguments.
const (
	Number ArgKind = iota
	Memory         // a place in the engine's memory
	Batch          // a place in the step's rows
	Target         // a place in their targets
	Tiles          // the number of all tiles of a Product
	Scale          // the factor of the loss's gradient
)

// FuncName implements Kernel.
func (k *Whole) FuncName() string { return k.Name }

// Key implements Kernel. A plan has one Whole.
func (k *Whole) Key() string { return "whole" }

// Params implements Kernel.
func (k *Whole) Params() Params {
	return Params{List: []Param{
		Pointer("memory", "parameters, states and buffers"),
		Pointer("batch", "the rows to train on"),
		{"target", k.Target, "their targets"},
		{"scale", "float32", "factor of the loss's gradient"},
	}, Result: "float64"}
}

func (k *Whole) about() string {
	return "makes a whole training step and returns the sum of the losses."
}

func (k *Whole) body(f *function) {
	memory := f.arg("memory")
	in := &inline{outer: f, memory: memory, frame: f.reserve(8*maxArgs + scratchBytes + lineBytes)}
	in.result = f.AllocLocal(8)
	total, done := f.AllocLocal(8), f.label("done")
	f.MOVQ(operand.U32(0), total)
	for _, c := range k.Forward {
		in.call(c)
	}
	sum, finite := f.Fresh(), f.Fresh()
	for _, c := range k.Loss {
		in.call(c)
		f.VMOVSD(total, sum.X())
		f.VADDSD(in.result, sum.X(), sum.X())
		f.VMOVSD(sum.X(), total)
	}
	f.Comment("Go no further unless the losses are finite: then their sum less itself is 0.")
	f.VMOVSD(sum.X(), f.result())
	f.VSUBSD(sum.X(), sum.X(), finite.X())
	f.VUCOMISD(finite.X(), finite.X())
	f.JPS(operand.LabelRef(done))
	for _, c := range k.Backward {
		in.call(c)
	}
	f.Label(done)
}

// maxArgs is the most arguments of an inlined kernel, scratchBytes the most
// scratch memory.
const (
	maxArgs      = 24
	scratchBytes = 4096
)

// inline is what kernels within a Whole have in place of parameters and a
// frame of their own.
type inline struct {
	outer  *function
	memory gp
	frame  operand.Mem // parameters that the kernel changes, then scratch
	result operand.Mem
	args   map[string]*inlineArg // of the kernel being written
}

// inlineArg is an argument of the kernel being written.
type inlineArg struct {
	Arg
	slot operand.Mem
	kept bool // it is in slot
}

// call writes a kernel's body.
func (in *inline) call(c Call) {
	f := in.outer
	p := c.Kernel.Params()
	if len(c.Args) != len(p.List) || len(c.Args) > maxArgs {
		f.Errorf("kernel: %s takes %d arguments, not %d", c.Kernel.FuncName(), len(p.List), len(c.Args))
		return
	}
	f.Part(strings.ToUpper(c.Kernel.FuncName()[:1]) + c.Kernel.FuncName()[1:] + ": " + c.Kernel.about())
	in.args = map[string]*inlineArg{}
	for i, q := range p.List {
		a := c.Args[i]
		if a.Kind == Tiles {
			a = Arg{Kind: Number, N: c.Kernel.(*Product).Splits[f.ISA()].Tiles()}
		}
		in.args[q.Name] = &inlineArg{Arg: a, slot: in.frame.Offset(8 * i)}
	}
	c.Kernel.body(&function{Emitter: f.Emitter, params: p, labels: f.labels, inline: in})
}

// arg returns an argument by name.
func (in *inline) arg(f *function, name string) *inlineArg {
	a, ok := in.args[name]
	if !ok {
		f.Errorf("kernel: no parameter %q", name)
		return &inlineArg{}
	}
	return a
}

// load writes an argument to a register.
func (in *inline) load(f *function, name string, r gp) {
	a := in.arg(f, name)
	switch {
	case a.kept:
		f.MOVQ(a.slot, r)
	case a.Kind == Number:
		f.MOVQ(operand.U32(uint32(a.N)), r)
	case a.Kind == Memory:
		f.LEAQ(at(in.memory, 4*a.N), r)
	case a.Kind == Batch:
		f.MOVQ(in.outer.slot("batch"), r)
		f.add(4*a.N, r)
	case a.Kind == Target:
		f.MOVQ(in.outer.slot("target"), r)
		f.add(4*a.N, r)
	default:
		f.Errorf("kernel: parameter %q is no word", name)
	}
}

// keep puts arguments into their slots.
func (in *inline) keep(f *function, names []string) {
	for _, name := range names {
		a := in.arg(f, name)
		r := f.GP64()
		in.load(f, name, r)
		f.MOVQ(r, a.slot)
		a.kept = true
	}
}

// slot is where an argument lies on the stack.
func (in *inline) slot(f *function, name string) operand.Mem {
	a := in.arg(f, name)
	if a.Kind == Scale {
		return in.outer.slot("scale")
	}
	if !a.kept {
		f.Errorf("kernel: parameter %q is not on the stack", name)
	}
	return a.slot
}

// move adds bytes to a pointer that is known; false if it is on the stack.
func (in *inline) move(name string, bytes int) bool {
	a, ok := in.args[name]
	if !ok || a.kept {
		return false
	}
	a.N += bytes / 4
	return true
}

// number returns an argument that is a number and not on the stack.
func (in *inline) number(f *function, name string) (int, bool) {
	a := in.arg(f, name)
	return a.N, a.Kind == Number && !a.kept
}

func (in *inline) scratch(f *function, n int) operand.Mem {
	if n > scratchBytes {
		f.Errorf("kernel: %d bytes of scratch are too many within a whole step", n)
	}
	return in.frame.Offset(8*maxArgs + lineBytes - 1)
}
