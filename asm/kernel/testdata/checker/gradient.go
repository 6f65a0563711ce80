package main

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// gradient is a kernel.Gradient: keep stores or adds, update does w -= lr·g.
type gradient struct {
	inputs, panelRows, rows, panels int
	stride                          int // 0: blocked
	keep                            func(w, x, dz *float32, rows, block, blocks, more int)
	keepBias                        func(w, bias, x, dz *float32, rows, block, blocks, more int)
	update                          func(w, scalars, x, dz *float32, rows, block, blocks int)
	updateBias                      func(w, scalars, bias, x, dz *float32, rows, block, blocks int)
}

// bias is a kernel.BiasGradient, which does w -= lr·g.
type bias struct {
	rows, panels int
	f            func(w, scalars, dz *float32, rows int)
}

// check makes gradients for all numbers of rows and outputs.
func (g gradient) check(atEnd bool) int {
	return g.try(atEnd, whole, true, sizes()) + g.try(atEnd, normal, false, []int{65, 127, 129})
}

func (g gradient) try(atEnd bool, draw func(*rand.Rand) float32, exact bool, outputs []int) int {
	r := rand.New(rand.NewPCG(uint64(g.inputs), 7))
	checks := 0
	most := 129
	x, dz := matrix(r, g.rows, g.inputs, draw), matrix(r, g.rows, most, draw)
	xs := source(x, g.rows, g.stride, atEnd)
	blocks := panels(g.inputs)
	for _, n := range outputs {
		if panels(n)%g.panels != 0 {
			continue
		}
		d := guarded(panels(n)*g.rows*lanes, atEnd)
		for m := range dz {
			for c := range n {
				d.v[(c/lanes*g.rows+m)*lanes+c%lanes] = dz[m][c]
			}
		}
		want, size := make([]float64, g.inputs*n), make([]float64, g.inputs*n)
		sums := make([]float32, panels(n)*lanes) // of dz over the rows, one after the other
		next := 0
		for _, rows := range sizes() {
			if rows > g.rows {
				break
			}
			checks++
			for ; next < rows; next++ {
				for c := range n {
					sums[c] += dz[next][c]
				}
				for k := range g.inputs {
					for c := range n {
						v := float64(x[next][k]) * float64(dz[next][c])
						want[k*n+c] += v
						size[k*n+c] += math.Abs(v)
					}
				}
			}
			w, scalars := guarded(panels(n)*g.panelRows*lanes, atEnd), guarded(1, atEnd)
			scalars.v[0] = 0.5
			old := func(k, c int) float32 { return float32((k*7+c*3)%11 - 5) }
			for k := range g.inputs {
				for c := range n {
					w.v[(c/lanes*g.panelRows+k)*lanes+c%lanes] = old(k, c)
				}
			}
			more := rows % 2
			b := guarded(panels(n)*lanes, atEnd)
			for c := range b.v {
				b.v[c] = 3
			}
			for p := 0; p < panels(n); p += g.panels {
				wp, dp := &w.v[p*g.panelRows*lanes], &d.v[p*g.rows*lanes]
				for _, part := range [][2]int{{0, blocks / 2}, {blocks / 2, blocks - blocks/2}} {
					if part[1] == 0 {
						continue
					}
					switch {
					case g.update != nil:
						g.update(wp, scalars.p(), xs.p(), dp, rows, part[0], part[1])
					case g.updateBias != nil:
						g.updateBias(wp, scalars.p(), &b.v[p*lanes], xs.p(), dp, rows, part[0], part[1])
					case g.keepBias != nil:
						g.keepBias(wp, &b.v[p*lanes], xs.p(), dp, rows, part[0], part[1], more)
					default:
						g.keep(wp, xs.p(), dp, rows, part[0], part[1], more)
					}
				}
			}
			what := fmt.Sprintf("gradient %d rows, %d inputs, %d outputs, panels %d, update %v", rows, g.inputs, n, g.panels, g.updates())
			for c := range panels(n) * lanes {
				for k := range g.panelRows {
					got, expected, tolerance := float64(w.v[(c/lanes*g.panelRows+k)*lanes+c%lanes]), 0.0, 0.0
					if k < g.inputs && c < n {
						if !exact {
							// The weight is one term more, and the update rounds once more.
							tolerance = bound(rows+1, size[k*n+c]+math.Abs(float64(old(k, c))))
						}
						switch {
						case g.updates():
							expected = float64(old(k, c)) - 0.5*want[k*n+c]
						case more == 1:
							expected = float64(old(k, c)) + want[k*n+c]
						default:
							expected = want[k*n+c]
						}
					}
					if !(math.Abs(got-expected) <= tolerance) {
						fail("%s: [%d][%d] is %g, want %g", what, k, c, got, expected)
						return checks
					}
				}
			}
			if !g.checkBias(b.v, sums, more, exact, what) {
				return checks
			}
			b.done(what)
			w.done(what)
			scalars.done(what)
		}
		d.done("dz")
	}
	xs.done("x")
	return checks
}

func (g gradient) updates() bool { return g.update != nil || g.updateBias != nil }

// checkBias compares the bias or its gradient, which was 3 before, with the sums:
// with whole numbers, where it does not matter when what was there is added.
func (g gradient) checkBias(got, sums []float32, more int, exact bool, what string) bool {
	for c, b := range got {
		want := float32(3)
		switch {
		case g.updateBias != nil:
			want -= 0.5 * sums[c]
		case g.keepBias != nil:
			want = sums[c] + float32(3*more)
		}
		if b != want && (exact || more == 0 && g.keepBias != nil) {
			fail("%s: bias [%d] is %g, want %g", what, c, b, want)
			return false
		}
	}
	return true
}

// check adds up whole numbers for all numbers of rows.
func (b bias) check(atEnd bool) int {
	r := rand.New(rand.NewPCG(uint64(b.panels), 9))
	n := b.panels * lanes
	dz := matrix(r, b.rows, n, whole)
	d := source(dz, b.rows, 0, atEnd)
	sums := make([]float32, n)
	checks := 0
	for rows := 1; rows <= b.rows; rows++ {
		for c := range sums {
			sums[c] += dz[rows-1][c]
		}
		w, scalars := guarded(n, atEnd), guarded(1, atEnd)
		scalars.v[0] = 0.5
		checks++
		for c := range w.v {
			w.v[c] = float32(c)
		}
		b.f(w.p(), scalars.p(), d.p(), rows)
		for c, got := range w.v {
			if want := float32(c) - 0.5*sums[c]; got != want {
				fail("bias of %d rows: [%d] is %g, want %g", rows, c, got, want)
				return checks
			}
		}
		w.done("bias")
		scalars.done("scalars")
	}
	d.done("dz")
	return checks
}
