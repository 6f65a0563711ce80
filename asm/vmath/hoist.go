package vmath

import (
	"fmt"

	"github.com/dnngen/dnngen/internal/expr"
)

// Hoisted is an expression that is the same for all elements, and the name of
// the variable that stands for it.
type Hoisted struct {
	Name string
	Expr *expr.Node
}

// Hoist takes out of the roots what depends on uniform variables alone, so
// that it is computed once and not for each element. A division by such a
// value becomes a product with its reciprocal. It returns what it took, to be
// computed in this order, and the roots without it.
func Hoist(roots []*expr.Node, uniform func(name string) bool) ([]Hoisted, []*expr.Node) {
	h := &hoisting{same: map[string]bool{}, names: map[string]string{}, done: map[string]*expr.Node{}}
	for _, n := range expr.Schedule(roots...) {
		same := n.Op != expr.Var || uniform(n.Name)
		for _, a := range n.Args {
			same = same && h.same[a.Key()]
		}
		h.same[n.Key()] = same
	}
	out := make([]*expr.Node, len(roots))
	for i, r := range roots {
		out[i] = h.rewrite(r)
	}
	return h.taken, out
}

type hoisting struct {
	same  map[string]bool // by key: does not differ between elements
	names map[string]string
	done  map[string]*expr.Node
	taken []Hoisted
}

func (h *hoisting) rewrite(n *expr.Node) *expr.Node {
	if r, ok := h.done[n.Key()]; ok {
		return r
	}
	r := n
	switch {
	case len(n.Args) == 0:
	case h.same[n.Key()]:
		r = h.take(n)
	case n.Op == expr.Div && n.Args[1].Op != expr.Const && h.same[n.Args[1].Key()]:
		r = expr.Prod(h.rewrite(n.Args[0]), h.take(expr.Quot(expr.C(1), n.Args[1])))
	default:
		args := make([]*expr.Node, len(n.Args))
		for i, a := range n.Args {
			args[i] = h.rewrite(a)
		}
		r = expr.Make(n.Op, args...)
	}
	h.done[n.Key()] = r
	return r
}

func (h *hoisting) take(n *expr.Node) *expr.Node {
	name, ok := h.names[n.Key()]
	if !ok {
		name = fmt.Sprintf("hoisted%d", len(h.taken))
		h.names[n.Key()] = name
		h.taken = append(h.taken, Hoisted{name, n})
	}
	return expr.V(name)
}
