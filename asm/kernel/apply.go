package kernel

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
)

// Apply runs a map by itself, over the rows of one panel of units.
type Apply struct {
	Name string
	Doc  string
	Map  *Map
}

// FuncName implements Kernel.
func (k *Apply) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Apply) Key() string { return "apply " + k.Map.key() }

// Params implements Kernel.
func (k *Apply) Params() Params {
	list := k.Map.params(1)
	for i := range k.Map.Sum {
		list = append(list, Pointer(sumName(i), "[16], sums to add to"))
	}
	return Params{List: append(list, Count("rows", "number of rows"))}
}

func sumName(i int) string { return fmt.Sprintf("sum%d", i) }

// about implements Kernel.
func (k *Apply) about() string { return k.Doc }

// body implements Kernel.
func (k *Apply) body(f *function) {
	ptr := f.pointers(k.Map, "at the row")
	rows := f.count("rows")
	var sums []vec.Vec
	for i := range k.Map.Sum {
		p := f.arg(sumName(i))
		for v := range f.parts() {
			sums = append(sums, f.LoadVec(at(p, f.part(v))))
		}
	}
	f.repeat("row", rows, func() {
		for v := range f.parts() {
			f.mapPanel(k.Map, ptr, nil, 0, v, 0, sums)
		}
		for _, b := range ptr.buffer {
			f.add(lineBytes, b)
		}
	})
	for i := range k.Map.Sum {
		p := f.arg(sumName(i))
		for v := range f.parts() {
			f.StoreVec(sums[i*f.parts()+v], at(p, f.part(v)))
		}
	}
}

// Block copies rows between a row-major matrix and a blocked one.
type Block struct {
	Name  string
	Width int  // columns
	Rows  int  // rows that each panel of the blocked matrix holds
	Back  bool // from blocked to row-major
}

// FuncName implements Kernel.
func (k *Block) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Block) Key() string { return fmt.Sprintf("block %d %d %v", k.Width, k.Rows, k.Back) }

// Params implements Kernel.
func (k *Block) Params() Params {
	return Params{List: []Param{
		Pointer("blocked", fmt.Sprintf("[%d][%d][16]", (k.Width+Lanes-1)/Lanes, k.Rows)),
		Pointer("flat", fmt.Sprintf("[rows][%d]", k.Width)),
		Count("rows", "number of rows"),
	}}
}

// blockRows is the number of rows that are copied panel after panel, so that
// their lines are still in the first cache when the next panel needs them.
const blockRows = 16

// about implements Kernel.
func (k *Block) about() string {
	if k.Back {
		return "copies rows from panels of 16 columns."
	}
	return "copies rows into panels of 16 columns."
}

// body implements Kernel.
func (k *Block) body(f *function) {
	blocked, flat, left := f.arg("blocked"), f.arg("flat"), f.arg("rows")
	n := f.GP64()
	f.Name(n, "rows of this block")
	done, again := f.label("done"), f.label("rows")
	f.Label(again)
	f.TESTQ(left, left)
	f.JZ(operand.LabelRef(done))
	f.MOVQ(operand.U32(blockRows), n)
	f.CMPQ(left, n)
	f.CMOVQLT(left, n)
	f.SUBQ(n, left)
	to, from := f.GP64(), f.GP64()
	f.MOVQ(blocked, to)
	f.MOVQ(flat, from)
	f.loop("panel", k.Width/Lanes, func() {
		k.panel(f, to, from, n, Lanes)
		f.add(k.Rows*lineBytes, to)
		f.add(lineBytes, from)
	})
	if rest := k.Width % Lanes; rest > 0 {
		k.panel(f, to, from, n, rest)
	}
	f.add(blockRows*lineBytes, blocked)
	f.add(blockRows*k.Width*4, flat)
	f.JMP(operand.LabelRef(again))
	f.Label(done)
}

// panel copies n rows of one panel, the first lanes of each.
func (k *Block) panel(f *function, to, from, n gp, lanes int) {
	line, row, left := f.GP64(), f.GP64(), f.GP64()
	f.MOVQ(to, line)
	f.MOVQ(from, row)
	f.MOVQ(n, left)
	tails := make([]vec.Tail, f.parts())
	for v := range tails {
		if l := lanes - v*f.Lanes(); l > 0 && l < f.Lanes() {
			tails[v] = f.TailOf(l)
		}
	}
	f.loopReg("row", left, func() {
		for v := range f.parts() {
			b, r := at(line, f.part(v)), at(row, f.part(v))
			switch l := lanes - v*f.Lanes(); {
			case l <= 0 && !k.Back:
				f.StoreVec(f.Zero(), b)
			case l <= 0:
			case k.Back && l < f.Lanes():
				f.StoreTail(f.LoadVec(b), r, tails[v])
			case k.Back:
				f.StoreVec(f.LoadVec(b), r)
			case l < f.Lanes():
				f.StoreVec(f.LoadTail(r, tails[v]), b)
			default:
				f.StoreVec(f.LoadVec(r), b)
			}
		}
		f.add(lineBytes, line)
		f.add(4*k.Width, row)
	})
}

// Transpose turns lines of 16 inputs of a packed weight
// [panels][PanelRows][16] into panels of the transposed weight, in which the
// inputs run over the lanes: [Lines][16·Panels][16].
type Transpose struct {
	Name      string
	Panels    int // panels of outputs
	PanelRows int // rows of a panel in memory
	Lines     int // of 16 inputs
}

// FuncName implements Kernel.
func (k *Transpose) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Transpose) Key() string {
	return fmt.Sprintf("transpose %d %d %d", k.Panels, k.PanelRows, k.Lines)
}

// Params implements Kernel.
func (k *Transpose) Params() Params {
	return Params{List: []Param{
		Pointer("t", fmt.Sprintf("[%d][%d][16], transposed weights", k.Lines, k.Panels*Lanes)),
		Pointer("w", fmt.Sprintf("[%d][%d][16], packed weights from the first input on", k.Panels, k.PanelRows)),
	}}
}

// about implements Kernel.
func (k *Transpose) about() string {
	return fmt.Sprintf("transposes %d inputs of a packed weight.", k.Lines*Lanes)
}

// body implements Kernel.
func (k *Transpose) body(f *function) {
	t, w := f.arg("t"), f.arg("w")
	f.loop("panel", k.Panels, func() {
		for l := range k.Lines {
			for r := range Lanes {
				f.PREFETCHT0(at(w, (k.PanelRows+l*Lanes+r)*lineBytes))
			}
		}
		for l := range k.Lines {
			f.Commentf("Inputs %d to %d.", l*Lanes, l*Lanes+Lanes-1)
			if f.ISA() == vec.AVX512 {
				f.transpose16(w, l*Lanes*lineBytes, t, l*k.Panels*Lanes*lineBytes)
			} else {
				f.transpose8s(w, l*Lanes*lineBytes, t, l*k.Panels*Lanes*lineBytes)
			}
		}
		f.add(k.PanelRows*lineBytes, w)
		f.add(Lanes*lineBytes, t)
	})
}

// transpose16 transposes 16 lines of 16 lanes.
func (f *function) transpose16(from gp, fromDisp int, to gp, toDisp int) {
	row := make([]vec.Vec, Lanes)
	for i := range row {
		row[i] = f.LoadVec(at(from, fromDisp+i*lineBytes))
	}
	row = f.transpose4s(row)
	// row[4g+j] has in quarter q what inputs 4g to 4g+3 give to output 4q+j.
	shuffle := func(a, b vec.Vec, odd bool) vec.Vec {
		d := f.Fresh()
		which := operand.U8(0x88) // quarters 0 and 2 of each
		if odd {
			which = 0xdd // quarters 1 and 3
		}
		f.VSHUFF32X4(which, b.Reg(), a.Reg(), d.Reg())
		return d
	}
	for j := range 4 {
		even0, odd0 := shuffle(row[j], row[4+j], false), shuffle(row[j], row[4+j], true)
		even8, odd8 := shuffle(row[8+j], row[12+j], false), shuffle(row[8+j], row[12+j], true)
		for q, out := range []vec.Vec{
			shuffle(even0, even8, false), shuffle(odd0, odd8, false),
			shuffle(even0, even8, true), shuffle(odd0, odd8, true),
		} {
			f.StoreVec(out, at(to, toDisp+(4*q+j)*lineBytes))
		}
	}
}

// transpose8s transposes 16 lines of 16 lanes in four squares of 8.
func (f *function) transpose8s(from gp, fromDisp int, to gp, toDisp int) {
	for in := 0; in < Lanes; in += 8 {
		for out := 0; out < Lanes; out += 4 {
			row := make([]vec.Vec, 4)
			for i := range row {
				row[i] = f.Fresh()
				// Four outputs of input i in the low half, of input i+4 in the high one.
				f.VMOVUPS(at(from, fromDisp+(in+i)*lineBytes+4*out), row[i].X())
				f.VINSERTF128(operand.U8(1), at(from, fromDisp+(in+i+4)*lineBytes+4*out), row[i].Reg(), row[i].Reg())
			}
			for j, r := range f.transpose4s(row) {
				f.StoreVec(r, at(to, toDisp+(out+j)*lineBytes+4*in))
			}
		}
	}
}

// transpose4s transposes squares of 4 in each group of four vectors: lanes
// 4q+j of vectors 4g to 4g+3 come to stand in quarter q of vector 4g+j.
func (f *function) transpose4s(row []vec.Vec) []vec.Vec {
	two := func(op func(ops ...operand.Op), a, b vec.Vec) vec.Vec {
		d := f.Fresh()
		op(b.Reg(), a.Reg(), d.Reg())
		return d
	}
	out := make([]vec.Vec, len(row))
	for g := 0; g < len(row); g += 4 {
		low01, high01 := two(f.VUNPCKLPS, row[g], row[g+1]), two(f.VUNPCKHPS, row[g], row[g+1])
		low23, high23 := two(f.VUNPCKLPS, row[g+2], row[g+3]), two(f.VUNPCKHPS, row[g+2], row[g+3])
		out[g], out[g+1] = two(f.VUNPCKLPD, low01, low23), two(f.VUNPCKHPD, low01, low23)
		out[g+2], out[g+3] = two(f.VUNPCKLPD, high01, high23), two(f.VUNPCKHPD, high01, high23)
	}
	return out
}
