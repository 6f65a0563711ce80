package trainer

import (
	"math"

	"github.com/dnngen/dnngen/runtime/chart"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/rundir"
)

// curves gathers the learning curves of a training.
type curves struct {
	perEpoch float64 // steps
	steps    chart.Trace
	train    chart.Trace
	test     chart.Trace
	accuracy chart.Trace
}

func (c *curves) step(s loop.Step) { c.steps.Add(float64(s.Step)/c.perEpoch, s.Loss) }

func (c *curves) epoch(e rundir.EpochLine) {
	x := float64(e.Epoch + 1)
	// The mean over an epoch belongs to the middle of it.
	c.train.Add(x-0.5, e.TrainLoss)
	if e.Test == nil {
		return
	}
	c.test.Add(x, float64(e.Test.Loss))
	if e.Test.Accuracy != nil && !math.IsNaN(float64(*e.Test.Accuracy)) {
		c.accuracy.Add(x, float64(*e.Test.Accuracy))
	}
}

// svg draws the losses and, where there is one, the test accuracy.
func (c *curves) svg(n *engine.Network) []byte {
	loss := chart.Panel{YLabel: n.Loss, Series: []chart.Series{
		{Name: "train, single steps", Points: c.steps.Points(), Faint: true},
		{Name: "train, mean of the epoch", Points: c.train.Points()},
	}}
	if p := c.test.Points(); len(p) > 0 {
		loss.Series = append(loss.Series, chart.Series{Name: "test", Points: p})
	}
	out := chart.Chart{Title: n.Name + ": learning curves", XLabel: "epoch", Panels: []chart.Panel{loss}}
	if p := c.accuracy.Points(); len(p) > 0 {
		out.Panels = append(out.Panels, chart.Panel{YLabel: "accuracy", Series: []chart.Series{{Name: "test", Points: p}}})
	}
	return out.SVG()
}
