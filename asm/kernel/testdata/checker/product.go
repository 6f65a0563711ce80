package main

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// product is a kernel.Product that stores its sums.
type product struct {
	depth, panelDepth, rows, panels, height, tall int
	stride                                        int // 0: blocked
	plain                                         func(src, mat, acc *float32, tile, tiles int)
	bias                                          func(src, mat, bias, acc *float32, tile, tiles int)
	resume                                        func(src, mat, acc *float32, tile, tiles int) // from what acc holds
}

func (p product) cover(n int) int {
	if tall := p.tall * p.height; n > tall {
		return p.tall + (n-tall+p.height-2)/(p.height-1)
	}
	return (n + p.height - 1) / p.height
}

// check multiplies for all numbers of rows and columns that fit.
func (p product) check(atEnd bool) int {
	r := rand.New(rand.NewPCG(uint64(p.depth), uint64(p.rows)))
	checks := 0
	most := 129
	for _, draw := range []func(*rand.Rand) float32{whole, normal} {
		exact := checks == 0
		a, b, bias := matrix(r, p.rows, p.depth, draw), matrix(r, p.depth, most, draw), matrix(r, 1, most, draw)[0]
		earlier := matrix(r, p.rows, most, draw)
		want, size := make([][]float64, p.rows), make([][]float64, p.rows)
		for m := range want {
			want[m], size[m] = make([]float64, most), make([]float64, most)
			for n := range most {
				switch {
				case p.bias != nil:
					want[m][n] = float64(bias[n])
				case p.resume != nil:
					want[m][n] = float64(earlier[m][n])
				}
				size[m][n] = math.Abs(want[m][n])
				for k := range p.depth {
					v := float64(a[m][k]) * float64(b[k][n])
					want[m][n] += v
					size[m][n] += math.Abs(v)
				}
			}
		}
		for _, n := range sizes() {
			if panels(n)%p.panels != 0 {
				continue
			}
			if !exact && n < 127 {
				continue
			}
			src := source(a, p.rows, p.stride, atEnd)
			mat := guarded(panels(n)*p.panelDepth*lanes, atEnd)
			bs := guarded(panels(n)*lanes, atEnd)
			for k := range p.depth {
				for c := range n {
					mat.v[(c/lanes*p.panelDepth+k)*lanes+c%lanes] = b[k][c]
				}
			}
			copy(bs.v, bias[:n])
			for _, m := range upTo(p.rows) {
				checks++
				acc := guarded(panels(n)*p.rows*lanes, atEnd)
				if p.resume != nil {
					for i := range m {
						for j := range n {
							acc.v[(j/lanes*p.rows+i)*lanes+j%lanes] = earlier[i][j]
						}
					}
				}
				tiles := p.cover(m)
				for g := 0; g < panels(n); g += p.panels {
					out, w := &acc.v[g*p.rows*lanes], &mat.v[g*p.panelDepth*lanes]
					// In two calls, to see that they meet.
					for _, part := range [][2]int{{0, tiles / 2}, {tiles / 2, tiles - tiles/2}} {
						if part[1] == 0 {
							continue
						}
						switch {
						case p.bias != nil:
							p.bias(src.p(), w, &bs.v[g*lanes], out, part[0], part[1])
						case p.resume != nil:
							p.resume(src.p(), w, out, part[0], part[1])
						default:
							p.plain(src.p(), w, out, part[0], part[1])
						}
					}
				}
				what := fmt.Sprintf("product %dx%dx%d rows %d panels %d", m, n, p.depth, p.rows, p.panels)
				p.compare(what, acc.v, m, n, exact, want, size)
				acc.done(what)
			}
			src.done("src")
			mat.done("mat")
			bs.done("bias")
		}
	}
	return checks
}

func (p product) compare(what string, acc []float32, m, n int, exact bool, want, size [][]float64) {
	for i := range m {
		for j := range panels(n) * lanes {
			got := float64(acc[(j/lanes*p.rows+i)*lanes+j%lanes])
			if j >= n {
				if got != 0 {
					fail("%s: padding [%d][%d] is %g", what, i, j, got)
					return
				}
				continue
			}
			if d := math.Abs(got - want[i][j]); exact && d != 0 || !(d <= bound(p.depth, size[i][j])) {
				fail("%s: [%d][%d] is %g, want %g", what, i, j, got, want[i][j])
				return
			}
		}
	}
}
