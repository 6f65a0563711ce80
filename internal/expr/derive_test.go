package expr

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestDerivativesAgreeWithCentralDifferences draws expressions and places. A
// place is used where the function is smooth enough for the difference
// quotients of two widths to agree with each other.
func TestDerivativesAgreeWithCentralDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	compared, seen := 0, map[Op]int{}
	for range 40000 {
		tree, vars := randomTree(randomSource{r}, 1+r.IntN(4)), randomPoint(r)
		name := names[r.IntN(len(names))]
		if tree.uses(Cos) {
			continue // host only: it has no derivative
		}
		want, ok := difference(tree, vars, name)
		if !ok {
			continue
		}
		d := Derive(tree.node(), name)
		if got := Eval(d, vars); !(math.Abs(got-want) <= 1e-6*math.Max(1, math.Abs(want))) {
			t.Errorf("d/d%s %s = %s: %g at %v, want %g", name, tree.node(), d, got, vars, want)
		}
		if want != 0 {
			compared++
			for _, op := range Ops() {
				if tree.uses(op) {
					seen[op]++
				}
			}
		}
	}
	if compared < 2000 {
		t.Errorf("only %d derivatives other than 0 were compared", compared)
	}
	for _, op := range Ops()[Add:] {
		if op != Cos && seen[op] < 30 {
			t.Errorf("%s stood in only %d of the expressions compared", op, seen[op])
		}
	}
}

// difference returns the central difference quotient, extrapolated to width 0
// from two widths; ok is false where they show that it cannot be trusted.
func difference(tree *tree, vars map[string]float64, name string) (slope float64, ok bool) {
	const h = 1e-3
	if tree.nearKink(vars, 0.1) {
		return 0, false
	}
	at := map[string]float64{}
	for k, v := range vars {
		at[k] = v
	}
	quotient := func(h float64) float64 {
		var f [2]number
		for i, sign := range []float64{1, -1} {
			at[name] = vars[name] + sign*h
			var finite bool
			f[i], finite = tree.eval(at)
			ok = ok && finite && f[i].err < 1e-11 && !tree.nearKink(at, 0.01)
		}
		return (f[0].v - f[1].v) / (2 * h)
	}
	ok = true
	wide, narrow := quotient(h), quotient(h/2)
	slope = (4*narrow - wide) / 3
	return slope, ok && math.Abs(narrow-wide) < 1e-5*math.Max(1, math.Abs(slope))
}

// TestDerivativeAtKinks checks the documented choice: that of the branch
// which the value itself takes.
func TestDerivativeAtKinks(t *testing.T) {
	x := V("x")
	for _, test := range []struct {
		name string
		f    *Node
		want float64
	}{
		{"relu", IfNotPositive(x, C(0), x), 0},
		{"leaky", IfNotPositive(x, Prod(C(0.3), x), x), 0.3},
		{"abs", Fn(Abs, x), 0},
		{"abs of -x", Fn(Abs, Minus(x)), 0},
		{"abs of 2x", Fn(Abs, Prod(C(2), x)), 0},
		{"elu", IfNotPositive(x, Prod(C(0.7), Fn(Expm1, x)), x), 0.7},
		{"floor", Fn(Floor, x), 0},
	} {
		for _, zero := range []float64{0, math.Copysign(0, -1)} {
			if got := Eval(Derive(test.f, "x"), map[string]float64{"x": zero}); got != test.want {
				t.Errorf("%s' at %g = %g, want %g", test.name, zero, got, test.want)
			}
		}
	}
	for at, want := range map[float64]float64{-2: -1, 2: 1} {
		if got := Eval(Derive(Fn(Abs, x), "x"), map[string]float64{"x": at}); got != want {
			t.Errorf("abs' at %g = %g", at, got)
		}
	}
}

// TestEveryKernelPrimitiveHasADerivative: what may stand in a kernel may stand
// below a loss.
func TestEveryKernelPrimitiveHasADerivative(t *testing.T) {
	for _, op := range Ops()[Add:] {
		if op.HostOnly() {
			continue
		}
		args := []*Node{V("x"), V("y"), V("z")}[:op.Arity()]
		for _, a := range args {
			d := Derive(Make(op, args...), a.Name)
			for _, n := range Schedule(d) {
				if n.Op.HostOnly() {
					t.Errorf("the derivative of %s by its argument %s holds %s, which is for the host", op, a.Name, n.Op)
				}
			}
		}
	}
}
