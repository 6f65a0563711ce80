package eval

import (
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// Scalars evaluates a rule's scalars for update number t and returns them
// with lr and momentum under their names.
func Scalars(rule ir.Rule, lr, momentum float64, t int64) map[string]float64 {
	vars := map[string]float64{ir.VarLR: lr, ir.VarMomentum: momentum, ir.VarT: float64(t)}
	for _, s := range rule.Scalars {
		vars[s.Name] = expr.Eval(s.Expr, vars)
	}
	return vars
}

// updater applies the rule in one step, to one parameter after another.
type updater struct {
	m       *Machine
	program *expr.Program
	vars    binding
}

func (m *Machine) newUpdater(lr, momentum float64, t int64) *updater {
	rule := &m.p.Rule
	u := &updater{m: m, program: m.program(rule, func() []*expr.Node {
		return append([]*expr.Node{rule.W}, rule.Next...)
	})}
	u.vars = bind(u.program)
	for name, v := range Scalars(*rule, lr, momentum, t) {
		u.vars.set(name, v)
	}
	return u
}

// update makes the new values of a parameter and its states from its
// gradient. A missing bias is nil.
func (u *updater) update(q *ir.Param) {
	if q == nil {
		return
	}
	m, w, g := u.m, u.m.Params[q.Index], u.m.grads[q.Index]
	for j := range w {
		u.vars.set(ir.VarW, w[j])
		u.vars.set(ir.VarG, g[j])
		for k, name := range m.p.Rule.States {
			u.vars.set(name, m.States[k][q.Index][j])
		}
		values := u.program.Run(u.vars.values)
		w[j] = values[0]
		for k := range m.p.Rule.States {
			m.States[k][q.Index][j] = values[1+k]
		}
	}
}
