package kernel

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// depth writes the loop over the sums: blocks of 16 columns of A, in steps of
// four.
func (p *product) depth(t *tile, q int) {
	f, k := p.function, p.k
	f.MOVQ(p.a, p.numbers)
	if q == 0 {
		f.MOVQ(p.b, p.vectors)
	} else {
		f.LEAQ(at(p.b, q*k.PanelDepth*lineBytes), p.vectors)
	}
	fours, rest := k.Depth/unroll, k.Depth%unroll
	perBlock := Lanes / unroll
	blocks, odd := (fours+perBlock-1)/perBlock, fours%perBlock
	jump := k.Rows*lineBytes - lineBytes // from the end of a block's line to the next block
	if k.Stride > 0 {
		jump = 0
	}
	fetch := blocks > 1 && !(p.gather && p.panels < k.Panels) && f.inline == nil
	// What the tile reads and writes beside is fetched with its first panels: a row
	// at a time, by blocks if there are as many as rows, or else by groups of four
	// steps. If these are too few as well, all rows of the next tile at once.
	var byBlock, byGroup []line
	if lines := p.touched(); q > 0 || len(lines) == 0 {
		// It is fetched already.
	} else if blocks >= t.rows {
		byBlock = lines
	} else if fours >= t.rows {
		byGroup = lines
	} else {
		p.fetchNextTile(lines, t.rows)
	}
	if blocks > 0 {
		p.blocks(t, blocks, odd, jump, fetch, byBlock, byGroup)
	}
	if rest > 0 {
		// The last block's line goes on where the loop left it, less the jump.
		back := 0
		if blocks > 0 && odd > 0 {
			back = jump
		}
		number := t.number
		t.number = func(r, u int) int { return number(r, u) - back }
		t.steps(rest, p.numbers, p.vectors, nil)
	}
}

// blocks writes the loop over blocks of 16 steps. The last block has odd
// groups of four steps; 0 means all. Each block fetches the lines byBlock of a row,
// each group byGroup.
func (p *product) blocks(t *tile, blocks, odd, jump int, fetch bool, byBlock, byGroup []line) {
	f, k, numbers, vectors := p.function, p.k, p.numbers, p.vectors
	perBlock := Lanes / unroll
	fetchB := fetch && p.fetchVectors()
	if byBlock != nil || byGroup != nil {
		p.row = f.GP64()
		f.Name(p.row, "offset in the other buffers of the row to fetch")
		f.XORQ(p.row, p.row)
	}
	group := func() {
		if byGroup != nil {
			p.fetchRow(byGroup, t.rows)
		}
		extra := func(u int) {
			if fetchB {
				for panel := range t.panels {
					f.PREFETCHT0(at(p.ahead, t.vector(panel, u)))
				}
			}
			if fetch && u*perBlock < t.rows {
				f.PREFETCHT0(at(p.next, u*p.rowBytes()))
			}
		}
		t.steps(unroll, numbers, vectors, extra)
		f.add(4*unroll, numbers)
		f.add(unroll*lineBytes, vectors)
		if fetchB {
			f.add(unroll*lineBytes, p.ahead)
		}
		if fetch {
			f.add(unroll*p.rowBytes(), p.next)
		}
	}
	if blocks == 1 {
		n := odd
		if n == 0 {
			n = perBlock
		}
		f.loop("step", n, group)
		f.add(jump, numbers)
		return
	}
	f.Commentf("%d steps: the products of 16 numbers of each row and as many vectors.", k.Depth)
	left, groups := f.GP64(), f.GP64()
	f.Name(groups, "groups of %d steps to do in the block", unroll)
	f.Name(left, "blocks of 16 steps to do")
	f.MOVQ(operand.U32(uint32(blocks)), left)
	if fetch {
		p.next = f.GP64()
		f.Name(p.next, "src: a later block, to fetch")
	}
	again := f.label("block")
	f.Label(again)
	if fetchB {
		// Near the end of the panel, fetch its beginning for the next tile.
		skip := f.label("fetch")
		f.CMPQ(left, operand.U8(fetchDistance/Lanes))
		f.JNE(operand.LabelRef(skip))
		f.MOVQ(p.b, p.ahead)
		f.Label(skip)
	}
	if fetch {
		p.fetchNumbers(t.rows, blocks, left)
	}
	if byBlock != nil {
		p.fetchRow(byBlock, t.rows)
	}
	f.MOVQ(operand.U32(uint32(perBlock)), groups)
	if odd > 0 {
		whole := f.label("whole")
		f.CMPQ(left, operand.U8(1))
		f.JNE(operand.LabelRef(whole))
		f.MOVQ(operand.U32(uint32(odd)), groups)
		f.Label(whole)
	}
	inner := f.label("step")
	f.Label(inner)
	group()
	f.DECQ(groups)
	f.JNZ(operand.LabelRef(inner))
	f.add(jump, numbers)
	f.DECQ(left)
	f.JNZ(operand.LabelRef(again))
}

// fetchNumbers sets where src is fetched during this block: a later block of the
// same rows or, at the end, one of the next rows.
func (p *product) fetchNumbers(rows, blocks int, left gp) {
	early, step := min(farBlocks, blocks-1), p.k.Rows*lineBytes
	if p.k.Stride > 0 {
		step = lineBytes
	}
	skip := p.label("fetch")
	p.LEAQ(at(p.numbers, early*step), p.next)
	p.CMPQ(left, operand.U32(uint32(early)))
	p.JGT(operand.LabelRef(skip))
	p.add(rows*p.rowBytes()-blocks*step, p.next)
	p.Label(skip)
}

// farBlocks is the number of blocks of 16 steps by which rows are fetched ahead:
// about the latency of memory, where the caller's rows may be, and of another
// core's cache, where half of the activations are.
const farBlocks = 6

// fetchDistance is the number of steps by which vectors are fetched ahead of
// their use: about the latency of the second cache, and enough of a start for
// the third.
const fetchDistance = 64

// fetchVectors tells whether the panels are too large to stay in the first
// cache, so that it pays to fetch them.
func (p *product) fetchVectors() bool { return p.k.Depth >= 2*fetchDistance }

// line is a cache line of each row that a tile touches when its sums are done.
type line struct {
	base    reg.Register // at the tile's first row
	disp    int
	written bool
}

// touched lists the lines of a row that the map and the sums themselves are read
// from and written to. Nothing is fetched where all is in the first cache, and
// nothing for writing where no other core has read it.
func (p *product) touched() []line {
	k, m := p.k, p.k.Map
	if p.inline != nil {
		return nil
	}
	panels := p.panels
	if p.gather {
		panels = k.Panels
	}
	var list []line
	if k.Store && !k.Resume && !k.Private {
		for panel := range panels {
			list = append(list, line{p.c, panel * k.Rows * lineBytes, true})
		}
	}
	if m == nil {
		return list
	}
	add := func(v View, written bool) {
		for u := range panels / m.Width() {
			l := line{p.ptr.buffer[v.Buffer], (v.Offset + v.Stride*u) * m.Rows * lineBytes, written}
			if i := slices.IndexFunc(list, func(o line) bool { return o.base == l.base && o.disp == l.disp }); i < 0 {
				list = append(list, l)
			}
		}
	}
	if !k.Private {
		for _, out := range m.Out {
			add(out.View, true)
		}
	}
	for _, in := range m.In {
		if in.Buffer != Accumulator {
			add(in.View, false)
		}
	}
	return list
}

// fetchRow fetches the lines of the next row of the tile, if there is one: those
// behind it may be another core's, which is about to write them.
func (p *product) fetchRow(lines []line, rows int) {
	done := p.label("fetched")
	p.CMPQ(p.row, operand.U32(uint32(rows*lineBytes)))
	p.JE(operand.LabelRef(done))
	for _, l := range lines {
		p.fetch(operand.Mem{Base: l.base, Index: p.row, Scale: 1, Disp: l.disp}, l.written)
	}
	p.add(lineBytes, p.row)
	p.Label(done)
}

// fetchNextTile fetches what the next tile of rows will touch, where a tile has
// too few steps to fetch a row in each.
func (p *product) fetchNextTile(lines []line, rows int) {
	for _, l := range lines {
		for r := range rows {
			p.fetch(at(l.base, l.disp+(rows+r)*lineBytes), l.written)
		}
	}
}

// fetch fetches a line, from the cores that have read it if it will be written.
func (p *product) fetch(where operand.Mem, written bool) {
	if written {
		p.PREFETCHW(where)
	} else {
		p.PREFETCHT0(where)
	}
}
