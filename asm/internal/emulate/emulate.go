// Package emulate executes the assembly that package asm emits, instruction by
// instruction, on the memory of the process, for tests: kernels of instruction sets
// that a machine lacks are run on it all the same, and those that it has are run
// both ways, which proves the emulator.
//
// It reads the text of a file for Go's assembler as asm/vec prints it. What each
// instruction does is written down here from Intel's manual (volume 2), in plain Go,
// for the instructions and forms of operands that are emitted; any other is an error
// of Load, so that nothing is passed over. A function starts with junk in its
// registers, its frame and its results; it reads and writes the memory that its
// pointers name.
//
// What it does not tell: whether Go's assembler encodes an instruction rightly, how
// long anything takes, and what the hardware does about caches, alignment and
// exceptions of floating-point numbers, which are masked.
package emulate

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"unsafe"
)

// Program is the functions of a file.
type Program struct {
	functions map[string]*function
	data      map[string][]byte // of read-only symbols
}

// function is a function with its decoded instructions.
type function struct {
	name        string
	frame, args int // bytes
	code        []step
	source      []*instruction // of each step
	machines    sync.Pool      // of *machine that are in no call
}

// Func returns a function of the program as a Go function of a type: that of its
// declaration, with parameters and a result of types *T, int, float32 and float64.
// Several goroutines may call it.
func (p *Program) Func(name string, t reflect.Type) (reflect.Value, error) {
	f := p.functions[name]
	if f == nil {
		return reflect.Value{}, fmt.Errorf("emulate: there is no function %s", name)
	}
	// Arguments lie one after the other, each at a multiple of its size; results
	// follow from the next word on (Go's ABI0).
	var in, out []int
	at := 0
	place := func(list []int, t reflect.Type) ([]int, error) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Int, reflect.Float32, reflect.Float64:
		default:
			return nil, fmt.Errorf("emulate: %s has an argument of type %s", name, t)
		}
		size := int(t.Size())
		at = (at + size - 1) / size * size
		list, at = append(list, at), at+size
		return list, nil
	}
	var err error
	for i := range t.NumIn() {
		if in, err = place(in, t.In(i)); err != nil {
			return reflect.Value{}, err
		}
	}
	at = (at + 7) / 8 * 8
	for i := range t.NumOut() {
		if out, err = place(out, t.Out(i)); err != nil {
			return reflect.Value{}, err
		}
	}
	if (at+7)/8*8 != (f.args+7)/8*8 {
		return reflect.Value{}, fmt.Errorf("emulate: %s has %d bytes of arguments, its Go type %d", name, f.args, at)
	}
	return reflect.MakeFunc(t, func(args []reflect.Value) []reflect.Value {
		m := f.machine()
		for i, a := range args {
			set(m.arg(in[i]), a)
		}
		f.run(m)
		results := make([]reflect.Value, len(out))
		for i, at := range out {
			results[i] = get(m.arg(at), t.Out(i))
		}
		f.machines.Put(m)
		runtime.KeepAlive(args)
		return results
	}), nil
}

func set(at unsafe.Pointer, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		*(*uint64)(at) = uint64(v.Pointer())
	case reflect.Int:
		*(*int64)(at) = v.Int()
	case reflect.Float32:
		*(*float32)(at) = float32(v.Float())
	case reflect.Float64:
		*(*float64)(at) = v.Float()
	}
}

func get(at unsafe.Pointer, t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Int:
		v.SetInt(*(*int64)(at))
	case reflect.Float32:
		v.SetFloat(float64(*(*float32)(at)))
	case reflect.Float64:
		v.SetFloat(*(*float64)(at))
	default:
		panic("emulate: a result of type " + t.String())
	}
	return v
}

// Replace puts emulated functions in the places of the program's functions, in all
// fields and elements of what v points to. Other functions stay. It returns how many
// it replaced, or an error where that was none.
func (p *Program) Replace(v any) (int, error) {
	n, err := p.replace(reflect.ValueOf(v).Elem())
	if err == nil && n == 0 {
		err = fmt.Errorf("emulate: %T has none of the program's functions", v)
	}
	return n, err
}

func (p *Program) replace(v reflect.Value) (n int, err error) {
	var parts []reflect.Value
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			parts = append(parts, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			parts = append(parts, v.Index(i))
		}
	case reflect.Func:
		name := symbol(v)
		if p.functions[name] == nil {
			return 0, nil
		}
		f, err := p.Func(name, v.Type())
		if err != nil {
			return 0, err
		}
		// The field may be unexported.
		reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem().Set(f)
		return 1, nil
	}
	for _, part := range parts {
		k, err := p.replace(part)
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// symbol returns the name of a Go function within its package, "" for none.
func symbol(f reflect.Value) string {
	if f.IsNil() {
		return ""
	}
	name := runtime.FuncForPC(f.Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

const (
	junk     = 0x7fa5a5a5         // a signalling NaN
	wideJunk = 0x7fa5a5a57fa5a5a5 // no address; as float64 a NaN
	guard    = 0x5c5c5c5c5c5c5c5c // what stands beside a frame, where nothing may write
	around   = 32                 // words on each side
)

// machine is the registers of a call, its arguments and its frame.
type machine struct {
	r  [18]uint64 // general registers by their numbers in code; then two of names below
	v  [32]vector // Z registers, of which Y and X are the first lanes
	k  [8]uint16
	pc int

	zero, sign, carry, overflow, parity flag

	argWords, frameWords []uint64
}

// Registers that addresses have beside the general ones.
const (
	stack   = 4
	pointer = 16 // to the arguments: FP
	none    = 17 // always 0
)

// vector is a register's lanes.
type vector [16]uint32

// flag is 0, 1 or unknown.
type flag uint8

const unknown flag = 2

// step is a decoded instruction.
type step func(m *machine)

// machine returns a machine with junk in it.
func (f *function) machine() *machine {
	m, ok := f.machines.Get().(*machine)
	if !ok {
		m = &machine{
			argWords: make([]uint64, (f.args+7)/8+1),
			// A line more than the frame, to place it.
			frameWords: make([]uint64, (f.frame+7)/8+2*around+8),
		}
	}
	for i := range m.r {
		m.r[i] = wideJunk
	}
	for i := range m.v {
		for j := range m.v[i] {
			m.v[i][j] = junk
		}
	}
	for i := range m.k {
		m.k[i] = 0xa5a5
	}
	for i := range m.argWords {
		m.argWords[i] = wideJunk
	}
	m.zero, m.sign, m.carry, m.overflow, m.parity = unknown, unknown, unknown, unknown, unknown
	m.pc = 0
	m.r[none] = 0
	m.r[pointer] = uint64(uintptr(m.arg(0)))
	// The stack is aligned to words, not to vectors: 8 beyond a line.
	at := uint64(uintptr(unsafe.Pointer(&m.frameWords[around])))
	m.r[stack] = (at+63)&^63 - 56
	if m.r[stack] < at {
		m.r[stack] += 64
	}
	for i := range m.frameWords {
		m.frameWords[i] = guard
	}
	first := f.first(m)
	for i := range (f.frame + 7) / 8 {
		m.frameWords[first+i] = wideJunk
	}
	return m
}

// first is the frame's place in the words of a machine whose stack pointer is set.
func (f *function) first(m *machine) int {
	return int(m.r[stack]-uint64(uintptr(unsafe.Pointer(&m.frameWords[0])))) / 8
}

func (m *machine) arg(at int) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(&m.argWords[0]), at)
}

// run executes the function.
func (f *function) run(m *machine) {
	// A fault becomes a panic that tells the instruction.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("emulate: %s, line %d: %s: %v", f.name, f.source[m.pc-1].line, f.source[m.pc-1].text, r))
		}
	}()
	for m.pc >= 0 {
		s := f.code[m.pc]
		m.pc++
		s(m)
	}
	m.pc = len(f.code)
	first := f.first(m)
	for i, w := range m.frameWords {
		if (i < first || i >= first+(f.frame+7)/8) && w != guard {
			panic(fmt.Sprintf("wrote beside the frame, at %d(SP)", 8*(i-first)))
		}
	}
}

// address is where a memory operand lies.
type address struct {
	base, index int // registers
	disp, scale uint64
}

func (a *address) of(m *machine) uint64 {
	return m.r[a.base] + a.disp + m.r[a.index]*a.scale
}

// at returns the pointer itself. Its bits are those of a register, which the garbage
// collector does not know: the caller of the function keeps the memory alive.
func (a *address) at(m *machine) unsafe.Pointer {
	n := a.of(m)
	return *(*unsafe.Pointer)(unsafe.Pointer(&n))
}

func float(b uint32) float32 { return math.Float32frombits(b) }
func raw(f float32) uint32   { return math.Float32bits(f) }
