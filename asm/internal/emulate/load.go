package emulate

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// Load reads the text of a file. It refuses what it does not know.
func Load(text []byte) (*Program, error) {
	p := &Program{functions: map[string]*function{}, data: map[string][]byte{}}
	lines := strings.Split(string(text), "\n")
	// Constants stand behind the functions that read them.
	for n, line := range lines {
		if err := p.define(clean(line)); err != nil {
			return nil, fmt.Errorf("emulate: line %d: %s: %w", n+1, strings.TrimSpace(line), err)
		}
	}
	var b *body
	for n, line := range lines {
		err := func() (err error) {
			line := clean(line)
			op, rest, _ := strings.Cut(line, " ")
			switch {
			case line == "", op == "DATA", op == "GLOBL", line == `#include "textflag.h"`:
				return nil
			case op == "TEXT":
				if err = b.end(); err != nil {
					return err
				}
				b, err = p.begin(rest)
				return err
			case b == nil:
				return errors.New("stands in no function")
			case strings.HasSuffix(line, ":"):
				return b.label(strings.TrimSuffix(line, ":"))
			}
			return b.add(p, n+1, line)
		}()
		if err != nil {
			return nil, fmt.Errorf("emulate: line %d: %s: %w", n+1, strings.TrimSpace(line), err)
		}
	}
	if err := b.end(); err != nil {
		return nil, fmt.Errorf("emulate: %w", err)
	}
	return p, nil
}

// clean takes off comments and makes one space of several.
func clean(line string) string {
	line, _, _ = strings.Cut(line, "//")
	return strings.Join(strings.Fields(line), " ")
}

var (
	textForm  = regexp.MustCompile(`^·(\w+)\(SB\),(?: NOSPLIT,)? \$(\d+)-(\d+)$`)
	dataForm  = regexp.MustCompile(`^DATA (\w+)<>\+(\d+)\(SB\)/([48]), \$(0x[0-9a-f]+)$`)
	globlForm = regexp.MustCompile(`^GLOBL (\w+)<>\(SB\), RODATA\|NOPTR, \$(\d+)$`)
)

// define takes in a line of a read-only symbol.
func (p *Program) define(line string) error {
	if f := globlForm.FindStringSubmatch(line); f != nil {
		if n, err := strconv.Atoi(f[2]); err != nil || len(p.data[f[1]]) != n {
			return fmt.Errorf("the symbol has %d bytes", len(p.data[f[1]]))
		}
		return nil
	}
	if f := dataForm.FindStringSubmatch(line); f != nil {
		at, err := strconv.Atoi(f[2])
		if err != nil || at != len(p.data[f[1]]) {
			return errors.New("is not the symbol's next number")
		}
		value, err := strconv.ParseUint(f[4], 0, 64)
		size, _ := strconv.Atoi(f[3])
		if err != nil || size == 4 && value>>32 != 0 {
			return errors.New("has no number of that size")
		}
		for range size {
			p.data[f[1]] = append(p.data[f[1]], byte(value))
			value >>= 8
		}
		return nil
	}
	if strings.HasPrefix(line, "DATA") || strings.HasPrefix(line, "GLOBL") {
		return errors.New("is not of the known form")
	}
	return nil
}

// body is a function that is being read.
type body struct {
	f      *function
	labels map[string]int
	wide   bool // it has instructions on Y or Z registers
}

func (p *Program) begin(rest string) (*body, error) {
	f := textForm.FindStringSubmatch(rest)
	if f == nil {
		return nil, errors.New("is not of the known form")
	}
	frame, err1 := strconv.Atoi(f[2])
	args, err2 := strconv.Atoi(f[3])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if p.functions[f[1]] != nil {
		return nil, errors.New("is the second function of that name")
	}
	fn := &function{name: f[1], frame: frame, args: args}
	p.functions[f[1]] = fn
	return &body{f: fn, labels: map[string]int{}}, nil
}

func (b *body) label(name string) error {
	if _, ok := b.labels[name]; ok || !word.MatchString(name) {
		return errors.New("is no new label")
	}
	b.labels[name] = len(b.f.source)
	return nil
}

// add parses and checks an instruction; it is decoded at the function's end, when all
// labels are known.
func (b *body) add(p *Program, n int, line string) error {
	i := &instruction{line: n, text: line, body: b, program: p}
	op, rest, _ := strings.Cut(line, " ")
	if op == "BYTE" {
		if err := prefetchW(line); err != nil {
			return err
		}
		i.entry = entry{"", nothing}
		b.f.source = append(b.f.source, i)
		return nil
	}
	op, suffix, dotted := strings.Cut(op, ".")
	i.op = op
	var ok bool
	if i.entry, ok = instructions[op]; !ok {
		return errors.New("the instruction is not known")
	}
	for s := range strings.SplitSeq(rest, ", ") {
		if s == "" {
			continue
		}
		o, err := i.operand(s)
		if err != nil {
			return err
		}
		i.args = append(i.args, o)
	}
	widths, shape := i.shape()
	if dotted {
		widths, shape = "."+suffix+" "+widths, "."+suffix+" "+shape
	}
	if forms := strings.Split(i.entry.forms, "|"); !slices.Contains(forms, widths) && !slices.Contains(forms, shape) {
		return fmt.Errorf("the form %q is not known", widths)
	}
	if suffix == "BCST" {
		for k := range i.args {
			i.args[k].each = i.args[k].kind == memory
		}
	}
	if op == "RET" && b.wide && (len(b.f.source) == 0 || b.f.source[len(b.f.source)-1].op != "VZEROUPPER") {
		return errors.New("returns without VZEROUPPER")
	}
	b.f.source = append(b.f.source, i)
	return nil
}

// end decodes a function.
func (b *body) end() error {
	if b == nil {
		return nil
	}
	n := len(b.f.source)
	if n == 0 || b.f.source[n-1].op != "RET" && b.f.source[n-1].op != "JMP" {
		return fmt.Errorf("%s does not end with RET", b.f.name)
	}
	for _, i := range b.f.source {
		for _, a := range i.args {
			if a.kind != label {
				continue
			}
			if at, ok := b.labels[a.text]; !ok || at >= n {
				return fmt.Errorf("line %d: %s: there is no such label", i.line, i.text)
			}
		}
		b.f.code = append(b.f.code, i.entry.decode(i))
	}
	return nil
}

// entry is a row of the table of instructions.
type entry struct {
	// forms lists operands as they are written, by |: a suffix; $ for an immediate, r
	// and k for registers, m for memory, l for a label, X, Y and Z for vectors, or v
	// where all have the same width.
	forms  string
	decode func(i *instruction) step
}

// instructions is what is known. Go's assembler writes the destination last.
var instructions = map[string]entry{}

// known adds rows to the table.
func known(rows map[string]entry) bool {
	for op, e := range rows {
		if _, ok := instructions[op]; ok {
			panic("emulate: two rows of " + op)
		}
		instructions[op] = e
	}
	return true
}

func nothing(*instruction) step { return func(*machine) {} }

// instruction is a line of a function.
type instruction struct {
	line    int
	text    string
	op      string
	entry   entry
	args    []operand
	lanes   int // of its vectors, where they have the same width
	body    *body
	program *Program
}

type kind byte

const (
	immediate kind = '$'
	general   kind = 'r'
	mask      kind = 'k'
	lanes     kind = 'v'
	memory    kind = 'm'
	label     kind = 'l'
)

type operand struct {
	kind  kind
	reg   int
	lanes int
	value uint64  // of an immediate
	mem   address // of memory
	each  bool    // one number for all lanes
	text  string
}

// shape tells the operands as entry.forms does: with the widths of vectors, and with v
// where they are the same.
func (i *instruction) shape() (widths, shape string) {
	same := true
	var list []string
	for _, a := range i.args {
		if a.kind != lanes {
			list = append(list, string(a.kind))
			continue
		}
		same = same && (i.lanes == 0 || i.lanes == a.lanes)
		i.lanes = a.lanes
		i.body.wide = i.body.wide || a.lanes > 4
		list = append(list, a.text[:1])
	}
	widths = strings.Join(list, " ")
	if !same {
		return widths, widths
	}
	for k, a := range i.args {
		list[k] = string(a.kind)
	}
	return widths, strings.Join(list, " ")
}

// general registers by their numbers in code.
var generals = func() map[string]int {
	m := map[string]int{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "BP": 5, "SI": 6, "DI": 7}
	for i := 8; i < 16; i++ {
		m[fmt.Sprintf("R%d", i)] = i
	}
	return m
}()

var (
	word       = regexp.MustCompile(`^[a-zA-Z_]\w*$`)
	vectorForm = regexp.MustCompile(`^([XYZ])(\d+)$`)
	maskForm   = regexp.MustCompile(`^K([1-7])$`) // K0 stands for no mask
	argForm    = regexp.MustCompile(`^\w+\+(\d+)\(FP\)$`)
	frameForm  = regexp.MustCompile(`^(\d*)\(SP\)$`)
	symbolForm = regexp.MustCompile(`^(\w+)<>\+(\d+)\(SB\)$`)
	memForm    = regexp.MustCompile(`^(-?\d*)\((\w+)\)(?:\((\w+)\*([1248])\))?$`)
)

func (i *instruction) operand(s string) (operand, error) {
	o := operand{text: s}
	number := func(s string) uint64 { // the patterns admit digits alone
		n, err := strconv.ParseInt("0"+s, 10, 32)
		if err != nil {
			panic(err)
		}
		return uint64(n)
	}
	if v, ok := strings.CutPrefix(s, "$"); ok {
		n, err := strconv.ParseInt(v, 0, 64)
		o.kind, o.value = immediate, uint64(n)
		return o, err
	}
	if r, ok := generals[s]; ok {
		o.kind, o.reg = general, r
		if r == 5 && i.body.f.frame == 0 {
			return o, errors.New("BP is the caller's in a function without a frame")
		}
		return o, nil
	}
	if f := vectorForm.FindStringSubmatch(s); f != nil {
		o.kind, o.lanes = lanes, map[string]int{"X": 4, "Y": 8, "Z": 16}[f[1]]
		if o.reg = int(number(f[2])); o.reg > 31 {
			return o, errors.New("there is no such register")
		}
		return o, nil
	}
	if f := maskForm.FindStringSubmatch(s); f != nil {
		o.kind, o.reg = mask, int(number(f[1]))
		return o, nil
	}
	o.kind, o.mem = memory, address{base: none, index: none}
	if f := argForm.FindStringSubmatch(s); f != nil {
		o.mem.base, o.mem.disp = pointer, number(f[1])
		if o.mem.disp >= uint64(i.body.f.args) {
			return o, errors.New("reaches past the arguments")
		}
		return o, nil
	}
	if f := frameForm.FindStringSubmatch(s); f != nil {
		o.mem.base, o.mem.disp = stack, number(f[1])
		if o.mem.disp >= uint64(i.body.f.frame) {
			return o, errors.New("reaches past the frame")
		}
		return o, nil
	}
	if f := symbolForm.FindStringSubmatch(s); f != nil {
		data, at := i.program.data[f[1]], number(f[2])
		if at >= uint64(len(data)) {
			return o, errors.New("reaches past the symbol")
		}
		o.mem.disp = uint64(uintptr(unsafe.Pointer(&data[at])))
		return o, nil
	}
	if f := memForm.FindStringSubmatch(s); f != nil {
		var ok1, ok2 bool
		o.mem.base, ok1 = generals[f[2]]
		o.mem.scale = 1
		if f[1] != "" {
			n, err := strconv.ParseInt(f[1], 10, 32)
			if err != nil {
				return o, err
			}
			o.mem.disp = uint64(n)
		}
		if ok2 = true; f[3] != "" {
			o.mem.index, ok2 = generals[f[3]]
			o.mem.scale = number(f[4])
		}
		if !ok1 || !ok2 {
			return o, errors.New("there is no such register")
		}
		return o, nil
	}
	if word.MatchString(s) {
		o.kind = label
		return o, nil
	}
	return o, errors.New("an operand is not of a known form")
}
