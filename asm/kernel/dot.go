package kernel

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/expr"
)

// Dot is a linear layer of one output. A packed weight would leave 15 of 16
// lanes empty; here the lanes run over the inputs, and each row's products are
// added up at the end. The outputs are dense, [rows].
type Dot struct {
	Name   string
	Inputs int
	Rows   int // rows that each panel of the inputs holds
	Bias   bool
}

// FuncName implements Kernel.
func (k *Dot) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *Dot) Key() string { return fmt.Sprintf("dot %d %d %v", k.Inputs, k.Rows, k.Bias) }

// panels is the number of panels of inputs.
func (k *Dot) panels() int { return (k.Inputs + Lanes - 1) / Lanes }

// Params implements Kernel.
func (k *Dot) Params() Params {
	list := []Param{
		Pointer("src", fmt.Sprintf("[%d][%d][16], rows to multiply", k.panels(), k.Rows)),
		Pointer("w", fmt.Sprintf("[%d][16], the weights", k.panels())),
	}
	if k.Bias {
		list = append(list, Pointer("bias", "[1]"))
	}
	return Params{List: append(list, Pointer("z", "[rows], the outputs"), Count("rows", "number of rows"))}
}

// about implements Kernel.
func (k *Dot) about() string {
	return fmt.Sprintf("multiplies rows of %d by the weights of one output.", k.Inputs)
}

// body implements Kernel.
func (k *Dot) body(f *function) {
	src, w, z := f.moving("src", "at the row"), f.arg("w"), f.moving("z", "at the row")
	var bias gp
	if k.Bias {
		bias = f.arg("bias")
	}
	rows := func(n int) []vec.Wide {
		sums := f.newTile(n, 1)
		sums.zero()
		a, b := f.GP64(), f.GP64()
		f.MOVQ(src, a)
		f.MOVQ(w, b)
		f.loop("panel", k.panels(), func() {
			for v := range f.parts() {
				weight := f.LoadVec(at(b, f.part(v)))
				for r := range n {
					f.FmaInto(sums.acc[r][0][v], weight, vec.At(at(a, r*lineBytes+f.part(v))))
				}
			}
			f.add(k.Rows*lineBytes, a)
			f.add(lineBytes, b)
		})
		f.add(n*lineBytes, src)
		var out []vec.Wide
		for _, acc := range sums.acc {
			out = append(out, acc[0])
		}
		return out
	}
	many, few := f.divide(f.count("rows"), f.Lanes())
	f.repeat("rows", many, func() {
		sum := f.sumRows(rows)
		if k.Bias {
			sum = f.Add(sum, vec.Each(at(bias, 0)))
		}
		f.StoreVec(sum, at(z, 0))
		f.add(4*f.Lanes(), z)
	})
	f.repeat("row", few, func() {
		sum := f.Sum(rows(1)[0])
		if k.Bias {
			f.VADDSS(at(bias, 0), sum.X(), sum.X())
		}
		f.StoreLane(sum, at(z, 0))
		f.add(4, z)
	})
}

// DotBias adds up the gradients by a layer's one output over the rows, and
// updates the bias or keeps the gradient. The gradients are dense, [rows], and
// zero up to a multiple of 16 rows.
type DotBias struct {
	Name string
	Rule *Rule
}

// FuncName implements Kernel.
func (k *DotBias) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *DotBias) Key() string { return "dotbias " + k.Rule.key() }

// Params implements Kernel.
func (k *DotBias) Params() Params {
	var list []Param
	if k.Rule != nil {
		list = k.Rule.params("[1][16]")
	} else {
		list = []Param{Pointer("w", "[1][16], the gradient")}
	}
	list = append(list, Pointer("dz", "[rows], gradient by the output"), Count("rows", "number of rows, at least 1"))
	if k.Rule == nil {
		list = append(list, Count("more", "0 to store the gradient, 1 to add to it"))
	}
	return Params{List: list}
}

// about implements Kernel.
func (k *DotBias) about() string {
	if k.Rule != nil {
		return "updates the bias of one output by its gradient, the sum over the rows."
	}
	return "makes the gradient of the bias of one output, the sum over the rows."
}

// body implements Kernel.
func (k *DotBias) body(f *function) {
	to := f.destination(k.Rule, "[1][16]")
	dz, left := f.moving("dz", "at the vector"), f.arg("rows")
	f.add(Lanes-1, left)
	f.SHRQ(operand.U8(4), left)
	sums := f.newTile(1, 1)
	sums.zero()
	f.loopReg("vector", left, func() {
		sums.each(func(_, _, v int, acc vec.Vec) { f.AddInto(acc, vec.At(at(dz, f.part(v)))) })
		f.add(lineBytes, dz)
	})
	for v := range f.parts() {
		sum := f.Zero()
		if v == 0 {
			sum = f.Sum(sums.acc[0][0])
		}
		f.deposit(k.Rule, to, sum, f.part(v), 1-v*f.Lanes())
	}
}

// DenseLoss is Loss for one output, whose outputs, targets and gradients are
// dense: lanes run over the rows. The gradient is zero from the last row to
// the next multiple of 16.
type DenseLoss struct {
	Name         string
	Value, Slope *expr.Node
}

// FuncName implements Kernel.
func (k *DenseLoss) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *DenseLoss) Key() string { return fmt.Sprintf("denseloss %s %s", k.Value.Key(), k.Slope.Key()) }

// Params implements Kernel.
func (k *DenseLoss) Params() Params {
	return Params{List: []Param{
		Pointer("z", "[rows], raw outputs"),
		Pointer("dz", "[rows], gradient by them"),
		Pointer("y", "[rows], targets"),
		Count("rows", "number of rows"),
		{"scale", "float32", "factor of the gradient"},
	}, Result: "float64"}
}

// about implements Kernel.
func (k *DenseLoss) about() string {
	return "returns the sum of " + k.Value.String() + " and writes its derivative, scaled."
}

// body implements Kernel.
func (k *DenseLoss) body(f *function) {
	z, dz, y := f.moving("z", "at the vector"), f.moving("dz", "at the vector"), f.moving("y", "at the vector")
	rest := f.arg("rows")
	total := f.newDoubles()
	compute := func(v int, target vec.Val, finish func(value, grad vec.Vec)) {
		vars := map[string]vec.Val{"z": vec.At(at(z, f.part(v))), "y": target}
		values := f.lower([]*expr.Node{k.Value, k.Slope}, vars)
		finish(values[0], f.Mul(values[1], vec.Each(f.slot("scale"))))
	}
	whole := f.GP64()
	f.MOVQ(rest, whole)
	f.SHRQ(operand.U8(4), whole)
	f.ANDQ(operand.U8(Lanes-1), rest)
	f.loopReg("vector", whole, func() {
		for v := range f.parts() {
			compute(v, vec.At(at(y, f.part(v))), func(value, grad vec.Vec) {
				f.StoreVec(grad, at(dz, f.part(v)))
				total.add(value, v)
			})
		}
		f.add(lineBytes, z)
		f.add(lineBytes, dz)
		f.add(lineBytes, y)
	})
	done := f.label("done")
	f.TESTQ(rest, rest)
	f.JZ(operand.LabelRef(done))
	for v := range f.parts() {
		tail := f.TailReg(f.lanesOf(rest, v))
		compute(v, f.LoadTail(at(y, f.part(v)), tail), func(value, grad vec.Vec) {
			f.StoreVec(f.KeepTail(grad, tail), at(dz, f.part(v)))
			total.add(f.KeepTail(value, tail), v)
		})
	}
	f.Label(done)
	f.returnSum(total)
}

// lanesOf returns how many lanes of part v belong to the first n of 16.
func (f *function) lanesOf(n gp, v int) gp {
	if f.parts() == 1 {
		return n
	}
	lanes, bound := f.GP64(), f.GP64()
	f.MOVQ(n, lanes)
	f.add(-v*f.Lanes(), lanes)
	f.XORQ(bound, bound)
	f.TESTQ(lanes, lanes)
	f.CMOVQLT(bound, lanes)
	f.MOVQ(operand.U32(uint32(f.Lanes())), bound)
	f.CMPQ(lanes, bound)
	f.CMOVQGT(bound, lanes)
	return lanes
}
