package expr

import "math"

// Make builds and simplifies a node of any primitive but Const and Var.
//
// The rewrites are those that keep float32 values finite where they were and
// drop what a derivative leaves behind (0·x, x+0, 1·x): an expression is taken
// to be evaluated at finite arguments.
func Make(op Op, a ...*Node) *Node {
	if folded := fold(op, a); folded != nil {
		return folded
	}
	switch op {
	case Add:
		if a[0].IsConst(0) {
			return a[1]
		}
		if a[1].IsConst(0) {
			return a[0]
		}
		if a[1].Op == Neg {
			return Make(Sub, a[0], a[1].Args[0])
		}
		if a[0].Op == Neg {
			return Make(Sub, a[1], a[0].Args[0])
		}
	case Sub:
		if a[1].IsConst(0) {
			return a[0]
		}
		if a[0].IsConst(0) {
			return Make(Neg, a[1])
		}
		if a[1].Op == Neg {
			return Make(Add, a[0], a[1].Args[0])
		}
		if a[0].key == a[1].key {
			return C(0)
		}
	case Mul:
		// Constants stand on the left, so that equal products meet.
		if a[1].Op == Const && a[0].Op != Const {
			a = []*Node{a[1], a[0]}
		}
		switch {
		case a[0].IsConst(0):
			return C(0)
		case a[0].IsConst(1):
			return a[1]
		case a[0].IsConst(-1):
			return Make(Neg, a[1])
		case a[0].Op == Const && a[1].Op == Mul && a[1].Args[0].Op == Const:
			return Make(Mul, C(a[0].Value*a[1].Args[0].Value), a[1].Args[1])
		case a[0].Op == Const && a[1].Op == Neg:
			return Make(Mul, C(-a[0].Value), a[1].Args[0])
		case a[1].Op == Neg:
			return Make(Neg, Make(Mul, a[0], a[1].Args[0]))
		case a[0].Op == Neg:
			return Make(Neg, Make(Mul, a[0].Args[0], a[1]))
		}
	case Div:
		if a[0].IsConst(0) {
			return C(0)
		}
		if a[1].IsConst(1) {
			return a[0]
		}
	case Neg:
		if a[0].Op == Neg {
			return a[0].Args[0]
		}
	case Select:
		if a[1].key == a[2].key {
			return a[1]
		}
		if a[0].Op == Const {
			if a[0].Value <= 0 {
				return a[1]
			}
			return a[2]
		}
	}
	return node(op, a...)
}

// fold evaluates a node whose arguments are all constants.
func fold(op Op, args []*Node) *Node {
	values := make([]float64, len(args))
	for i, a := range args {
		if a.Op != Const {
			return nil
		}
		values[i] = a.Value
	}
	return C(apply(op, values))
}

// apply computes one primitive in float64.
func apply(op Op, a []float64) float64 {
	switch op {
	case Add:
		return a[0] + a[1]
	case Sub:
		return a[0] - a[1]
	case Mul:
		return a[0] * a[1]
	case Div:
		return a[0] / a[1]
	case Neg:
		return -a[0]
	case Exp:
		return math.Exp(a[0])
	case Expm1:
		return math.Expm1(a[0])
	case Log:
		return math.Log(a[0])
	case Tanh:
		return math.Tanh(a[0])
	case Sigmoid:
		if a[0] >= 0 {
			return 1 / (1 + math.Exp(-a[0]))
		}
		e := math.Exp(a[0])
		return e / (1 + e)
	case Softplus:
		return math.Max(a[0], 0) + math.Log1p(math.Exp(-math.Abs(a[0])))
	case Erf:
		return math.Erf(a[0])
	case Sqrt:
		return math.Sqrt(a[0])
	case Abs:
		return math.Abs(a[0])
	case Select:
		if a[0] <= 0 {
			return a[1]
		}
		return a[2]
	case Floor:
		return math.Floor(a[0])
	case Cos:
		return math.Cos(a[0])
	}
	panic("expr: " + op.String() + " is not computed from arguments")
}

// Sum returns x + y.
func Sum(x, y *Node) *Node { return Make(Add, x, y) }

// Diff returns x - y.
func Diff(x, y *Node) *Node { return Make(Sub, x, y) }

// Prod returns the product of its factors.
func Prod(x *Node, more ...*Node) *Node {
	for _, y := range more {
		x = Make(Mul, x, y)
	}
	return x
}

// Quot returns x / y.
func Quot(x, y *Node) *Node { return Make(Div, x, y) }

// Minus returns -x.
func Minus(x *Node) *Node { return Make(Neg, x) }

// Fn applies a primitive of one argument.
func Fn(op Op, x *Node) *Node { return Make(op, x) }

// IfNotPositive returns then where c <= 0, and otherwise elsewhere, also
// where c is NaN: a NaN that enters an activation must leave it.
func IfNotPositive(c, then, otherwise *Node) *Node { return Make(Select, c, then, otherwise) }
