package expr

import (
	"fmt"
	"math"
)

// Derive returns the derivative of n by the named variable. At a kink it is
// the derivative of the branch that the value takes: relu'(0) = 0, |x|' = 0 at
// 0, as in PyTorch.
func Derive(n *Node, name string) *Node {
	done := map[string]*Node{}
	var d func(*Node) *Node
	d = func(n *Node) *Node {
		if r, ok := done[n.key]; ok {
			return r
		}
		r := rule(n, name, d)
		done[n.key] = r
		return r
	}
	return d(n)
}

func rule(n *Node, name string, d func(*Node) *Node) *Node {
	a := n.Args
	one := C(1)
	switch n.Op {
	case Const:
		return C(0)
	case Var:
		if n.Name == name {
			return one
		}
		return C(0)
	case Add:
		return Sum(d(a[0]), d(a[1]))
	case Sub:
		return Diff(d(a[0]), d(a[1]))
	case Mul:
		return Sum(Prod(d(a[0]), a[1]), Prod(a[0], d(a[1])))
	case Div:
		return Quot(Diff(d(a[0]), Prod(n, d(a[1]))), a[1])
	case Neg:
		return Minus(d(a[0]))
	case Exp:
		return Prod(n, d(a[0]))
	case Expm1:
		return Prod(Sum(n, one), d(a[0]))
	case Log:
		return Quot(d(a[0]), a[0])
	case Tanh:
		return Prod(Diff(one, Prod(n, n)), d(a[0]))
	case Sigmoid:
		return Prod(n, Diff(one, n), d(a[0]))
	case Softplus:
		return Prod(Fn(Sigmoid, a[0]), d(a[0]))
	case Erf:
		return Prod(C(2/math.SqrtPi), Fn(Exp, Minus(Prod(a[0], a[0]))), d(a[0]))
	case Sqrt:
		return Quot(d(a[0]), Prod(C(2), n))
	case Abs:
		sign := IfNotPositive(a[0], IfNotPositive(Minus(a[0]), C(0), C(-1)), one)
		return Prod(sign, d(a[0]))
	case Select:
		return IfNotPositive(a[0], d(a[1]), d(a[2]))
	case Floor:
		return C(0)
	}
	panic(fmt.Sprintf("expr: %s has no derivative", n.Op))
}
