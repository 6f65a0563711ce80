package kernel

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
)

// Gradient computes the gradient of a packed weight, dW = Xᵀ·dZ, for a range
// of blocks of 16 inputs and one or two panels of outputs. With a Rule the
// weights are updated while the gradient is in registers, and the gradient is
// not kept; without, it is stored or added to what is there.
//
// Vectors come from dZ, broadcast numbers from X; the sum runs over the rows.
type Gradient struct {
	Name   string
	Doc    string
	Inputs int // rows of a packed panel that belong to inputs
	// PanelRows is the number of rows that a packed panel takes in memory.
	PanelRows int
	Rows      int // rows that each panel of X and dZ holds
	// Stride is the distance of X's rows in numbers where they stand one after
	// the other, [rows][Stride]; 0 if X is blocked.
	Stride int
	Panels int // panels of outputs that a call works on: 1 or 2
	Rule   *Rule
	// Bias tells to make the gradient of the bias too, the sum of dZ over the rows,
	// with the first block.
	Bias bool
}

// FuncName implements Kernel.
func (k *Gradient) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Gradient) Key() string {
	return fmt.Sprintf("gradient %d %d %d %d %d %s %v", k.Inputs, k.PanelRows, k.Rows, k.Stride, k.Panels, k.Rule.key(), k.Bias)
}

// Params implements Kernel.
func (k *Gradient) Params() Params {
	shape := fmt.Sprintf("[%d][%d][16]", k.Panels, k.PanelRows)
	var list []Param
	if k.Rule != nil {
		list = k.Rule.params(shape)
	} else {
		list = []Param{Pointer("w", shape+", the gradient")}
	}
	if k.Bias {
		list = append(list, k.biasParams(fmt.Sprintf("[%d][16]", k.Panels))...)
	}
	x := fmt.Sprintf("[%d][%d][16], inputs of the layer", (k.Inputs+Lanes-1)/Lanes, k.Rows)
	if k.Stride > 0 {
		x = fmt.Sprintf("[rows][%d], inputs of the layer", k.Stride)
	}
	list = append(list,
		Pointer("x", x),
		Pointer("dz", fmt.Sprintf("[%d][%d][16], gradient by its outputs", k.Panels, k.Rows)),
		Count("rows", "number of rows, at least 1"),
		Count("block", "first block of 16 inputs"),
		Count("blocks", "number of blocks, at least 1"))
	if k.Rule == nil {
		list = append(list, Count("more", "0 to store the gradient, 1 to add to it"))
	}
	return Params{List: list}
}

// rowBytes is the distance between the rows of X, blockBytes that between its
// blocks of 16 columns.
func (k *Gradient) rowBytes() int {
	if k.Stride > 0 {
		return 4 * k.Stride
	}
	return lineBytes
}

func (k *Gradient) blockBytes() int {
	if k.Stride > 0 {
		return lineBytes
	}
	return k.Rows * lineBytes
}

// about implements Kernel.
func (k *Gradient) about() string { return k.Doc }

// body implements Kernel.
func (k *Gradient) body(f *function) {
	g := &gradient{function: f, k: k, panels: k.Panels}
	if f.ISA() == vec.AVX2 {
		g.panels = 1
	}
	if k.Rule != nil && !k.Rule.light() {
		g.buffer = f.scratch(g.heights(Lanes)[0] * g.panels * lineBytes)
		f.Name(g.buffer, "scratch, gradients of the tile")
	}
	if k.Bias {
		g.expectBias()
	}
	g.whole, g.rest = f.goToBlock(k.Inputs, step{Lanes * lineBytes, weightNames(k.Rule)}, step{k.blockBytes(), []string{"x"}})
	if g.panels < k.Panels {
		f.Comment("One panel after the other; the pointers on the stack move on.")
		f.keep(append(weightNames(k.Rule), "dz")...)
		if k.Bias {
			f.keep(k.biasNames()...)
		}
		left := f.GP64()
		f.Name(left, "panels to do")
		f.MOVQ(operand.U32(uint32(k.Panels)), left)
		again := f.label("panel")
		f.Label(again)
		g.blocks()
		for _, name := range weightNames(k.Rule) {
			f.move(name, k.PanelRows*lineBytes)
		}
		f.move("dz", k.Rows*lineBytes)
		if k.Bias {
			for _, name := range k.biasNames() {
				f.move(name, lineBytes)
			}
		}
		f.DECQ(left)
		f.JNZ(operand.LabelRef(again))
	} else {
		g.blocks()
	}
}

// gradient is the state while a Gradient is written.
type gradient struct {
	*function
	k           *Gradient
	panels      int // panels of the register tile
	buffer      gp
	whole, rest count // blocks of 16 inputs, and of fewer
	to          target
	x, dz       gp
	// numbers and vectors are x and dz on their way through the rows.
	numbers, vectors gp
	// offset is the place of the next tile's line to fetch, later that of the next
	// outputs' dz.
	offset, later gp
	bias          biasSums
}

// heights cuts n rows of a block into tiles.
func (g *gradient) heights(n int) []int {
	most := 8
	switch {
	case g.ISA() == vec.AVX2:
		most = 6
	case g.panels == 1:
		most = 16
	}
	s := SplitRows(n, most)
	if g.k.Bias && g.ISA() == vec.AVX2 && s.Short == 0 && s.Height == most {
		s = SplitRows(n, most-1) // the last tile needs registers for the bias
	}
	var list []int
	for range s.Tall {
		list = append(list, s.Height)
	}
	for range s.Short {
		list = append(list, s.Height-1)
	}
	return list
}

// blocks writes the loop over the blocks of inputs.
func (g *gradient) blocks() {
	f, k := g.function, g.k
	g.to = f.destination(k.Rule, "at the block")
	g.x, g.dz = f.moving("x", "at the block"), f.arg("dz")
	g.numbers, g.vectors = f.GP64(), f.GP64()
	f.Name(g.numbers, "x: at the row")
	f.Name(g.vectors, "dz: at the row")
	if g.fetchLater() {
		g.later = f.GP64()
		f.Name(g.later, "dz: the line of the next outputs to fetch")
		f.LEAQ(at(g.dz, g.panels*k.Rows*lineBytes), g.later)
	}
	if g.fetchWeights() {
		g.offset = f.GP64()
		f.Name(g.offset, "offset of the next tile's line to fetch")
	}
	if k.Bias {
		g.oweBias()
	}
	f.repeat("block", g.whole, func() {
		g.block(Lanes)
		f.advance(g.to, Lanes*lineBytes)
		f.add(k.blockBytes(), g.x)
	})
	f.repeat("rest", g.rest, func() { g.block(k.Inputs % Lanes) })
}

// fetchLater tells whether dz of the next outputs is brought to the second
// cache during the sums of these, a line for each four rows of a block's first
// tile: where these alone fill most of the first cache, those come from the
// third.
func (g *gradient) fetchLater() bool { return g.k.Panels*g.k.Rows >= 512 && g.inline == nil }

// fetchWeights tells whether the next tile's weights and states are fetched
// during the sum. Within a Whole all is in the first cache.
func (g *gradient) fetchWeights() bool { return g.k.Rule != nil && g.inline == nil }

// block computes the gradients of n inputs, tile by tile.
func (g *gradient) block(n int) {
	first := 0
	heights := g.heights(n)
	for i, h := range heights {
		g.tile(first, h, i == len(heights)-1)
		first += h
	}
}

// tile computes the gradients of inputs first to first+height-1 of the block.
// The last tile of a block fetches the next block of inputs.
func (g *gradient) tile(first, height int, last bool) {
	f, k := g.function, g.k
	f.Commentf("The gradient of inputs %d to %d of the block, for %d outputs.", first, first+height-1, g.panels*Lanes)
	t := f.newTile(height, g.panels)
	t.name("x", "dz")
	t.number = func(r, u int) int { return 4*(first+r) + u*k.rowBytes() }
	t.vector = func(panel, u int) int { return (panel*k.Rows + u) * lineBytes }
	line := weightLine(g.to.w, first, k.PanelRows)
	if k.Rule == nil {
		t.startKept(line)
	} else {
		t.zero()
	}
	if last && k.Bias {
		g.rowsAndBias(t, first)
	} else {
		g.rows(t, first, last)
	}
	switch {
	case k.Rule == nil:
		t.store(line)
	case g.buffer == nil:
		for p := range g.panels {
			for r := range height {
				for v, acc := range t.acc[r][p] {
					f.update(k.Rule, g.to, acc, (p*k.PanelRows+first+r)*lineBytes+f.part(v))
				}
			}
		}
	default:
		t.store(func(r, p int) operand.Mem { return at(g.buffer, (p*height+r)*lineBytes) })
		g.finish(first, height)
	}
	if last && k.Bias {
		g.finishBias()
	}
}

// startKept starts sums that are kept: with 0, or with what is there if the
// parameter more says so.
func (t *tile) startKept(where func(row, panel int) operand.Mem) {
	f := t.f
	add, ready := f.label("add"), f.label("start")
	f.CMPQ(f.slot("more"), operand.U8(0))
	f.JNE(operand.LabelRef(add))
	t.zero()
	f.JMP(operand.LabelRef(ready))
	f.Label(add)
	t.load(where)
	f.Label(ready)
}

// rows writes the loop over rows: four at a time, then one at a time.
func (g *gradient) rows(t *tile, first int, last bool) {
	f, k := g.function, g.k
	f.MOVQ(g.x, g.numbers)
	f.MOVQ(g.dz, g.vectors)
	fours, ones := f.divide(f.countOf("rows"), unroll)
	if g.fetchWeights() {
		f.XORQ(g.offset, g.offset)
	}
	f.repeat("four", fours, func() {
		t.steps(unroll, g.numbers, g.vectors, func(u int) {
			if last && f.inline == nil {
				f.PREFETCHT0(at(g.numbers, k.blockBytes()+u*k.rowBytes()))
			}
			if g.fetchLater() && first == 0 && u == unroll-1 {
				f.PREFETCHT1(at(g.later, 0))
				f.add(lineBytes, g.later)
			}
			if g.fetchWeights() && u > 0 {
				g.fetch(u-1, first+t.rows)
			}
		})
		f.add(unroll*k.rowBytes(), g.numbers)
		f.add(unroll*lineBytes, g.vectors)
		if g.fetchWeights() {
			// Once around the next tile, and again.
			f.add(lineBytes, g.offset)
			f.ANDQ(operand.U32(8*lineBytes-1), g.offset)
		}
	})
	f.repeat("one", ones, func() {
		t.steps(1, g.numbers, g.vectors, nil)
		f.add(k.rowBytes(), g.numbers)
		f.add(lineBytes, g.vectors)
	})
}

// fetch brings a line of the next tile's weights (n = 0) and states (1, 2), which
// are written there; of the weights, others have read some to transpose them.
func (g *gradient) fetch(n, line int) {
	bases := append([]reg.Register{g.to.w}, g.to.states...)
	if n >= len(bases) {
		return
	}
	for p := range g.panels {
		g.PREFETCHW(operand.Mem{Base: bases[n], Index: g.offset, Scale: 1, Disp: (p*g.k.PanelRows + line) * lineBytes})
	}
}

// finish updates a tile's weights from the gradients in scratch.
func (g *gradient) finish(first, height int) {
	f, k := g.function, g.k
	from := f.GP64()
	f.MOVQ(g.buffer, from)
	f.loop("update", height, func() {
		for p := range g.panels {
			for v := range f.parts() {
				grad := f.LoadVec(at(from, p*height*lineBytes+f.part(v)))
				f.update(k.Rule, g.to, grad, (p*k.PanelRows+first)*lineBytes+f.part(v))
			}
		}
		f.add(lineBytes, from)
		f.advance(g.to, lineBytes)
	})
	f.advance(g.to, -height*lineBytes)
}
