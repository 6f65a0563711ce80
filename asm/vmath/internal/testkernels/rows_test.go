package testkernels_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/op"
)

// row is one kernel to be: expressions with the variables that they read.
type row struct {
	name    string
	roots   []*expr.Node
	uniform func(name string) bool // variables that are the same for all elements
}

func none(string) bool { return false }

// ident returns the row's name as part of a Go identifier.
func (r row) ident() string {
	return strings.Map(func(c rune) rune {
		if c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			return c
		}
		return '_'
	}, r.name)
}

// rows lists every primitive that kernels may have, and every row of the
// tables with its settings varied.
func rows() []row {
	var rs []row
	for _, o := range expr.Ops() {
		if o.HostOnly() || o.Arity() == 0 {
			continue
		}
		args := []*expr.Node{expr.V("x"), expr.V("y"), expr.V("z")}[:o.Arity()]
		rs = append(rs, row{"primitive " + o.String(), []*expr.Node{expr.Make(o, args...)}, none})
	}
	// The composition that is lowered as one.
	rs = append(rs, row{"primitive tanh softplus", []*expr.Node{expr.Fn(expr.Tanh, expr.Fn(expr.Softplus, expr.V("x")))}, none})
	for _, a := range op.Activations {
		for i, v := range variants(a.Base()) {
			value := a.Expr(v)
			roots := []*expr.Node{value}
			for _, name := range []string{op.VarZ, op.VarGate, op.VarParam} {
				if expr.Uses(value, name) {
					roots = append(roots, expr.Derive(value, name))
				}
			}
			rs = append(rs, row{fmt.Sprintf("activation %s %d", a.Name, i), roots, none})
		}
	}
	for _, l := range op.Losses {
		for i, v := range variants(l.Base()) {
			if value, slope := l.Expr(v); value != nil {
				rs = append(rs, row{fmt.Sprintf("loss %s %d", l.Name, i), []*expr.Node{value, slope}, none})
			}
		}
	}
	for _, o := range op.Outputs {
		if value := o.Expr(); value != nil {
			rs = append(rs, row{"output " + o.Name, []*expr.Node{value}, none})
		}
	}
	for _, o := range op.Optimizers {
		for i, v := range variants(o.Base()) {
			states, w, next, _ := o.Rule(v)
			uniform := func(name string) bool {
				return name != op.VarW && name != op.VarG && !slices.Contains(states, name)
			}
			rs = append(rs, row{fmt.Sprintf("optimizer %s %d", o.Name, i), append([]*expr.Node{w}, next...), uniform})
		}
	}
	return rs
}

// variants returns an entry's default settings, and for each setting the
// defaults with another value of it.
func variants(e *op.Entry) []op.Values {
	base := e.Defaults()
	for _, s := range e.Settings {
		if s.Required() {
			base[s.Name] = 0.5
		}
	}
	all := []op.Values{base}
	for _, s := range e.Settings {
		with := func(x any) {
			v := op.Values{}
			for k, y := range base {
				v[k] = y
			}
			v[s.Name] = x
			if s.Needs != "" {
				v[s.Needs] = 0.5
			}
			all = append(all, v)
		}
		switch s.Kind {
		case op.Number:
			with(max(s.Min, min(s.Max, 0.375)))
		case op.Flag:
			with(!s.Default.(bool))
		case op.Choice:
			for _, c := range s.Choices {
				if c != s.Default {
					with(c)
				}
			}
		}
	}
	return all
}
