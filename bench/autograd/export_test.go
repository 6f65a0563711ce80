package autograd

import (
	"math"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
)

// CheckPrimitive runs a primitive on arguments that vary and on numbers, in
// every combination, over more than a piece.
func CheckPrimitive(t *testing.T, o expr.Op) {
	t.Helper()
	names := []string{"x", "y", "w"}[:o.Arity()]
	const n = 2*piece + 7
	for fixed := range 1 << o.Arity() {
		if fixed == 1<<o.Arity()-1 {
			continue // nothing varies
		}
		var args []*expr.Node
		var vars []string
		var in []column
		for i, name := range names {
			args = append(args, expr.V(name))
			if fixed>>i&1 == 0 {
				vars = append(vars, name)
				in = append(in, plain(values(n, i)))
			}
		}
		p := compile([]*expr.Node{expr.Make(o, args...)}, vars, []string{""})
		var numbers []float64
		for range p.scalars.Vars() {
			numbers = append(numbers, 0.75)
		}
		out := make([]float32, n)
		w := newWorkers(1)
		w.run(job{program: p, n: n, in: in, out: []column{plain(out)}, numbers: numbers})
		for i, got := range out {
			at := map[string]float64{}
			for k, name := range names {
				at[name] = 0.75
				if fixed>>k&1 == 0 {
					at[name] = float64(values(n, k)[i])
				}
			}
			want := expr.Eval(expr.Make(o, args...), at)
			if !(math.Abs(float64(got)-want) <= 1e-6*math.Max(1, math.Abs(want))) && !(math.IsNaN(want) && math.IsNaN(float64(got))) {
				t.Errorf("%s of %v is %g, want %g", o, at, got, want)
				return
			}
		}
	}
}

// values are numbers around 0, never 0 itself.
func values(n, seed int) []float32 {
	list := make([]float32, n)
	for i := range list {
		list[i] = float32((i*7+seed*3)%23)/4 - 2.6
	}
	return list
}
