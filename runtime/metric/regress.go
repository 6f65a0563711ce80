package metric

import (
	"math"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

// regression measures numbers by their distance from the targets.
func regression(r *Report, n *engine.Network, raw []float32, s *data.Set) {
	out := raw
	if n.OutputWidth == n.Outputs {
		out = make([]float32, len(raw))
		n.Transform(raw, out, s.Rows)
	}
	target := s.Target.Value
	abs, square := 0.0, 0.0
	for i, t := range target {
		d := float64(out[i]) - float64(t)
		abs += math.Abs(d)
		square += d * d
	}
	values := float64(len(target))
	r.MAE = number(abs / values)
	r.RMSE = number(math.Sqrt(square / values))
	r.R2 = number(meanR2(out, target, s.Rows, n.Outputs))
}

func meanR2(out, target []float32, rows, width int) float64 {
	sum, defined := 0.0, 0
	for k := range width {
		if v := r2(out[k:], target[k:], rows, width); !math.IsNaN(v) {
			sum += v
			defined++
		}
	}
	return sum / float64(defined)
}

// r2 returns the coefficient of determination 1 - SSres/SStot of rows values
// that lie stride apart; NaN where the targets do not vary.
func r2(out, target []float32, rows, stride int) float64 {
	mean := 0.0
	for i := range rows {
		mean += float64(target[i*stride])
	}
	mean /= float64(rows)
	residual, total := 0.0, 0.0
	for i := range rows {
		t := float64(target[i*stride])
		d := float64(out[i*stride]) - t
		residual += d * d
		total += (t - mean) * (t - mean)
	}
	if total == 0 {
		return math.NaN()
	}
	return 1 - residual/total
}
