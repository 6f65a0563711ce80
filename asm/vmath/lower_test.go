package vmath_test

import (
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/asm/vmath"
	"github.com/dnngen/dnngen/internal/expr"
)

// lower returns the assembly of the roots, over variables in memory.
func lower(isa vec.ISA, roots ...*expr.Node) (string, error) {
	e := vec.New(isa, "consts")
	e.Function("f")
	e.SignatureExpr("func(x *float32)")
	p := e.Load(e.Param("x"), e.GP64())
	vars := map[string]vec.Val{}
	for i, name := range []string{"x", "y", "z"} {
		vars[name] = e.LoadVec(operand.Mem{Base: p, Disp: 64 * i})
	}
	values, err := vmath.Lower(e, roots, vars)
	if err != nil {
		return "", err
	}
	for i, v := range values {
		e.StoreVec(v, operand.Mem{Base: p, Disp: 64 * i})
	}
	e.RET()
	files, err := e.Compile("a test", "kernels")
	return string(files.Asm), err
}

// TestEveryPrimitive: what the host alone computes is refused, all else is
// lowered for every instruction set.
func TestEveryPrimitive(t *testing.T) {
	args := []*expr.Node{expr.V("x"), expr.V("y"), expr.V("z")}
	for _, o := range expr.Ops() {
		if o.Arity() == 0 {
			continue
		}
		n := expr.Make(o, args[:o.Arity()]...)
		for _, isa := range vec.ISAs {
			_, err := lower(isa, n)
			if o.HostOnly() && (err == nil || !strings.Contains(err.Error(), "is not lowered")) {
				t.Errorf("%s: error %v, want a refusal", o, err)
			}
			if !o.HostOnly() && err != nil {
				t.Errorf("%s for %s: %v", o, isa, err)
			}
		}
	}
}

func TestUnknownVariable(t *testing.T) {
	_, err := lower(vec.AVX2, expr.Sum(expr.V("x"), expr.V("other")))
	if err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("error %v, want the variable's name", err)
	}
}

// TestShapes counts instructions of lowered expressions.
func TestShapes(t *testing.T) {
	x, y, z := expr.V("x"), expr.V("y"), expr.V("z")
	sigmoid, softplus := expr.Fn(expr.Sigmoid, x), expr.Fn(expr.Softplus, x)
	sum := expr.Sum(x, y)
	for _, c := range []struct {
		name        string
		roots       []*expr.Node
		instruction string
		want        int
	}{
		{"a shared function", []*expr.Node{sigmoid, expr.Prod(sigmoid, expr.Diff(expr.C(1), sigmoid))}, "VDIVPS", 1},
		{"a shared exponential", []*expr.Node{sigmoid, softplus}, "VMAXPS", 2}, // one clamp, one max(x, 0)
		{"a shared sum", []*expr.Node{expr.Prod(sum, x), expr.Quot(sum, y)}, "VADDPS", 1},
		{"a product in a sum", []*expr.Node{expr.Sum(expr.Prod(x, y), z)}, "VMULPS", 0},
		{"a product subtracted", []*expr.Node{expr.Diff(z, expr.Prod(x, y))}, "VFNMADD", 1},
		{"a product less something", []*expr.Node{expr.Diff(expr.Prod(x, y), z)}, "VFMSUB", 1},
		{"a product with two uses", []*expr.Node{expr.Prod(x, y), expr.Sum(expr.Prod(x, y), z)}, "VMULPS", 1},
		{"division by 4", []*expr.Node{expr.Quot(x, expr.C(4))}, "VDIVPS", 0},
		{"division by 3", []*expr.Node{expr.Quot(x, expr.C(3))}, "VDIVPS", 1},
		{"twice", []*expr.Node{expr.Prod(expr.C(2), x)}, "VADDPS", 1},
		{"a rectifier", []*expr.Node{expr.IfNotPositive(x, expr.C(0), x)}, "VCMPPS", 0},
		{"a choice by a difference", []*expr.Node{expr.IfNotPositive(expr.Diff(x, expr.C(3)), y, z)}, "VSUBPS", 0},
	} {
		for _, isa := range vec.ISAs {
			text, err := lower(isa, c.roots...)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(text, "\t"+c.instruction); n != c.want {
				t.Errorf("%s on %s: %d of %s, want %d:\n%s", c.name, isa, n, c.instruction, c.want, text)
			}
		}
	}
}

// TestHoist takes what is uniform out of an update like Adam's.
func TestHoist(t *testing.T) {
	g, w := expr.V("g"), expr.V("w")
	rate := expr.Quot(expr.V("lr"), expr.V("c1"))
	root := expr.Diff(w, expr.Prod(rate, expr.Quot(g, expr.V("c2"))))
	taken, roots := vmath.Hoist([]*expr.Node{root, rate}, func(name string) bool { return name != "g" && name != "w" })
	var got []string
	for _, h := range taken {
		got = append(got, h.Name+" = "+h.Expr.String())
	}
	want := []string{"hoisted0 = lr/c1", "hoisted1 = 1/c2"}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("took %v, want %v", got, want)
	}
	if s := roots[0].String(); s != "w - hoisted0*(g*hoisted1)" {
		t.Errorf("left %s", s)
	}
	if s := roots[1].String(); s != "hoisted0" {
		t.Errorf("a root that is uniform became %s", s)
	}
}
