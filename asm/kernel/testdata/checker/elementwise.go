package main

import (
	"math"
	"math/rand/v2"
)

// update is a kernel.Update by the rule of gradient.
type update struct {
	stride int
	f      func(w, scalars, grads *float32, shards, vectors int)
}

// apply is a kernel.Apply that squares, and adds the squares up.
type apply struct {
	rows int
	f    func(z, a, sum *float32, rows int)
}

// dense is a kernel.DenseLoss of the squared difference and a kernel.DotBias.
type dense struct {
	rows int
	loss func(z, dz, y *float32, rows int, scale float32) float64
	bias func(w, dz *float32, rows, more int)
}

// check adds up whole numbers for all numbers of vectors.
func (u update) check(atEnd bool) int {
	r := rand.New(rand.NewPCG(1, 13))
	checks := 0
	for _, shards := range []int{1, 2, 3, 16, 30} {
		for vectors := range 34 {
			checks++
			n := max(1, vectors*lanes)
			w, scalars, grads := guarded(n, atEnd), guarded(1, atEnd), guarded((shards-1)*u.stride+n, atEnd)
			scalars.v[0] = 0.5
			want := make([]float32, n)
			for i := range want {
				want[i] = whole(r)
				w.v[i] = want[i]
				for s := range shards {
					g := whole(r)
					grads.v[s*u.stride+i] = g
					if i < vectors*lanes {
						want[i] -= g / 2
					}
				}
			}
			u.f(w.p(), scalars.p(), grads.p(), shards, vectors)
			for i := range want {
				if w.v[i] != want[i] {
					fail("update of %d vectors by %d shards: [%d] is %g, want %g", vectors, shards, i, w.v[i], want[i])
					return checks
				}
			}
			for _, b := range []*buffer{w, scalars, grads} {
				b.done("update")
			}
		}
	}
	return checks
}

// check squares whole numbers for all numbers of rows.
func (m apply) check(atEnd bool) int {
	r := rand.New(rand.NewPCG(2, 13))
	for rows := range m.rows + 1 {
		n := max(1, rows) * lanes
		z, a, sum := guarded(n, atEnd), guarded(n, atEnd), guarded(lanes, atEnd)
		var want [lanes]float32
		for i := range z.v {
			z.v[i] = whole(r)
			if i < rows*lanes {
				want[i%lanes] += z.v[i] * z.v[i]
			}
		}
		m.f(z.p(), a.p(), sum.p(), rows)
		for i := range rows * lanes {
			if a.v[i] != z.v[i]*z.v[i] {
				fail("map of %d rows: [%d] is %g of %g", rows, i, a.v[i], z.v[i])
				return rows
			}
		}
		for i, got := range sum.v {
			if got != want[i] {
				fail("map of %d rows: sum %d is %g, want %g", rows, i, got, want[i])
				return rows
			}
		}
		for _, b := range []*buffer{z, a, sum} {
			b.done("map")
		}
	}
	return m.rows + 1
}

// check computes losses of whole numbers, and their sums, for all numbers of rows.
func (d dense) check(atEnd bool) int {
	r := rand.New(rand.NewPCG(3, 13))
	for rows := 1; rows <= d.rows; rows++ {
		// What the caller gives has as many rows as there are; what the engine keeps
		// ends with a vector.
		z, dz, y, w := guarded(panels(rows)*lanes, atEnd), guarded(panels(rows)*lanes, atEnd), guarded(rows, atEnd), guarded(lanes, atEnd)
		loss, sum := 0.0, float32(0)
		slopes := make([]float32, len(dz.v))
		for i := range rows {
			z.v[i], y.v[i] = whole(r), whole(r)
			miss := z.v[i] - y.v[i]
			loss += float64(miss * miss)
			slopes[i] = miss
			sum += miss
		}
		for i := rows; i < len(z.v); i++ {
			z.v[i], dz.v[i] = float32(math.NaN()), 1 // what an earlier batch left
		}
		if got := d.loss(z.p(), dz.p(), y.p(), rows, 0.5); got != loss {
			fail("dense loss of %d rows is %g, want %g", rows, got, loss)
			return rows
		}
		for i, got := range dz.v {
			if got != slopes[i] {
				fail("dense loss of %d rows: gradient %d is %g, want %g", rows, i, got, slopes[i])
				return rows
			}
		}
		for more := range 2 {
			w.v[0] = 3
			d.bias(w.p(), dz.p(), rows, more)
			if want := sum + float32(3*more); w.v[0] != want {
				fail("bias of %d rows, more %d: %g, want %g", rows, more, w.v[0], want)
				return rows
			}
		}
		for _, b := range []*buffer{z, dz, y, w} {
			b.done("dense loss")
		}
	}
	return 3 * d.rows
}
