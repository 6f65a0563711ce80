package golang

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
)

// emitted is the Go code of one primitive over x, y and z, or the panic of a
// primitive that is not lowered.
func emitted(a arith, op expr.Op) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint("panic: ", p)
		}
	}()
	bind := map[string]code{"x": id("x"), "y": id("y"), "z": id("z")}
	args := []*expr.Node{expr.V("x"), expr.V("y"), expr.V("z")}
	f := jen.NewFile("p")
	f.Func().Id("f").Params().BlockFunc(func(g *jen.Group) {
		g.Return(lower(g, a, bind, expr.Make(op, args[:op.Arity()]...))[0])
	})
	return fmt.Sprintf("%#v", f)
}

// TestEveryPrimitive: kernels lower every primitive but those of the host
// alone, and the host every one but those that no formula of a step may use. A
// new primitive fails here until it has its place.
func TestEveryPrimitive(t *testing.T) {
	kernelsOnly := []expr.Op{expr.Sigmoid, expr.Softplus}
	for _, op := range expr.Ops() {
		if op.Arity() == 0 {
			continue
		}
		for _, c := range []struct {
			arith   arith
			refused bool
		}{{kernelArith, op.HostOnly()}, {hostArith, slices.Contains(kernelsOnly, op)}} {
			text := emitted(c.arith, op)
			if got := strings.HasPrefix(text, "panic"); got != c.refused {
				t.Errorf("%s in %s: %s", op, c.arith.kind, text)
			}
			if !c.refused && !strings.Contains(text, "x") {
				t.Errorf("%s in %s does not read its argument: %s", op, c.arith.kind, text)
			}
		}
	}
}
