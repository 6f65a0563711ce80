package kernel

import (
	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
)

// rowsOfTiles writes the loops over the tiles.
func (p *product) rowsOfTiles() {
	f, k := p.function, p.k
	const where = "at the tile's first row"
	p.a, p.b = f.moving("src", where), f.arg("mat")
	if k.Bias {
		p.bias = f.arg("bias")
	}
	if k.hasSums() {
		p.c = f.moving("acc", where)
	}
	if k.Map != nil {
		p.ptr = f.pointers(k.Map, where)
	}
	p.numbers, p.vectors = f.GP64(), f.GP64()
	f.Name(p.numbers, "src: at the step, in the tile's first row")
	f.Name(p.vectors, "mat: at the step")
	if p.fetchVectors() {
		p.ahead = f.GP64()
		f.Name(p.ahead, "mat: %d steps ahead, to fetch", fetchDistance)
		f.LEAQ(at(p.b, fetchDistance*lineBytes), p.ahead)
	}
	p.tiles("tall", p.split.Height, p.tall)
	if p.split.Short > 0 {
		p.tiles("short", p.split.Height-1, p.short)
	}
}

// tiles writes the loop over n tiles of one height.
func (p *product) tiles(what string, height int, n count) {
	f, k := p.function, p.k
	if n.known() && n.n == 0 {
		return
	}
	f.Commentf("Tiles of %d rows by %d columns.", height, p.panels*Lanes)
	f.repeat(what, n, func() {
		for q := 0; q < k.Panels; q += p.panels {
			p.tile(height, q)
			if !p.gather {
				break
			}
		}
		if p.gather {
			p.finish(height)
		}
		f.add(height*p.rowBytes(), p.a)
		if k.hasSums() {
			f.add(height*lineBytes, p.c)
		}
		for _, b := range p.ptr.buffer {
			f.add(height*lineBytes, b)
		}
	})
}

// tile computes one tile of sums, of panels q on, and puts it where it goes.
func (p *product) tile(height, q int) {
	f, k := p.function, p.k
	t := f.newTile(height, p.panels)
	t.name("src", "mat")
	t.number = func(r, u int) int { return r*p.rowBytes() + 4*u }
	t.vector = func(panel, u int) int { return (panel*k.PanelDepth + u) * lineBytes }
	sums := func(r, panel int) operand.Mem { return at(p.c, (q+panel)*k.Rows*lineBytes+r*lineBytes) }
	switch {
	case k.Resume:
		t.load(sums)
	case k.Bias:
		t.loadRow(func(panel int) operand.Mem { return at(p.bias, (q+panel)*lineBytes) })
	default:
		t.zero()
	}
	p.depth(t, q)
	if k.Store {
		t.store(sums)
	}
	switch {
	case p.gather:
		t.store(func(r, panel int) operand.Mem { return at(p.buffer, ((q+panel)*height+r)*lineBytes) })
	case k.Map != nil:
		for r := range height {
			for u := range p.panels / k.Map.Width() {
				for v := range f.parts() {
					acc := func(panel int) vec.Vec { return t.acc[r][panel][v] }
					f.mapPanel(k.Map, p.ptr, acc, u, v, r*lineBytes, nil)
				}
			}
		}
	}
}

// finish runs the map over the sums in scratch.
func (p *product) finish(height int) {
	f, m := p.function, p.k.Map
	// The pointers move row by row, and are set back.
	sums := f.GP64()
	f.Name(sums, "scratch: at the row")
	f.MOVQ(p.buffer, sums)
	f.Commentf("The map on the tile: %s.", m.Formula())
	f.loop("finish", height, func() {
		for u := range p.k.Panels / m.Width() {
			for v := range f.parts() {
				acc := func(panel int) vec.Vec {
					return f.LoadVec(at(sums, panel*height*lineBytes+f.part(v)))
				}
				f.mapPanel(m, p.ptr, acc, u, v, 0, nil)
			}
		}
		f.add(lineBytes, sums)
		for _, b := range p.ptr.buffer {
			f.add(lineBytes, b)
		}
	})
	for _, b := range p.ptr.buffer {
		f.add(-height*lineBytes, b)
	}
}
