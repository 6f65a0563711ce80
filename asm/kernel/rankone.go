package kernel

import (
	"fmt"

	"github.com/dnngen/dnngen/asm/vec"
)

// RankOne is the backward pass of a linear layer on one row, for a range of
// blocks of 16 inputs: the gradient by the inputs, d[k] = sum of W[n][k]·dz[n],
// with a Map on it, and the update of W by its gradient x[k]·dz[n]. Each weight
// is read once for both.
type RankOne struct {
	Name      string
	Inputs    int
	PanelRows int // rows of a packed panel in memory
	Panels    int // panels of outputs
	Rule      *Rule
	Input     bool // make the gradient by the inputs
	Store     bool // keep it, in back
	Map       *Map // what else is computed from it
}

// FuncName implements Kernel.
func (k *RankOne) FuncName() string { return k.Name }

// Key implements Kernel.
func (k *RankOne) Key() string {
	return fmt.Sprintf("rankone %d %d %d %s %v %v %s", k.Inputs, k.PanelRows, k.Panels, k.Rule.key(), k.Input, k.Store, k.Map.key())
}

// Params implements Kernel.
func (k *RankOne) Params() Params {
	list := k.Rule.params(fmt.Sprintf("[%d][%d][16]", k.Panels, k.PanelRows))
	list = append(list,
		Pointer("input", "[inputs], the layer's inputs"),
		Pointer("grad", fmt.Sprintf("[%d][16], gradient by its outputs", k.Panels)))
	if k.Store {
		list = append(list, Pointer("back", "[inputs], gradient by its inputs"))
	}
	if k.Map != nil {
		list = append(list, k.Map.params((k.Inputs+Lanes-1)/Lanes)...)
	}
	return Params{List: append(list, Count("block", "first block of 16 inputs"), Count("blocks", "number of blocks, at least 1"))}
}

// about implements Kernel.
func (k *RankOne) about() string {
	return fmt.Sprintf("updates the weights of %d inputs by one row and makes the gradient by them.", k.Inputs)
}

// body implements Kernel.
func (k *RankOne) body(f *function) {
	r := &rankOne{function: f, k: k}
	if k.Input {
		r.sums = f.scratch(Lanes * f.ISA().Bytes())
		f.Name(r.sums, "scratch [16], sums of the block's inputs")
	}
	whole, rest := r.place()
	r.to = f.targets(k.Rule, "at the block")
	r.x, r.dz = f.moving("input", "at the block"), f.arg("grad")
	if k.Store {
		r.d = f.moving("back", "at the block")
	}
	if k.Map != nil {
		r.ptr = f.pointers(k.Map, "at the block")
	}
	f.repeat("block", whole, func() {
		r.block(Lanes)
		f.advance(r.to, Lanes*lineBytes)
		f.add(lineBytes, r.x)
		if k.Store {
			f.add(lineBytes, r.d)
		}
		if k.Map != nil {
			for i, b := range r.ptr.buffer {
				f.add(k.Map.stride(i)*k.Map.Rows*lineBytes, b)
			}
			if k.Map.Param == PerUnit {
				f.add(lineBytes, r.ptr.param)
			}
		}
	})
	f.repeat("rest", rest, func() { r.block(k.Inputs % Lanes) })
}

// rankOne is the state while a RankOne is written.
type rankOne struct {
	*function
	k        *RankOne
	to       target
	x, dz, d gp
	ptr      pointers
	sums     gp
}

// place moves the pointers to the first block and counts the blocks.
func (r *rankOne) place() (whole, rest count) {
	k := r.k
	lines := []string{"input"}
	if k.Store {
		lines = append(lines, "back")
	}
	if k.Map != nil && k.Map.Param == PerUnit {
		lines = append(lines, "p")
	}
	steps := []step{{Lanes * lineBytes, weightNames(k.Rule)}, {lineBytes, lines}}
	if k.Map != nil {
		for i, b := range k.Map.Buffers {
			steps = append(steps, step{k.Map.stride(i) * k.Map.Rows * lineBytes, []string{b}})
		}
	}
	return r.goToBlock(k.Inputs, steps...)
}

// block does n inputs, some at a time.
func (r *rankOne) block(n int) {
	f, k := r.function, r.k
	some := 16
	if f.ISA() == vec.AVX2 {
		some = 4
	}
	var sums []vec.Wide
	for first := 0; first < n; first += some {
		sums = append(sums, r.inputs(first, min(some, n-first))...)
		if f.ISA() == vec.AVX2 && k.Input {
			// Sums wait in memory; two registers each would be too many.
			for i := first; i < len(sums); i++ {
				f.StoreVec(f.Add(sums[i][0], sums[i][1]), at(r.sums, i*f.ISA().Bytes()))
			}
		}
	}
	if !k.Input {
		return
	}
	grad := r.fold(sums)
	for v := range grad {
		if k.Store {
			f.StoreVec(grad[v], at(r.d, f.part(v)))
		}
	}
	if k.Map != nil {
		for v := range grad {
			f.mapPanel(k.Map, r.ptr, func(int) vec.Vec { return grad[v] }, 0, v, 0, nil)
		}
	}
}

// fold adds up the lanes of the sums. What is missing of 16 counts as zero.
func (r *rankOne) fold(sums []vec.Wide) vec.Wide {
	f := r.function
	if f.ISA() == vec.AVX512 {
		for len(sums) < Lanes {
			sums = append(sums, vec.Wide{f.Zero()})
		}
		return vec.Wide{f.reduce16(sums)}
	}
	var out vec.Wide
	for half := 0; half < Lanes; half += 8 {
		rows := make([]vec.Vec, 8)
		for i := range rows {
			if half+i < len(sums) {
				rows[i] = f.LoadVec(at(r.sums, (half+i)*f.ISA().Bytes()))
			} else {
				rows[i] = f.Zero()
			}
		}
		out = append(out, f.reduce8(rows))
	}
	return out
}

// inputs does inputs first to first+n-1 of the block: it updates their weights
// and returns, for each, W·dz lane by lane.
func (r *rankOne) inputs(first, n int) []vec.Wide {
	f, k := r.function, r.k
	t := f.newTile(n, 1)
	if k.Input {
		t.zero()
	}
	dz := f.GP64()
	f.MOVQ(r.dz, dz)
	f.loop("panel", k.Panels, func() {
		for v := range f.parts() {
			z := f.LoadVec(at(dz, f.part(v)))
			for i := range n {
				disp := (first+i)*lineBytes + f.part(v)
				if k.Input {
					f.FmaInto(t.acc[i][0][v], z, vec.At(at(r.to.w, disp)))
				}
				grad := f.Mul(z, vec.Each(at(r.x, 4*(first+i))))
				f.update(k.Rule, r.to, grad, disp)
			}
		}
		f.add(lineBytes, dz)
		f.advance(r.to, k.PanelRows*lineBytes)
	})
	f.advance(r.to, -k.Panels*k.PanelRows*lineBytes)
	var sums []vec.Wide
	for i := range n {
		sums = append(sums, t.acc[i][0])
	}
	return sums
}
