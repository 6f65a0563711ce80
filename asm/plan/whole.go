package plan

import "github.com/dnngen/dnngen/asm/kernel"

// mostCalls is the most kernels that a whole step may consist of: beyond, its
// code grows large, and the time between kernels counts less.
const mostCalls = 40

// whole plans a full step as one function, where it is small enough. The
// calls are those that one worker would make.
func (b *builder) whole() {
	if !b.Alone || b.Tiled || b.Keep || len(b.Runs) > 0 || b.ClearPadding || b.Tensors[0].Layout.Pairs > 0 {
		return
	}
	w := &wholeStep{builder: b}
	w.tensors = (1+len(b.Rule.States))*b.ParamSize + b.Shards*b.GradSize + ScalarSize(b.Rule) + b.SlabSize
	k := &kernel.Whole{Name: "step", Target: "*float32"}
	if b.Loss.Source.Classes() {
		k.Target = "*int32"
	}
	if b.Pack != nil {
		w.add(&k.Forward, b.Pack, w.tensor(b.Tensors[0], 0), kernel.Arg{Kind: kernel.Batch}, w.rows())
	}
	for _, s := range b.Forward {
		w.step(&k.Forward, s)
	}
	w.loss(&k.Loss)
	for _, phase := range b.Backward {
		for _, s := range phase {
			w.step(&k.Backward, s)
		}
	}
	if w.calls <= mostCalls {
		b.Whole = share(b, k)
	}
}

// ScalarSize is the number of float32 that a rule's scalars take in memory.
func ScalarSize(r *kernel.Rule) int {
	return (len(r.Scalars) + kernel.Lanes - 1) / kernel.Lanes * kernel.Lanes
}

// wholeStep collects the calls of a step. The engine's memory is laid out as
// its constructor takes it: parameters and states, gradients, scalars,
// transposed weights, buffers.
type wholeStep struct {
	*builder
	tensors int // where the buffers begin
	calls   int
}

func (w *wholeStep) add(list *[]kernel.Call, k kernel.Kernel, args ...kernel.Arg) {
	*list = append(*list, kernel.Call{Kernel: k, Args: args})
	w.calls++
}

func memory(offset int) kernel.Arg { return kernel.Arg{Kind: kernel.Memory, N: offset} }

func number(n int) kernel.Arg { return kernel.Arg{Kind: kernel.Number, N: n} }

func (w *wholeStep) rows() kernel.Arg { return number(w.Rows) }

func (w *wholeStep) tensor(t *Tensor, at int) kernel.Arg { return memory(w.tensors + t.Offset + at) }

// source is the pointer to a layer's input.
func (w *wholeStep) source(t *Tensor) kernel.Arg {
	if t.Flat {
		return kernel.Arg{Kind: kernel.Batch}
	}
	return w.tensor(t, 0)
}

func (w *wholeStep) param(q *Param, at int) kernel.Arg { return memory(q.Offset + at) }

// target are the pointers of an update at an offset within a parameter.
func (w *wholeStep) target(q *Param, at int) []kernel.Arg {
	return append(w.elements(q, at), memory((1+len(w.Rule.States))*w.ParamSize+w.Shards*w.GradSize))
}

// elements are the pointers to a parameter and its states.
func (w *wholeStep) elements(q *Param, at int) []kernel.Arg {
	var args []kernel.Arg
	for slot := range 1 + len(w.Rule.States) {
		args = append(args, memory(slot*w.ParamSize+q.Offset+at))
	}
	return args
}

func (w *wholeStep) slab() kernel.Arg { return memory(w.tensors - w.SlabSize) }

// learned is the pointer to a learned parameter for the units of group g.
func (w *wholeStep) learned(q *Param, m *kernel.Map, at int) []kernel.Arg {
	if q == nil {
		return nil
	}
	if m.Param == kernel.OneParam {
		at = 0
	}
	return []kernel.Arg{w.param(q, at)}
}

func (w *wholeStep) buffers(list []Buffer, g int) []kernel.Arg {
	var args []kernel.Arg
	for _, v := range list {
		args = append(args, w.tensor(v.Tensor, g*v.Step*v.Tensor.Rows*kernel.Lanes))
	}
	return args
}

func (w *wholeStep) step(list *[]kernel.Call, s Step) {
	switch s := s.(type) {
	case *Multiply:
		w.multiply(list, s)
	case *Dot:
		args := []kernel.Arg{w.tensor(s.Src, 0), w.param(s.Weight, 0)}
		if s.Bias != nil {
			args = append(args, w.param(s.Bias, 0))
		}
		w.add(list, s.Kernel, append(args, w.tensor(s.Z, 0), w.rows())...)
	case *Apply:
		w.apply(list, s)
	case *WeightGrad:
		w.weightGrad(list, s)
	case *DotGrad:
		w.dotGrad(list, s)
	case *RankOne:
		w.rankOne(list, s)
	}
}

func (w *wholeStep) multiply(list *[]kernel.Call, s *Multiply) {
	if len(s.Blocks) > 1 {
		panic("plan: a step of one function has a product in blocks") // blockDepth makes none
	}
	panels, block := s.Panels, s.Blocks[0]
	for g := range s.Groups {
		k, t := block.Kernel, kernel.Kernel(nil)
		if block.Transpose != nil {
			t = block.Transpose.Kernel
		}
		if g == s.Groups-1 && block.Last != nil {
			k = block.Last
			if block.Transpose != nil {
				t = block.Transpose.Last
			}
		}
		args := []kernel.Arg{w.source(s.Src)}
		if block.Transpose != nil {
			w.add(list, t, w.slab(), w.param(s.Weight, g*panels*kernel.Lanes*kernel.Lanes))
			args = append(args, w.slab())
		} else {
			args = append(args, w.param(s.Weight, g*panels*s.Weight.InPad*kernel.Lanes))
		}
		if s.Bias != nil {
			args = append(args, w.param(s.Bias, g*panels*kernel.Lanes))
		}
		if s.Acc != nil {
			args = append(args, w.tensor(s.Acc, g*panels*s.Acc.Rows*kernel.Lanes))
		}
		if k.Map != nil {
			args = append(args, w.learned(s.Learned, k.Map, g*panels/k.Map.Width()*kernel.Lanes)...)
		}
		args = append(args, w.buffers(s.Buffers, g)...)
		w.add(list, k, append(args, number(0), kernel.Arg{Kind: kernel.Tiles})...)
	}
}

func (w *wholeStep) apply(list *[]kernel.Call, s *Apply) {
	rows := w.Rows
	if s.Dense {
		rows = (rows + kernel.Lanes - 1) / kernel.Lanes
	}
	for p := range s.Panels {
		args := w.learned(s.Learned, s.Kernel.Map, p*kernel.Lanes)
		w.add(list, s.Kernel, append(append(args, w.buffers(s.Buffers, p)...), number(rows))...)
	}
}

func (w *wholeStep) weightGrad(list *[]kernel.Call, s *WeightGrad) {
	panels := s.Kernel.Panels
	for g := range s.Groups {
		k := s.Kernel
		if g == s.Groups-1 && s.Last != nil {
			k = s.Last
		}
		args := w.target(s.Weight, g*panels*s.Weight.InPad*kernel.Lanes)
		if k.Bias {
			args = append(args, w.elements(s.BiasOf, g*panels*kernel.Lanes)...)
		}
		args = append(args, w.source(s.X), w.tensor(s.DZ, g*panels*s.DZ.Rows*kernel.Lanes), w.rows())
		w.add(list, k, append(args, number(0), number(s.Blocks))...)
	}
}

func (w *wholeStep) dotGrad(list *[]kernel.Call, s *DotGrad) {
	args := append(w.target(s.Weight, 0), w.tensor(s.X, 0), w.tensor(s.DZ, 0))
	args = append(args, w.inputs(s.D, s.Kernel.Map, s.Learned, s.Buffers)...)
	w.add(list, s.Kernel, append(args, w.rows(), number(0), number(s.Blocks))...)
	if s.Bias != nil {
		w.add(list, s.Bias, append(w.target(s.BiasOf, 0), w.tensor(s.DZ, 0), w.rows())...)
	}
}

// inputs are the pointers of a gradient by inputs that is made beside another,
// and of its map.
func (w *wholeStep) inputs(d *Tensor, m *kernel.Map, learned *Param, buffers []Buffer) []kernel.Arg {
	var args []kernel.Arg
	if d != nil {
		args = append(args, w.tensor(d, 0))
	}
	if m != nil {
		args = append(args, w.learned(learned, m, 0)...)
	}
	return append(args, w.buffers(buffers, 0)...)
}

func (w *wholeStep) rankOne(list *[]kernel.Call, s *RankOne) {
	args := append(w.target(s.Weight, 0), w.source(s.X), w.tensor(s.DZ, 0))
	args = append(args, w.inputs(s.D, s.Kernel.Map, s.Learned, s.Buffers)...)
	w.add(list, s.Kernel, append(args, number(0), number(s.Blocks))...)
	for g := range s.Groups {
		bias := s.Bias
		if g == s.Groups-1 && s.BiasLast != nil {
			bias = s.BiasLast
		}
		dz := w.tensor(s.DZ, g*s.Bias.Panels*s.DZ.Rows*kernel.Lanes)
		w.add(list, bias, append(w.target(s.BiasOf, g*s.Bias.Panels*kernel.Lanes), dz, w.rows())...)
	}
}

// loss cuts the rows as the driver does, so that the sum is the same.
func (w *wholeStep) loss(list *[]kernel.Call) {
	l := w.Loss
	per := l.Z.Layout.Width
	if l.Source.Classes() {
		per = 1
	}
	for row := 0; row < w.Rows; row += l.CallRows() {
		w.add(list, l.Kernel, w.tensor(l.Z, row*l.Z.RowStep()), w.tensor(l.DZ, row*l.DZ.RowStep()),
			kernel.Arg{Kind: kernel.Target, N: row * per}, number(min(l.CallRows(), w.Rows-row)), kernel.Arg{Kind: kernel.Scale})
	}
}

// CallRows is the number of rows of one call of the loss: its sums are kept
// call by call, so that they do not depend on the number of workers.
func (l *Loss) CallRows() int {
	if l.Z.Layout.Dense {
		return 256
	}
	return 16
}
