package kernel

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
)

// DotGradient goes back through a layer of one output, for a range of blocks of
// 16 inputs: it computes the gradient of the weights, and updates them or keeps the
// gradient as Gradient does. The sum over rows is made in four chains, row by row in
// turn, that are added up at the end. On the way it makes the gradient by the inputs,
// d[row][k] = dz[row]·w[k], with a Map on it, which may be written over the inputs:
// each of these is read once.
type DotGradient struct {
	Name   string
	Inputs int
	Rows   int // rows that each panel of the inputs holds
	Rule   *Rule
	Input  bool // make the gradient by the inputs
	Store  bool // keep it, in back
	Map    *Map // what else is computed from it
	// Private tells that no other core reads what is written.
	Private bool
}

// FuncName implements Kernel.
func (k *DotGradient) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *DotGradient) Key() string {
	return fmt.Sprintf("dotgradient %d %d %s %v %v %s %v", k.Inputs, k.Rows, k.Rule.key(), k.Input, k.Store, k.Map.key(), k.Private)
}

func (k *DotGradient) panels() int { return (k.Inputs + Lanes - 1) / Lanes }

// Params implements Kernel.
func (k *DotGradient) Params() Params {
	shape := fmt.Sprintf("[%d][16]", k.panels())
	rows := fmt.Sprintf("[%d][%d][16]", k.panels(), k.Rows)
	var list []Param
	if k.Rule != nil {
		list = k.Rule.params(shape)
	} else {
		list = []Param{Pointer("w", shape+", the gradient")}
		if k.Input {
			list = append(list, Pointer("weight", shape+", the weights"))
		}
	}
	list = append(list,
		Pointer("input", rows+", inputs of the layer"),
		Pointer("grad", "[rows], gradient by its output"))
	if k.Store {
		list = append(list, Pointer("back", rows+", gradient by its inputs"))
	}
	if k.Map != nil {
		list = append(list, k.Map.params(k.panels())...)
	}
	list = append(list,
		Count("rows", "number of rows, at least 1"),
		Count("block", "first block of 16 inputs"),
		Count("blocks", "number of blocks, at least 1"))
	if k.Rule == nil {
		list = append(list, Count("more", "0 to store the gradient, 1 to add to it"))
	}
	return Params{List: list}
}

// about implements Kernel.
func (k *DotGradient) about() string {
	does := "makes the gradient of"
	if k.Rule != nil {
		does = "updates"
	}
	does += fmt.Sprintf(" the weights of %d inputs to one output", k.Inputs)
	if k.Input {
		does += " and makes the gradient by the inputs"
	}
	return does + "."
}

// body implements Kernel.
func (k *DotGradient) body(f *function) {
	g := &dotGradient{function: f, k: k}
	whole, rest := g.place()
	g.to = f.destination(k.Rule, "at the block")
	if k.Input {
		g.weight = g.to.w
		if k.Rule == nil {
			g.weight = f.moving("weight", "at the block")
		}
	}
	g.x = f.moving("input", "at the row")
	if k.Store {
		g.back = f.moving("back", "at the row")
	}
	if k.Map != nil {
		g.ptr = f.pointers(k.Map, "at the row")
	}
	f.repeat("block", whole, func() {
		g.panel(Lanes)
		g.nextBlock()
	})
	f.repeat("rest", rest, func() { g.panel(k.Inputs % Lanes) })
}

// dotGradient is the state while a DotGradient is written.
type dotGradient struct {
	*function
	k       *DotGradient
	to      target
	weight  reg.Register
	x, back gp
	ptr     pointers
}

// place moves the pointers to the first block and counts the blocks.
func (g *dotGradient) place() (whole, rest count) {
	k := g.k
	lines, rows := weightNames(k.Rule), []string{"input"}
	if k.Input && k.Rule == nil {
		lines = append(lines, "weight")
	}
	if k.Store {
		rows = append(rows, "back")
	}
	if k.Map != nil && k.Map.Param == PerUnit {
		lines = append(lines, "p")
	}
	steps := []step{{lineBytes, lines}, {k.Rows * lineBytes, rows}}
	if k.Map != nil {
		for i, b := range k.Map.Buffers {
			steps = append(steps, step{k.Map.stride(i) * k.Map.Rows * lineBytes, []string{b}})
		}
	}
	return g.goToBlock(k.Inputs, steps...)
}

// nextBlock moves the pointers from the end of a block's rows to the next block.
func (g *dotGradient) nextBlock() {
	f, k := g.function, g.k
	f.advance(g.to, lineBytes)
	if k.Input && k.Rule == nil {
		f.add(lineBytes, g.weight)
	}
	if k.Map != nil && k.Map.Param == PerUnit {
		f.add(lineBytes, g.ptr.param)
	}
	done := f.countOf("rows")
	if !done.known() {
		bytes := f.inRegister(done)
		f.SHLQ(operand.U8(log2(lineBytes)), bytes)
		g.atRow(func(r reg.Register, _ int) { f.SUBQ(bytes, r) })
	}
	g.atRow(func(r reg.Register, panels int) { f.add((panels*k.Rows-done.n)*lineBytes, r) })
}

// atRow visits the pointers that move on with the rows, and the number of panels
// to the next block of each.
func (g *dotGradient) atRow(visit func(r reg.Register, panels int)) {
	visit(g.x, 1)
	if g.k.Store {
		visit(g.back, 1)
	}
	if g.k.Map != nil {
		for i, r := range g.ptr.buffer {
			visit(r, g.k.Map.stride(i))
		}
	}
}

// panel does 16 inputs, of which the first lanes are there.
func (g *dotGradient) panel(lanes int) {
	const chains = unroll
	f, k := g.function, g.k
	sums := f.newTile(chains, 1)
	sums.zero()
	var weight vec.Wide
	if k.Input {
		for v := range f.parts() {
			weight = append(weight, f.LoadVec(at(g.weight, f.part(v))))
		}
	}
	dz := f.moving("grad", "at the row")
	step := func(n int) {
		for r := range n {
			d := f.Broadcast(at(dz, 4*r))
			for v := range f.parts() {
				f.FmaInto(sums.acc[r][0][v], d, vec.At(at(g.x, r*lineBytes+f.part(v))))
				if k.Input {
					g.input(f.Mul(d, weight[v]), r, v)
				}
			}
		}
		g.atRow(func(r reg.Register, _ int) { f.add(n*lineBytes, r) })
		f.add(4*n, dz)
	}
	fours, ones := f.divide(f.count("rows"), chains)
	f.repeat("four", fours, func() {
		g.fetch(fours)
		step(chains)
	})
	f.repeat("one", ones, func() { step(1) })
	for v := range f.parts() {
		sum := f.Add(f.Add(sums.acc[0][0][v], sums.acc[1][0][v]), f.Add(sums.acc[2][0][v], sums.acc[3][0][v]))
		f.deposit(k.Rule, g.to, sum, f.part(v), lanes-v*f.Lanes())
	}
}

// fetchFours is the number of groups of four rows by which lines are fetched ahead.
const fetchFours = 4

// fetch fetches the lines that a later group of rows will write, from the cores that
// have read them, while there are such groups: behind them may be lines that another
// core is about to write.
func (g *dotGradient) fetch(left count) {
	f, k := g.function, g.k
	if !k.Input || k.Private || left.known() {
		return
	}
	done := f.label("fetched")
	f.CMPQ(left.r, operand.U8(fetchFours))
	f.JLE(operand.LabelRef(done))
	for r := range unroll {
		row := unroll*fetchFours + r
		if k.Store {
			f.PREFETCHW(at(g.back, row*lineBytes))
		}
		if k.Map != nil {
			for _, out := range k.Map.Out {
				f.PREFETCHW(at(g.ptr.buffer[out.Buffer], (out.Offset*k.Rows+row)*lineBytes))
			}
		}
	}
	f.Label(done)
}

// input finishes the gradient by the inputs of a row: part v of the block.
func (g *dotGradient) input(d vec.Vec, row, v int) {
	f, k := g.function, g.k
	if k.Store {
		f.StoreVec(d, at(g.back, row*lineBytes+f.part(v)))
	}
	if k.Map != nil {
		f.mapPanel(k.Map, g.ptr, func(int) vec.Vec { return d }, 0, v, row*lineBytes, nil)
	}
}
