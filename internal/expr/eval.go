package expr

import (
	"fmt"
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
	nodes []*Node
	args  [][]int
	roots []int
	value []float64
	out   []float64
}

// NewProgram prepares the evaluation of the roots.
func NewProgram(roots ...*Node) *Program {
	p := &Program{nodes: Schedule(roots...)}
	index := map[string]int{}
	for i, n := range p.nodes {
		index[n.key] = i
		args := make([]int, len(n.Args))
		for j, a := range n.Args {
			args[j] = index[a.key]
		}
		p.args = append(p.args, args)
	}
	for _, r := range roots {
		p.roots = append(p.roots, index[r.key])
	}
	p.value = make([]float64, len(p.nodes))
	p.out = make([]float64, len(roots))
	return p
}

// Eval computes the roots in float64. The slice is overwritten by the next call.
func (p *Program) Eval(vars map[string]float64) []float64 {
	var buf [3]float64
	for i, n := range p.nodes {
		switch n.Op {
		case Const:
			p.value[i] = n.Value
		case Var:
			v, ok := vars[n.Name]
			if !ok {
				panic(fmt.Sprintf("expr: no value for %q", n.Name))
			}
			p.value[i] = v
		default:
			for j, a := range p.args[i] {
				buf[j] = p.value[a]
			}
			p.value[i] = apply(n.Op, buf[:len(p.args[i])])
		}
	}
	for i, r := range p.roots {
		p.out[i] = p.value[r]
	}
	return p.out
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
