package kernel

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
)

// This file sums the gradient of a bias beside that of the weights: dZ is in
// registers there, and the tile of a block's last inputs leaves some free.

// biasNames are the parameters of a Gradient that point to the bias and its
// states, or to the bias's kept gradient.
func (k *Gradient) biasNames() []string {
	names := []string{"bias"}
	if k.Rule != nil {
		for _, s := range k.Rule.stateNames() {
			names = append(names, "bias"+strings.ToUpper(s[:1])+s[1:])
		}
	}
	return names
}

func (k *Gradient) biasParams(shape string) []Param {
	names := k.biasNames()
	if k.Rule == nil {
		return []Param{Pointer(names[0], shape+", the gradient of the bias")}
	}
	list := []Param{Pointer(names[0], shape+", the bias")}
	for _, name := range names[1:] {
		list = append(list, Pointer(name, shape+", its state"))
	}
	return list
}

// biasSums is where a Gradient keeps the gradient of a bias.
type biasSums struct {
	// always tells that the call has one block, the first: then there are no words.
	always bool
	// begins is a word that is 1 if the call has the first block, owed one that is
	// 1 until its panels have their gradient.
	begins, owed operand.Mem
	sums         operand.Mem // [panels][16], while the tile of weights is finished
}

// expectBias prepares for the gradient of the bias, before anything moves.
func (g *gradient) expectBias() {
	f := g.function
	g.bias.sums = f.AllocLocal(g.panels * lineBytes)
	n, known := f.known("blocks") // within a Whole, whose calls take all
	if g.bias.always = known && n == 1; g.bias.always {
		return
	}
	g.bias.begins, g.bias.owed = f.AllocLocal(8), f.AllocLocal(8)
	f.Comment("The first block makes the gradient of the bias too.")
	if known {
		f.MOVQ(operand.U32(1), g.bias.begins)
		return
	}
	zero, one := f.GP64(), f.GP64()
	f.XORQ(zero, zero)
	f.MOVQ(operand.U32(1), one)
	f.CMPQ(f.slot("block"), operand.U8(0))
	f.CMOVQNE(zero, one)
	f.MOVQ(one, g.bias.begins)
}

// oweBias notes that the panels to come have no gradient of the bias yet.
func (g *gradient) oweBias() {
	if g.bias.always {
		return
	}
	begins := g.GP64()
	g.MOVQ(g.bias.begins, begins)
	g.MOVQ(begins, g.bias.owed)
}

// rowsAndBias writes the loop over rows of a block's last tile, for the first
// block one that adds up dz beside.
func (g *gradient) rowsAndBias(t *tile, first int) {
	f := g.function
	plain, done := f.label("plain"), f.label("made")
	if !g.bias.always {
		f.CMPQ(g.bias.owed, operand.U8(0))
		f.JE(operand.LabelRef(plain))
	}
	f.Comment("The first block: dz is added up beside, for the bias.")
	sums := f.newTile(1, g.panels)
	sums.each(func(_, _, _ int, acc vec.Vec) {
		f.Name(acc.Reg(), "sums of dz over the rows [%d][16]", g.panels)
	})
	if g.k.Rule == nil {
		bias := f.arg("bias")
		sums.startKept(func(_, panel int) operand.Mem { return at(bias, panel*lineBytes) })
	} else {
		sums.zero()
	}
	t.beside = func(panel, v int, dz vec.Val) { f.AddInto(sums.acc[0][panel][v], dz) }
	g.rows(t, first, true)
	t.beside = nil
	sums.store(func(_, panel int) operand.Mem { return g.bias.sums.Offset(panel * lineBytes) })
	if !g.bias.always {
		f.JMP(operand.LabelRef(done))
		f.Label(plain)
		g.rows(t, first, true)
		f.Label(done)
	}
}

// finishBias updates the bias, or keeps its gradient, when the tile's registers
// are free.
func (g *gradient) finishBias() {
	f, k := g.function, g.k
	paid := f.label("paid")
	if !g.bias.always {
		f.CMPQ(g.bias.owed, operand.U8(0))
		f.JE(operand.LabelRef(paid))
		f.MOVQ(operand.U32(0), g.bias.owed)
	}
	f.Comment("The bias, with the first block.")
	names := k.biasNames()
	to := target{w: f.arg(names[0]), scalars: g.to.scalars}
	for _, name := range names[1:] {
		to.states = append(to.states, f.arg(name))
	}
	for panel := range g.panels {
		for v := range f.parts() {
			disp := panel*lineBytes + f.part(v)
			sum := f.LoadVec(g.bias.sums.Offset(disp))
			if k.Rule == nil {
				f.StoreVec(sum, at(to.w, disp))
			} else {
				f.update(k.Rule, to, sum, disp)
			}
		}
	}
	if !g.bias.always {
		f.Label(paid)
	}
}
