package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Eval computes n in float64. A variable that vars lacks is a programming
// error and panics.
func Eval(n *Node, vars map[string]float64) float64 {
	return NewProgram(n).Eval(vars)[0]
}

// Program evaluates roots that share nodes, each node once.
type Program struct {
	code  []instruction
	vars  []string // sorted
	roots []int
	value []float64 // of each instruction
	in    []float64 // of each variable, for Eval
	out   []float64
}

// instruction computes one node from the values of earlier ones.
type instruction struct {
	op    Op
	args  [3]int  // indices of earlier instructions; of a variable, its place in vars
	value float64 // of a constant
}

// NewProgram prepares the evaluation of the roots.
func NewProgram(roots ...*Node) *Program {
	p := &Program{vars: Vars(roots...)}
	index := map[string]int{}
	for i, n := range Schedule(roots...) {
		index[n.key] = i
		c := instruction{op: n.Op, value: n.Value}
		if n.Op == Var {
			c.args[0] = slices.Index(p.vars, n.Name)
		}
		for j, a := range n.Args {
			c.args[j] = index[a.key]
		}
		p.code = append(p.code, c)
	}
	for _, r := range roots {
		p.roots = append(p.roots, index[r.key])
	}
	p.value = make([]float64, len(p.code))
	p.in = make([]float64, len(p.vars))
	p.out = make([]float64, len(roots))
	return p
}

// Vars returns the names of the variables that the program reads, sorted.
func (p *Program) Vars() []string { return p.vars }

// Run computes the roots in float64 from the values of the variables, in the
// order of Vars. The slice is overwritten by the next call.
func (p *Program) Run(vars []float64) []float64 {
	var args [3]float64
	for i := range p.code {
		c := &p.code[i]
		switch c.op {
		case Const:
			p.value[i] = c.value
		case Var:
			p.value[i] = vars[c.args[0]]
		default:
			for j, a := range c.args {
				args[j] = p.value[a]
			}
			p.value[i] = apply(c.op, args[:])
		}
	}
	for i, r := range p.roots {
		p.out[i] = p.value[r]
	}
	return p.out
}

// Eval is Run with the variables by name. A variable that vars lacks is a
// programming error and panics.
func (p *Program) Eval(vars map[string]float64) []float64 {
	for i, name := range p.vars {
		v, ok := vars[name]
		if !ok {
			panic(fmt.Sprintf("expr: no value for %q", name))
		}
		p.in[i] = v
	}
	return p.Run(p.in)
}

// Binding strengths of the infix operators, for String.
const (
	choice = iota
	looseSum
	looseProduct
	looseUnary
)

// String writes n as a formula: "x <= 0 ? 0.01*x : x".
func (n *Node) String() string { return n.format(choice - 1) }

func (n *Node) format(outer int) string {
	wrap := func(level int, s string) string {
		if level <= outer {
			return "(" + s + ")"
		}
		return s
	}
	a := n.Args
	switch n.Op {
	case Const:
		s := strconv.FormatFloat(n.Value, 'g', -1, 64)
		if n.Value < 0 {
			return wrap(looseUnary, s)
		}
		return s
	case Var:
		return n.Name
	case Add:
		return wrap(looseSum, a[0].format(looseSum-1)+" + "+a[1].format(looseSum))
	case Sub:
		return wrap(looseSum, a[0].format(looseSum-1)+" - "+a[1].format(looseSum))
	case Mul:
		return wrap(looseProduct, a[0].format(looseProduct-1)+"*"+a[1].format(looseProduct))
	case Div:
		return wrap(looseProduct, a[0].format(looseProduct-1)+"/"+a[1].format(looseProduct))
	case Neg:
		return wrap(looseUnary, "-"+a[0].format(looseUnary))
	case Abs:
		return "|" + a[0].format(choice-1) + "|"
	case Select:
		s := a[0].format(choice) + " <= 0 ? " + a[1].format(choice) + " : " + a[2].format(choice-1)
		return wrap(choice, s)
	}
	parts := make([]string, len(a))
	for i, x := range a {
		parts[i] = x.format(choice - 1)
	}
	return n.Op.String() + "(" + strings.Join(parts, ", ") + ")"
}
