package driver

import (
	"fmt"
	"slices"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// scalarsFunc computes what all elements of an update share, in float64.
func (e *emitter) scalarsFunc(f *jen.File) {
	doc(f, "setScalars computes what all elements of this step's update share.")
	method(f, "setScalars").Params(id("h").Qual(enginePath, "Hyper")).BlockFunc(func(g *jen.Group) {
		needed := e.neededScalars()
		given := []struct {
			name string
			from code
		}{
			{ir.VarLR, id("h").Dot("LR")},
			{ir.VarMomentum, id("h").Dot("Momentum")},
			{ir.VarT, id("h").Dot("Step")},
		}
		for _, v := range given {
			if needed[v.name] {
				g.Id(v.name).Op(":=").Float64().Call(v.from)
			}
		}
		for _, s := range e.Scalars {
			if needed[s.Name] {
				g.Id(s.Name).Op(":=").Add(hostExpr(s.Expr, 0))
			}
		}
		for i, name := range e.Rule.Scalars {
			g.Id("e").Dot("scalars").Index(n(i)).Op("=").Float32().Call(id(name))
		}
	}).Line()
}

// neededScalars are those that a kernel reads, and those that these need.
func (e *emitter) neededScalars() map[string]bool {
	needed := map[string]bool{}
	for _, name := range e.Rule.Scalars {
		needed[name] = true
	}
	for _, s := range slices.Backward(e.Scalars) {
		if needed[s.Name] {
			for _, v := range expr.Vars(s.Expr) {
				needed[v] = true
			}
		}
	}
	return needed
}

// Binding strengths of Go's operators, for parentheses.
const (
	sumLevel = iota + 1
	productLevel
	unaryLevel
)

// hostExpr writes an expression in float64.
func hostExpr(node *expr.Node, outer int) code {
	a := node.Args
	infix := func(level int, op string) code {
		c := hostExpr(a[0], level-1).Op(op).Add(hostExpr(a[1], level))
		if level <= outer {
			return jen.Parens(c)
		}
		return c
	}
	switch node.Op {
	case expr.Const:
		return jen.Lit(node.Value)
	case expr.Var:
		return id(node.Name)
	case expr.Add:
		return infix(sumLevel, "+")
	case expr.Sub:
		return infix(sumLevel, "-")
	case expr.Mul:
		return infix(productLevel, "*")
	case expr.Div:
		return infix(productLevel, "/")
	case expr.Neg:
		return jen.Op("-").Parens(hostExpr(a[0], 0))
	}
	name, ok := map[expr.Op]string{
		expr.Exp: "Exp", expr.Expm1: "Expm1", expr.Log: "Log", expr.Tanh: "Tanh", expr.Erf: "Erf",
		expr.Sqrt: "Sqrt", expr.Abs: "Abs", expr.Floor: "Floor", expr.Cos: "Cos",
	}[node.Op]
	if !ok {
		panic(fmt.Sprintf("driver: %s is not computed once a step", node.Op))
	}
	return jen.Qual("math", name).Call(hostExpr(a[0], 0))
}
