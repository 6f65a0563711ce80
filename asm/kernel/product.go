package kernel

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
)

// Product multiplies rows by a packed matrix and finishes what it made while
// it is in registers or in the first cache: C [rows, 16·Panels] = A·B + bias,
// then Map. It serves a linear layer (A: activations, B: packed weights) and
// the gradient by a layer's input (A: gradients by its output, B: the
// transposed weights).
//
// The register tile is Split.Height rows by one or two panels. Vectors come
// from B, broadcast numbers from A.
type Product struct {
	Name   string
	Doc    string
	Splits map[vec.ISA]Split
	Depth  int // length of the sums: columns of A, rows of a panel of B
	// PanelDepth is the number of rows that a panel of B takes in memory.
	PanelDepth int
	Rows       int  // rows that each panel of A and of the map's buffers holds
	Panels     int  // panels of B that a call works on: 1 or 2
	Dense      bool // A has one column, dense: [rows]
	Bias       bool // start the sums with a bias instead of 0
	Store      bool // keep the sums themselves, in acc
	Map        *Map // what else is computed from the sums
}

// MaxRows returns the most rows that a tile may have.
func MaxRows(isa vec.ISA) int {
	if isa == vec.AVX512 {
		return 14 // 14·2 sums, 2 vectors, a broadcast number
	}
	return 6 // 6·2 sums, 2 vectors, a broadcast number
}

// FuncName implements Kernel.
func (k *Product) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Product) Key() string {
	return fmt.Sprintf("product %v %v %d %d %d %d %v %v %v %s", k.Splits[vec.AVX2], k.Splits[vec.AVX512],
		k.Depth, k.PanelDepth, k.Rows, k.Panels, k.Dense, k.Bias, k.Store, k.Map.key())
}

// Params implements Kernel.
func (k *Product) Params() Params {
	src := fmt.Sprintf("[%d][%d][16], rows to multiply", (k.Depth+Lanes-1)/Lanes, k.Rows)
	if k.Dense {
		src = fmt.Sprintf("[%d], rows of one number to multiply", k.Rows)
	}
	list := []Param{
		Pointer("src", src),
		Pointer("mat", fmt.Sprintf("[%d][%d][16], packed matrix", k.Panels, k.PanelDepth)),
	}
	if k.Bias {
		list = append(list, Pointer("bias", fmt.Sprintf("[%d][16]", k.Panels)))
	}
	if k.Store {
		list = append(list, Pointer("acc", fmt.Sprintf("[%d][%d][16], the product", k.Panels, k.Rows)))
	}
	if k.Map != nil {
		list = append(list, k.Map.params()...)
	}
	return Params{List: append(list, Count("tile", "first tile of rows"), Count("tiles", "number of tiles, at least 1"))}
}

// params are the pointers that a map needs.
func (m *Map) params() []Param {
	var list []Param
	switch m.Param {
	case OneParam:
		list = append(list, Pointer("p", "the learned parameter"))
	case PerUnit:
		list = append(list, Pointer("p", "[units], the learned parameter"))
	}
	for _, b := range m.Buffers {
		list = append(list, Pointer(b, fmt.Sprintf("[panels][%d][16]", m.Rows)))
	}
	return list
}

// about implements Kernel.
func (k *Product) about() string { return k.Doc }

// body implements Kernel.
func (k *Product) body(f *function) {
	p := &product{function: f, k: k, split: k.Splits[f.ISA()], panels: k.Panels}
	if f.ISA() == vec.AVX2 {
		p.panels = 1
	}
	p.plan()
	p.place()
	if p.panels < k.Panels && !p.gather {
		// One panel after the other; the pointers in the frame move on.
		left := f.AllocLocal(8)
		f.MOVQ(operand.U32(uint32(k.Panels)), left)
		again := f.label("panel")
		f.Label(again)
		p.rowsOfTiles()
		p.nextPanel()
		f.DECQ(left)
		f.JNZ(operand.LabelRef(again))
	} else {
		p.rowsOfTiles()
	}
}

// product is the state while a Product is written.
type product struct {
	*function
	k      *Product
	split  Split
	panels int // panels of the register tile
	// gather tells that the sums of all panels are put in scratch, and that the
	// map runs over them from there.
	gather bool
	buffer reg.GPVirtual // scratch [k.Panels][height][16]
	a, b   reg.GPVirtual
	bias   reg.GPVirtual
	c      reg.GPVirtual
	ptr    pointers
	// ahead is where the next vectors, next where the next numbers, inputs how far
	// into the map's buffers what the map will read is fetched from.
	ahead, next, inputs reg.GPVirtual
}

// plan chooses between a map on registers and one through scratch memory.
func (p *product) plan() {
	m := p.k.Map
	if m == nil {
		return
	}
	p.gather = !m.light() || m.Width() > p.panels
	if p.gather {
		p.buffer = p.scratch(p.k.Panels * p.split.Height * lineBytes)
		p.Name(p.buffer, "scratch [%d][%d][16], sums of the tile", p.k.Panels, p.split.Height)
	}
}

// rowPointers are the parameters that move with the rows.
func (p *product) rowPointers() []string {
	var list []string
	if !p.k.Dense {
		list = append(list, "src")
	}
	if p.k.Store {
		list = append(list, "acc")
	}
	if p.k.Map != nil {
		list = append(list, p.k.Map.Buffers...)
	}
	return list
}

// place moves the row pointers in the frame to the first tile, and leaves the
// numbers of tall and of short tiles in tile and tiles.
func (p *product) place() {
	f, s := p.function, p.split
	tile, offset := f.GP64(), f.GP64()
	f.Comment("Offset of the first row in bytes.")
	f.MOVQ(f.slot("tile"), tile)
	f.IMUL3Q(operand.U32(uint32(s.Height*lineBytes)), tile, offset)
	if s.Short > 0 {
		zero, over, tall := f.GP64(), f.GP64(), f.GP64()
		f.XORQ(zero, zero)
		f.MOVQ(tile, over)
		f.SUBQ(operand.U32(uint32(s.Tall)), over)
		f.CMOVQLT(zero, over)
		f.SHLQ(operand.U8(6), over)
		f.SUBQ(over, offset)
		f.Commentf("Tiles of %d rows and of %d rows.", s.Height, s.Height-1)
		f.MOVQ(operand.U32(uint32(s.Tall)), tall)
		f.SUBQ(tile, tall)
		f.CMOVQLT(zero, tall)
		f.CMPQ(tall, f.slot("tiles"))
		f.CMOVQGT(f.slot("tiles"), tall)
		f.MOVQ(tall, f.slot("tile"))
		f.SUBQ(tall, f.slot("tiles"))
	}
	for _, name := range p.rowPointers() {
		f.ADDQ(offset, f.slot(name))
	}
	if p.k.Dense {
		f.SHRQ(operand.U8(4), offset)
		f.ADDQ(offset, f.slot("src"))
	}
}

// rowBytes is the distance between the rows of A.
func (p *product) rowBytes() int {
	if p.k.Dense {
		return 4
	}
	return lineBytes
}

// nextPanel moves the pointers in the frame to the next panel of outputs.
func (p *product) nextPanel() {
	p.add(p.k.PanelDepth*lineBytes, p.slot("mat"))
	if p.k.Bias {
		p.add(lineBytes, p.slot("bias"))
	}
	if p.k.Store {
		p.add(p.k.Rows*lineBytes, p.slot("acc"))
	}
	if m := p.k.Map; m != nil {
		if m.Param == PerUnit {
			p.add(lineBytes, p.slot("p"))
		}
		for i, name := range m.Buffers {
			p.add(m.stride(i)*m.Rows*lineBytes, p.slot(name))
		}
	}
}

// stride returns the distance in panels between the units of a buffer.
func (m *Map) stride(buffer int) int {
	for _, in := range m.In {
		if in.Buffer == buffer {
			return in.Stride
		}
	}
	for _, out := range m.Out {
		if out.Buffer == buffer {
			return out.Stride
		}
	}
	return 1
}

// rowsOfTiles writes the loops over the tiles.
func (p *product) rowsOfTiles() {
	f, k := p.function, p.k
	p.a, p.b = f.arg("src"), f.arg("mat")
	if k.Bias {
		p.bias = f.arg("bias")
	}
	if k.Store {
		p.c = f.arg("acc")
	}
	if k.Map != nil {
		p.ptr = f.pointers(k.Map)
	}
	if p.fetchVectors() {
		p.ahead = f.GP64()
		f.Name(p.ahead, "what is fetched from mat")
		f.LEAQ(at(p.b, fetchDistance*lineBytes), p.ahead)
	}
	if p.split.Short == 0 {
		p.tiles(p.split.Height, "tiles")
		return
	}
	p.tiles(p.split.Height, "tile")
	p.tiles(p.split.Height-1, "tiles")
}

// pointers loads a map's pointers.
func (f *function) pointers(m *Map) pointers {
	var p pointers
	if m.Param != NoParam {
		p.param = f.arg("p")
	}
	for _, b := range m.Buffers {
		p.buffer = append(p.buffer, f.arg(b))
	}
	return p
}

// tiles writes the loop over tiles of one height; count names the parameter
// that holds their number.
func (p *product) tiles(height int, count string) {
	f, k := p.function, p.k
	left := f.GP64()
	f.MOVQ(f.slot(count), left)
	f.loopReg(fmt.Sprintf("tile%dx", height), left, func() {
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
		if k.Store {
			f.add(height*lineBytes, p.c)
		}
		for _, b := range p.ptr.buffer {
			f.add(height*lineBytes, b)
		}
	})
}

// fetchDistance is the number of steps by which vectors are fetched ahead of
// their use: about the latency of the second cache, and enough of a start for
// the third.
const fetchDistance = 64

// fetchVectors tells whether the panels are too large to stay in the first
// cache, so that it pays to fetch them.
func (p *product) fetchVectors() bool { return p.k.Depth >= 2*fetchDistance }

// tile computes one tile of sums, of panels q on, and puts it where it goes.
func (p *product) tile(height, q int) {
	f, k := p.function, p.k
	t := f.newTile(height, p.panels)
	t.number = func(r, u int) int { return r*p.rowBytes() + 4*u }
	t.vector = func(panel, u int) int { return (panel*k.PanelDepth + u) * lineBytes }
	if k.Bias {
		t.loadRow(func(panel int) operand.Mem { return at(p.bias, (q+panel)*lineBytes) })
	} else {
		t.zero()
	}
	p.depth(t, q)
	if k.Store {
		t.store(func(r, panel int) operand.Mem { return at(p.c, (q+panel)*k.Rows*lineBytes+r*lineBytes) })
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

// depth writes the loop over the sums: blocks of 16 columns of A, in steps of
// four.
func (p *product) depth(t *tile, q int) {
	f, k := p.function, p.k
	numbers, vectors := f.GP64(), f.GP64()
	f.Name(numbers, "running pointer into src")
	f.Name(vectors, "running pointer into mat")
	f.MOVQ(p.a, numbers)
	f.LEAQ(at(p.b, q*k.PanelDepth*lineBytes), vectors)
	fours, rest := k.Depth/unroll, k.Depth%unroll
	perBlock := Lanes / unroll
	blocks, odd := (fours+perBlock-1)/perBlock, fours%perBlock
	jump := k.Rows*lineBytes - lineBytes // from the end of a block's line to the next block
	fetch := blocks > 1 && !(p.gather && p.panels < k.Panels)
	if blocks > 0 {
		p.blocks(t, numbers, vectors, blocks, odd, jump, fetch)
	}
	if rest > 0 {
		// The last block's line goes on where the loop left it, less the jump.
		back := 0
		if blocks > 0 && odd > 0 {
			back = jump
		}
		number := t.number
		t.number = func(r, u int) int { return number(r, u) - back }
		t.steps(rest, numbers, vectors, nil)
	}
}

// blocks writes the loop over blocks of 16 steps. The last block has odd
// groups of four steps; 0 means all.
func (p *product) blocks(t *tile, numbers, vectors reg.GPVirtual, blocks, odd, jump int, fetch bool) {
	f, k := p.function, p.k
	perBlock := Lanes / unroll
	fetchB := fetch && p.fetchVectors()
	// What the map reads is fetched a row at a time: by blocks if there are as
	// many as rows, or else by groups of four steps.
	byBlock := blocks >= t.rows
	byGroup := !byBlock && blocks*perBlock >= t.rows
	if byBlock || byGroup {
		p.startInputs()
	}
	group := func() {
		if byGroup {
			p.fetchInputs()
		}
		extra := func(u int) {
			if fetchB {
				for panel := range t.panels {
					f.PREFETCHT0(at(p.ahead, t.vector(panel, u)))
				}
			}
			if fetch && u*perBlock < t.rows {
				f.PREFETCHT0(at(p.next, u*lineBytes))
			}
		}
		t.steps(unroll, numbers, vectors, extra)
		f.add(4*unroll, numbers)
		f.add(unroll*lineBytes, vectors)
		if fetchB {
			f.add(unroll*lineBytes, p.ahead)
		}
		if fetch {
			f.add(unroll*lineBytes, p.next)
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
	left, groups := f.GP64(), f.GP64()
	f.Name(left, "blocks of 16 steps left")
	f.MOVQ(operand.U32(uint32(blocks)), left)
	if fetch {
		p.next = f.GP64()
		f.Name(p.next, "what is fetched from src")
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
		// Fetch the next block of the same rows; after the last, the first block
		// of the next rows.
		skip := f.label("fetch")
		f.LEAQ(at(numbers, k.Rows*lineBytes), p.next)
		f.CMPQ(left, operand.U8(1))
		f.JNE(operand.LabelRef(skip))
		f.LEAQ(at(p.a, t.rows*lineBytes), p.next)
		f.Label(skip)
	}
	if byBlock {
		p.fetchInputs()
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

// startInputs begins to fetch what the map will read of this tile.
func (p *product) startInputs() {
	if m := p.k.Map; m == nil || !m.reads() {
		return
	}
	p.inputs = p.GP64()
	p.Name(p.inputs, "row whose inputs of the map are fetched")
	p.XORQ(p.inputs, p.inputs)
}

// fetchInputs fetches the lines of one row that the map will read.
func (p *product) fetchInputs() {
	m := p.k.Map
	if m == nil || !m.reads() {
		return
	}
	for _, in := range m.In {
		if in.Buffer == Accumulator {
			continue
		}
		units := p.panels / m.Width()
		if p.gather {
			units = p.k.Panels / m.Width()
		}
		for u := range units {
			panel := in.Offset + in.Stride*u
			p.PREFETCHT0(operand.Mem{Base: p.ptr.buffer[in.Buffer], Index: p.inputs, Scale: 1, Disp: panel * m.Rows * lineBytes})
		}
	}
	p.add(lineBytes, p.inputs)
}

// finish runs the map over the sums in scratch.
func (p *product) finish(height int) {
	f, m := p.function, p.k.Map
	// The pointers move row by row, and are set back.
	sums := f.GP64()
	f.MOVQ(p.buffer, sums)
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
	if height > 1 {
		for _, b := range p.ptr.buffer {
			f.add(-height*lineBytes, b)
		}
	} else {
		for _, b := range p.ptr.buffer {
			f.add(-lineBytes, b)
		}
	}
}
