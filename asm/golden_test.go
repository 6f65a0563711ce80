package asm_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/ran"
	"github.com/dnngen/dnngen/asm/internal/runner"
	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// devices are the instruction sets under test: those of this machine.
func devices() (names []string) {
	for _, isa := range vec.ISAs {
		if ran.Missing(isa.String()) == nil {
			names = append(names, "cpu:"+isa.String())
		}
	}
	return names
}

// lacking are the instruction sets that this machine has not; they are emulated.
func lacking() (names []string) {
	for _, isa := range vec.ISAs {
		if ran.Missing(isa.String()) != nil {
			names = append(names, "cpu:"+isa.String())
		}
	}
	return names
}

// request asks for a training of a program.
func request(p *ir.Program, net, device string, threads int) runner.Request {
	q := runner.Request{Net: net, Device: device, Threads: threads, Outputs: p.Output, States: len(p.Rule.States)}
	for _, param := range p.Params {
		q.Sizes = append(q.Sizes, param.Size())
	}
	return q
}

// rate is the learning rate of a step.
func rate(p *ir.Program, net *spec.Network, step, perEpoch int) float64 {
	return expr.Eval(p.Schedule, map[string]float64{
		"lr": p.Settings.LR, "step": float64(step), "epoch": float64(step / perEpoch),
		"steps_per_epoch": float64(perEpoch), "epochs": float64(net.Train.Epochs),
	})
}

func goldenRequest(t *testing.T, c *golden.Case, p *ir.Program, device string, threads int) runner.Request {
	q := request(p, c.Name, device, threads)
	for _, param := range p.Params {
		found := false
		for _, init := range c.Init {
			if init.Name == param.Name {
				q.Params = append(q.Params, init.Data)
				found = true
			}
		}
		if !found {
			t.Fatalf("%s lacks %s", c.Name, param.Name)
		}
	}
	batches := c.Batches()
	perEpoch := len(batches) / c.Net.Train.Epochs
	for i, b := range batches {
		lo, hi := b[0], b[1]
		q.Steps = append(q.Steps, engines.Step{
			X: c.X[lo*p.Input : hi*p.Input], Target: engine.Target{Class: c.Class, Value: c.Value}.Rows(lo, hi, p.Output), Rows: hi - lo,
			Hyper: engine.Hyper{LR: float32(rate(p, c.Net, i, perEpoch)), Momentum: float32(p.Settings.Momentum), Step: int64(i + 1)},
		})
	}
	q.Infer, q.InferRows = c.X, c.Rows
	return q
}

// TestGolden trains every reference case on every instruction set, on an emulator of
// those that this machine lacks.
func TestGolden(t *testing.T) {
	cases := golden.Load(t)
	programs := map[string]*ir.Program{}
	for _, c := range cases {
		p, err := lower.Lower(c.Net)
		if err != nil {
			t.Fatal(err)
		}
		programs[c.Name] = p
	}
	prog := build(t, programs)
	for _, c := range cases {
		for _, device := range devices() {
			t.Run(fmt.Sprintf("%s/%s", c.Name, device), func(t *testing.T) {
				q := goldenRequest(t, c, programs[c.Name], device, 2)
				q.Allocs = true
				r := prog.run(t, q)
				checkGolden(t, c, programs[c.Name], r)
				if r.Allocs != 0 {
					t.Errorf("%v allocations a step", r.Allocs)
				}
			})
		}
		for _, device := range lacking() {
			t.Run(fmt.Sprintf("%s/%s/emulated", c.Name, device), func(t *testing.T) {
				q := goldenRequest(t, c, programs[c.Name], device, 2)
				q.Emulate = true
				checkGolden(t, c, programs[c.Name], prog.run(t, q))
			})
		}
	}
}

// checkGolden compares a training with the reference.
func checkGolden(t *testing.T, c *golden.Case, p *ir.Program, r runner.Response) {
	t.Helper()
	if err := c.CheckLosses(r.Losses); err != nil {
		t.Error(err)
	}
	for i, param := range p.Params {
		if err := c.CheckParam(param.Name, r.Slots[0][i]); err != nil {
			t.Error(err)
		}
	}
	for i, v := range r.Raw {
		if w := float64(c.Raw[i]); !(math.Abs(float64(v)-w) <= 1e-4*math.Max(1, math.Abs(w))) {
			t.Errorf("raw[%d] is %g, want %g", i, v, w)
			break
		}
	}
}
