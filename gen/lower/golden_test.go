package lower_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

var update = flag.Bool("update", false, "record the golden files anew")

// slopes has one activation of each kind that a backward map treats in its own
// way: sign off the value, slope off the value, saved slope, learned slope,
// identity, and two in a row; and an optimizer with scalars to hoist.
func slopes() *spec.Network {
	return nettest.New("slopes", 3).Activation(activation("tanh"), nil).
		Linear(4, true).Activation(activation("relu"), nil).
		Linear(1, false).Activation(activation("identity"), nil).Activation(activation("sigmoid"), nil).
		Linear(5, true).Activation(activation("gelu"), nil).Activation(activation("elu"), op.Values{"alpha": 0.5}).
		Linear(5, true).Activation(activation("swish"), op.Values{"learn": true}).
		Loss(loss("huber"), nil).Batch(8).
		Optimizer(optimizer("adamw"), nil).
		Schedule(find(op.Schedules, "cosine"), op.Values{"warmup_epochs": 1.0}).
		Init(find(op.Inits, "torch")).Network()
}

// TestGoldenPrograms compares programs with what they were recorded as: a
// change of a pass shows as a change of text.
func TestGoldenPrograms(t *testing.T) {
	for _, net := range []*spec.Network{gated(), square(), slopes(), full()} {
		t.Run(net.Name, func(t *testing.T) {
			p := lower.Build(net)
			compareGolden(t, net.Name+".plain.golden", p)
			for _, pass := range lower.Passes {
				pass.Run(p)
			}
			compareGolden(t, net.Name+".golden", p)
		})
	}
}

func compareGolden(t *testing.T, name string, p *ir.Program) {
	t.Helper()
	name = filepath.Join("testdata", name)
	got := p.String()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (go test -update records it)", err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s:%d:\n got %s\nwant %s\n(go test -update records what is right now)", name, i+1, g[i], w[i])
		}
	}
	t.Fatalf("%s has %d lines, want %d (go test -update records what is right now)", name, len(g), len(w))
}

// TestLowerIsDeterministic: equal networks give equal programs.
func TestLowerIsDeterministic(t *testing.T) {
	for seed := range uint64(50) {
		first, err := lower.Lower(nettest.Random(seed, nettest.Small))
		if err != nil {
			t.Fatal(err)
		}
		second, err := lower.Lower(nettest.Random(seed, nettest.Small))
		if err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Errorf("two programs of seed %d differ", seed)
		}
	}
}

// TestNetworksWithoutParameters: nothing is learned, nothing is computed
// backward, and the outputs are still there.
func TestNetworksWithoutParameters(t *testing.T) {
	for _, net := range []*spec.Network{
		nettest.New("none", 2).Activation(activation("relu"), nil).Network(),
		nettest.New("nothing", 2).Activation(activation("identity"), nil).Network(),
	} {
		p, err := lower.Lower(net)
		if err != nil {
			t.Errorf("%s: %v", net.Name, err)
			continue
		}
		if len(p.Backward) != 0 || len(p.Params) != 0 {
			t.Errorf("%s: backward steps without a parameter\n%s", net.Name, p)
		}
	}
}
