package kernel

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
)

// Product multiplies rows by a packed matrix and finishes what it made while
// it is in registers or in the first cache: C [rows, 16·Panels] = A·B + bias,
// then Map. It serves a linear layer (A: activations, B: packed weights) and
// the gradient by a layer's input (A: gradients by its output, B: the
// transposed weights).
//
// The register tile is Split.Height rows by as many of the panels as registers
// hold: two of many rows, up to eight of a few. Vectors come from B, broadcast
// numbers from A.
type Product struct {
	Name   string
	Doc    string
	Splits map[vec.ISA]Split
	Depth  int // length of the sums: columns of A, rows of a panel of B
	// PanelDepth is the number of rows that a panel of B takes in memory.
	PanelDepth int
	Rows       int // rows that each panel of A and of the map's buffers holds
	Panels     int // panels of B that a call works on
	// Stride is the distance of A's rows in numbers where they stand one after
	// the other, [rows][Stride]; 0 if A is blocked.
	Stride int
	Bias   bool // start the sums with a bias instead of 0
	Resume bool // start the sums with those in acc: the product of an earlier part of the depth
	Store  bool // keep the sums themselves, in acc
	Map    *Map // what else is computed from the sums
	// Private tells that no other core reads what is written.
	Private bool
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
	return fmt.Sprintf("product %v %v %d %d %d %d %d %v %v %v %s %v", k.Splits[vec.AVX2], k.Splits[vec.AVX512],
		k.Depth, k.PanelDepth, k.Rows, k.Panels, k.Stride, k.Bias, k.Resume, k.Store, k.Map.key(), k.Private)
}

// hasSums reports whether sums are kept in acc, or come from there.
func (k *Product) hasSums() bool { return k.Resume || k.Store }

// Params implements Kernel.
func (k *Product) Params() Params {
	src := fmt.Sprintf("[%d][%d][16], rows to multiply", (k.Depth+Lanes-1)/Lanes, k.Rows)
	if k.Stride > 0 {
		src = fmt.Sprintf("[rows][%d], rows to multiply", k.Stride)
	}
	list := []Param{
		Pointer("src", src),
		Pointer("mat", fmt.Sprintf("[%d][%d][16], packed matrix", k.Panels, k.PanelDepth)),
	}
	if k.Bias {
		list = append(list, Pointer("bias", fmt.Sprintf("[%d][16]", k.Panels)))
	}
	if k.hasSums() {
		list = append(list, Pointer("acc", fmt.Sprintf("[%d][%d][16], the product", k.Panels, k.Rows)))
	}
	if k.Map != nil {
		list = append(list, k.Map.params(k.Panels/k.Map.Width())...)
	}
	return Params{List: append(list, Count("tile", "first tile of rows"), Count("tiles", "number of tiles, at least 1"))}
}

// about implements Kernel.
func (k *Product) about() string { return k.Doc }

// body implements Kernel.
func (k *Product) body(f *function) {
	p := &product{function: f, k: k, split: k.Splits[f.ISA()], panels: k.Panels}
	if f.ISA() == vec.AVX2 {
		p.panels = narrow(k.Panels, p.split.Height)
	}
	p.plan()
	p.place()
	if p.panels < k.Panels && !p.gather {
		p.Commentf("Panels %d at a time; the pointers on the stack move on.", p.panels)
		p.keep(p.panelPointers()...)
		left := f.AllocLocal(8)
		f.MOVQ(operand.U32(uint32(k.Panels/p.panels)), left)
		again := f.label("panel")
		f.Label(again)
		p.rowsOfTiles()
		p.nextPanels()
		f.DECQ(left)
		f.JNZ(operand.LabelRef(again))
	} else {
		p.rowsOfTiles()
	}
}

// narrow returns how many of a call's panels AVX2's register tile has: a panel
// takes two registers a row, and twelve registers hold sums.
func narrow(panels, height int) int {
	n := max(1, 6/height)
	for panels%n != 0 {
		n--
	}
	return n
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
	buffer gp // scratch [k.Panels][height][16]
	// tall and short are the numbers of tiles of Split.Height rows, and of one less.
	tall, short      count
	a, b, bias, c    gp
	numbers, vectors gp // a and b, on their way through a tile's sums
	ptr              pointers
	// ahead is where the next vectors, next where the next numbers, row how far
	// into the other buffers what the tile touches is fetched from.
	ahead, next, row gp
}

// plan chooses between a map on registers and one through scratch memory.
func (p *product) plan() {
	m := p.k.Map
	if m == nil {
		return
	}
	p.gather = !m.light() || p.panels%m.Width() != 0
	if p.gather {
		p.buffer = p.scratch(p.k.Panels * p.split.Height * lineBytes)
		p.Name(p.buffer, "scratch [%d][%d][16], sums of the tile", p.k.Panels, p.split.Height)
	}
}

// rowPointers are the parameters that move by a line with each row.
func (p *product) rowPointers() []string {
	var list []string
	if p.rowBytes() == lineBytes {
		list = append(list, "src")
	}
	if p.k.hasSums() {
		list = append(list, "acc")
	}
	if p.k.Map != nil {
		list = append(list, p.k.Map.Buffers...)
	}
	return list
}

// place moves the row pointers to the first tile and counts the tiles.
func (p *product) place() {
	f, s := p.function, p.split
	if first, ok := f.known("tile"); ok {
		n, _ := f.known("tiles")
		tall := min(n, max(0, s.Tall-first))
		p.tall, p.short = count{n: tall}, count{n: n - tall}
		for _, name := range p.rowPointers() {
			f.move(name, s.Rows(first)*lineBytes)
		}
		if n := p.rowBytes(); n != lineBytes {
			f.move("src", n*s.Rows(first))
		}
		return
	}
	tile, offset := f.GP64(), f.GP64()
	f.Comment("Offset of the first row in bytes.")
	f.MOVQ(f.slot("tile"), tile)
	f.IMUL3Q(operand.U32(uint32(s.Height*lineBytes)), tile, offset)
	p.tall = count{word: "tiles"}
	if s.Short > 0 {
		zero, over, tall := f.GP64(), f.GP64(), f.GP64()
		f.XORQ(zero, zero)
		f.MOVQ(tile, over)
		f.SUBQ(operand.U32(uint32(s.Tall)), over)
		f.CMOVQLT(zero, over)
		f.SHLQ(operand.U8(6), over)
		f.SUBQ(over, offset)
		f.Commentf("Tiles of %d rows, and of %d rows.", s.Height, s.Height-1)
		f.MOVQ(operand.U32(uint32(s.Tall)), tall)
		f.SUBQ(tile, tall)
		f.CMOVQLT(zero, tall)
		f.CMPQ(tall, f.slot("tiles"))
		f.CMOVQGT(f.slot("tiles"), tall)
		f.MOVQ(tall, f.slot("tile"))
		f.SUBQ(tall, f.slot("tiles"))
		p.tall, p.short = count{word: "tile"}, count{word: "tiles"}
	}
	f.Comment("Go to the first tile.")
	for _, name := range p.rowPointers() {
		f.ADDQ(offset, f.slot(name))
	}
	if n := p.rowBytes(); n != lineBytes {
		f.SHRQ(operand.U8(6), offset)
		f.IMUL3Q(operand.U32(uint32(n)), offset, offset)
		f.ADDQ(offset, f.slot("src"))
	}
}

// rowBytes is the distance between the rows of A.
func (p *product) rowBytes() int {
	if p.k.Stride > 0 {
		return 4 * p.k.Stride
	}
	return lineBytes
}

// panelPointers are the parameters that move with the panels of outputs.
func (p *product) panelPointers() []string {
	list := []string{"mat"}
	if p.k.Bias {
		list = append(list, "bias")
	}
	if p.k.hasSums() {
		list = append(list, "acc")
	}
	if m := p.k.Map; m != nil {
		if m.Param == PerUnit {
			list = append(list, "p")
		}
		list = append(list, m.Buffers...)
	}
	return list
}

// nextPanels moves the pointers on the stack to the next panels of outputs.
func (p *product) nextPanels() {
	p.move("mat", p.panels*p.k.PanelDepth*lineBytes)
	if p.k.Bias {
		p.move("bias", p.panels*lineBytes)
	}
	if p.k.hasSums() {
		p.move("acc", p.panels*p.k.Rows*lineBytes)
	}
	if m := p.k.Map; m != nil {
		units := p.panels / m.Width()
		if m.Param == PerUnit {
			p.move("p", units*lineBytes)
		}
		for i, name := range m.Buffers {
			p.move(name, units*m.stride(i)*m.Rows*lineBytes)
		}
	}
}
