package ir

import "slices"

// gradients checks that each parameter's gradient is computed by one step.
func (v *verifier) gradients() {
	made := map[*Param]int{}
	for _, s := range v.p.Backward {
		if g, ok := s.(*GradWeight); ok {
			made[g.W]++
			if g.Bias != nil {
				made[g.Bias]++
			}
		}
		if m := FusedMap(s); m != nil {
			for _, sum := range m.Sum {
				made[sum.Param]++
			}
		}
	}
	for _, q := range v.p.Params {
		if made[q] != 1 {
			v.fail("the gradient of %s is computed %d times", q.Name, made[q])
		}
	}
}

// updates checks that each parameter is updated once, after its last use.
func (v *verifier) updates() {
	updated := map[*Param]int{}
	for _, s := range v.p.Backward {
		if g, ok := s.(*GradInput); ok && updated[g.W] > 0 {
			v.fail("%s reads %s after its update", StepString(s), g.W.Name)
		}
		if g, ok := s.(*GradWeight); ok && g.Update {
			if v.p.Full {
				v.fail("%s updates inside a chunk", StepString(s))
			}
			updated[g.W]++
			if g.Bias != nil {
				updated[g.Bias]++
			}
		}
	}
	for _, u := range v.p.Updates {
		if !v.params[u.Param] {
			v.fail("update of %s, which is not listed", u.Param.Name)
		}
		updated[u.Param]++
	}
	for _, q := range v.p.Params {
		if updated[q] != 1 {
			v.fail("%s is updated %d times", q.Name, updated[q])
		}
	}
}

func (v *verifier) rule() {
	r := &v.p.Rule
	if len(r.Next) != len(r.States) {
		v.fail("rule makes %d of %d states", len(r.Next), len(r.States))
	}
	names := bound{VarLR, VarMomentum, VarT}
	define := func(name string) {
		if slices.Contains(names, name) {
			v.fail("rule has two variables %s", name)
		}
		names = append(names, name)
	}
	for _, s := range r.Scalars {
		v.reads("scalar "+s.Name, names, s.Expr)
		define(s.Name)
	}
	// An element's expressions read what t leads to, never t itself.
	names = slices.DeleteFunc(names, func(name string) bool { return name == VarT })
	for _, name := range append([]string{VarW, VarG}, r.States...) {
		define(name)
	}
	v.reads("rule", names, r.W)
	v.reads("rule", names, r.Next...)
}

func (v *verifier) transform() {
	t := &v.p.Transform
	if (t.Value == nil) == (t.Rowwise == "") {
		v.fail("output is not one of element-wise and row-wise")
	}
	if t.Width != v.p.Output && t.Width != 1 {
		v.fail("output of width %d for %d raw outputs", t.Width, v.p.Output)
	}
	v.reads("output", bound{VarZ}, t.Value)
}
