package ir_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

// program lowers 3 -> 4 -> 2 with a learned slope a channel.
func program(t *testing.T) *ir.Program {
	t.Helper()
	prelu, _, _ := op.Find(op.Activations, "prelu")
	p, err := lower.Lower(nettest.New("small", 3).Linear(4, true).
		Activation(prelu, op.Values{"per": "channel"}).Linear(2, false).Network())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(buffers []*ir.Buffer) (list []string) {
	for _, b := range buffers {
		list = append(list, b.Name)
	}
	return list
}

func TestReadsAndWrites(t *testing.T) {
	p := program(t)
	steps := append(slices.Clone(p.Forward), p.Backward...)
	want := []struct{ text, reads, writes string }{
		{"linear z0", "x", "z0 a1"},
		{"linear z2", "a1", "z2"},
		{"gradinput", "dz2 z0", "dz0"},
		{"gradweight 2.weight", "dz2 a1", ""},
		{"gradweight 0.weight", "dz0 x", ""},
	}
	if len(steps) != len(want) {
		t.Fatalf("%d steps, want %d\n%s", len(steps), len(want), p)
	}
	for i, s := range steps {
		text := ir.StepString(s)
		reads, writes := strings.Join(names(ir.Reads(s)), " "), strings.Join(names(ir.Writes(s)), " ")
		if !strings.HasPrefix(text, want[i].text) || reads != want[i].reads || writes != want[i].writes {
			t.Errorf("%s: reads %q, writes %q, want %+v", text, reads, writes, want[i])
		}
	}
}

func TestLifetimes(t *testing.T) {
	p := program(t)
	// Steps: 0 and 1 forward, 2 the loss, 3 to 5 backward.
	want := map[string]ir.Lifetime{
		"z0": {First: 0, Last: 3}, "a1": {First: 0, Last: 4}, "z2": {First: 1, Last: 6},
		"dz2": {First: 2, Last: 4}, "dz0": {First: 3, Last: 5},
	}
	life := ir.Lifetimes(p)
	for _, b := range p.Buffers {
		if life[b] != want[b.Name] {
			t.Errorf("%s lives %v, want %v", b.Name, life[b], want[b.Name])
		}
	}
	if len(p.Buffers) != len(want) {
		t.Errorf("buffers %v", names(p.Buffers))
	}
	for _, b := range p.InferBuffers {
		if l := ir.InferLifetimes(p)[b]; b == p.InferRaw && l.Last != len(p.Infer) || l.First > l.Last {
			t.Errorf("%s lives %v", b.Name, l)
		}
	}
}

func TestSizes(t *testing.T) {
	p := program(t)
	for i, want := range []int{12, 4, 4, 8} {
		if got := p.Params[i].Size(); got != want {
			t.Errorf("%s has %d values, want %d", p.Params[i].Name, got, want)
		}
	}
	one := &ir.Param{Shape: []int{1}}
	for _, test := range []struct {
		m    ir.Map
		want bool
	}{
		{ir.Map{Width: 4}, false}, {ir.Map{Width: 4, Param: one}, false},
		{ir.Map{Width: 1, Param: one}, false}, {ir.Map{Width: 4, Param: &ir.Param{Shape: []int{4}}}, true},
	} {
		if got := test.m.PerChannel(); got != test.want {
			t.Errorf("%+v has one value a unit: %t, want %t", test.m, got, test.want)
		}
	}
}

// TestVerifyNamesTheFault: the message tells the program and what is wrong.
func TestVerifyNamesTheFault(t *testing.T) {
	p := program(t)
	if err := ir.Verify(p); err != nil {
		t.Fatal(err)
	}
	p.Forward[0], p.Forward[1] = p.Forward[1], p.Forward[0]
	err := ir.Verify(p)
	if err == nil || !strings.Contains(err.Error(), "small") || !strings.Contains(err.Error(), "reads a1 before it is written") {
		t.Errorf("got %v", err)
	}
}

// TestPrintShowsEverything: two programs that compute different things have
// different texts.
func TestPrintShowsEverything(t *testing.T) {
	right := program(t).String()
	for name, change := range map[string]func(*ir.Program){
		"batch":          func(p *ir.Program) { p.Batch++ },
		"full":           func(p *ir.Program) { p.Full = true },
		"initial values": func(p *ir.Program) { p.Params[0].Init.Scale *= 2 },
		"distribution":   func(p *ir.Program) { p.Params[0].Init.Kind = "constant" },
		"column":         func(p *ir.Program) { p.Buffers[0].Column++ },
		"bias":           func(p *ir.Program) { p.Forward[0].(*ir.Linear).Bias = nil },
		"operand":        func(p *ir.Program) { p.Forward[1].(*ir.Linear).X = p.Buffers[0] },
		"fused map":      func(p *ir.Program) { p.Forward[0].(*ir.Linear).Map = nil },
		"loss":           func(p *ir.Program) { p.Loss.Slope = expr.C(1) },
		"sum":            func(p *ir.Program) { p.Backward[0].(*ir.GradInput).Map.Sum = nil },
		"view":           func(p *ir.Program) { p.Backward[0].(*ir.GradInput).Map.Out[0].View.Offset = 1 },
		"fused update":   func(p *ir.Program) { p.Backward[1].(*ir.GradWeight).Update = false },
		"bias gradient":  func(p *ir.Program) { p.Backward[2].(*ir.GradWeight).Bias = nil },
		"updates":        func(p *ir.Program) { p.Updates = nil },
		"inference":      func(p *ir.Program) { p.Infer = p.Infer[1:] },
		"rule":           func(p *ir.Program) { p.Rule.W = expr.V("w") },
		"schedule":       func(p *ir.Program) { p.Schedule = expr.C(1) },
		"output":         func(p *ir.Program) { p.Transform.Value = expr.C(1) },
		"row-wise":       func(p *ir.Program) { p.Transform.Value, p.Transform.Rowwise = nil, ir.Argmax },
	} {
		p := program(t)
		change(p)
		if p.String() == right {
			t.Errorf("the text does not show a change of the %s", name)
		}
	}
}
