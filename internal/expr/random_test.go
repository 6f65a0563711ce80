package expr

import (
	"math"
	"math/rand/v2"
)

// tree is an expression that nothing simplifies: the tests' own form, with its
// own evaluation, that nodes are compared with.
type tree struct {
	op    Op
	value float64
	name  string
	args  []*tree
}

// The variables of random trees.
var names = []string{"x", "y", "z"}

// source gives the choices that make a random tree: a random generator, or
// the bytes of a fuzz input.
type source interface{ below(n int) int }

type randomSource struct{ *rand.Rand }

func (r randomSource) below(n int) int { return r.IntN(n) }

// constants are those that the simplifier looks at, and some that it does not.
var constants = []float64{0, 1, -1, 2, -2, 0.5, -0.5, 3, 1.6732632423543772, -0.01, 10, 1e-8}

// randomTree draws a tree of at most the given depth.
func randomTree(s source, depth int) *tree {
	if depth == 0 || s.below(5) == 0 {
		if s.below(2) == 0 {
			return &tree{op: Const, value: constants[s.below(len(constants))]}
		}
		return &tree{op: Var, name: names[s.below(len(names))]}
	}
	// The binary operators are where the rewrites are: twice as often.
	ops := append(Ops()[Add:], Add, Sub, Mul, Mul, Div, Neg)
	t := &tree{op: ops[s.below(len(ops))]}
	for range t.op.Arity() {
		t.args = append(t.args, randomTree(s, depth-1))
	}
	return t
}

// node builds the tree with all simplifications.
func (t *tree) node() *Node {
	switch t.op {
	case Const:
		return C(t.value)
	case Var:
		return V(t.name)
	}
	args := make([]*Node, len(t.args))
	for i, a := range t.args {
		args[i] = a.node()
	}
	return Make(t.op, args...)
}

// number is a value and a bound on its rounding error, for a first-order
// running error analysis.
type number struct{ v, err float64 }

const ulp = 0x1p-52

// eval computes the tree without simplification. ok is false where a value on
// the way is not finite, or where a rounding error could decide a branch.
func (t *tree) eval(vars map[string]float64) (n number, ok bool) {
	switch t.op {
	case Const:
		return number{t.value, 0}, true
	case Var:
		return number{vars[t.name], 0}, true
	}
	a := make([]number, 3)
	for i, arg := range t.args {
		if a[i], ok = arg.eval(vars); !ok {
			return n, false
		}
	}
	x, y := a[0].v, a[1].v
	grow := 0.0 // error that the arguments bring along
	unary := func(v, slope float64) { n.v, grow = v, math.Abs(slope)*a[0].err }
	switch t.op {
	case Add:
		n.v, grow = x+y, a[0].err+a[1].err
	case Sub:
		n.v, grow = x-y, a[0].err+a[1].err
	case Mul:
		n.v, grow = x*y, math.Abs(x)*a[1].err+math.Abs(y)*a[0].err
	case Div:
		n.v = x / y
		if math.Abs(y) < 1e-3 {
			return n, false // 0/y is folded to 0: y is taken to be away from 0
		}
		grow = (a[0].err + math.Abs(n.v)*a[1].err) / math.Abs(y)
	case Neg:
		unary(-x, 1)
	case Exp:
		unary(math.Exp(x), math.Exp(x))
	case Expm1:
		unary(math.Expm1(x), math.Exp(x))
	case Log:
		unary(math.Log(x), 1/x)
	case Tanh:
		unary(math.Tanh(x), 1)
	case Sigmoid:
		unary(1/(1+math.Exp(-x)), 0.25)
	case Softplus:
		unary(math.Log1p(math.Exp(x)), 1)
		if x > 40 {
			n.v = x
		}
	case Erf:
		unary(math.Erf(x), 1.2)
	case Sqrt:
		unary(math.Sqrt(x), 0.5/math.Sqrt(x))
	case Abs:
		unary(math.Abs(x), 1)
	case Floor:
		unary(math.Floor(x), 0)
		if math.Abs(x-math.Round(x)) <= 1e3*a[0].err+1e-12 && a[0].err > 0 {
			return n, false
		}
	case Cos:
		unary(math.Cos(x), 1)
	case Select:
		n = a[2]
		if x <= 0 {
			n = a[1]
		}
		return n, a[0].err == 0 || math.Abs(x) > 1e3*a[0].err
	}
	n.err = grow + 4*ulp*math.Abs(n.v)
	return n, !math.IsNaN(n.v) && !math.IsInf(n.v, 0) && !math.IsNaN(n.err) && !math.IsInf(n.err, 0)
}

// nearKink reports whether a kink lies within margin of the place: the
// argument of an abs or a select near 0, of a floor near a whole number.
func (t *tree) nearKink(vars map[string]float64, margin float64) bool {
	for _, a := range t.args {
		if a.nearKink(vars, margin) {
			return true
		}
	}
	switch t.op {
	case Abs, Select:
		n, _ := t.args[0].eval(vars)
		return math.Abs(n.v) < margin
	case Floor:
		n, _ := t.args[0].eval(vars)
		return math.Abs(n.v-math.Round(n.v)) < margin
	}
	return false
}

func (t *tree) uses(op Op) bool {
	if t.op == op {
		return true
	}
	for _, a := range t.args {
		if a.uses(op) {
			return true
		}
	}
	return false
}

func randomPoint(r *rand.Rand) map[string]float64 {
	vars := map[string]float64{}
	for _, name := range names {
		vars[name] = r.NormFloat64() * 2
	}
	return vars
}
