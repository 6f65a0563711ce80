package cuda_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/expr"
)

// arguments are float32 in [-100, 100], dense near zero, and what is special.
func arguments() []float32 {
	list := []float32{
		0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
		math.SmallestNonzeroFloat32, 1e-40, -1e-40, math.MaxFloat32, -math.MaxFloat32, 88.72, 88.73, -87.3, -103.9, -104.1, 1, -1,
	}
	for x := 1e-6; x < 100; x *= 1.01 {
		list = append(list, float32(x), float32(-x))
	}
	for len(list)%plan.Threads != 0 {
		list = append(list, 0.5)
	}
	return list
}

// TestPrimitives compares every primitive that kernels may use with float64.
// A primitive that is not lowered fails here.
func TestPrimitives(t *testing.T) {
	t.Parallel()
	x := arguments()
	bind := map[string]string{"x": "x", "y": "y"}
	vx, vy := expr.V("x"), expr.V("y")
	nodes := map[string]*expr.Node{}
	var text strings.Builder
	var kernels []string
	for _, op := range expr.Ops() {
		if op.HostOnly() || op == expr.Const || op == expr.Var {
			continue
		}
		n := expr.Make(op, []*expr.Node{vx, vy, expr.C(-2.5)}[:op.Arity()]...)
		lines, value := cuda.LowerText(n, bind)
		kernel := "op_" + op.String()
		fmt.Fprintf(&text, "DNN_KERNEL(%s, 256, 1) {\nconst int i = dnn_block_x() * 256 + dnn_thread();\nconst float x = m[i], y = m[i + %d];\n%s\nm[i + %d] = %s;\n}\n",
			kernel, len(x), lines, 2*len(x), value)
		nodes[kernel] = n
		kernels = append(kernels, kernel)
	}
	prog := emulator.Compile(t, emulator.Options{}, text.String(), kernels)
	d := prog.StartArena(t, 3*len(x))
	y := make([]float32, len(x))
	for i := range y {
		y[i] = x[(i*7+3)%len(x)]
	}
	d.Write(0, x)
	d.Write(len(x), y)
	for _, k := range kernels {
		d.Launch([]*plan.Launch{{Name: k, Grid: [3]int{len(x) / plan.Threads, 1, 1}}})
		got := make([]float32, len(x))
		d.Read(2*len(x), got)
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
		bad := 0
		for i := range x {
			want := expr.Eval(nodes[k], map[string]float64{"x": float64(x[i]), "y": float64(y[i])})
			if !close32(got[i], want) && bad < 5 {
				t.Errorf("%s(%g, %g) is %.9g, want %.9g", k, x[i], y[i], got[i], want)
				bad++
			}
		}
	}
}

// close32 allows for four units in the last place of a float32.
func close32(got float32, want float64) bool {
	rounded := float32(want)
	if got == rounded || got != got && rounded != rounded {
		return true
	}
	return math.Abs(float64(got)-want) <= 4*math.Max(math.Abs(want)*0x1p-24, math.SmallestNonzeroFloat32)
}

// TestLiteral checks constants that need care in C++.
func TestLiteral(t *testing.T) {
	for v, want := range map[float64]string{1: "1.0f", -2.5: "(-2.5f)", 1e30: "1e+30f", math.Inf(1): "dnn_float(0x7f800000u)", math.Copysign(0, -1): "(-0.0f)"} {
		if _, got := cuda.LowerText(expr.C(v), nil); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
}
