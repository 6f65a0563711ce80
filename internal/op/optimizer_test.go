package op

import (
	"fmt"
	"math"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
)

// The updates of torch.optim, written down step by step from its documented
// algorithms, with its state that is missing before the first step.

type torch interface {
	step(w, g []float64, lr float64)
}

// torchSGD is torch.optim.SGD with dampening 0.
type torchSGD struct {
	momentum, weightDecay float64
	nesterov              bool
	b                     []float64
}

func (o *torchSGD) step(w, grad []float64, lr float64) {
	first := o.b == nil
	if first {
		o.b = make([]float64, len(w))
	}
	for i := range w {
		g := grad[i]
		if o.weightDecay != 0 {
			g = g + o.weightDecay*w[i]
		}
		if o.momentum != 0 {
			if first {
				o.b[i] = g
			} else {
				o.b[i] = o.momentum*o.b[i] + g
			}
			if o.nesterov {
				g = g + o.momentum*o.b[i]
			} else {
				g = o.b[i]
			}
		}
		w[i] = w[i] - lr*g
	}
}

// torchAdam is torch.optim.Adam, or AdamW where decoupled.
type torchAdam struct {
	beta1, beta2, eps, weightDecay float64
	decoupled                      bool
	t                              int
	m, v                           []float64
}

func (o *torchAdam) step(w, grad []float64, lr float64) {
	if o.m == nil {
		o.m, o.v = make([]float64, len(w)), make([]float64, len(w))
	}
	o.t++
	for i := range w {
		g := grad[i]
		if o.decoupled {
			w[i] = w[i] - lr*o.weightDecay*w[i]
		} else if o.weightDecay != 0 {
			g = g + o.weightDecay*w[i]
		}
		o.m[i] = o.beta1*o.m[i] + (1-o.beta1)*g
		o.v[i] = o.beta2*o.v[i] + (1-o.beta2)*g*g
		mHat := o.m[i] / (1 - math.Pow(o.beta1, float64(o.t)))
		vHat := o.v[i] / (1 - math.Pow(o.beta2, float64(o.t)))
		w[i] = w[i] - lr*mHat/(math.Sqrt(vHat)+o.eps)
	}
}

func torchOf(o *Optimizer, v Values) torch {
	switch o.Name {
	case "sgd":
		return &torchSGD{momentum: v.Num("momentum"), weightDecay: v.Num("weight_decay"), nesterov: v.Flag("nesterov")}
	case "adam", "adamw":
		return &torchAdam{
			beta1: v.Num("beta1"), beta2: v.Num("beta2"), eps: v.Num("eps"),
			weightDecay: v.Num("weight_decay"), decoupled: o.Name == "adamw",
		}
	}
	panic("no transcription of " + o.Name + "'s rule")
}

// rule is an optimizer's expressions, as a program runs them.
type rule struct {
	states  []string
	w       *expr.Node
	next    []*expr.Node
	scalars []Scalar
}

func ruleOf(o *Optimizer, v Values) *rule {
	r := &rule{}
	r.states, r.w, r.next, r.scalars = o.Rule(v)
	return r
}

// Steps of a trajectory, and the parameters that it moves.
const (
	steps  = 50
	weight = 5
)

// start and gradient are a small problem with a bend and a slope of its own
// for each parameter; the last gradient is 0.
func start() []float64 { return []float64{1, -2, 0.5, 3, 0.25} }

func gradient(w []float64) []float64 {
	return []float64{
		4*w[0] + w[1], w[0] + 3*w[1]*w[1]*w[1] - 1, math.Sin(3 * w[2]), 1e-3 * (w[3] - 1), 0,
	}
}

// rate is a learning rate that changes from step to step.
func rate(lr float64, step int) float64 { return lr * (1 + 0.5*math.Cos(float64(step))) }

// run returns the parameters after each step.
func (r *rule) run(lr, momentum float64) [][]float64 {
	w := start()
	states := make([][]float64, len(r.states))
	for k := range states {
		states[k] = make([]float64, weight)
	}
	var path [][]float64
	for step := range steps {
		g := gradient(w)
		vars := map[string]float64{VarT: float64(step + 1), VarLR: rate(lr, step), VarMomentum: momentum}
		for _, s := range r.scalars {
			vars[s.Name] = expr.Eval(s.Expr, vars)
		}
		for i := range w {
			vars[VarW], vars[VarG] = w[i], g[i]
			for k, name := range r.states {
				vars[name] = states[k][i]
			}
			w[i] = expr.Eval(r.w, vars)
			for k, next := range r.next {
				states[k][i] = expr.Eval(next, vars)
			}
		}
		path = append(path, append([]float64(nil), w...))
	}
	return path
}

func torchRun(o torch, lr float64) [][]float64 {
	w := start()
	var path [][]float64
	for step := range steps {
		o.step(w, gradient(w), rate(lr, step))
		path = append(path, append([]float64(nil), w...))
	}
	return path
}

// apart returns the largest distance of two trajectories.
func apart(a, b [][]float64) float64 {
	worst := 0.0
	for step := range a {
		for i := range a[step] {
			d := math.Abs(a[step][i] - b[step][i])
			if math.IsNaN(d) {
				return math.Inf(1)
			}
			worst = math.Max(worst, d)
		}
	}
	return worst
}

func momentumOf(o *Optimizer, v Values) float64 {
	if o.Momentum {
		return v.Num(VarMomentum)
	}
	return 0
}

// cases lists settings that reach every term of every rule.
func cases() map[string][]Values {
	return map[string][]Values{
		"sgd": {
			{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": true}, {"weight_decay": 0.1},
			{"momentum": 0.5, "weight_decay": 0.1}, {"momentum": 0.5, "weight_decay": 0.1, "nesterov": true},
		},
		"adam": {
			{}, {"weight_decay": 0.1}, {"beta1": 0.5, "beta2": 0.9}, {"beta1": 0.0}, {"beta2": 0.0, "eps": 1e-3},
			{"eps": 0.01}, {"beta1": 0.99, "beta2": 0.5, "eps": 1e-3, "weight_decay": 0.2},
		},
		"adamw": {
			{}, {"weight_decay": 0.0}, {"weight_decay": 0.3}, {"beta1": 0.5, "beta2": 0.9, "eps": 0.01, "weight_decay": 0.2},
		},
	}
}

func withDefaults(e *Entry, set Values) Values {
	v := e.Defaults()
	v["lr"] = 0.02
	for k, x := range set {
		v[k] = x
	}
	return v
}

func TestOptimizersFollowPyTorch(t *testing.T) {
	for _, o := range Optimizers {
		list, ok := cases()[o.Name]
		if !ok {
			t.Errorf("%s has no trajectory to follow", o.Name)
		}
		for _, set := range list {
			v := withDefaults(&o.Entry, set)
			want := torchRun(torchOf(o, v), v.Num("lr"))
			got := ruleOf(o, v).run(v.Num("lr"), momentumOf(o, v))
			if d := apart(got, want); !(d <= 1e-12) {
				t.Errorf("%s %v is %g away from PyTorch's rule after %d steps", o.Name, v, d, steps)
			}
			if moved := apart(want[:1], want[steps-1:]); moved < 1e-3 {
				t.Errorf("%s %v hardly moves", o.Name, v)
			}
		}
	}
}

// TestMomentumMayChangeAtRunTime: the rule reads the momentum of the step, not
// that of the settings.
func TestMomentumMayChangeAtRunTime(t *testing.T) {
	for _, o := range Optimizers {
		if !o.Momentum {
			continue
		}
		v := withDefaults(&o.Entry, Values{"momentum": 0.9})
		changed := withDefaults(&o.Entry, Values{"momentum": 0.3})
		got := ruleOf(o, v).run(v.Num("lr"), 0.3)
		if d := apart(got, torchRun(torchOf(o, changed), v.Num("lr"))); !(d <= 1e-12) {
			t.Errorf("%s with another momentum at run time is %g away", o.Name, d)
		}
	}
}

// TestRuleFaultsAreCaught plants mistakes in the rules: each must lead the
// trajectory away.
func TestRuleFaultsAreCaught(t *testing.T) {
	w, g, lr, mu := expr.V(VarW), expr.V(VarG), expr.V(VarLR), expr.V(VarMomentum)
	b, m, s := expr.V(StateMomentum), expr.V("exp_avg"), expr.V("exp_avg_sq")
	t1, c1, c2 := expr.V(VarT), expr.V("correction1"), expr.V("correction2")
	sgd, adam, adamw := must(Optimizers, "sgd"), must(Optimizers, "adam"), must(Optimizers, "adamw")
	nesterov := Values{"momentum": 0.9, "nesterov": true}
	decay := Values{"momentum": 0.9, "weight_decay": 0.1}
	large := Values{"eps": 0.01, "weight_decay": 0.1}
	scalar := func(r *rule, i int, e *expr.Node) { r.scalars[i].Expr = e }
	for _, fault := range []struct {
		name  string
		o     *Optimizer
		set   Values
		plant func(*rule)
	}{
		{"ascent", sgd, nil, func(r *rule) { r.w = add(w, mul(lr, g)) }},
		{"no learning rate", sgd, nil, func(r *rule) { r.w = sub(w, g) }},
		{"no momentum", sgd, decay, func(r *rule) { r.next[0] = g }},
		{"momentum of 1", sgd, decay, func(r *rule) { r.next[0] = expr.Replace(r.next[0], mu, c(1)) }},
		{"dampened", sgd, Values{"momentum": 0.9}, func(r *rule) { r.next[0] = add(mul(mu, b), mul(sub(c(1), mu), g)) }},
		{"step of the buffer before", sgd, decay, func(r *rule) { r.w = sub(w, mul(lr, b)) }},
		{"no look ahead", sgd, nesterov, func(r *rule) { r.w = sub(w, mul(lr, r.next[0])) }},
		{"look ahead without the gradient", sgd, nesterov, func(r *rule) { r.w = sub(w, mul(lr, mul(mu, r.next[0]))) }},
		{"no weight decay", sgd, decay, func(r *rule) { r.next[0] = add(g, mul(mu, b)) }},
		{"weight decay's sign", sgd, Values{"weight_decay": 0.1}, func(r *rule) { r.w = sub(w, mul(lr, sub(g, mul(c(0.1), w)))) }},
		{"learning rate in the buffer", sgd, Values{"momentum": 0.9}, func(r *rule) {
			r.next[0] = add(mul(lr, g), mul(mu, b))
			r.w = sub(w, r.next[0])
		}},
		{"eps inside the root", adam, large, func(r *rule) {
			root := sqrt(r.next[1])
			r.w = expr.Replace(r.w, root, sqrt(add(r.next[1], c(0.01))))
		}},
		{"eps before the correction", adam, large, func(r *rule) {
			right := add(div(sqrt(r.next[1]), c2), c(0.01))
			r.w = expr.Replace(r.w, right, div(add(sqrt(r.next[1]), c(0.01)), c2))
		}},
		{"no eps", adam, large, func(r *rule) {
			right := add(div(sqrt(r.next[1]), c2), c(0.01))
			r.w = expr.Replace(r.w, right, div(sqrt(r.next[1]), c2))
		}},
		{"no correction of the mean", adam, nil, func(r *rule) { scalar(r, 0, c(1)) }},
		{"no correction of the square", adam, nil, func(r *rule) { scalar(r, 1, c(1)) }},
		{"correction without the root", adam, nil, func(r *rule) { scalar(r, 1, r.scalars[1].Expr.Args[0]) }},
		{"count from 0", adam, nil, func(r *rule) {
			for i, s := range r.scalars {
				scalar(r, i, expr.Replace(s.Expr, t1, sub(t1, c(1))))
			}
		}},
		{"corrections exchanged", adam, nil, func(r *rule) {
			r.w = expr.Replace(expr.Replace(expr.Replace(r.w, c1, expr.V("x")), c2, c1), expr.V("x"), c2)
		}},
		{"betas exchanged", adam, nil, func(r *rule) {
			*r = *ruleOf(adam, withDefaults(&adam.Entry, Values{"beta1": 0.999, "beta2": 0.9}))
		}},
		{"gradient not squared", adam, nil, func(r *rule) {
			r.w = expr.Replace(r.w, mul(g, g), g)
			r.next[1] = expr.Replace(r.next[1], mul(g, g), g)
		}},
		{"mean without its share", adam, nil, func(r *rule) {
			r.w = expr.Replace(r.w, r.next[0], add(mul(c(0.9), m), g))
			r.next[0] = add(mul(c(0.9), m), g)
		}},
		{"square of the step before", adam, nil, func(r *rule) { r.w = expr.Replace(r.w, r.next[1], s) }},
		{"decay as adamw", adam, large, func(r *rule) { *r = *ruleOf(adamw, withDefaults(&adamw.Entry, large)) }},
		{"decay as adam", adamw, large, func(r *rule) { *r = *ruleOf(adam, withDefaults(&adam.Entry, large)) }},
		{"decay without the learning rate", adamw, large, func(r *rule) {
			r.w = expr.Replace(r.w, mul(mul(lr, c(0.1)), w), mul(c(0.1), w))
		}},
	} {
		v := withDefaults(&fault.o.Entry, fault.set)
		r := ruleOf(fault.o, v)
		before := fmt.Sprint(r.w, r.next, r.scalars)
		fault.plant(r)
		if fmt.Sprint(r.w, r.next, r.scalars) == before {
			t.Errorf("%s: %q was not planted in %s", fault.o.Name, fault.name, before)
			continue
		}
		want := torchRun(torchOf(fault.o, v), v.Num("lr"))
		if d := apart(r.run(v.Num("lr"), momentumOf(fault.o, v)), want); d < 1e-6 {
			t.Errorf("%s: %q stays within %g of PyTorch's rule", fault.o.Name, fault.name, d)
		}
	}
}
