package vmath

import (
	"fmt"
	"math"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/expr"
)

// Lower writes the code of expressions and returns their values, in the order
// of roots. What they share is computed once. vars gives the variables: in
// registers, constant, or in memory, which is read where it is used.
//
// Sums with products become fused multiply-adds, divisions by powers of two
// products. Of two operands the one that needs more registers is computed
// first, so that few values wait.
//
// A root that is a variable in a register is returned as it is, not copied.
func Lower(e *vec.Emitter, roots []*expr.Node, vars map[string]vec.Val) ([]vec.Vec, error) {
	l := &lowering{
		e: e, vars: vars,
		uses:   map[string]int{},
		need:   map[string]int{},
		done:   map[string]vec.Val{},
		negExp: map[string]vec.Vec{},
	}
	for _, n := range expr.Schedule(roots...) {
		if err := l.check(n); err != nil {
			return nil, err
		}
		for _, a := range n.Args {
			l.uses[a.Key()]++
		}
		l.need[n.Key()] = l.registers(n)
	}
	out := make([]vec.Vec, len(roots))
	for _, r := range roots {
		l.uses[r.Key()]++
	}
	for i, r := range roots {
		out[i] = e.Reg(l.value(r))
		l.done[r.Key()] = out[i]
	}
	return out, nil
}

// lowering is the state of one Lower.
type lowering struct {
	e    *vec.Emitter
	vars map[string]vec.Val
	uses map[string]int // by key: places that read the node
	need map[string]int // by key: registers that computing it takes
	done map[string]vec.Val
	// negExp holds e^-|x| by the key of x: sigmoid and softplus share it.
	negExp map[string]vec.Vec
}

// elementary holds the primitives of one argument, with the registers that
// their code takes.
var elementary = map[expr.Op]struct {
	emit      func(*vec.Emitter, vec.Vec) vec.Vec
	registers int
}{
	expr.Neg:   {func(e *vec.Emitter, x vec.Vec) vec.Vec { return e.Neg(x) }, 1},
	expr.Abs:   {func(e *vec.Emitter, x vec.Vec) vec.Vec { return e.Abs(x) }, 1},
	expr.Sqrt:  {func(e *vec.Emitter, x vec.Vec) vec.Vec { return e.Sqrt(x) }, 1},
	expr.Exp:   {Exp, 3},
	expr.Expm1: {Expm1, 6},
	expr.Log:   {Log, 5},
	expr.Tanh:  {Tanh, 6},
	expr.Erf:   {Erf, 5},
}

// check refuses what cannot be lowered.
func (l *lowering) check(n *expr.Node) error {
	switch n.Op {
	case expr.Const, expr.Add, expr.Sub, expr.Mul, expr.Div, expr.Select, expr.Sigmoid, expr.Softplus:
		return nil
	case expr.Var:
		if _, ok := l.vars[n.Name]; !ok {
			return fmt.Errorf("vmath: no value for variable %q", n.Name)
		}
		return nil
	}
	if _, ok := elementary[n.Op]; !ok {
		return fmt.Errorf("vmath: %s is not lowered to vector code", n.Op)
	}
	return nil
}

// registers estimates the registers that computing a node takes, as if it
// shared nothing (Sethi and Ullman 1970).
func (l *lowering) registers(n *expr.Node) int {
	own := 1
	switch n.Op {
	case expr.Const, expr.Var:
		return 0
	case expr.Sigmoid, expr.Softplus:
		own = 6
	default:
		if f, ok := elementary[n.Op]; ok {
			own = f.registers
		}
	}
	first, second := 0, 0
	for _, a := range n.Args {
		if m := l.need[a.Key()]; m >= first {
			first, second = m, first
		} else {
			second = max(second, m)
		}
	}
	if first == second && first > 0 {
		first++
	}
	return max(own, first)
}

// value returns a node's value, computing it at its first use.
func (l *lowering) value(n *expr.Node) vec.Val {
	if v, ok := l.done[n.Key()]; ok {
		return v
	}
	v := l.compute(n)
	l.done[n.Key()] = v
	return v
}

func (l *lowering) reg(n *expr.Node) vec.Vec {
	v := l.e.Reg(l.value(n))
	if n.Op != expr.Const {
		l.done[n.Key()] = v
	}
	return v
}

// values computes nodes, those first that need most registers.
func (l *lowering) values(nodes ...*expr.Node) []vec.Val {
	out := make([]vec.Val, len(nodes))
	for range nodes {
		next := -1
		for i, n := range nodes {
			if out[i] == nil && (next < 0 || l.need[n.Key()] > l.need[nodes[next].Key()]) {
				next = i
			}
		}
		out[next] = l.value(nodes[next])
	}
	return out
}

func (l *lowering) compute(n *expr.Node) vec.Val {
	e := l.e
	if n.Op == expr.Sigmoid || n.Op == expr.Softplus || elementary[n.Op].registers > 1 {
		// The argument comes first, so that its code is not under the comment.
		if !(n.Op == expr.Tanh && n.Args[0].Op == expr.Softplus) {
			l.reg(n.Args[0])
		}
		e.Comment(n.String())
	}
	switch n.Op {
	case expr.Const:
		return vec.C(n.Value)
	case expr.Var:
		return l.variable(n)
	case expr.Add:
		return l.sum(n.Args[0], n.Args[1])
	case expr.Sub:
		return l.difference(n.Args[0], n.Args[1])
	case expr.Mul:
		return l.product(n.Args[0], n.Args[1])
	case expr.Div:
		return l.quotient(n.Args[0], n.Args[1])
	case expr.Select:
		return l.choice(n.Args[0], n.Args[1], n.Args[2])
	case expr.Sigmoid:
		x := l.reg(n.Args[0])
		return sigmoid(e, x, l.expNegAbs(n.Args[0], x))
	case expr.Softplus:
		x := l.reg(n.Args[0])
		return softplus(e, x, l.expNegAbs(n.Args[0], x))
	case expr.Exp:
		if arg := n.Args[0]; arg.Op == expr.Neg && isSquare(arg.Args[0]) {
			return ExpNegative(e, l.reg(arg))
		}
	case expr.Tanh:
		if arg := n.Args[0]; arg.Op == expr.Softplus {
			x := l.reg(arg.Args[0])
			return tanhSoftplus(e, x, l.expNegAbs(arg.Args[0], x))
		}
	}
	return elementary[n.Op].emit(e, l.reg(n.Args[0]))
}

// isSquare reports whether n is x*x.
func isSquare(n *expr.Node) bool { return n.Op == expr.Mul && n.Args[0].Key() == n.Args[1].Key() }

// variable returns a variable. One that is read often is loaded once, unless
// instructions can broadcast it themselves.
func (l *lowering) variable(n *expr.Node) vec.Val {
	v := l.vars[n.Name]
	if m, ok := v.(vec.Mem); ok && l.uses[n.Key()] > 1 && !(m.Broadcast() && l.e.ISA() == vec.AVX512) {
		return l.e.Reg(v)
	}
	return v
}

func (l *lowering) expNegAbs(arg *expr.Node, x vec.Vec) vec.Vec {
	v, ok := l.negExp[arg.Key()]
	if !ok {
		v = expNegAbs(l.e, x)
		l.negExp[arg.Key()] = v
	}
	return v
}

// fusible reports whether n is a product that nothing else reads.
func (l *lowering) fusible(n *expr.Node) bool {
	if _, ok := l.done[n.Key()]; ok {
		return false
	}
	return n.Op == expr.Mul && l.uses[n.Key()] == 1 && !twice(n)
}

// twice reports whether n is 2*x, which is an addition.
func twice(n *expr.Node) bool { return n.Args[0].IsConst(2) }

func (l *lowering) sum(a, b *expr.Node) vec.Val {
	if l.fusible(b) {
		a, b = b, a
	}
	if l.fusible(a) {
		v := l.values(a.Args[0], a.Args[1], b)
		return l.e.Fma(v[0], v[1], v[2])
	}
	v := l.values(a, b)
	return l.e.Add(v[0], v[1])
}

func (l *lowering) difference(a, b *expr.Node) vec.Val {
	switch {
	case l.fusible(b):
		v := l.values(b.Args[0], b.Args[1], a)
		return l.e.Fnma(v[0], v[1], v[2])
	case l.fusible(a):
		v := l.values(a.Args[0], a.Args[1], b)
		return l.e.Fms(v[0], v[1], v[2])
	}
	v := l.values(a, b)
	return l.e.Sub(v[0], v[1])
}

func (l *lowering) product(a, b *expr.Node) vec.Val {
	if a.IsConst(2) {
		x := l.reg(b)
		return l.e.Add(x, x)
	}
	v := l.values(a, b)
	return l.e.Mul(v[0], v[1])
}

func (l *lowering) quotient(a, b *expr.Node) vec.Val {
	if b.Op == expr.Const {
		// The reciprocal of a power of two is exact.
		if f, p := math.Frexp(b.Value); math.Abs(f) == 0.5 && p > -100 && p < 100 {
			return l.e.Mul(l.value(a), vec.C(1/b.Value))
		}
	}
	v := l.values(a, b)
	return l.e.Div(v[0], v[1])
}

// choice is x where c <= 0, else y, also where c is NaN.
func (l *lowering) choice(c, x, y *expr.Node) vec.Val {
	e := l.e
	if x.IsConst(0) && c.Key() == y.Key() {
		// The larger of c and 0; of two zeros it may be the one with a sign.
		return e.Max(vec.C(0), l.value(c))
	}
	limit, pred := 0.0, vec.Le
	if _, known := l.done[c.Key()]; !known && l.uses[c.Key()] == 1 {
		switch {
		case c.Op == expr.Neg: // -a <= 0 where a >= 0
			c, pred = c.Args[0], vec.Ge
		case c.Op == expr.Sub && c.Args[1].Op == expr.Const && !math.IsInf(c.Args[1].Value, 0):
			// a - b <= 0 where a <= b, b being finite
			c, limit = c.Args[0], c.Args[1].Value
		}
	}
	v := l.values(c, x, y)
	return e.Where(v[0], pred, vec.C(limit), v[1], v[2])
}
