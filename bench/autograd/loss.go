package autograd

import (
	"math"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/scalar"
	"github.com/dnngen/dnngen/spec"
)

// loss computes a mean and records how to come back.
type loss interface {
	forward(t *tape, raw *tensor, y engine.Target) float64
}

func newLoss(net *spec.Network) loss {
	if net.Loss.Rowwise == op.SoftmaxCrossEntropy {
		return crossEntropy{}
	}
	value, slope := net.Loss.Expr(net.LossSet)
	vars := []string{op.VarZ, op.VarY}
	slope = expr.Prod(expr.V(varShare), slope)
	return &elementLoss{
		value: compile([]*expr.Node{value}, vars, make([]string, 1)),
		slope: compile([]*expr.Node{slope}, vars, make([]string, 1)),
	}
}

// varShare is the weight of an element in the mean.
const varShare = "share"

// elementLoss compares each output with its target.
type elementLoss struct {
	value, slope *program
	in, out      []column
	numbers      [1]float64
}

func (l *elementLoss) forward(t *tape, raw *tensor, y engine.Target) float64 {
	out := t.make(raw.rows, raw.cols)
	n := len(raw.data)
	l.in = append(l.in[:0], plain(raw.data), plain(y.Value[:n]))
	l.out = append(l.out[:0], plain(out.data))
	t.workers.run(job{program: l.value, n: n, in: l.in, out: l.out})
	t.record(record{back: l, in: raw, out: out, target: y})
	return total(out.data) / float64(n)
}

func (l *elementLoss) backward(t *tape, r *record) {
	dz, _ := t.gradOf(r.in)
	n := len(dz)
	l.in = append(l.in[:0], plain(r.in.data), plain(r.target.Value[:n]))
	l.out = append(l.out[:0], plain(dz))
	l.numbers[0] = 1 / float64(n)
	t.workers.run(job{program: l.slope, n: n, in: l.in, out: l.out, numbers: l.numbers[:]})
}

// crossEntropy compares a row of logits with the index of its class. What it
// makes are the probabilities, which backward needs.
type crossEntropy struct{}

func (l crossEntropy) forward(t *tape, raw *tensor, y engine.Target) float64 {
	out := t.make(raw.rows, raw.cols)
	sum := 0.0
	for r := range raw.rows {
		z, p := raw.data[r*raw.cols:][:raw.cols], out.data[r*raw.cols:][:raw.cols]
		top := z[0]
		for _, v := range z {
			top = max(top, v)
		}
		all := 0.0
		for i, v := range z {
			p[i] = scalar.Exp(v - top)
			all += float64(p[i])
		}
		scale := float32(1 / all)
		for i := range p {
			p[i] *= scale
		}
		sum += math.Log(all) + float64(top) - float64(z[y.Class[r]])
	}
	t.record(record{back: l, in: raw, out: out, target: y})
	return sum / float64(raw.rows)
}

func (l crossEntropy) backward(t *tape, r *record) {
	dz, _ := t.gradOf(r.in)
	share := 1 / float32(r.in.rows)
	for i, p := range r.out.data {
		dz[i] = p * share
	}
	for row := range r.in.rows {
		dz[row*r.in.cols+int(r.target.Class[row])] -= share
	}
}
