package kernel

import (
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A kernel asks for its parameters by name. In a function of its own they come
// from the stack, where the kernel also keeps what it needs rarely. Within a
// Whole they are known while the code is written: numbers and places in the
// engine's memory.

// arg loads a parameter into a register.
func (f *function) arg(name string) gp { return f.argAs(name, f.doc(name)) }

// argAs loads a parameter into a register and says what the register holds.
func (f *function) argAs(name, text string) gp {
	r := f.GP64()
	f.load(name, r)
	f.Name(r, "%s", text)
	return r
}

// moving loads a pointer that moves on as the kernel does.
func (f *function) moving(name, where string) gp { return f.argAs(name, name+": "+where) }

func (f *function) doc(name string) string {
	for _, q := range f.params.List {
		if q.Name == name {
			return name + ": " + q.Doc
		}
	}
	return name
}

// load writes a parameter to a register.
func (f *function) load(name string, r gp) {
	if f.inline != nil {
		f.inline.load(f, name, r)
		return
	}
	f.MOVQ(f.slot(name), r)
}

// slot is where a parameter lies on the stack.
func (f *function) slot(name string) operand.Mem {
	if f.inline != nil {
		return f.inline.slot(f, name)
	}
	return f.resolve(f.Param(name))
}

// keep puts parameters on the stack, where a loop may change them.
func (f *function) keep(names ...string) {
	if f.inline != nil {
		f.inline.keep(f, names)
	}
}

// move adds bytes to a pointer's parameter.
func (f *function) move(name string, bytes int) {
	if f.inline != nil && f.inline.move(name, bytes) {
		return
	}
	f.add(bytes, f.slot(name))
}

// known returns a number's parameter, if it is known while the code is written.
func (f *function) known(name string) (int, bool) {
	if f.inline == nil {
		return 0, false
	}
	return f.inline.number(f, name)
}

// result is where the kernel's result belongs.
func (f *function) result() operand.Mem {
	if f.inline != nil {
		return f.inline.result
	}
	return f.resolve(f.ReturnIndex(0))
}

func (f *function) resolve(c gotypes.Component) operand.Mem {
	b, err := c.Resolve()
	if err != nil {
		f.Errorf("kernel: %w", err)
		return operand.Mem{}
	}
	return b.Addr
}

// count is how often a loop runs: as often as a register says, or a word on
// the stack, or n times.
type count struct {
	r    reg.GPVirtual
	word string // a parameter
	n    int
}

// count returns the value of a parameter as a loop's count.
func (f *function) count(name string) count {
	if n, ok := f.known(name); ok {
		return count{n: n}
	}
	return count{r: f.arg(name)}
}

// countOf returns the value of a parameter that has to last for more than one loop.
func (f *function) countOf(name string) count {
	if n, ok := f.known(name); ok {
		return count{n: n}
	}
	return count{word: name}
}

// divide splits a count into parts of size, a power of two, and what is left.
// It uses the count up.
func (f *function) divide(c count, size int) (parts, rest count) {
	if c.known() {
		return count{n: c.n / size}, count{n: c.n % size}
	}
	many, few := f.GP64(), f.inRegister(c)
	f.MOVQ(few, many)
	f.SHRQ(operand.U8(log2(size)), many)
	f.ANDQ(operand.U8(size-1), few)
	return count{r: many}, count{r: few}
}

// known tells that the count is a number.
func (c count) known() bool { return c.r == nil && c.word == "" }

func log2(n int) int {
	k := 0
	for 1<<k < n {
		k++
	}
	return k
}

// repeat writes body as often as a count says, 0 or more times. It uses the
// count up.
func (f *function) repeat(what string, c count, body func()) {
	if c.known() {
		f.loop(what, c.n, body)
		return
	}
	f.loopReg(what, f.inRegister(c), body)
}

func (f *function) inRegister(c count) gp {
	if c.r == nil {
		c.r = f.GP64()
		f.load(c.word, c.r)
	}
	return c.r
}
