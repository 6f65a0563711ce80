package driver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
)

// TestHostLowersEveryPrimitive: what is computed once a step may use every
// primitive but those of the kernels alone. A new primitive fails here until it
// has its place.
func TestHostLowersEveryPrimitive(t *testing.T) {
	kernelsOnly := []expr.Op{expr.Sigmoid, expr.Softplus, expr.Select}
	for _, op := range expr.Ops() {
		args := []*expr.Node{expr.V("x"), expr.V("y"), expr.V("z")}[:op.Arity()]
		if op.Arity() == 0 {
			continue
		}
		text := func() (text string) {
			defer func() {
				if p := recover(); p != nil {
					text = fmt.Sprint("panic: ", p)
				}
			}()
			return fmt.Sprintf("%#v", hostExpr(expr.Make(op, args...), 0))
		}()
		if got, want := strings.HasPrefix(text, "panic"), slices.Contains(kernelsOnly, op); got != want {
			t.Errorf("%s: %s", op, text)
		}
	}
}
