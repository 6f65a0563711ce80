package vec

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// simulation runs straight-line code on symbols: each register and each place
// in memory holds the hash of how its value was computed. Two codes that store
// equal symbols compute the same.
type simulation struct {
	pool   operand.Symbol
	regs   map[reg.ID]uint64
	stack  map[int]uint64
	stored []string
}

func symbol(parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprintln(h, parts...)
	return h.Sum64()
}

// read returns an operand's symbol.
func (s *simulation) read(op operand.Op) uint64 {
	switch op := op.(type) {
	case reg.Register:
		v, ok := s.regs[op.ID()]
		if !ok {
			return symbol("nothing", op.Asm())
		}
		return v
	case operand.Mem:
		if op.Symbol == s.pool {
			return symbol("constant", op.Disp)
		}
		if op.Base == reg.StackPointer {
			return s.stack[op.Disp]
		}
		return symbol("memory", op.Disp)
	}
	return symbol(op.Asm())
}

func (s *simulation) write(op operand.Op, v uint64) {
	switch op := op.(type) {
	case reg.Register:
		s.regs[op.ID()] = v
	case operand.Mem:
		if op.Base == reg.StackPointer {
			s.stack[op.Disp] = v
		} else {
			s.stored = append(s.stored, fmt.Sprint(op.Disp, " ", v))
		}
	}
}

func (s *simulation) run(code []*ir.Instruction) []string {
	for _, i := range code {
		if len(i.Operands) == 0 {
			continue
		}
		last := i.Operands[len(i.Operands)-1]
		in := make([]uint64, len(i.Operands)-1)
		for k := range in {
			in[k] = s.read(i.Operands[k])
		}
		switch {
		case i.Opcode == "VMOVAPS" || i.Opcode == "VMOVUPS" || i.Opcode == "VBROADCASTSS":
			s.write(last, in[0])
		case i.CancellingInputs && len(i.InputRegisters()) == 0:
			s.write(last, symbol("zero"))
		case strings.HasPrefix(i.Opcode, "VFM") || strings.HasPrefix(i.Opcode, "VFNM"):
			s.write(last, fused(i.Opcode, in[0], in[1], s.read(last)))
		default:
			s.write(last, symbol(i.Opcode, in))
		}
	}
	return s.stored
}

// fused is the symbol of a fused operation, whatever its order of operands.
func fused(opcode string, m, second, d uint64) uint64 {
	var a, b, c uint64
	switch form := strings.Trim(opcode, "ABDFMNPSUV"); form {
	case "132":
		a, b, c = d, m, second
	case "213":
		a, b, c = second, d, m
	case "231":
		a, b, c = second, m, d
	}
	return symbol(strings.Trim(opcode, "PS123"), min(a, b), max(a, b), c)
}

// copies returns copies of the instructions, which the allocator changes.
func copies(code []*ir.Instruction) []*ir.Instruction {
	out := make([]*ir.Instruction, len(code))
	for i := range code {
		out[i] = clone(code[i])
	}
	return out
}

// randomCode emits n operations on random values, of which results live on to
// the end. Some values are written more than once.
func randomCode(e *Emitter, rng *rand.Rand, n, results int) {
	e.Function("f")
	e.SignatureExpr("func(x *float32)")
	p := e.Load(e.Param("x"), e.GP64())
	at := func(i int) operand.Mem { return operand.Mem{Base: p, Disp: 64 * i} }
	values := []Vec{e.LoadVec(at(0)), e.Zero(), e.Broadcast(at(1))}
	vec := func() Vec { return values[rng.IntN(len(values))] }
	val := func() Val {
		switch rng.IntN(8) {
		case 0:
			return C(float64(rng.IntN(4)))
		case 1:
			return At(at(rng.IntN(9)))
		case 2:
			return Each(at(rng.IntN(9)))
		}
		return vec()
	}
	for range n {
		var v Vec
		switch rng.IntN(9) {
		case 0:
			v = e.Add(val(), val())
		case 1:
			v = e.Sub(val(), val())
		case 2, 3, 4:
			v = e.Fma(val(), val(), val())
		case 5:
			v = e.Fnma(val(), val(), val())
		case 6:
			v = e.Fms(vec(), vec(), vec())
		case 7:
			e.FmaInto(vec(), vec(), val())
			continue
		case 8:
			v = e.Max(C(1), vec())
		}
		if rng.IntN(3) == 0 {
			values[rng.IntN(len(values))] = v // and forget another
		} else {
			values = append(values, v)
		}
	}
	for i := range results {
		e.StoreVec(values[len(values)-1-i%len(values)], at(i))
	}
	e.RET()
}

// TestAllocation compares random code before and after allocation: few values
// and many, so that copies vanish, constants are kept and values are spilled.
func TestAllocation(t *testing.T) {
	kept, spilled := 0, 0
	for seed := range uint64(150) {
		for _, isa := range ISAs {
			rng := rand.New(rand.NewPCG(seed, 5))
			e := New(isa, "consts")
			randomCode(e, rng, 5+rng.IntN(150), 1+rng.IntN(50))
			if err := e.Err(); err != nil {
				t.Fatal(err)
			}
			f, err := e.Result()
			if err != nil {
				t.Fatal(err)
			}
			fn := f.Functions()[0]
			before := copies(fn.Instructions())
			stats, err := e.allocate(fn)
			if err != nil {
				t.Fatalf("seed %d on %s: %v", seed, isa, err)
			}
			applyAllocation(fn)
			simulate := func(code []*ir.Instruction) []string {
				s := simulation{pool: e.pool.symbol, regs: map[reg.ID]uint64{}, stack: map[int]uint64{}}
				return s.run(code)
			}
			after := fn.Instructions()
			if want, got := simulate(before), simulate(after); !slices.Equal(want, got) {
				t.Fatalf("seed %d on %s: the allocated code computes something else", seed, isa)
			}
			for _, i := range after {
				for _, r := range i.Registers() {
					p := reg.ToPhysical(r)
					if r.Kind() == reg.KindVector && (p == nil || int(p.PhysicalIndex()) >= isa.Registers()) {
						t.Fatalf("seed %d on %s: register %s in %s", seed, isa, r.Asm(), i.Opcode)
					}
				}
			}
			if stats.Spills > 0 {
				spilled++
			} else if stats.Used > stats.Pressure {
				kept++
			}
		}
	}
	if spilled < 30 || kept < 30 {
		t.Errorf("only %d codes were spilled and %d kept constants: the test is too tame", spilled, kept)
	}
}
