package testkernels_test

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
	tk "github.com/dnngen/dnngen/asm/vec/internal/testkernels"
)

// shape is a kernel with a form of its own: tails, reductions, loops.
type shape struct {
	name string
	emit func(e *vec.Emitter, out, in, n reg.GPVirtual)
}

func at(base reg.Register, bytes int) operand.Mem { return operand.Mem{Base: base, Disp: bytes} }

// wide loads 16 lanes.
func wide(e *vec.Emitter, base reg.Register, disp int) vec.Wide {
	w := make(vec.Wide, e.PerWide())
	for i := range w {
		w[i] = e.LoadVec(at(base, disp+i*e.ISA().Bytes()))
	}
	return w
}

var shapes = []shape{
	{"sum", func(e *vec.Emitter, out, in, _ reg.GPVirtual) {
		e.StoreLane(e.Sum(wide(e, in, 0)), at(out, 0))
	}},
	{"maxLane", func(e *vec.Emitter, out, in, _ reg.GPVirtual) {
		e.StoreLane(e.MaxLane(wide(e, in, 0)), at(out, 0))
	}},
	{"lanes", func(e *vec.Emitter, out, in, _ reg.GPVirtual) {
		for i := range e.PerWide() {
			e.StoreVec(e.BroadcastLane(e.LoadVec(at(in, 4))), at(out, i*e.ISA().Bytes()))
		}
	}},
	// tail copies the first n lanes, n being at most the native number.
	{"tail", func(e *vec.Emitter, out, in, n reg.GPVirtual) {
		t := e.TailReg(n)
		v := e.LoadTail(at(in, 0), t)
		e.StoreTail(e.Add(v, e.KeepTail(e.Reg(vec.C(1)), t)), at(out, 0), t)
	}},
	// tail5 copies 5 lanes and clears the others of a vector.
	{"tail5", func(e *vec.Emitter, out, in, _ reg.GPVirtual) {
		t := e.TailOf(5)
		e.StoreVec(e.LoadTail(at(in, 0), t), at(out, 0))
	}},
	{"each", func(e *vec.Emitter, out, in, _ reg.GPVirtual) {
		one := vec.Each(at(in, 0))
		x := e.Broadcast(at(in, 4))
		y := e.Fma(x, one, vec.Each(at(in, 8)))
		y = e.Where(e.Sub(one, y), vec.Le, vec.C(0), one, y)
		for i := range e.PerWide() {
			e.StoreVec(y, at(out, i*e.ISA().Bytes()))
		}
	}},
	// accumulate has a loop whose sums fill the registers, and an epilogue that
	// needs more: the epilogue has to spill, the loop must not.
	{"accumulate", func(e *vec.Emitter, out, in, n reg.GPVirtual) {
		sums := make([]vec.Vec, e.ISA().Registers()-2)
		for i := range sums {
			sums[i] = e.Zero()
			e.Name(sums[i].Reg(), "sum %d", i)
		}
		e.Label("loop")
		x := e.LoadVec(at(in, 0))
		for i, s := range sums {
			e.FmaInto(s, x, e.Reg(vec.C(float64(i))))
		}
		e.DECQ(n)
		e.JNE(operand.LabelRef("loop"))
		for i, s := range sums {
			// x^2*(x+1) + x*(x-2), with all of the parts alive.
			square := e.Mul(s, s)
			up, down := e.Add(s, vec.C(1)), e.Sub(s, vec.C(2))
			y := e.Fma(square, up, e.Mul(s, down))
			e.StoreVec(y, at(out, 4*tk.Stride*i))
		}
	}},
	// crossing has more values alive across a loop than there are registers.
	{"crossing", func(e *vec.Emitter, out, in, n reg.GPVirtual) {
		var values []vec.Vec
		x := e.LoadVec(at(in, 0))
		for i := range 40 {
			values = append(values, e.Add(x, vec.C(float64(i))))
		}
		y := e.Zero()
		e.Label("loop")
		e.AddInto(y, values[7])
		e.DECQ(n)
		e.JNE(operand.LabelRef("loop"))
		for i, v := range values {
			e.StoreVec(e.Mul(v, y), at(out, 4*tk.Stride*i))
		}
	}},
}
