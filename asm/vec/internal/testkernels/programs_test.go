package testkernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
)

// operation is one operation of vec with the Go code that it stands for.
type operation struct {
	name string
	args int
	emit func(e *vec.Emitter, a []vec.Val) vec.Vec
	run  func(a []float32) float32
}

func bits(x float32) uint32   { return math.Float32bits(x) }
func number(b uint32) float32 { return math.Float32frombits(b) }

func nan() float32 { return float32(math.NaN()) }

// fma rounds once: the product of two float32 is exact in float64, and where
// the float64 sum is a tie of float32 numbers only by its own rounding, its
// last bit is made odd first.
func fma(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	// The error of the sum (Knuth's two-sum).
	t := s - p
	lost := (p - (s - t)) + (float64(c) - t)
	if lost != 0 && math.Float64bits(s)&1 == 0 {
		towards := math.Inf(1)
		if lost < 0 {
			towards = math.Inf(-1)
		}
		s = math.Nextafter(s, towards)
	}
	return float32(s)
}

func choose(c bool, x, y float32) float32 {
	if c {
		return x
	}
	return y
}

func larger(a, b float32) float32 {
	if a != a || b != b {
		return nan()
	}
	return choose(a > b, a, b)
}

func smaller(a, b float32) float32 {
	if a != a || b != b {
		return nan()
	}
	return choose(a < b, a, b)
}

func toInt(a float32) float32 {
	r := math.RoundToEven(float64(a))
	if !(r >= math.MinInt32 && r <= math.MaxInt32) {
		return number(0x80000000)
	}
	return number(uint32(int32(r)))
}

func inReg(e *vec.Emitter, v vec.Val) vec.Vec { return e.Reg(v) }

// operations lists the operations of vec on any arguments.
var operations = []operation{
	{"add", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Add(a[0], a[1]) }, func(a []float32) float32 { return a[0] + a[1] }},
	{"sub", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Sub(a[0], a[1]) }, func(a []float32) float32 { return a[0] - a[1] }},
	{"mul", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Mul(a[0], a[1]) }, func(a []float32) float32 { return a[0] * a[1] }},
	{"div", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Div(a[0], a[1]) }, func(a []float32) float32 { return a[0] / a[1] }},
	{"sqrt", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Sqrt(a[0]) }, func(a []float32) float32 { return float32(math.Sqrt(float64(a[0]))) }},
	{"fma", 3, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Fma(a[0], a[1], a[2]) }, func(a []float32) float32 { return fma(a[0], a[1], a[2]) }},
	{"fms", 3, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Fms(a[0], a[1], a[2]) }, func(a []float32) float32 { return fma(a[0], a[1], -a[2]) }},
	{"fnma", 3, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Fnma(a[0], a[1], a[2]) }, func(a []float32) float32 { return fma(-a[0], a[1], a[2]) }},
	{"fmaInto", 3, func(e *vec.Emitter, a []vec.Val) vec.Vec {
		d := e.Copy(a[2])
		e.FmaInto(d, inReg(e, a[0]), a[1])
		return d
	}, func(a []float32) float32 { return fma(a[0], a[1], a[2]) }},
	{"addInto", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec {
		d := e.Copy(a[0])
		e.AddInto(d, a[1])
		return d
	}, func(a []float32) float32 { return a[0] + a[1] }},
	{"max", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Max(a[0], a[1]) }, func(a []float32) float32 { return larger(a[0], a[1]) }},
	{"min", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Min(a[0], a[1]) }, func(a []float32) float32 { return smaller(a[0], a[1]) }},
	{"neg", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Neg(a[0]) }, func(a []float32) float32 { return -a[0] }},
	{"abs", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Abs(a[0]) }, func(a []float32) float32 { return number(bits(a[0]) &^ (1 << 31)) }},
	{"round", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return round(e, inReg(e, a[0])) }, func(a []float32) float32 { return float32(math.RoundToEven(float64(a[0]))) }},
	{"and", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.And(a[0], a[1]) }, func(a []float32) float32 { return number(bits(a[0]) & bits(a[1])) }},
	{"andNot", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.AndNot(a[0], a[1]) }, func(a []float32) float32 { return number(bits(a[1]) &^ bits(a[0])) }},
	{"or", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Or(a[0], a[1]) }, func(a []float32) float32 { return number(bits(a[0]) | bits(a[1])) }},
	{"xor", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Xor(a[0], a[1]) }, func(a []float32) float32 { return number(bits(a[0]) ^ bits(a[1])) }},
	{"copySign", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.CopySign(e.Abs(a[0]), inReg(e, a[1])) }, func(a []float32) float32 {
		return number(bits(a[0])&^(1<<31) | bits(a[1])&(1<<31))
	}},
	{"addInt", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.AddInt(a[0], a[1]) }, func(a []float32) float32 { return number(bits(a[0]) + bits(a[1])) }},
	{"subInt", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.SubInt(a[0], a[1]) }, func(a []float32) float32 { return number(bits(a[0]) - bits(a[1])) }},
	{"shl", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Shl(inReg(e, a[0]), 3) }, func(a []float32) float32 { return number(bits(a[0]) << 3) }},
	{"sar", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Sar(inReg(e, a[0]), 3) }, func(a []float32) float32 {
		return number(uint32(int32(bits(a[0])) >> 3))
	}},
	{"toInt", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.ToInt(inReg(e, a[0])) }, func(a []float32) float32 { return toInt(a[0]) }},
	{"fromInt", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.FromInt(inReg(e, a[0])) }, func(a []float32) float32 { return float32(int32(bits(a[0]))) }},
	{"frexpMantissa", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec { m, _ := e.Frexp(inReg(e, a[0])); return m }, func(a []float32) float32 { m, _ := frexp(a[0]); return m }},
	{"frexpExponent", 1, func(e *vec.Emitter, a []vec.Val) vec.Vec {
		// Of negative numbers only the mantissa is specified.
		x := inReg(e, a[0])
		_, n := e.Frexp(x)
		return e.Where(x, vec.Ge, vec.C(0), n, vec.C(math.NaN()))
	}, func(a []float32) float32 { _, n := frexp(a[0]); return n }},
	{"scalb", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec {
		return e.Scalb(mantissa(e, a[0], a[1]), exponent(e, a[1], 250))
	}, func(a []float32) float32 { return scalb(a[0], a[1], 250) }},
	{"scalbNormal", 2, func(e *vec.Emitter, a []vec.Val) vec.Vec {
		return e.ScalbNormal(mantissa(e, a[0], a[1]), exponent(e, a[1], 125))
	}, func(a []float32) float32 { return scalb(a[0], a[1], 125) }},
	predicate("lt", vec.Lt, func(a, b float32) bool { return a < b }),
	predicate("le", vec.Le, func(a, b float32) bool { return a <= b }),
	predicate("gt", vec.Gt, func(a, b float32) bool { return a > b }),
	predicate("ge", vec.Ge, func(a, b float32) bool { return a >= b }),
	predicate("eq", vec.Eq, func(a, b float32) bool { return a == b }),
	predicate("notEq", vec.NotEq, func(a, b float32) bool { return a != b }),
	predicate("notLt", vec.NotLt, func(a, b float32) bool { return !(a < b) }),
	predicate("notLe", vec.NotLe, func(a, b float32) bool { return !(a <= b) }),
	predicate("unordered", vec.Unordered, func(a, b float32) bool { return a != a || b != b }),
}

func predicate(name string, p vec.Pred, holds func(a, b float32) bool) operation {
	return operation{name, 4, func(e *vec.Emitter, a []vec.Val) vec.Vec { return e.Where(a[0], p, a[1], a[2], a[3]) },
		func(a []float32) float32 { return choose(holds(a[0], a[1]), a[2], a[3]) }}
}

// mantissa keeps the sign and the fraction of a, in [1, 2); it is NaN where
// the exponent will be.
func mantissa(e *vec.Emitter, a, exponent vec.Val) vec.Vec {
	m := e.Or(e.And(a, vec.Bits(0x807fffff)), vec.C(1))
	return e.Where(exponent, vec.Unordered, exponent, vec.C(math.NaN()), m)
}

// exponent makes a whole number of a, at most limit in magnitude.
func exponent(e *vec.Emitter, a vec.Val, limit float64) vec.Vec {
	return round(e, e.Max(e.Min(a, vec.C(limit)), vec.C(-limit)))
}

// round returns a rounded to an integer, halves to even.
func round(e *vec.Emitter, a vec.Vec) vec.Vec {
	const nearestQuiet = 8
	d := e.Fresh()
	if e.ISA() == vec.AVX512 {
		e.VRNDSCALEPS(operand.U8(nearestQuiet), a.Reg(), d.Reg())
	} else {
		e.VROUNDPS(operand.U8(nearestQuiet), a.Reg(), d.Reg())
	}
	return d
}

func scalb(a, b float32, limit float64) float32 {
	if b != b {
		return nan()
	}
	n := math.RoundToEven(max(min(float64(b), limit), -limit))
	m := number(bits(a)&0x807fffff | bits(1))
	return float32(math.Ldexp(float64(m), int(n)))
}

func frexp(x float32) (m, n float32) {
	switch {
	case x != x || x < 0:
		return nan(), nan()
	case x == 0:
		return 1, float32(math.Inf(-1))
	case math.IsInf(float64(x), 1):
		return 1, x
	}
	f, e := math.Frexp(float64(x)) // in [1/2, 1)
	if f < 0.75 {
		return float32(2 * f), float32(e - 1)
	}
	return float32(f), float32(e)
}

// step is one operation of a program: its arguments are earlier values, or
// constants where negative. Its result is a new value, unless it is added to
// an earlier one.
type step struct {
	op   operation
	args []int
	into int // the value that the product of args[0] and args[1] is added to; -1: none
}

// program reads variables and computes steps; all steps listed in results are
// stored at the end, so that they live until then.
type program struct {
	name      string
	vars      int
	constants []float64
	steps     []step
	// Steps begin to end-1 are the body of a loop, run as often as it is told.
	begin, end int
	results    []int
}

// single is a program of one operation on variables, and on a constant in the
// place of one of them where constant is not negative.
func single(o operation, constant int) program {
	p := program{name: o.name, vars: o.args, constants: []float64{1.5}, results: []int{o.args}}
	args := make([]int, o.args)
	for i := range args {
		args[i] = i
		if i == constant {
			args[i] = -1
		}
	}
	if constant >= 0 {
		p.name = fmt.Sprintf("%s%d", o.name, constant)
	}
	p.steps = []step{{o, args, -1}}
	return p
}

// random is a program of n steps whose last results stay alive to the end.
func random(seed uint64, n, results int) program {
	rng := rand.New(rand.NewPCG(seed, 7))
	p := program{name: fmt.Sprintf("random%d", seed), vars: 6, constants: []float64{0, 1, -0.5, 3, 0.1}}
	for i := range n {
		// Results that never become NaN soon: sums, products of small numbers, choices.
		o := operations[[]int{0, 1, 2, 5, 6, 7, 8, 12, 13, 14, 15, 17, 34, 35}[rng.IntN(14)]]
		args := make([]int, o.args)
		for j := range args {
			args[j] = rng.IntN(p.vars + i)
			if rng.IntN(5) == 0 {
				args[j] = -1 - rng.IntN(len(p.constants))
			}
		}
		p.steps = append(p.steps, step{o, args, -1})
	}
	for i := range results {
		p.results = append(p.results, p.vars+n-1-i)
	}
	return p
}

// looping is a random program with a loop in its middle, which adds products
// to sums that were made before it and are read after it, beside others.
func looping(seed uint64, sums, others int) program {
	p := random(seed, sums+others, 0)
	p.name = fmt.Sprintf("looping%d", seed)
	rng := rand.New(rand.NewPCG(seed, 9))
	values := p.vars + len(p.steps)
	p.begin = len(p.steps)
	for i := range sums {
		p.steps = append(p.steps, step{into: p.vars + i, args: []int{rng.IntN(2), 2 + rng.IntN(4)}})
	}
	p.end = len(p.steps)
	for i := range 30 {
		o := operations[[]int{0, 1, 5, 7, 12}[rng.IntN(5)]]
		args := make([]int, o.args)
		for j := range args {
			// The steps of the loop have no values of their own.
			if args[j] = rng.IntN(values + i); args[j] >= values {
				args[j] += sums
			}
		}
		p.results = append(p.results, p.vars+len(p.steps))
		p.steps = append(p.steps, step{o, args, -1})
	}
	return p
}

// programs lists all of them.
func programs() []program {
	var ps []program
	for _, o := range operations {
		for constant := -1; constant < o.args; constant++ {
			ps = append(ps, single(o, constant))
		}
	}
	for seed := range uint64(5) {
		ps = append(ps, random(seed, 100, 4+9*int(seed)))
		ps = append(ps, looping(seed, 6+5*int(seed), 2+3*int(seed)))
	}
	return ps
}
