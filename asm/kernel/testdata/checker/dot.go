package main

import (
	"fmt"
	"math"
	"math/rand/v2"
)

type dot struct {
	inputs, rows int
	f            func(src, w, bias, z *float32, rows int)
	grad         func(w, x, dz *float32, rows, block, blocks, more int)
	// back is grad with descent, and with the gradient by the inputs: kept, and times
	// the inputs, over which that is written.
	back func(w, scalars, input, grad, back, a *float32, rows, block, blocks int)
	// keep is grad with the gradient by the inputs times a number of each unit, p.
	keep func(w, weight, input, grad, p, a *float32, rows, block, blocks, more int)
	row  func(w, scalars, input, grad, back *float32, block, blocks int) // kernel.RankOne
}

// check runs the kernels of one output and of one row.
func (d dot) check(atEnd bool) int {
	return d.try(atEnd, whole, true) + d.try(atEnd, normal, false)
}

func (d dot) try(atEnd bool, draw func(*rand.Rand) float32, exact bool) int {
	r := rand.New(rand.NewPCG(uint64(d.inputs), 3))
	checks := 0
	// far tells that a sum of so many terms is wrong.
	far := func(got float32, want float64, terms int, size float64) bool {
		if exact {
			return float64(got) != want
		}
		return !(math.Abs(float64(got)-want) <= bound(terms, size))
	}
	x := matrix(r, d.rows, d.inputs, draw)
	w, src, bias := guarded(panels(d.inputs)*lanes, atEnd), guarded(panels(d.inputs)*d.rows*lanes, atEnd), guarded(1, atEnd)
	for i := range d.inputs {
		w.v[i] = draw(r)
	}
	bias.v[0] = 3
	blocked(src.v, x, d.rows)
	for _, rows := range sizes() {
		if rows > d.rows {
			break
		}
		checks += 2
		z := guarded(rows, atEnd)
		d.f(src.p(), w.p(), bias.p(), z.p(), rows)
		what := fmt.Sprintf("dot %d inputs, %d rows", d.inputs, rows)
		for i := range rows {
			want, size := 3.0, 3.0
			for k := range d.inputs {
				v := float64(x[i][k]) * float64(w.v[k])
				want += v
				size += math.Abs(v)
			}
			if far(z.v[i], want, d.inputs+1, size) {
				fail("%s: row %d is %g, want %g", what, i, z.v[i], want)
				break
			}
		}
		z.done(what)
		dz, grad := guarded(rows, atEnd), guarded(panels(d.inputs)*lanes, atEnd)
		for i := range dz.v {
			dz.v[i] = draw(r)
		}
		d.grad(grad.p(), src.p(), dz.p(), rows, 0, panels(d.inputs), 0)
		for k := range grad.v {
			want, size := 0.0, 0.0
			for i := range rows {
				if k < d.inputs {
					v := float64(x[i][k]) * float64(dz.v[i])
					want += v
					size += math.Abs(v)
				}
			}
			if far(grad.v[k], want, rows, size) {
				fail("%s: gradient %d is %g, want %g", what, k, grad.v[k], want)
				break
			}
		}
		if exact {
			checks += 2
			d.checkBack(what, x, w.v, dz, rows, atEnd)
			d.checkKeep(what, x, w, dz, rows, atEnd)
		}
		dz.done(what)
		grad.done(what)
	}
	w.done("w")
	src.done("src")
	bias.done("bias")
	if exact {
		checks++
		d.checkRow(r, atEnd)
	}
	return checks
}

// checkBack takes rows back through a layer of one output, in two calls where there
// are two blocks of inputs.
func (d dot) checkBack(what string, x [][]float32, weights []float32, dz *buffer, rows int, atEnd bool) {
	n := panels(d.inputs)
	w, scalars, in, back := guarded(n*lanes, atEnd), guarded(1, atEnd), guarded(n*d.rows*lanes, atEnd), guarded(n*d.rows*lanes, atEnd)
	scalars.v[0] = 0.5
	copy(w.v, weights)
	blocked(in.v, x, d.rows)
	first := n / 2
	if first > 0 {
		d.back(w.p(), scalars.p(), in.p(), dz.p(), back.p(), in.p(), rows, 0, first)
	}
	d.back(w.p(), scalars.p(), in.p(), dz.p(), back.p(), in.p(), rows, first, n-first)
	for k := range d.inputs {
		sum := 0.0
		for i := range d.rows {
			at := (k/lanes*d.rows+i)*lanes + k%lanes
			by, product := float32(0), x[i][k] // of rows that are not there
			if i < rows {
				by = dz.v[i] * weights[k]
				product *= by
				sum += float64(x[i][k]) * float64(dz.v[i])
			}
			if back.v[at] != by || in.v[at] != product {
				fail("%s: row %d, input %d: %g and %g, want %g and %g", what, i, k, back.v[at], in.v[at], by, product)
				return
			}
		}
		if want := float64(weights[k]) - 0.5*sum; float64(w.v[k]) != want {
			fail("%s: weight %d is %g, want %g", what, k, w.v[k], want)
			return
		}
	}
	for _, b := range []*buffer{w, scalars, in, back} {
		b.done(what)
	}
}

// checkKeep takes rows back through a layer of one output twice, and adds up the
// gradients of the weights.
func (d dot) checkKeep(what string, x [][]float32, weights, dz *buffer, rows int, atEnd bool) {
	n := panels(d.inputs)
	w, in, p, a := guarded(n*lanes, atEnd), guarded(n*d.rows*lanes, atEnd), guarded(n*lanes, atEnd), guarded(n*d.rows*lanes, atEnd)
	blocked(in.v, x, d.rows)
	for k := range p.v {
		p.v[k] = float32(k%5 - 2)
	}
	first := n / 2
	for more := range 2 {
		if first > 0 {
			d.keep(w.p(), weights.p(), in.p(), dz.p(), p.p(), a.p(), rows, 0, first, more)
		}
		d.keep(w.p(), weights.p(), in.p(), dz.p(), p.p(), a.p(), rows, first, n-first, more)
	}
	for k := range d.inputs {
		sum := 0.0
		for i := range d.rows {
			want := float32(0) // of rows that are not there
			if i < rows {
				want = dz.v[i] * weights.v[k] * p.v[k]
				sum += float64(x[i][k]) * float64(dz.v[i])
			}
			if at := (k/lanes*d.rows+i)*lanes + k%lanes; a.v[at] != want {
				fail("%s: row %d, input %d: %g times its unit's number, want %g", what, i, k, a.v[at], want)
				return
			}
		}
		if float64(w.v[k]) != 2*sum {
			fail("%s: two gradients %d are %g, want %g", what, k, w.v[k], 2*sum)
			return
		}
	}
	for _, b := range []*buffer{w, in, p, a} {
		b.done(what)
	}
}

// checkRow takes one row back through a layer of rowPanels panels of outputs.
func (d dot) checkRow(r *rand.Rand, atEnd bool) {
	const rowPanels = 3
	pad := panels(d.inputs) * lanes
	w, scalars, in, dz, back := guarded(rowPanels*pad*lanes, atEnd), guarded(1, atEnd), guarded(pad, atEnd), guarded(rowPanels*lanes, atEnd), guarded(pad, atEnd)
	scalars.v[0] = 0.5
	for i := range d.inputs {
		in.v[i] = whole(r)
	}
	for i := range dz.v {
		dz.v[i] = whole(r)
	}
	old := make([]float32, len(w.v))
	for n := range rowPanels * lanes {
		for k := range d.inputs {
			old[(n/lanes*pad+k)*lanes+n%lanes] = whole(r)
		}
	}
	copy(w.v, old)
	d.row(w.p(), scalars.p(), in.p(), dz.p(), back.p(), 0, panels(d.inputs))
	what := fmt.Sprintf("row %d inputs", d.inputs)
	for k := range d.inputs {
		sum := 0.0
		for n := range rowPanels * lanes {
			at := (n/lanes*pad+k)*lanes + n%lanes
			sum += float64(old[at]) * float64(dz.v[n])
			if want := float64(old[at]) - 0.5*float64(in.v[k])*float64(dz.v[n]); float64(w.v[at]) != want {
				fail("%s: weight of input %d, output %d is %g, want %g", what, k, n, w.v[at], want)
				return
			}
		}
		if float64(back.v[k]) != sum {
			fail("%s: gradient %d is %g, want %g", what, k, back.v[k], sum)
			return
		}
	}
	for _, b := range []*buffer{w, scalars, in, dz, back} {
		b.done(what)
	}
}
