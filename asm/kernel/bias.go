package kernel

import (
	"fmt"

	"github.com/dnngen/dnngen/asm/vec"
)

// BiasGradient updates one or two panels of a bias by its gradient, the sum of
// dZ over the rows. Gradient does so beside the weights; this is for RankOne.
type BiasGradient struct {
	Name   string
	Rows   int // rows that each panel of dZ holds
	Panels int
	Rule   *Rule
}

// FuncName implements Kernel.
func (k *BiasGradient) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *BiasGradient) Key() string {
	return fmt.Sprintf("bias %d %d %s", k.Rows, k.Panels, k.Rule.key())
}

// Params implements Kernel.
func (k *BiasGradient) Params() Params {
	shape := fmt.Sprintf("[%d][16]", k.Panels)
	return Params{List: append(k.Rule.params(shape),
		Pointer("dz", fmt.Sprintf("[%d][%d][16], gradient by the outputs", k.Panels, k.Rows)),
		Count("rows", "number of rows"))}
}

// about implements Kernel.
func (k *BiasGradient) about() string {
	return "updates a bias by the sum of the gradients by the outputs."
}

// body implements Kernel.
func (k *BiasGradient) body(f *function) {
	to := f.targets(k.Rule, "the panel")
	dz, rows := f.moving("dz", "at the row"), f.count("rows")
	sums := f.newTile(1, k.Panels)
	sums.zero()
	f.repeat("row", rows, func() {
		sums.each(func(_, panel, v int, acc vec.Vec) {
			f.AddInto(acc, vec.At(at(dz, panel*k.Rows*lineBytes+f.part(v))))
		})
		f.add(lineBytes, dz)
	})
	sums.each(func(_, panel, v int, acc vec.Vec) {
		f.update(k.Rule, to, acc, panel*lineBytes+f.part(v))
	})
}
