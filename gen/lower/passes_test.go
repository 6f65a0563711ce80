package lower_test

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/spec"
)

// networks is the number of random networks of the property tests;
// DNNGEN_NETWORKS asks for more.
func networks(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("DNNGEN_NETWORKS")
	if text == "" {
		return 250
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("DNNGEN_NETWORKS: %v", err)
	}
	return n
}

// chunk is the number of rows that the tests let gradient descent on the full
// set walk at a time: small, so that a few rows make several chunks.
const chunk = 4

// build lowers a network without any pass.
func build(net *spec.Network) *ir.Program {
	p := lower.Build(net)
	if p.Full {
		p.Batch = chunk
	}
	return p
}

// lowered lowers a network with all passes.
func lowered(t *testing.T, net *spec.Network) *ir.Program {
	t.Helper()
	p := build(net)
	for _, pass := range lower.Passes {
		pass.Run(p)
		if err := ir.Verify(p); err != nil {
			t.Fatalf("after %s: %v\n%s", pass.Name, err, p)
		}
	}
	return p
}

// trace is everything that a program computes in a short training.
type trace struct {
	name   []string
	values [][]float64
}

func (t *trace) add(name string, values []float64) {
	t.name = append(t.name, name)
	t.values = append(t.values, append([]float64(nil), values...))
}

// train makes three steps, the last of them on a short batch, and records
// losses, gradients, parameters, states and inferences.
func train(p *ir.Program, m *eval.Machine, seed uint64) *trace {
	t := &trace{}
	for i, q := range nettest.Params(p, seed) {
		copy(m.Params[i], nettest.Float64(q))
	}
	lr, momentum := p.Settings.LR, p.Settings.Momentum
	for step := range 3 {
		rows := p.Batch
		if p.Full {
			rows = 2*chunk + 1
		} else if step == 2 {
			rows = (rows + 1) / 2
		}
		x, y := nettest.Data(p, rows, seed*10+uint64(step)).Float64()
		t.add("loss before the gradient", []float64{m.Gradients(x, y, rows)})
		for i, q := range p.Params {
			t.add("gradient of "+q.Name, m.Grad(i))
		}
		t.add("loss", []float64{m.Step(x, y, rows, lr, momentum)})
		for i, q := range p.Params {
			t.add(q.Name, m.Params[i])
			for k, s := range p.Rule.States {
				t.add(s+" of "+q.Name, m.States[k][i])
			}
		}
		t.add("inference", m.Infer(x, rows))
	}
	return t
}

// differ returns the first place at which two traces differ by more than tol
// of the tensor's largest value, "" if there is none.
func (t *trace) differ(u *trace, tol float64) string {
	for i, want := range t.values {
		scale := 1e-3 // below this a tensor counts as 0
		for _, v := range want {
			scale = math.Max(scale, math.Abs(v))
		}
		for j, v := range want {
			if got := u.values[i][j]; !(math.Abs(got-v) <= tol*scale) {
				return fmt.Sprintf("%s[%d] = %.17g, want %.17g", t.name[i], j, got, v)
			}
		}
	}
	return ""
}

// TestPassesKeepWhatIsComputed runs random networks after Build alone and
// after each pass: all compute the same, and all are accepted by ir.Verify.
func TestPassesKeepWhatIsComputed(t *testing.T) {
	for seed := range networks(t) {
		net := nettest.Random(seed, nettest.Small)
		plain := build(net)
		if err := ir.Verify(plain); err != nil {
			t.Fatalf("after Build: %v\n%s", err, net.Text)
		}
		want := train(plain, eval.New(plain), seed)
		for i, values := range want.values {
			for _, v := range values {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%s is not finite\n%s", want.name[i], net.Text)
				}
			}
		}
		p := build(net)
		for _, pass := range lower.Passes {
			pass.Run(p)
			if err := ir.Verify(p); err != nil {
				t.Fatalf("after %s: %v\n%s\n%s", pass.Name, err, net.Text, p)
			}
			if d := want.differ(train(p, eval.New(p), seed), 1e-12); d != "" {
				t.Errorf("after %s: %s\n%s\n%s", pass.Name, d, net.Text, p)
				break
			}
		}
		if d := want.differ(train(p, eval.InArena(p), seed), 1e-12); d != "" {
			t.Errorf("in one arena: %s\n%s\n%s", d, net.Text, p)
		}
	}
}
