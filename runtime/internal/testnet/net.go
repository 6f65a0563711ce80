package testnet

import (
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
)

// dense is one linear layer: w [out, in] and b [out], with the gradients and
// the momentum of each.
type dense struct {
	in, out int
	param   [2][]float32
	grad    [2][]float32
	state   [2][]float32
}

// net is the engine: one or two dense layers.
type net struct {
	o      Options
	layers []*dense
	hidden []float32 // [rows, hidden], after the activation
	delta  []float32 // [rows, hidden], gradient of the same
	raw    []float32 // [rows, outputs]
	dRaw   []float32 // [rows, outputs]
}

func newNet(o Options) *net {
	n := &net{o: o}
	in := o.Inputs
	if o.Hidden > 0 {
		n.layers = append(n.layers, newDense(in, o.Hidden))
		in = o.Hidden
	}
	n.layers = append(n.layers, newDense(in, o.Outputs))
	n.grow(o.Batch)
	return n
}

func newDense(in, out int) *dense {
	d := &dense{in: in, out: out}
	for i, size := range []int{in * out, out} {
		d.param[i] = make([]float32, size)
		d.grad[i] = make([]float32, size)
		d.state[i] = make([]float32, size)
	}
	return d
}

// grow makes room for rows rows.
func (n *net) grow(rows int) {
	if len(n.raw) >= rows*n.o.Outputs && n.raw != nil {
		return
	}
	n.hidden = make([]float32, rows*n.o.Hidden)
	n.delta = make([]float32, rows*n.o.Hidden)
	n.raw = make([]float32, rows*n.o.Outputs)
	n.dRaw = make([]float32, rows*n.o.Outputs)
}

// forward writes x·wᵀ + b for rows rows to z [rows, out].
func (d *dense) forward(x, z []float32, rows int) {
	for r := range rows {
		for o := range d.out {
			sum := d.param[1][o]
			w := d.param[0][o*d.in : (o+1)*d.in]
			for k, v := range x[r*d.in : (r+1)*d.in] {
				sum += float32(v * w[k])
			}
			z[r*d.out+o] = sum
		}
	}
}

// backward adds up the gradients of w and b from dz [rows, out], and writes
// that of x to dx where dx is not nil.
func (d *dense) backward(x, dz, dx []float32, rows int) {
	clear(d.grad[0])
	clear(d.grad[1])
	clear(dx)
	for r := range rows {
		for o := range d.out {
			g := dz[r*d.out+o]
			d.grad[1][o] += g
			for k, v := range x[r*d.in : (r+1)*d.in] {
				d.grad[0][o*d.in+k] += float32(g * v)
				if dx != nil {
					dx[r*d.in+k] += float32(g * d.param[0][o*d.in+k])
				}
			}
		}
	}
}

func (n *net) activate(z []float32) {
	for i, v := range z {
		if n.o.Activation == "relu" {
			// A select, as emitted code has it: NaN becomes 0.
			if !(v > 0) {
				z[i] = 0
			}
		} else {
			z[i] = float32(math.Tanh(float64(v)))
		}
	}
}

func (n *net) run(x, hidden, raw []float32, rows int) {
	if n.o.Hidden > 0 {
		n.layers[0].forward(x, hidden, rows)
		n.activate(hidden[:rows*n.o.Hidden])
		x = hidden
	}
	n.layers[len(n.layers)-1].forward(x, raw, rows)
}

func (n *net) gradients(x []float32, y engine.Target, rows int) float64 {
	n.grow(rows)
	n.run(x, n.hidden, n.raw, rows)
	l := loss(n.o.Loss, n.raw, y, n.dRaw, rows, n.o.Outputs)
	if math.IsNaN(l) || math.IsInf(l, 0) {
		return l
	}
	last := n.layers[len(n.layers)-1]
	if n.o.Hidden == 0 {
		last.backward(x, n.dRaw, nil, rows)
	} else {
		h, d := n.hidden[:rows*n.o.Hidden], n.delta[:rows*n.o.Hidden]
		last.backward(h, n.dRaw, d, rows)
		for i, v := range h {
			if n.o.Activation != "relu" {
				d[i] *= 1 - float32(v*v)
			} else if v <= 0 {
				d[i] = 0
			}
		}
		n.layers[0].backward(x, d, nil, rows)
	}
	if n.o.Plant != nil {
		for i := range 2 * len(n.layers) {
			n.o.Plant(i, n.layers[i/2].grad[i%2])
		}
	}
	return l
}

func (n *net) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	if rows < 1 || n.o.Batch > 0 && rows > n.o.Batch {
		panic("testnet: rows out of range")
	}
	l := n.gradients(x, y, rows)
	if math.IsNaN(l) || math.IsInf(l, 0) {
		return l
	}
	for _, d := range n.layers {
		for i, p := range d.param {
			for k, g := range d.grad[i] {
				if n.o.Momentum > 0 {
					g += float32(h.Momentum * d.state[i][k])
					d.state[i][k] = g
				}
				p[k] -= float32(h.LR * g)
			}
		}
	}
	return l
}

func (n *net) Infer(x, raw []float32, rows int) {
	n.run(x, make([]float32, rows*n.o.Hidden), raw, rows)
}

func (n *net) tensor(slot, i int) []float32 {
	if slot == 0 {
		return n.layers[i/2].param[i%2]
	}
	return n.layers[i/2].state[i%2]
}

func (n *net) Read(slot, i, first int, dst []float32) {
	copy(dst, n.tensor(slot, i)[first:first+len(dst)])
}

func (n *net) Write(slot, i, first int, src []float32) {
	copy(n.tensor(slot, i)[first:first+len(src)], src)
}

func (n *net) Close() {}

// TraceRows is small, so that tests meet batches of several pieces.
func (n *net) TraceRows() int { return 4 }

func (n *net) Trace(x []float32, rows int, f func(layer int, values []float32, width int)) {
	layer := 0
	if n.o.Hidden > 0 {
		h := make([]float32, rows*n.o.Hidden)
		n.layers[0].forward(x, h, rows)
		f(0, h, n.o.Hidden)
		n.activate(h)
		f(1, h, n.o.Hidden)
		x, layer = h, 2
	}
	raw := make([]float32, rows*n.o.Outputs)
	n.layers[len(n.layers)-1].forward(x, raw, rows)
	f(layer, raw, n.o.Outputs)
}

func (n *net) Gradients(x []float32, y engine.Target, rows int, f func(param int, grad []float32)) float64 {
	l := n.gradients(x, y, rows)
	for i := range 2 * len(n.layers) {
		f(i, n.layers[i/2].grad[i%2])
	}
	return l
}
