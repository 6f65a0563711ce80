package autograd

import "github.com/dnngen/dnngen/runtime/engine"

// tensor is a matrix [rows, cols], row-major.
type tensor struct {
	rows, cols int
	data       []float32
	grad       []float32 // nil until something flowed back; a leaf keeps its own
	filled     bool      // grad holds something of this step
	leaf       bool      // a parameter or an input: not from the pool
	wants      bool      // a gradient
}

// record is a call on the tape: what it read, what it made and how to come
// back.
type record struct {
	back   backward
	in     *tensor
	out    *tensor
	target engine.Target // what a loss compares with
}

// backward adds to the gradients of what a call read, given that of what it
// made.
type backward interface {
	backward(t *tape, r *record)
}

// tape holds the calls of one step. Tensors and records are taken from slabs
// that the next step uses again, numbers from a pool.
type tape struct {
	records []record
	tensors []*tensor
	used    int // of tensors
	pool    numbers
	workers *workers
}

func newTape(w *workers) *tape { return &tape{pool: numbers{}, workers: w} }

// begin starts a step.
func (t *tape) begin() {
	t.records = t.records[:0]
	t.used = 0
}

// header returns an empty tensor.
func (t *tape) header() *tensor {
	if t.used == len(t.tensors) {
		t.tensors = append(t.tensors, new(tensor))
	}
	h := t.tensors[t.used]
	t.used++
	return h
}

// input wraps numbers that need no gradient.
func (t *tape) input(data []float32, rows, cols int) *tensor {
	h := t.header()
	*h = tensor{rows: rows, cols: cols, data: data, leaf: true}
	return h
}

// make returns a tensor of unknown content.
func (t *tape) make(rows, cols int) *tensor {
	h := t.header()
	*h = tensor{rows: rows, cols: cols, data: t.pool.get(rows * cols), wants: true}
	return h
}

// record notes a call.
func (t *tape) record(r record) { t.records = append(t.records, r) }

// gradOf returns the gradient of a tensor and tells whether it holds something
// that is to be added to; otherwise its content is unknown.
func (t *tape) gradOf(x *tensor) (grad []float32, add bool) {
	if x.grad == nil {
		x.grad = t.pool.get(len(x.data))
	}
	add = x.filled
	x.filled = true
	return x.grad, add
}

// backward walks the tape from its end, where the loss stands. What a call made
// is not read any more when its gradient has been handed on.
func (t *tape) backward() {
	for i := len(t.records) - 1; i >= 0; i-- {
		r := &t.records[i]
		r.back.backward(t, r)
		t.free(r.out)
	}
}

// drop gives back what a forward pass made.
func (t *tape) drop() {
	for i := range t.records {
		t.free(t.records[i].out)
	}
}

func (t *tape) free(x *tensor) {
	if x.leaf {
		return
	}
	t.pool.put(x.data)
	t.pool.put(x.grad)
	x.data, x.grad = nil, nil
}

// numbers keeps slices by their count. The shapes of a training repeat, so that
// exact matches are all that is needed.
type numbers map[int][][]float32

func (p numbers) get(n int) []float32 {
	list := p[n]
	if len(list) == 0 {
		return make([]float32, n)
	}
	s := list[len(list)-1]
	p[n] = list[:len(list)-1]
	return s
}

func (p numbers) put(s []float32) {
	if s != nil {
		p[len(s)] = append(p[len(s)], s)
	}
}
