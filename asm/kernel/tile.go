package kernel

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
)

// unroll is the number of steps of a product's inner loop that are written out.
const unroll = 4

// tile is a block of sums that stays in registers while a product is
// computed: rows × panels of 16 lanes. Each step adds the product of a column
// of broadcast numbers and a row of vectors.
type tile struct {
	f            *function
	rows, panels int
	acc          [][]vec.Wide // [row][panel]
	// number and vector place the operands of step u, in bytes behind the two
	// running pointers.
	number func(row, u int) int
	vector func(panel, u int) int
	// beside, if it is set, gets each vector of a step.
	beside func(panel, v int, y vec.Val)
	// numbers and vectors name what the operands come from, for the legend.
	numbers, vectors string
}

func (f *function) newTile(rows, panels int) *tile {
	t := &tile{f: f, rows: rows, panels: panels, acc: make([][]vec.Wide, rows)}
	for r := range t.acc {
		t.acc[r] = make([]vec.Wide, panels)
		for p := range t.acc[r] {
			t.acc[r][p] = make(vec.Wide, f.parts())
			for v := range t.acc[r][p] {
				t.acc[r][p][v] = f.Fresh()
			}
		}
	}
	return t
}

// name names the tile's registers, and what its steps read.
func (t *tile) name(numbers, vectors string) {
	t.numbers, t.vectors = numbers, vectors
	t.each(func(_, _, _ int, acc vec.Vec) {
		t.f.Name(acc.Reg(), "sums of the tile [%d][%d][16], row by row", t.rows, t.panels)
	})
}

// each calls visit for every register of the tile.
func (t *tile) each(visit func(row, panel, v int, acc vec.Vec)) {
	for r := range t.acc {
		for p := range t.acc[r] {
			for v, acc := range t.acc[r][p] {
				visit(r, p, v, acc)
			}
		}
	}
}

// zero clears the sums.
func (t *tile) zero() {
	t.each(func(_, _, _ int, acc vec.Vec) { t.f.VXORPS(acc.Reg(), acc.Reg(), acc.Reg()) })
}

// load fills the sums from memory.
func (t *tile) load(where func(row, panel int) operand.Mem) {
	t.each(func(r, p, v int, acc vec.Vec) {
		t.f.VMOVUPS(where(r, p).Offset(t.f.part(v)), acc.Reg())
	})
}

// loadRow fills each row of the sums with the same values.
func (t *tile) loadRow(where func(panel int) operand.Mem) {
	t.each(func(r, p, v int, acc vec.Vec) {
		if r == 0 {
			t.f.VMOVUPS(where(p).Offset(t.f.part(v)), acc.Reg())
		} else {
			t.f.VMOVAPS(t.acc[0][p][v].Reg(), acc.Reg())
		}
	})
}

// store writes the sums to memory.
func (t *tile) store(where func(row, panel int) operand.Mem) {
	t.each(func(r, p, v int, acc vec.Vec) {
		t.f.VMOVUPS(acc.Reg(), where(r, p).Offset(t.f.part(v)))
	})
}

// steps writes n steps from numbers and vectors; before each, extra is called
// to write prefetches.
func (t *tile) steps(n int, numbers, vectors reg.Register, extra func(u int)) {
	for u := range n {
		if t.rows < t.panels*t.f.parts() {
			t.lowStep(u, numbers, vectors, extra)
		} else {
			t.highStep(u, numbers, vectors, extra)
		}
	}
}

// highStep writes a step of a tile with many rows: the vectors wait in
// registers for one number after the other.
func (t *tile) highStep(u int, numbers, vectors reg.Register, extra func(u int)) {
	f := t.f
	row := make([]vec.Wide, t.panels)
	for p := range row {
		for v := range f.parts() {
			y := t.loadVector(u, p, v, vectors)
			row[p] = append(row[p], y)
			if t.beside != nil {
				t.beside(p, v, y)
			}
		}
	}
	if extra != nil {
		extra(u)
	}
	for r := range t.rows {
		x := t.broadcast(u, r, numbers)
		for p := range row {
			for v := range row[p] {
				f.FmaInto(t.acc[r][p][v], x, row[p][v])
			}
		}
	}
}

// lowStep writes a step of a tile with few rows: the numbers wait in registers
// for one vector after the other. A single row's vectors are read by its sums.
func (t *tile) lowStep(u int, numbers, vectors reg.Register, extra func(u int)) {
	f := t.f
	column := make([]vec.Vec, t.rows)
	for r := range column {
		column[r] = t.broadcast(u, r, numbers)
	}
	if extra != nil {
		extra(u)
	}
	for p := range t.panels {
		for v := range f.parts() {
			if t.rows == 1 && t.beside == nil {
				f.FmaInto(t.acc[0][p][v], column[0], vec.At(t.place(u, p, v, vectors)))
				continue
			}
			y := t.loadVector(u, p, v, vectors)
			if t.beside != nil {
				t.beside(p, v, y)
			}
			for r, x := range column {
				f.FmaInto(t.acc[r][p][v], x, y)
			}
		}
	}
}

func (t *tile) broadcast(u, row int, numbers reg.Register) vec.Vec {
	x := t.f.Broadcast(at(numbers, t.number(row, u)))
	t.f.Name(x.Reg(), "a number of %s, in all lanes", t.numbers)
	return x
}

func (t *tile) loadVector(u, panel, v int, vectors reg.Register) vec.Vec {
	y := t.f.LoadVec(t.place(u, panel, v, vectors))
	t.f.Name(y.Reg(), "vectors of %s", t.vectors)
	return y
}

func (t *tile) place(u, panel, v int, vectors reg.Register) operand.Mem {
	return at(vectors, t.vector(panel, u)+t.f.part(v))
}
