package testnet

import (
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
)

// loss returns the mean loss of raw [rows, width] and writes its gradient to
// grad [rows, width] where grad is not nil.
func loss(name string, raw []float32, y engine.Target, grad []float32, rows, width int) float64 {
	sum := 0.0
	for r := range rows {
		z := raw[r*width : (r+1)*width]
		if name == "cross_entropy" {
			lse := logSumExp(z)
			c := y.Class[r]
			sum += lse - float64(z[c])
			for k := range z {
				if grad == nil {
					break
				}
				p := math.Exp(float64(z[k]) - lse)
				if int32(k) == c {
					p--
				}
				grad[r*width+k] = float32(p / float64(rows))
			}
			continue
		}
		for k, zk := range z {
			v, t := float64(zk), float64(y.Value[r*width+k])
			var l, g float64
			if name == "bce_with_logits" {
				l = math.Max(v, 0) - v*t + math.Log1p(math.Exp(-math.Abs(v)))
				g = 1/(1+math.Exp(-v)) - t
			} else {
				l, g = (v-t)*(v-t), 2*(v-t)
			}
			sum += l
			if grad != nil {
				grad[r*width+k] = float32(g / float64(rows*width))
			}
		}
	}
	if name == "cross_entropy" {
		return sum / float64(rows)
	}
	return sum / float64(rows*width)
}

func logSumExp(z []float32) float64 {
	high := math.Inf(-1)
	for _, v := range z {
		high = math.Max(high, float64(v))
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(float64(v) - high)
	}
	return high + math.Log(sum)
}
