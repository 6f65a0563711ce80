package lower_test

import (
	"math"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// TestInitialDistributions checks what each parameter is drawn from: by the
// activation that follows its layer, also where that is the last item.
func TestInitialDistributions(t *testing.T) {
	leaky := op.Values{"alpha": 0.5}
	net := func(init string) *spec.Network {
		return nettest.New("init", 6).Linear(4, true).Activation(activation("leaky_relu"), leaky).
			Linear(3, true).Linear(2, true).Activation(activation("selu"), nil).
			Linear(8, false).Activation(activation("swish"), op.Values{"beta": 1.5, "learn": true}).
			Linear(5, true).Activation(activation("tanh"), nil).Init(find(op.Inits, init)).Network()
	}
	gain := math.Sqrt(2 / (1 + 0.25))
	for init, want := range map[string]map[string]ir.Init{
		"auto": {
			"0.weight": {Kind: "normal", Scale: gain / math.Sqrt(6)}, "0.bias": {Kind: "constant"},
			"2.weight": {Kind: "uniform", Scale: math.Sqrt(6.0 / (4 + 3))}, "2.bias": {Kind: "constant"},
			"3.weight": {Kind: "normal", Scale: 1 / math.Sqrt(3)}, "3.bias": {Kind: "constant"},
			"5.weight": {Kind: "normal", Scale: math.Sqrt2 / math.Sqrt(2)},
			"6.beta":   {Kind: "constant", Scale: 1.5},
			"7.weight": {Kind: "uniform", Scale: 5.0 / 3 * math.Sqrt(6.0/(8+5))}, "7.bias": {Kind: "constant"},
		},
		"torch": {
			"0.weight": {Kind: "uniform", Scale: 1 / math.Sqrt(6)}, "0.bias": {Kind: "uniform", Scale: 1 / math.Sqrt(6)},
			"2.weight": {Kind: "uniform", Scale: 0.5}, "2.bias": {Kind: "uniform", Scale: 0.5},
			"3.weight": {Kind: "uniform", Scale: 1 / math.Sqrt(3)}, "3.bias": {Kind: "uniform", Scale: 1 / math.Sqrt(3)},
			"5.weight": {Kind: "uniform", Scale: 1 / math.Sqrt(2)},
			"6.beta":   {Kind: "constant", Scale: 1.5},
			"7.weight": {Kind: "uniform", Scale: 1 / math.Sqrt(8)}, "7.bias": {Kind: "uniform", Scale: 1 / math.Sqrt(8)},
		},
	} {
		p := lower.Build(net(init))
		if len(p.Params) != len(want) {
			t.Fatalf("%d parameters, want %d", len(p.Params), len(want))
		}
		for _, q := range p.Params {
			w := want[q.Name]
			if q.Init.Kind != w.Kind || math.Abs(q.Init.Scale-w.Scale) > 1e-15 {
				t.Errorf("%s: %s is drawn from %+v, want %+v", init, q.Name, q.Init, w)
			}
		}
	}
}

// TestSettingsAreCarriedOver: what the emitted network tells of itself is what
// the spec says.
func TestSettingsAreCarriedOver(t *testing.T) {
	net := gated()
	net.Data = spec.Data{
		Train: "a.csv", Test: "20%", Target: "y", Features: []string{"a", "b"}, Categorical: []string{"b"},
		Scale: spec.Scale{Kind: "divide", Factor: 16}, Missing: spec.Missing{Kind: "const", Value: 3},
	}
	p := lower.Build(net)
	s := p.Settings
	if s.Loss != net.Loss.Name || s.Metrics != string(net.Loss.Metrics) || s.Output != net.Transform.Name ||
		s.Optimizer != "sgd" || s.Epochs != net.Train.Epochs || s.Seed != net.Train.Seed || s.LR != 0.05 || s.Momentum != 0.9 {
		t.Errorf("settings %+v", s)
	}
	d := s.Data
	if d.Train != "a.csv" || d.Test != "20%" || d.Target != "y" || len(d.Features) != 2 || len(d.Categorical) != 1 ||
		d.ScaleKind != "divide" || d.ScaleFactor != 16 || d.MissingKind != "const" || d.MissingValue != 3 {
		t.Errorf("data %+v", d)
	}
	if p.Name != net.Name || p.Source != net.File || p.Text != net.Text || p.Input != 3 || p.Output != 2 || p.Batch != 3 || p.Full {
		t.Errorf("program %s of %s: %d -> %d, batch %d", p.Name, p.Source, p.Input, p.Output, p.Batch)
	}
	for i, l := range p.Layers {
		n := net.Layers[i]
		linear := n.Activation == nil
		if l.Name != n.Name || l.In != n.In || l.Out != n.Out || l.Line != n.Line || l.Text != n.Text || l.Linear != linear || (l.Formula == "") != linear {
			t.Errorf("layer %d is %+v", i, l)
		}
	}
}

// TestPassesDoTheirWork: a pass that does nothing would keep what is computed,
// too.
func TestPassesDoTheirWork(t *testing.T) {
	count := func(p *ir.Program) (maps, fused, updates int) {
		for _, s := range slices.Concat(p.Forward, p.Backward, p.Infer) {
			if _, ok := s.(*ir.Map); ok {
				maps++
			} else if ir.FusedMap(s) != nil {
				fused++
			}
			if g, ok := s.(*ir.GradWeight); ok && g.Update {
				updates++
			}
		}
		return maps, fused, updates
	}
	p := lowered(t, square())
	if maps, fused, updates := count(p); maps != 0 || fused != 15 || updates != 6 {
		t.Errorf("%d maps alone, %d fused, %d fused updates\n%s", maps, fused, updates, p)
	}
	if n := len(p.Updates); n != 2 {
		t.Errorf("%d updates at the end, want those of the learned slopes", n)
	}
	plainWidth := 0
	for _, b := range p.Buffers {
		plainWidth += b.Width
	}
	if p.ArenaWidth >= plainWidth || p.InferWidth != 8 {
		t.Errorf("the arena takes %d of %d columns, that of inference %d", p.ArenaWidth, plainWidth, p.InferWidth)
	}
	// Slopes: off the value (leaky_relu, sigmoid), z itself for a learned slope.
	roles := map[ir.Role]int{}
	for _, b := range p.Buffers {
		roles[b.Role]++
	}
	if roles[ir.Preact] != 3 || roles[ir.Slope] != 0 || roles[ir.Activation] != 5 {
		t.Errorf("buffers by role: %v\n%s", roles, p)
	}
	if p := lowered(t, one("gelu", nil)); !slices.ContainsFunc(p.Buffers, func(b *ir.Buffer) bool { return b.Role == ir.Slope }) {
		t.Errorf("no slope is saved\n%s", p)
	}
	adam := lowered(t, slopes())
	if n := len(adam.Rule.Scalars); n != 4 {
		t.Errorf("%d scalars, want Adam's two and the two hoisted ones\n%s", n, adam)
	}
}
