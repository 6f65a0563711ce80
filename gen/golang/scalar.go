package golang

import (
	"fmt"
	"slices"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
)

// arith says how the primitives are written for one float type.
type arith struct {
	kind string // "float32" or "float64"
	// call names the function of a primitive that is one.
	call map[expr.Op]func(x code) code
	// exact keeps products apart from sums, which a compiler may otherwise fuse
	// into one rounding on some machines and not on others.
	exact bool
}

func qualified(pkg string, names map[expr.Op]string) map[expr.Op]func(code) code {
	calls := map[expr.Op]func(code) code{}
	for op, name := range names {
		calls[op] = func(x code) code { return jen.Qual(pkg, name).Call(x) }
	}
	return calls
}

// kernelArith is that of emitted kernels.
var kernelArith = arith{kind: "float32", exact: true, call: qualified(scalarPath, map[expr.Op]string{
	expr.Exp: "Exp", expr.Expm1: "Expm1", expr.Log: "Log", expr.Tanh: "Tanh", expr.Sigmoid: "Sigmoid",
	expr.Softplus: "Softplus", expr.Erf: "Erf", expr.Sqrt: "Sqrt", expr.Abs: "Abs",
})}

// hostArith is that of what is computed once a step: schedules and scalars.
var hostArith = arith{kind: "float64", exact: true, call: qualified("math", map[expr.Op]string{
	expr.Exp: "Exp", expr.Expm1: "Expm1", expr.Log: "Log", expr.Tanh: "Tanh", expr.Erf: "Erf",
	expr.Sqrt: "Sqrt", expr.Abs: "Abs", expr.Floor: "Floor", expr.Cos: "Cos",
})}

// scalars writes expressions as Go statements. A node that is used more than
// once gets a variable; what only one branch of a select needs is computed in
// that branch.
type scalars struct {
	arith   arith
	bind    map[string]code         // variables of the expression
	parents map[string][]*expr.Node // by key, distinct
	ready   map[string]func() code  // by key: nodes that have a variable
	nodes   map[string]*expr.Node   // by key
	next    *int                    // number of the next variable
}

// lower writes what the roots need to g and returns an expression for each.
func lower(g *jen.Group, a arith, bind map[string]code, roots ...*expr.Node) []code {
	s := &scalars{
		arith: a, bind: bind, next: new(int),
		parents: map[string][]*expr.Node{}, ready: map[string]func() code{}, nodes: map[string]*expr.Node{},
	}
	for _, node := range expr.Schedule(roots...) {
		s.nodes[node.Key()] = node
		seen := map[string]bool{}
		for _, arg := range node.Args {
			if !seen[arg.Key()] {
				s.parents[arg.Key()] = append(s.parents[arg.Key()], node)
				seen[arg.Key()] = true
			}
		}
	}
	// A root counts as a user of its own, so that it is never thought to belong
	// to a branch.
	uses := map[string]int{}
	for _, r := range roots {
		uses[r.Key()]++
		s.parents[r.Key()] = append(s.parents[r.Key()], nil)
	}
	for _, r := range roots {
		s.prepare(g, r)
	}
	out := make([]code, len(roots))
	for i, r := range roots {
		if uses[r.Key()] > 1 {
			s.name(g, r)
		}
		out[i] = s.value(r)
	}
	return out
}

func isLeaf(node *expr.Node) bool { return len(node.Args) == 0 }

// prepare writes variables for the nodes below and at node that need one.
func (s *scalars) prepare(g *jen.Group, node *expr.Node) {
	if isLeaf(node) || s.ready[node.Key()] != nil {
		return
	}
	if node.Op == expr.Select {
		s.choose(g, node)
		return
	}
	for _, arg := range node.Args {
		s.prepare(g, arg)
	}
	if s.shared(node) {
		s.name(g, node)
	}
}

// shared reports whether more than one node, or one node more than once, reads
// the node.
func (s *scalars) shared(node *expr.Node) bool {
	parents := s.parents[node.Key()]
	if len(parents) > 1 {
		return true
	}
	if parents[0] == nil {
		return false
	}
	times := 0
	for _, arg := range parents[0].Args {
		if arg.Key() == node.Key() {
			times++
		}
	}
	return times > 1
}

// name gives a node a variable.
func (s *scalars) name(g *jen.Group, node *expr.Node) {
	if isLeaf(node) || s.ready[node.Key()] != nil {
		return
	}
	v := s.fresh()
	g.Id(v).Op(":=").Add(s.value(node))
	s.ready[node.Key()] = func() code { return id(v) }
}

func (s *scalars) fresh() string {
	v := fmt.Sprintf("t%d", *s.next)
	*s.next++
	return v
}

// choose writes a select as a branch. What only one side needs is computed
// there; what others need too is computed before.
func (s *scalars) choose(g *jen.Group, node *expr.Node) {
	condition, then, otherwise := node.Args[0], node.Args[1], node.Args[2]
	s.prepare(g, condition)
	for _, side := range []*expr.Node{then, otherwise} {
		own := s.exclusive(node, side)
		for _, part := range expr.Schedule(side) {
			if !isLeaf(part) && !own[part.Key()] && s.enters(own, part, side) {
				s.prepare(g, part)
				s.name(g, part)
			}
		}
	}
	v := s.fresh()
	test := s.value(condition).Op("<=").Lit(0)
	branch := func(side *expr.Node) func(*jen.Group) {
		return func(g *jen.Group) {
			kept := s.ready
			s.ready = map[string]func() code{}
			for k, f := range kept {
				s.ready[k] = f
			}
			s.prepare(g, side)
			g.Id(v).Op("=").Add(s.value(side))
			s.ready = kept
		}
	}
	if isLeaf(otherwise) {
		g.Id(v).Op(":=").Add(s.typed(otherwise))
		g.If(test).BlockFunc(branch(then))
	} else {
		g.Var().Id(v).Id(s.arith.kind)
		g.If(test).BlockFunc(branch(then)).Else().BlockFunc(branch(otherwise))
	}
	s.ready[node.Key()] = func() code { return id(v) }
}

// enters reports whether a node that belongs to no branch is read by one, or
// is its value.
func (s *scalars) enters(own map[string]bool, part, side *expr.Node) bool {
	if part.Key() == side.Key() {
		return true
	}
	return slices.ContainsFunc(s.parents[part.Key()], func(parent *expr.Node) bool {
		return parent != nil && own[parent.Key()]
	})
}

// exclusive returns the keys of the nodes below side that nothing but this
// side of the select reads.
func (s *scalars) exclusive(choice, side *expr.Node) map[string]bool {
	own := map[string]bool{}
	order := expr.Schedule(side)
	for i := len(order) - 1; i >= 0; i-- {
		isSide := order[i].Key() == side.Key() && !readTwice(choice, side)
		all := true
		for _, parent := range s.parents[order[i].Key()] {
			all = all && parent != nil && (own[parent.Key()] || isSide && parent.Key() == choice.Key())
		}
		own[order[i].Key()] = all
	}
	return own
}

func readTwice(choice, side *expr.Node) bool {
	times := 0
	for _, arg := range choice.Args {
		if arg.Key() == side.Key() {
			times++
		}
	}
	return times > 1
}

// typed is a value that has the arithmetic's type also where it is a constant.
func (s *scalars) typed(node *expr.Node) code {
	if node.Op == expr.Const {
		return id(s.arith.kind).Call(jen.Lit(node.Value))
	}
	return s.value(node)
}

// value is the node as a Go expression; its parts are ready.
func (s *scalars) value(node *expr.Node) code {
	if f := s.ready[node.Key()]; f != nil {
		return f()
	}
	a := node.Args
	switch node.Op {
	case expr.Const:
		return jen.Lit(node.Value)
	case expr.Var:
		v, ok := s.bind[node.Name]
		if !ok {
			panic(fmt.Sprintf("golang: variable %q is not bound", node.Name))
		}
		return v.Clone()
	case expr.Add:
		return s.term(a[0]).Op("+").Add(s.term(a[1]))
	case expr.Sub:
		right := s.term(a[1])
		if s.isSum(a[1]) {
			right = jen.Parens(right)
		}
		return s.term(a[0]).Op("-").Add(right)
	case expr.Mul:
		return s.factor(a[0]).Op("*").Add(s.factor(a[1]))
	case expr.Div:
		right := s.factor(a[1])
		if s.isProduct(a[1]) {
			right = jen.Parens(right)
		}
		return s.factor(a[0]).Op("/").Add(right)
	case expr.Neg:
		inner := s.factor(a[0])
		if s.isProduct(a[0]) || a[0].Op == expr.Const {
			inner = jen.Parens(inner)
		}
		return jen.Op("-").Add(inner)
	}
	call, ok := s.arith.call[node.Op]
	if !ok {
		panic(fmt.Sprintf("golang: %s is not a primitive of %s", node.Op, s.arith.kind))
	}
	return call(s.value(a[0]))
}

func (s *scalars) inline(node *expr.Node) bool { return s.ready[node.Key()] == nil }

func (s *scalars) isSum(node *expr.Node) bool {
	return s.inline(node) && (node.Op == expr.Add || node.Op == expr.Sub)
}

func (s *scalars) isProduct(node *expr.Node) bool {
	return s.inline(node) && (node.Op == expr.Mul || node.Op == expr.Div)
}

// term is an operand of a sum; a product is rounded by a conversion first,
// which the language says must not be fused away.
func (s *scalars) term(node *expr.Node) code {
	v := s.value(node)
	if s.arith.exact && s.inline(node) && node.Op == expr.Mul {
		return id(s.arith.kind).Call(v)
	}
	return v
}

// factor is an operand of a product.
func (s *scalars) factor(node *expr.Node) code {
	v := s.value(node)
	if s.isSum(node) || s.inline(node) && node.Op == expr.Neg {
		return jen.Parens(v)
	}
	return v
}
