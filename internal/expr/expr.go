// Package expr builds, simplifies, differentiates and evaluates scalar
// expressions. The rows of internal/op are made of them; every backend lowers
// the same nodes, so that a new formula costs no backend anything.
package expr

import (
	"math"
	"slices"
	"strconv"
)

// Op is a primitive: what every backend must know how to compute.
type Op uint8

// The primitives. Sigmoid, tanh, softplus and expm1 stand here, though they
// could be composed, because their composed forms overflow or lose digits in
// float32.
const (
	Const Op = iota
	Var
	Add
	Sub
	Mul
	Div
	Neg
	Exp
	Expm1 // exp(x) - 1
	Log
	Tanh
	Sigmoid
	Softplus // max(x, 0) + log(1 + exp(-|x|))
	Erf
	Sqrt
	Abs
	Select // Select(c, x, y): x where c <= 0, y elsewhere and where c is NaN
	Floor  // host only: learning-rate schedules
	Cos    // host only: learning-rate schedules
	numOps
)

var opTable = [numOps]struct {
	name  string
	arity int
	host  bool
}{
	Const:    {"const", 0, false},
	Var:      {"var", 0, false},
	Add:      {"add", 2, false},
	Sub:      {"sub", 2, false},
	Mul:      {"mul", 2, false},
	Div:      {"div", 2, false},
	Neg:      {"neg", 1, false},
	Exp:      {"exp", 1, false},
	Expm1:    {"expm1", 1, false},
	Log:      {"log", 1, false},
	Tanh:     {"tanh", 1, false},
	Sigmoid:  {"sigmoid", 1, false},
	Softplus: {"softplus", 1, false},
	Erf:      {"erf", 1, false},
	Sqrt:     {"sqrt", 1, false},
	Abs:      {"abs", 1, false},
	Select:   {"select", 3, false},
	Floor:    {"floor", 1, true},
	Cos:      {"cos", 1, true},
}

// Ops lists every primitive; the completeness test of each backend walks it.
func Ops() []Op {
	ops := make([]Op, numOps)
	for i := range ops {
		ops[i] = Op(i)
	}
	return ops
}

// String returns the primitive's name.
func (o Op) String() string { return opTable[o].name }

// Arity returns the number of arguments.
func (o Op) Arity() int { return opTable[o].arity }

// HostOnly reports whether the primitive is evaluated once a step in float64
// by the host and never stands in a kernel.
func (o Op) HostOnly() bool { return opTable[o].host }

// Node is one node of an expression. Nodes are immutable and may be shared;
// two nodes with equal Key compute the same value.
type Node struct {
	Op    Op
	Value float64 // of Const
	Name  string  // of Var
	Args  []*Node
	key   string
}

// Key identifies the node's value: equal keys, equal values.
func (n *Node) Key() string { return n.key }

func node(op Op, args ...*Node) *Node {
	key := op.String()
	for _, a := range args {
		key += "(" + a.key + ")"
	}
	return &Node{Op: op, Args: args, key: key}
}

// C returns a constant.
func C(v float64) *Node {
	return &Node{Op: Const, Value: v, key: "c" + strconv.FormatUint(math.Float64bits(v), 16)}
}

// V returns a variable.
func V(name string) *Node { return &Node{Op: Var, Name: name, key: "v" + name} }

// IsConst reports whether n is the constant v.
func (n *Node) IsConst(v float64) bool { return n.Op == Const && n.Value == v }

// Schedule returns every distinct node that the roots need, each once and
// after its arguments: the order in which straight-line code computes them.
func Schedule(roots ...*Node) []*Node {
	var order []*Node
	seen := map[string]bool{}
	var visit func(*Node)
	visit = func(n *Node) {
		if seen[n.key] {
			return
		}
		seen[n.key] = true
		for _, a := range n.Args {
			visit(a)
		}
		order = append(order, n)
	}
	for _, r := range roots {
		visit(r)
	}
	return order
}

// Vars returns the names of the variables that the roots read, sorted.
func Vars(roots ...*Node) []string {
	var names []string
	for _, n := range Schedule(roots...) {
		if n.Op == Var {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Uses reports whether n reads the variable.
func Uses(n *Node, name string) bool { return slices.Contains(Vars(n), name) }

// Replace returns n with every node of old's value replaced by new.
func Replace(n, old, new *Node) *Node {
	done := map[string]*Node{}
	var visit func(*Node) *Node
	visit = func(n *Node) *Node {
		if n.key == old.key {
			return new
		}
		if r, ok := done[n.key]; ok {
			return r
		}
		r := n
		if len(n.Args) > 0 {
			args := make([]*Node, len(n.Args))
			for i, a := range n.Args {
				args[i] = visit(a)
			}
			r = Make(n.Op, args...)
		}
		done[n.key] = r
		return r
	}
	return visit(n)
}
