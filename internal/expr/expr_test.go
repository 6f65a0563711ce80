package expr

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestOpsHaveNamesAndArities(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range Ops() {
		if op.String() == "" || seen[op.String()] {
			t.Errorf("primitive %d: name %q is empty or not its own", op, op)
		}
		seen[op.String()] = true
		if leaf := op == Const || op == Var; (op.Arity() == 0) != leaf {
			t.Errorf("%s takes %d arguments", op, op.Arity())
		}
	}
}

// TestHostPrimitives: what a learning rate needs beyond a kernel.
func TestHostPrimitives(t *testing.T) {
	for _, op := range Ops() {
		if want := op == Floor || op == Cos; op.HostOnly() != want {
			t.Errorf("%s is for the host only: %t", op, op.HostOnly())
		}
	}
}

func TestApplyKnowsEveryPrimitive(t *testing.T) {
	for _, op := range Ops()[Add:] {
		if v := apply(op, []float64{0.5, 0.25, 2}[:op.Arity()]); math.IsNaN(v) {
			t.Errorf("%s(0.5, …) = %g", op, v)
		}
	}
}

// TestSimplifierKeepsValues compares what Make builds with the same tree
// evaluated as it was drawn.
func TestSimplifierKeepsValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	compared := 0
	for range 20000 {
		tree := randomTree(randomSource{r}, 1+r.IntN(5))
		if checkSimplified(t, tree, randomPoint(r)) {
			compared++
		}
	}
	if compared < 10000 {
		t.Errorf("only %d of 20000 trees could be compared", compared)
	}
}

// checkSimplified reports whether the tree has a finite value to compare.
func checkSimplified(t *testing.T, tree *tree, vars map[string]float64) bool {
	t.Helper()
	want, ok := tree.eval(vars)
	if !ok {
		return false
	}
	n := tree.node()
	// Regrouped products round differently: a small multiple of the bound.
	if got := Eval(n, vars); !(math.Abs(got-want.v) <= 16*want.err+1e-300) {
		t.Errorf("%s at %v = %g, want %g ± %g", n, vars, got, want.v, want.err)
	}
	return true
}

func TestSimplifierDropsWhatDerivativesLeave(t *testing.T) {
	x, y := V("x"), V("y")
	for _, test := range []struct{ got, want *Node }{
		{Prod(C(0), x), C(0)},
		{Prod(x, C(0)), C(0)},
		{Prod(x, C(1)), x},
		{Prod(C(-1), x), Minus(x)},
		{Sum(x, C(0)), x},
		{Sum(C(0), x), x},
		{Diff(x, x), C(0)},
		{Diff(x, C(0)), x},
		{Diff(C(0), x), Minus(x)},
		{Sum(x, Minus(y)), Diff(x, y)},
		{Sum(Minus(x), y), Diff(y, x)},
		{Diff(x, Minus(y)), Sum(x, y)},
		{Minus(Minus(x)), x},
		{Quot(C(0), x), C(0)},
		{Quot(x, C(1)), x},
		{Prod(C(2), Prod(C(3), x)), Prod(C(6), x)},
		{Prod(x, C(2)), Prod(C(2), x)},
		{IfNotPositive(x, y, y), y},
		{IfNotPositive(C(0), x, y), x},
		{IfNotPositive(C(1), x, y), y},
		{Sum(C(1), C(2)), C(3)},
	} {
		if test.got.Key() != test.want.Key() {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}

// TestSelectPassesNaNOn: a NaN condition takes the second branch, which holds
// the value itself in every rectifier.
func TestSelectPassesNaNOn(t *testing.T) {
	x := V("x")
	rectified := IfNotPositive(x, C(0), x)
	if v := Eval(rectified, map[string]float64{"x": math.NaN()}); !math.IsNaN(v) {
		t.Errorf("max(NaN, 0) = %g", v)
	}
	if n := IfNotPositive(C(math.NaN()), C(1), V("y")); n.Op != Var {
		t.Errorf("select on a constant NaN = %s, want y", n)
	}
}

func TestScheduleHoldsEachNodeOnceBehindItsArguments(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for range 2000 {
		a, b := randomTree(randomSource{r}, 5).node(), randomTree(randomSource{r}, 4).node()
		done := map[string]bool{}
		order := Schedule(a, b)
		for _, n := range order {
			if done[n.Key()] {
				t.Fatalf("%s stands twice in the schedule of %s and %s", n, a, b)
			}
			for _, arg := range n.Args {
				if !done[arg.Key()] {
					t.Fatalf("%s stands before its argument %s", n, arg)
				}
			}
			done[n.Key()] = true
		}
		if !done[a.Key()] || !done[b.Key()] {
			t.Fatalf("the schedule of %s and %s lacks a root", a, b)
		}
		for _, n := range order {
			used := n.Key() == a.Key() || n.Key() == b.Key() || slices.ContainsFunc(order, func(m *Node) bool {
				return slices.ContainsFunc(m.Args, func(arg *Node) bool { return arg.Key() == n.Key() })
			})
			if !used {
				t.Fatalf("nobody reads %s in the schedule of %s and %s", n, a, b)
			}
		}
	}
}

func TestVarsAreSortedAndUsed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range 2000 {
		n := randomTree(randomSource{r}, 4).node()
		vars := Vars(n)
		if !slices.IsSorted(vars) || len(slices.Compact(slices.Clone(vars))) != len(vars) {
			t.Fatalf("Vars(%s) = %v", n, vars)
		}
		for _, name := range names {
			if Uses(n, name) != slices.Contains(vars, name) {
				t.Fatalf("Uses(%s, %s) contradicts Vars", n, name)
			}
		}
	}
}

// TestReplace: a part replaced by a variable of the part's value leaves the
// value of the whole, and the part is gone.
func TestReplace(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	compared := 0
	for range 5000 {
		tree, vars := randomTree(randomSource{r}, 4), randomPoint(r)
		want, ok := tree.eval(vars)
		if !ok {
			continue
		}
		n := tree.node()
		order := Schedule(n)
		part := order[r.IntN(len(order))]
		vars["part"] = Eval(part, vars)
		got := Replace(n, part, V("part"))
		for _, m := range Schedule(got) {
			if m.Key() == part.Key() {
				t.Fatalf("Replace(%s, %s) = %s", n, part, got)
			}
		}
		if v := Eval(got, vars); !(math.Abs(v-want.v) <= 16*want.err+1e-300) {
			t.Errorf("%s with %s replaced: %g, want %g", n, part, v, want.v)
		}
		compared++
	}
	if compared < 2000 {
		t.Errorf("only %d of 5000 could be compared", compared)
	}
}

func TestProgramSharesNodesAndKeepsRootsApart(t *testing.T) {
	x := V("x")
	e := Fn(Exp, x)
	p := NewProgram(Sum(e, C(1)), e, x, C(7), e)
	got := p.Eval(map[string]float64{"x": 0.5, "unused": 1})
	want := []float64{math.Exp(0.5) + 1, math.Exp(0.5), 0.5, 7, math.Exp(0.5)}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !slices.Equal(p.Vars(), []string{"x"}) {
		t.Errorf("Vars = %v", p.Vars())
	}
	if v := p.Run([]float64{0}); v[1] != 1 {
		t.Errorf("exp(0) = %g", v[1])
	}
}

func TestEvalPanicsWithoutAValue(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Eval(V("x"), nil)
}

// TestStablePrimitives: the primitives that stand for composed forms stay
// exact where those would overflow or lose their digits.
func TestStablePrimitives(t *testing.T) {
	x := V("x")
	for _, test := range []struct {
		op      Op
		x, want float64
	}{
		{Sigmoid, -1000, 0}, {Sigmoid, 1000, 1}, {Sigmoid, 0, 0.5}, {Sigmoid, -40, math.Exp(-40)},
		{Softplus, 1000, 1000}, {Softplus, -1000, 0}, {Softplus, -40, math.Exp(-40)}, {Softplus, 0, math.Ln2},
		{Expm1, 1e-12, 1e-12}, {Expm1, -1000, -1}, {Tanh, 1e-12, 1e-12}, {Tanh, 1000, 1}, {Tanh, -1000, -1},
	} {
		got := Eval(Fn(test.op, x), map[string]float64{"x": test.x})
		if math.Abs(got-test.want) > 1e-11*math.Abs(test.want) {
			t.Errorf("%s(%g) = %g, want %g", test.op, test.x, got, test.want)
		}
	}
}
