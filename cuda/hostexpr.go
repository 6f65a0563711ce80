package cuda

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
)

// Binding strengths of Go's operators, for parentheses.
const (
	sumLevel = iota + 1
	productLevel
)

// hostCalls names the functions of Go's math that primitives are.
var hostCalls = map[expr.Op]string{
	expr.Exp: "Exp", expr.Expm1: "Expm1", expr.Log: "Log", expr.Tanh: "Tanh", expr.Erf: "Erf",
	expr.Sqrt: "Sqrt", expr.Abs: "Abs", expr.Floor: "Floor", expr.Cos: "Cos",
}

// hostExpr writes in Go, in float64, what is computed once a step. outer is
// the strength of the operator that it stands under.
func hostExpr(n *expr.Node, outer int) code {
	a := n.Args
	binary := func(level int, op string) code {
		c := hostExpr(a[0], level-1).Op(op).Add(hostExpr(a[1], level))
		if level <= outer {
			return jen.Parens(c)
		}
		return c
	}
	switch n.Op {
	case expr.Const:
		return jen.Lit(n.Value)
	case expr.Var:
		return jen.Id(n.Name)
	case expr.Add:
		return binary(sumLevel, "+")
	case expr.Sub:
		return binary(sumLevel, "-")
	case expr.Mul:
		return binary(productLevel, "*")
	case expr.Div:
		return binary(productLevel, "/")
	case expr.Neg:
		return jen.Op("-").Parens(hostExpr(a[0], 0))
	}
	name, ok := hostCalls[n.Op]
	if !ok {
		panic(fmt.Sprintf("cuda: %s is not computed once a step", n.Op))
	}
	return jen.Qual("math", name).Call(hostExpr(a[0], 0))
}
