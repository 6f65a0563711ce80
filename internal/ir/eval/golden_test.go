package eval_test

import (
	"math"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// TestGolden repeats PyTorch's float64 trainings: the interpreter is the
// reference that backends are compared with, and this is what it is held to.
func TestGolden(t *testing.T) {
	for _, c := range golden.Load(t) {
		t.Run(c.Name, func(t *testing.T) {
			plain := lower.Build(c.Net)
			train(t, c, plain, eval.New(plain))
			final, err := lower.Lower(c.Net)
			if err != nil {
				t.Fatal(err)
			}
			train(t, c, final, eval.InArena(final))
			predict(t, c, final)
		})
	}
}

func train(t *testing.T, c *golden.Case, p *ir.Program, m *eval.Machine) {
	t.Helper()
	write(t, p, m, c.Init)
	x := nettest.Float64(c.X)
	for i, rows := range c.Batches() {
		lo, hi := rows[0], rows[1]
		got := m.Step(x[lo*p.Input:hi*p.Input], target(c, p, lo, hi), hi-lo, p.Settings.LR, p.Settings.Momentum)
		if want := c.Losses[i]; !(math.Abs(got-want) <= 1e-12*math.Max(1, math.Abs(want))) {
			t.Fatalf("loss %d is %.17g, want %.17g", i, got, want)
		}
	}
	for i, q := range p.Params {
		want := find(t, c.Final, q)
		for j, v := range m.Params[i] {
			// The file holds float32.
			if d := math.Abs(v - float64(want.Data[j])); !(d <= 0x1p-24*math.Abs(v)+1e-12) {
				t.Fatalf("%s[%d] is %.17g, want %.9g", q.Name, j, v, want.Data[j])
			}
		}
	}
}

func predict(t *testing.T, c *golden.Case, p *ir.Program) {
	t.Helper()
	m := eval.New(p)
	write(t, p, m, c.Final)
	raw := m.Infer(nettest.Float64(c.X), c.Rows)
	near := func(what string, i int, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-5*math.Max(1, math.Abs(want))) {
			t.Fatalf("%s %d is %g, want %g", what, i, got, want)
		}
	}
	for i, v := range raw {
		near("raw output", i, v, float64(c.Raw[i]))
	}
	transformed := transform(p, raw)
	if len(transformed) != len(c.Output) {
		t.Fatalf("%d outputs, want %d", len(transformed), len(c.Output))
	}
	for i, v := range transformed {
		near("output", i, v, float64(c.Output[i]))
	}
}

// transform applies the output transformation to raw outputs.
func transform(p *ir.Program, raw []float64) (out []float64) {
	if p.Transform.Value != nil {
		for _, z := range raw {
			out = append(out, expr.Eval(p.Transform.Value, map[string]float64{ir.VarZ: z}))
		}
		return out
	}
	for lo := 0; lo < len(raw); lo += p.Output {
		row := raw[lo : lo+p.Output]
		top, sum := 0, 0.0
		for i, z := range row {
			if z > row[top] {
				top = i
			}
			sum += math.Exp(z)
		}
		switch p.Transform.Rowwise {
		case ir.Argmax:
			out = append(out, float64(top))
		case ir.Indicator:
			for i := range row {
				out = append(out, 0)
				if i == top {
					out[len(out)-1] = 1
				}
			}
		case ir.Softmax:
			for _, z := range row {
				out = append(out, math.Exp(z)/sum)
			}
		}
	}
	return out
}

func target(c *golden.Case, p *ir.Program, lo, hi int) (y eval.Target) {
	if c.Class == nil {
		return eval.Target{Value: nettest.Float64(c.Value[lo*p.Output : hi*p.Output])}
	}
	for _, class := range c.Class[lo:hi] {
		y.Class = append(y.Class, int(class))
	}
	return y
}

func write(t *testing.T, p *ir.Program, m *eval.Machine, tensors []safetensors.Tensor) {
	t.Helper()
	if len(tensors) != len(p.Params) {
		t.Fatalf("%d tensors for %d parameters", len(tensors), len(p.Params))
	}
	for i, q := range p.Params {
		copy(m.Params[i], nettest.Float64(find(t, tensors, q).Data))
	}
}

// find returns the tensor of a parameter, whose shape must be PyTorch's.
func find(t *testing.T, tensors []safetensors.Tensor, q *ir.Param) safetensors.Tensor {
	t.Helper()
	for _, tensor := range tensors {
		if tensor.Name == q.Name && slices.Equal(tensor.Shape, q.Shape) {
			return tensor
		}
	}
	t.Fatalf("no tensor %s of shape %v", q.Name, q.Shape)
	return safetensors.Tensor{}
}
