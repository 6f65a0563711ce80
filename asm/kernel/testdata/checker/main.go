// Command checker runs kernels on buffers that end or begin at a page that
// must not be touched, and compares what they make with plain loops. The test
// of package kernel builds it together with the kernels and their table.
package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"syscall"
	"unsafe"
)

const lanes = 16

// product is a kernel.Product that stores its sums.
type product struct {
	depth, panelDepth, rows, panels, height, tall int
	stride                                        int // 0: blocked
	plain                                         func(src, mat, acc *float32, tile, tiles int)
	bias                                          func(src, mat, bias, acc *float32, tile, tiles int)
}

// gradient is a kernel.Gradient: keep stores or adds, update does w -= lr·g.
type gradient struct {
	inputs, panelRows, rows, panels int
	stride                          int // 0: blocked
	keep                            func(w, x, dz *float32, rows, block, blocks, more int)
	update                          func(w, scalars, x, dz *float32, rows, block, blocks int)
}

type transpose struct {
	panels, panelRows, lines int
	f                        func(t, w *float32)
}

type block struct {
	width, rows int
	back        bool
	f           func(blocked, flat *float32, rows int)
}

type dot struct {
	inputs, rows int
	f            func(src, w, bias, z *float32, rows int)
	grad         func(w, x, dz *float32, rows, block, blocks, more int)
	row          func(w, scalars, input, grad, back *float32, block, blocks int) // kernel.RankOne
}

// bias is a kernel.BiasGradient, like gradient.
type bias struct {
	rows, panels int
	keep         func(w, dz *float32, rows, more int)
	update       func(w, scalars, dz *float32, rows int)
}

// loss is a kernel.CrossEntropy and a kernel.Loss of the squared difference.
type loss struct {
	width, rows int
	class       func(z, dz *float32, class *int32, rows int, scale float32) float64
	square      func(z, dz, y *float32, rows int, scale float32) float64
}

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

type set struct {
	products   []product
	gradients  []gradient
	transposes []transpose
	blocks     []block
	dots       []dot
	biases     []bias
	losses     []loss
	updates    []update
	maps       []apply
	denses     []dense
}

var failures int

func fail(format string, args ...any) {
	if failures++; failures <= 20 {
		fmt.Printf("FAIL "+format+"\n", args...)
	}
}

func main() {
	s, ok := sets[os.Args[1]]
	if !ok {
		fmt.Println("FAIL no such instruction set")
		os.Exit(1)
	}
	checks := 0
	for _, atEnd := range []bool{false, true} {
		for _, p := range s.products {
			checks += p.check(atEnd)
		}
		for _, g := range s.gradients {
			checks += g.check(atEnd)
		}
		for _, t := range s.transposes {
			checks += t.check(atEnd)
		}
		for _, b := range s.blocks {
			checks += b.check(atEnd)
		}
		for _, d := range s.dots {
			checks += d.check(atEnd)
		}
		for _, b := range s.biases {
			checks += b.check(atEnd)
		}
		for _, l := range s.losses {
			checks += l.check(atEnd)
		}
		for _, u := range s.updates {
			checks += u.check(atEnd)
		}
		for _, m := range s.maps {
			checks += m.check(atEnd)
		}
		for _, d := range s.denses {
			checks += d.check(atEnd)
		}
	}
	fmt.Printf("%d checks, %d failures\n", checks, failures)
	if failures > 0 {
		os.Exit(1)
	}
}

const (
	page     = 4096
	sentinel = 0x7fa5a5a5 // a NaN: what reads it shows it
)

// buffer is memory between two pages that must not be touched.
type buffer struct {
	v   []float32 // what the kernel may use
	all []float32 // with what lies around it on its pages
	at  int
}

// free lists buffers by their pages, so that they are used again.
var free = map[int][][]byte{}

// guarded returns n float32 that end, or begin, at a page that must not be
// touched. What is left of the pages holds sentinels.
func guarded(n int, atEnd bool) *buffer {
	pages := (4*n + page - 1) / page
	var mem []byte
	if list := free[pages]; len(list) > 0 {
		mem, free[pages] = list[len(list)-1], list[:len(list)-1]
	} else {
		var err error
		if mem, err = syscall.Mmap(-1, 0, (pages+2)*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON); err != nil {
			panic(err)
		}
		for _, guard := range [][]byte{mem[:page], mem[(pages+1)*page:]} {
			if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
				panic(err)
			}
		}
	}
	b := &buffer{all: unsafe.Slice((*float32)(unsafe.Pointer(&mem[page])), pages*page/4)}
	for i := range b.all {
		b.all[i] = math.Float32frombits(sentinel)
	}
	if atEnd {
		b.at = len(b.all) - n
	}
	b.v = b.all[b.at : b.at+n]
	for i := range b.v {
		b.v[i] = 0
	}
	return b
}

// done checks the sentinels and gives the memory back.
func (b *buffer) done(what string) {
	for i, v := range b.all {
		if (i < b.at || i >= b.at+len(b.v)) && math.Float32bits(v) != sentinel {
			fail("%s: wrote at %d of [%d, %d)", what, i, b.at, b.at+len(b.v))
			break
		}
	}
	pages := len(b.all) * 4 / page
	start := unsafe.Add(unsafe.Pointer(&b.all[0]), -page)
	free[pages] = append(free[pages], unsafe.Slice((*byte)(start), (pages+2)*page))
}

func (b *buffer) p() *float32 { return &b.v[0] }

func panels(width int) int { return (width + lanes - 1) / lanes }

// whole draws whole numbers of at most 8, whose products and sums are exact.
func whole(r *rand.Rand) float32 { return float32(r.IntN(17) - 8) }

func normal(r *rand.Rand) float32 { return float32(r.NormFloat64()) }

// source returns m [rows][width] in panels or, with a stride, row by row.
func source(m [][]float32, rows, stride int, atEnd bool) *buffer {
	if stride == 0 {
		b := guarded(panels(len(m[0]))*rows*lanes, atEnd)
		blocked(b.v, m, rows)
		return b
	}
	b := guarded(rows*stride, atEnd)
	for i, row := range m {
		copy(b.v[i*stride:], row)
	}
	return b
}

// blocked puts m [rows][width] into panels.
func blocked(dst []float32, m [][]float32, capacity int) {
	for r := range m {
		for c, v := range m[r] {
			dst[(c/lanes*capacity+r)*lanes+c%lanes] = v
		}
	}
}

func matrix(r *rand.Rand, rows, cols int, draw func(*rand.Rand) float32) [][]float32 {
	m := make([][]float32, rows)
	for i := range m {
		m[i] = make([]float32, cols)
		for j := range m[i] {
			m[i][j] = draw(r)
		}
	}
	return m
}

// u is half the distance from 1 to the next float32.
const u = 1.0 / (1 << 24)

// bound is what rounding may do to a sum of k products whose magnitudes add up
// to size.
func bound(k int, size float64) float64 { return (4 + 2*math.Sqrt(float64(k))) * u * size }

// sizes are the dimensions that are tried.
func sizes() []int {
	var list []int
	for i := 1; i <= 33; i++ {
		list = append(list, i)
	}
	return append(list, 63, 64, 65, 127, 128, 129)
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
		want, size := make([][]float64, p.rows), make([][]float64, p.rows)
		for m := range want {
			want[m], size[m] = make([]float64, most), make([]float64, most)
			for n := range most {
				if p.bias != nil {
					want[m][n], size[m][n] = float64(bias[n]), math.Abs(float64(bias[n]))
				}
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
			for _, m := range sizes() {
				if m > p.rows {
					break
				}
				checks++
				acc := guarded(panels(n)*p.rows*lanes, atEnd)
				tiles := p.cover(m)
				for g := 0; g < panels(n); g += p.panels {
					out, w := &acc.v[g*p.rows*lanes], &mat.v[g*p.panelDepth*lanes]
					// In two calls, to see that they meet.
					for _, part := range [][2]int{{0, tiles / 2}, {tiles / 2, tiles - tiles/2}} {
						if part[1] == 0 {
							continue
						}
						if p.bias != nil {
							p.bias(src.p(), w, &bs.v[g*lanes], out, part[0], part[1])
						} else {
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
		next := 0
		for _, rows := range sizes() {
			if rows > g.rows {
				break
			}
			checks++
			for ; next < rows; next++ {
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
			for p := 0; p < panels(n); p += g.panels {
				wp, dp := &w.v[p*g.panelRows*lanes], &d.v[p*g.rows*lanes]
				for _, part := range [][2]int{{0, blocks / 2}, {blocks / 2, blocks - blocks/2}} {
					if part[1] == 0 {
						continue
					}
					if g.update != nil {
						g.update(wp, scalars.p(), xs.p(), dp, rows, part[0], part[1])
					} else {
						g.keep(wp, xs.p(), dp, rows, part[0], part[1], more)
					}
				}
			}
			what := fmt.Sprintf("gradient %d rows, %d inputs, %d outputs, panels %d, update %v", rows, g.inputs, n, g.panels, g.update != nil)
			for c := range panels(n) * lanes {
				for k := range g.panelRows {
					got, expected, tolerance := float64(w.v[(c/lanes*g.panelRows+k)*lanes+c%lanes]), 0.0, 0.0
					if k < g.inputs && c < n {
						if !exact {
							// The weight is one term more, and the update rounds once more.
							tolerance = bound(rows+1, size[k*n+c]+math.Abs(float64(old(k, c))))
						}
						switch {
						case g.update != nil:
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
			w.done(what)
			scalars.done(what)
		}
		d.done("dz")
	}
	xs.done("x")
	return checks
}

func (t transpose) check(atEnd bool) int {
	w, out := guarded(t.panels*t.panelRows*lanes, atEnd), guarded(t.lines*t.panels*lanes*lanes, atEnd)
	for i := range w.v {
		w.v[i] = float32(i)
	}
	t.f(out.p(), w.p())
	what := fmt.Sprintf("transpose %v", t)
	for l := range t.lines {
		for n := range t.panels * lanes {
			for i := range lanes {
				want := w.v[(n/lanes*t.panelRows+l*lanes+i)*lanes+n%lanes]
				if got := out.v[((l*t.panels*lanes)+n)*lanes+i]; got != want {
					fail("%s: output %d input %d is %g, want %g", what, n, l*lanes+i, got, want)
					return 1
				}
			}
		}
	}
	w.done(what)
	out.done(what)
	return 1
}

func (b block) check(atEnd bool) int {
	checks := 0
	for _, rows := range sizes() {
		if rows > b.rows {
			break
		}
		checks++
		flat, panel := guarded(rows*b.width, atEnd), guarded(panels(b.width)*b.rows*lanes, atEnd)
		at := func(r, c int) int { return (c/lanes*b.rows+r)*lanes + c%lanes }
		for r := range rows {
			for c := range b.width {
				if b.back {
					panel.v[at(r, c)] = float32(r*b.width + c)
				} else {
					flat.v[r*b.width+c] = float32(r*b.width + c)
				}
			}
		}
		b.f(panel.p(), flat.p(), rows)
		what := fmt.Sprintf("block %d columns, %d rows, back %v", b.width, rows, b.back)
		for r := range rows {
			for c := range panels(b.width) * lanes {
				want := float32(r*b.width + c)
				if c >= b.width {
					want = 0
				}
				if got := panel.v[at(r, c)]; got != want {
					fail("%s: panel [%d][%d] is %g, want %g", what, r, c, got, want)
					break
				}
				if c < b.width && flat.v[r*b.width+c] != want {
					fail("%s: flat [%d][%d] is %g, want %g", what, r, c, flat.v[r*b.width+c], want)
					break
				}
			}
		}
		flat.done(what)
		panel.done(what)
	}
	return checks
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
		for more := range 2 {
			checks++
			for c := range w.v {
				w.v[c] = float32(c)
			}
			b.keep(w.p(), d.p(), rows, more)
			for c, got := range w.v {
				if want := sums[c] + float32(more*c); got != want {
					fail("bias of %d rows, more %d: [%d] is %g, want %g", rows, more, c, got, want)
					return checks
				}
			}
		}
		checks++
		for c := range w.v {
			w.v[c] = float32(c)
		}
		b.update(w.p(), scalars.p(), d.p(), rows)
		for c, got := range w.v {
			if want := float32(c) - 0.5*sums[c]; got != want {
				fail("bias of %d rows, updated: [%d] is %g, want %g", rows, c, got, want)
				return checks
			}
		}
		w.done("bias")
		scalars.done("scalars")
	}
	d.done("dz")
	return checks
}

// check computes losses and their gradients of some numbers of rows.
func (l loss) check(atEnd bool) int {
	r := rand.New(rand.NewPCG(uint64(l.width), 11))
	z, y := matrix(r, l.rows, l.width, normal), matrix(r, l.rows, l.width, normal)
	zs := source(z, l.rows, 0, atEnd)
	checks := 0
	for _, rows := range []int{1, 15, 16, 17, l.rows} {
		checks += 2
		classes, values := guarded(rows, atEnd), guarded(rows*l.width, atEnd)
		class := unsafe.Slice((*int32)(unsafe.Pointer(classes.p())), rows)
		for i := range rows {
			class[i] = r.Int32N(int32(l.width))
			copy(values.v[i*l.width:], y[i])
		}
		dz := guarded(panels(l.width)*l.rows*lanes, atEnd)
		got := l.class(zs.p(), dz.p(), &class[0], rows, 0.5)
		// Exponents of up to 16 in magnitude are rounded before their function is taken.
		tolerance := bound(l.width, 16)
		want := 0.0
		for i := range rows {
			value, slopes := crossEntropy(z[i], int(class[i]))
			want += value
			l.compare("cross-entropy", dz.v, i, slopes, func(int) float64 { return tolerance })
		}
		if !(math.Abs(got-want) <= float64(rows)*tolerance) {
			fail("cross-entropy of %d rows of %d: %g, want %g", rows, l.width, got, want)
		}
		got = l.square(zs.p(), dz.p(), values.p(), rows, 0.5)
		want, tolerance = 0, 0
		for i := range rows {
			slopes := make([]float64, l.width)
			for c := range slopes {
				d := float64(z[i][c]) - float64(y[i][c])
				slopes[c] = 2 * d
				want += d * d
				tolerance += bound(1, math.Abs(d)*(math.Abs(float64(z[i][c]))+math.Abs(float64(y[i][c]))))
			}
			l.compare("square", dz.v, i, slopes, func(c int) float64 {
				return bound(1, math.Abs(float64(z[i][c]))+math.Abs(float64(y[i][c])))
			})
		}
		if !(math.Abs(got-want) <= tolerance) {
			fail("squares of %d rows of %d: %g, want %g", rows, l.width, got, want)
		}
		dz.done("dz of losses")
		classes.done("classes")
		values.done("targets")
	}
	zs.done("z")
	return checks
}

// crossEntropy returns a row's loss and its derivatives.
func crossEntropy(z []float32, class int) (value float64, slopes []float64) {
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(float64(v))
	}
	for c, v := range z {
		slope := math.Exp(float64(v)) / sum
		if c == class {
			slope--
		}
		slopes = append(slopes, slope)
	}
	return math.Log(sum) - float64(z[class]), slopes
}

// compare compares a row's gradient, which is half the slopes; padding is zero.
func (l loss) compare(what string, dz []float32, row int, slopes []float64, tolerance func(c int) float64) {
	for c := range panels(l.width) * lanes {
		got := float64(dz[(c/lanes*l.rows+row)*lanes+c%lanes])
		want, within := 0.0, 0.0
		if c < l.width {
			want, within = slopes[c]/2, tolerance(c)
		}
		if !(math.Abs(got-want) <= within) {
			fail("%s of %d: gradient [%d][%d] is %g, want %g", what, l.width, row, c, got, want)
			return
		}
	}
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
