package cuda_test

import (
	"math"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
)

// learningRate is that of a step.
func learningRate(pl *plan.Plan, c *golden.Case, step, perEpoch int) float64 {
	return expr.Eval(pl.Program.Schedule, map[string]float64{
		"lr": pl.Program.Settings.LR, "step": float64(step), "epoch": float64(step / perEpoch),
		"steps_per_epoch": float64(perEpoch), "epochs": float64(c.Net.Train.Epochs),
	})
}

// initial returns a reference case's initial parameters, in a program's order.
func initial(p *ir.Program, c *golden.Case) (params [][]float32) {
	for _, q := range p.Params {
		for _, init := range c.Init {
			if init.Name == q.Name {
				params = append(params, init.Data)
			}
		}
	}
	return params
}

// TestGolden trains every reference case on emulated kernels.
func TestGolden(t *testing.T) {
	t.Parallel()
	cases := golden.Load(t)
	var nets []emulator.Net
	for _, c := range cases {
		nets = append(nets, emulator.Net{Name: c.Name, Plan: planOf(t, c.Net)})
	}
	prog := emulator.Build(t, emulator.Options{}, nets...)
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			d := prog.Start(t, c.Name)
			d.Schedule = i % 4
			tr, losses := trainGolden(d, nets[i].Plan, c)
			p := nets[i].Plan.Program
			if err := c.CheckLosses(losses); err != nil {
				t.Error(err)
			}
			for i, q := range p.Params {
				if err := c.CheckParam(q.Name, tr.Slot(0, i)); err != nil {
					t.Error(err)
				}
			}
			for i, v := range tr.Infer(c.X, c.Rows) {
				if w := float64(c.Raw[i]); !(math.Abs(float64(v)-w) <= 1e-4*math.Max(1, math.Abs(w))) {
					t.Errorf("raw[%d] is %g, want %g", i, v, w)
					break
				}
			}
			if err := d.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// trainGolden trains a reference case and returns the losses.
func trainGolden(d *emulator.Device, pl *plan.Plan, c *golden.Case) (*emulator.Trainer, []float64) {
	p := pl.Program
	tr := emulator.NewTrainer(d, initial(p, c))
	if pl.Precision.Scaled {
		tr.SetScaling(emulator.Scaling{Scale: testScale})
	}
	var losses []float64
	batches := c.Batches()
	for s, b := range batches {
		rows := nettest.Batch{Rows: b[1] - b[0], X: c.X[b[0]*p.Input : b[1]*p.Input]}
		if c.Class != nil {
			rows.Class = c.Class[b[0]:b[1]]
		} else {
			rows.Value = c.Value[b[0]*p.Output : b[1]*p.Output]
		}
		lr := float64(float32(learningRate(pl, c, s, len(batches)/c.Net.Train.Epochs)))
		losses = append(losses, tr.Step(rows, lr, p.Settings.Momentum))
	}
	return tr, losses
}
