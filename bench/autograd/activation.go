package autograd

import (
	"fmt"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// activation applies a row of the table to its input, element by element.
type activation struct {
	out   int  // width of a row
	gated bool // reads the even and the odd columns of its input
	param *tensor
	// perChannel tells that the learned parameter has one value a column.
	perChannel bool

	value  *program // over the inputs
	slopes *program // the gradients of z, of the gate and of the parameter
	reads  []string // the variables of slopes

	in, grads []column // of a run, kept for the next
	numbers   []float64
}

// activation makes the layer of an activation; nil for one that passes its
// input on.
func (m *Model) activation(index int, l spec.Layer) layer {
	value := l.Activation.Expr(l.Set)
	if value.Op == expr.Var && value.Name == op.VarZ && !l.Activation.Gated {
		return nil
	}
	a := &activation{out: l.Out, gated: l.Activation.Gated}
	vars := []string{op.VarZ}
	wanted := []*expr.Node{slopeBy(value, op.VarZ)}
	if a.gated {
		vars = append(vars, op.VarGate)
		wanted = append(wanted, slopeBy(value, op.VarGate))
	}
	if p := l.Activation.Param(l.Set); p != nil {
		width := 1
		if a.perChannel = p.PerChannel(l.Set); a.perChannel {
			width = l.Out
			vars = append(vars, op.VarParam)
		}
		a.param = m.add(fmt.Sprintf("%d.%s", index, p.Param), width)
		wanted = append(wanted, slopeBy(value, op.VarParam))
	}
	a.value = compile([]*expr.Node{value}, vars, make([]string, 1))
	a.reads = append(vars, op.VarValue, varAbove)
	a.slopes = compile(wanted, a.reads, make([]string, len(wanted)))
	return a
}

// columns lists where the variables of the formula stand.
func (a *activation) columns(x *tensor) []column {
	in := a.in[:0]
	if a.gated {
		in = append(in, column{data: x.data, stride: 2}, column{data: x.data, stride: 2, offset: 1})
	} else {
		in = append(in, plain(x.data))
	}
	if a.perChannel {
		in = append(in, column{data: a.param.data, cycle: a.out})
	}
	a.in = in
	return in
}

// scalars returns the values of what does not vary: the learned parameter
// that a layer has one of.
func (a *activation) scalars(p *program) []float64 {
	a.numbers = a.numbers[:0]
	for range p.scalars.Vars() {
		a.numbers = append(a.numbers, float64(a.param.data[0]))
	}
	return a.numbers
}

func (a *activation) forward(t *tape, x *tensor) *tensor {
	out := t.make(x.rows, a.out)
	a.grads = append(a.grads[:0], plain(out.data))
	t.workers.run(job{program: a.value, n: len(out.data), in: a.columns(x), out: a.grads, numbers: a.scalars(a.value)})
	t.record(record{back: a, in: x, out: out})
	return out
}

func (a *activation) backward(t *tape, r *record) {
	n := len(r.out.data)
	a.in = append(a.columns(r.in), plain(r.out.data), plain(r.out.grad))
	dst, add := t.gradOf(r.in)
	dz := dst
	if add {
		dz = t.pool.get(len(dst))
	}
	if a.gated {
		a.grads = append(a.grads[:0], column{data: dz, stride: 2}, column{data: dz, stride: 2, offset: 1})
	} else {
		a.grads = append(a.grads[:0], plain(dz))
	}
	var dp []float32 // of each element
	if a.param != nil {
		dp = t.pool.get(n)
		a.grads = append(a.grads, plain(dp))
	}
	t.workers.run(job{program: a.slopes, n: n, in: a.in, out: a.grads, numbers: a.scalars(a.slopes)})
	if add {
		sumRows(dst, dz)
		t.pool.put(dz)
	}
	if a.param != nil {
		a.sum(t, dp)
		t.pool.put(dp)
	}
}

// sum adds the parameter's gradients of all elements.
func (a *activation) sum(t *tape, dp []float32) {
	grad, add := t.gradOf(a.param)
	if !add {
		clear(grad)
	}
	if a.perChannel {
		sumRows(grad, dp)
		return
	}
	grad[0] += float32(total(dp))
}

// total adds up numbers in float64.
func total(list []float32) float64 {
	sum := 0.0
	for _, v := range list {
		sum += float64(v)
	}
	return sum
}
