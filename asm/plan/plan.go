// Package plan decides how a program runs on vector units: the layout and the
// place of every matrix, the kernels that compute each step, how a step is
// shared among workers, and in which phases.
package plan

import (
	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/ir"
)

// Plan is a program with everything decided that code emission needs.
type Plan struct {
	Program *ir.Program

	// Tiled tells that each worker takes tiles of Rows rows through all layers,
	// forward and backward, and that the gradients of shards of tiles are added up
	// at the end. Otherwise all workers share the matrices of Rows rows, and each
	// makes its part of every step.
	Tiled bool
	// Rows is the number of rows that training buffers hold. A step of more rows
	// takes them in turns.
	Rows int
	// Keep tells that gradients are kept in memory and that all parameters are
	// updated at the end of the step.
	Keep   bool
	Shards int // gradients that are kept, at most: more than one only if Tiled
	// Alone tells that a step is too small to be worth sharing.
	Alone bool
	// Work is about the number of multiply-adds of a step; 0 where a step takes
	// any number of rows.
	Work int

	Splits map[vec.ISA]kernel.Split

	Params  []*Param
	Tensors []*Tensor // of training; X first
	Raw     *Tensor

	// Infer is inference of many rows, InferRow that of a single one.
	Infer, InferRow *Inference

	Rule    *kernel.Rule
	Scalars []ir.Scalar // computed once a step, in this order
	// ClearPadding tells that an update may turn the zeros of padding into
	// something else.
	ClearPadding bool

	Pack        *kernel.Block // nil where X is flat
	PackSharing Sharing
	Forward     []Step
	Loss        *Loss
	Backward    [][]Step // phases: no step needs another of its phase
	Transposes  []*Transpose
	Runs        []Run // what is updated at the end
	Update      *kernel.Update
	UpdateMost  int // vectors of 16 of a call of Update
	// Whole is a full step in one function; nil if it is too large for that.
	Whole *kernel.Whole

	Kernels []kernel.Kernel // all of them, each once

	// Sizes in float32: of the parameters (and of each state), of a shard's
	// gradients, of the training buffers, and of a worker's transposed weights.
	ParamSize, GradSize, TensorSize, SlabSize int
}

// Tensor is where a buffer lies, blocked: [panels][rows][16].
type Tensor struct {
	Name   string
	Layout Layout
	Rows   int
	Offset int
	// Gap is the number of float32 that are left free behind it.
	Gap int
	// Over is the tensor whose place this one takes: it is not read any more once
	// this one is made. nil for one with a place of its own.
	Over *Tensor
	// Flat tells that rows stand one after the other, [rows][width], as the
	// caller gives them. Where the caller has as many rows as the tensor holds,
	// they are read from where they are.
	Flat bool
}

// Size returns the number of float32 that the tensor takes.
func (t *Tensor) Size() int {
	if t.Flat {
		return (t.Rows*t.Layout.Width + kernel.Lanes - 1) / kernel.Lanes * kernel.Lanes
	}
	if t.Layout.Dense {
		return (t.Rows + kernel.Lanes - 1) / kernel.Lanes * kernel.Lanes
	}
	return t.Layout.Panels() * t.Rows * kernel.Lanes
}

// Stride is the distance of the rows of a flat tensor, 0 for a blocked one.
func (t *Tensor) Stride() int {
	if t.Flat {
		return t.Layout.Width
	}
	return 0
}

// RowStep is the number of float32 from a row to the next, within a panel.
func (t *Tensor) RowStep() int {
	if t.Layout.Dense {
		return 1
	}
	return kernel.Lanes
}

// Param is where a parameter lies. A weight is packed, [panels][InPad][16];
// others are panels of 16, and a single value stands in the first lane of one.
type Param struct {
	*ir.Param
	Layout Layout
	Matrix bool
	In     int // of a weight
	InPad  int // rows of a packed panel: In, rounded up to 16; 1 for others
	Offset int // in the parameters, and in each state
	Grad   int // offset in a shard's gradients; -1 if the gradient is not kept
	// Parts is where the gradient of a value that all units share is summed, in a
	// shard's gradients: 16 partial sums for each of Panels panels of units, so
	// that workers can share them. They are added up in their order. Panels is 0
	// for other parameters.
	Parts, Panels int
}

// Size returns the number of float32 that the parameter takes.
func (q *Param) Size() int { return q.Layout.Panels() * q.InPad * kernel.Lanes }

// Run is a range of vectors of 16 that is updated from kept gradients.
type Run struct{ Param, Grad, Vectors int }

// Step is one step of the plan: *Multiply, *Dot, *Apply, *WeightGrad, *DotGrad
// or *RankOne.
type Step interface {
	StepName() string
	// How tells how workers share the step.
	How() Sharing
}

// Buffer is a tensor that a map touches. Group g of units starts at panel
// g·Step of it.
type Buffer struct {
	Tensor *Tensor
	Step   int
}

// Multiply is a product with a packed matrix, in groups of panels of columns.
type Multiply struct {
	Name    string
	Source  ir.Step
	Groups  int
	Panels  int     // of a group
	Blocks  []Block // of the depth, in their order: one, unless it is large
	Src     *Tensor
	Weight  *Param
	Bias    *Param
	Learned *Param
	Acc     *Tensor
	Buffers []Buffer
	Most    int  // tiles of a call
	Whole   bool // a call takes all tiles
	Sharing Sharing

	// Pieces is the number of pieces of about equally many tiles in which a group
	// is shared, where there are several blocks: a worker takes all tiles of its
	// piece through one block after the other.
	Pieces int
	// Sums is where the sums of such a piece wait for the next block: Acc, if there
	// is one; nil for the place behind the transposed weights in the worker's slab.
	Sums *Tensor
}

// Block is a part of the depth of a product. The first one's kernels start the
// sums, the last one's finish them.
type Block struct {
	First  int             // column of Src that it begins with
	Kernel *kernel.Product // for a whole group
	Last   *kernel.Product // for the last group, if it has fewer panels
	// Transpose turns the weights of a group before they are multiplied with;
	// nil in forward.
	Transpose *Transpose
}

// StepName implements Step.
func (s *Multiply) StepName() string { return s.Name }

// How implements Step.
func (s *Multiply) How() Sharing { return s.Sharing }

// Transpose makes the transposed weight that a gradient by inputs multiplies
// with, or a block of its depth.
type Transpose struct {
	Name   string
	Weight *Param
	First  int               // output that it begins with
	Kernel *kernel.Transpose // for a whole group
	Last   *kernel.Transpose // for the last group, if it has fewer panels
	Groups int
	Size   int // of a whole group
	Offset int // of the first group in the transposed weights of a Tiled plan
}

// Dot is a linear layer of one output, whose outputs are dense.
type Dot struct {
	Name    string
	Source  *ir.Linear
	Kernel  *kernel.Dot
	Src, Z  *Tensor
	Weight  *Param
	Bias    *Param
	MostRow int // rows of a call, a multiple of 16
	Sharing Sharing
}

// StepName implements Step.
func (s *Dot) StepName() string { return s.Name }

// How implements Step.
func (s *Dot) How() Sharing { return s.Sharing }

// DotGrad goes back through a layer of one output: it makes the gradients of its
// weights, its bias and its inputs, block of 16 inputs by block.
type DotGrad struct {
	Name           string
	Source         *ir.GradWeight
	Input          *ir.GradInput // nil where nothing below needs a gradient
	Kernel         *kernel.DotGradient
	Bias           *kernel.DotBias // nil without a bias
	Blocks         int
	Weight, BiasOf *Param
	Learned        *Param
	X, DZ, D       *Tensor
	Buffers        []Buffer
	Most           int // blocks of a call
	Sharing        Sharing
}

// StepName implements Step.
func (s *DotGrad) StepName() string { return s.Name }

// How implements Step.
func (s *DotGrad) How() Sharing { return s.Sharing }

// RankOne goes back through a linear layer on one row: it makes the gradient
// by the inputs and updates the weights, block of 16 inputs by block.
type RankOne struct {
	Name           string
	Source         *ir.GradWeight
	Input          *ir.GradInput // nil where nothing below needs a gradient
	Kernel         *kernel.RankOne
	Bias, BiasLast *kernel.BiasGradient // nil without a bias
	Groups         int                  // of the bias
	Blocks         int
	Weight, BiasOf *Param
	Learned        *Param
	X, DZ, D       *Tensor
	Buffers        []Buffer
	Most           int // blocks of a call
	Sharing        Sharing
}

// StepName implements Step.
func (s *RankOne) StepName() string { return s.Name }

// How implements Step.
func (s *RankOne) How() Sharing { return s.Sharing }

// Apply is a map by itself, panel of units by panel of units. A dense map walks
// vectors of 16 rows.
type Apply struct {
	Dense   bool
	Name    string
	Source  *ir.Map
	Kernel  *kernel.Apply
	Panels  int
	Buffers []Buffer
	Learned *Param
	Sum     *Param // whose gradient is summed; nil without
	Sharing Sharing
}

// StepName implements Step.
func (s *Apply) StepName() string { return s.Name }

// How implements Step.
func (s *Apply) How() Sharing { return s.Sharing }

// WeightGrad makes the gradients of a weight and its bias, in groups of panels
// of outputs and blocks of 16 inputs.
type WeightGrad struct {
	Name           string
	Source         *ir.GradWeight
	Kernel, Last   *kernel.Gradient // of the bias too, if there is one
	Groups, Blocks int
	Weight, BiasOf *Param
	X, DZ          *Tensor
	Most           int // blocks of a call
	Sharing        Sharing
}

// StepName implements Step.
func (s *WeightGrad) StepName() string { return s.Name }

// How implements Step.
func (s *WeightGrad) How() Sharing { return s.Sharing }

// Loss is the loss and its gradient.
type Loss struct {
	Source  *ir.Loss
	Kernel  kernel.Kernel
	Z, DZ   *Tensor
	Sharing Sharing
}

// New plans a program.
func New(p *ir.Program) (*Plan, error) {
	b := &builder{
		Plan:    &Plan{Program: p},
		layout:  chooseLayouts(p),
		tensors: map[*ir.Buffer]*Tensor{},
		params:  map[*ir.Param]*Param{},
		kernels: map[string]kernel.Kernel{},
	}
	b.choose()
	b.flat = b.readsFlat()
	b.rule()
	b.placeParams()
	b.placeTensors()
	b.forward()
	b.loss()
	b.backward()
	b.updates()
	b.Infer = b.inference("infer", b.inferRows())
	b.InferRow = b.inference("inferRow", 1)
	b.whole()
	return b.Plan, nil
}

type builder struct {
	*Plan
	layout  layouts
	tensors map[*ir.Buffer]*Tensor
	params  map[*ir.Param]*Param
	kernels map[string]kernel.Kernel // by key
	infer   *Inference               // that is being planned; nil while training is
	flat    bool                     // X is read row by row
}

// share returns the kernel that is already there for the same code, or k.
func share[K kernel.Kernel](b *builder, k K) K {
	if known, ok := b.kernels[k.Key()]; ok {
		return known.(K)
	}
	b.kernels[k.Key()] = k
	b.Kernels = append(b.Kernels, k)
	return k
}

func splits(rows int) map[vec.ISA]kernel.Split {
	m := map[vec.ISA]kernel.Split{}
	for _, isa := range vec.ISAs {
		m[isa] = kernel.SplitRows(rows, kernel.MaxRows(isa))
	}
	return m
}

// placeParams gives every parameter its layout and its place.
func (b *builder) placeParams() {
	layout := map[*ir.Param]Layout{}
	b.paramLayouts(layout)
	for _, q := range b.Program.Params {
		l, ok := layout[q]
		if !ok {
			l = Layout{Width: q.Shape[0]}
		}
		s := &Param{Param: q, Layout: l, InPad: 1, Offset: b.ParamSize, Grad: -1}
		if len(q.Shape) == 2 && !b.isDotWeight(q) {
			s.Matrix, s.In = true, q.Shape[1]
			s.InPad = (s.In + kernel.Lanes - 1) / kernel.Lanes * kernel.Lanes
		}
		b.ParamSize += s.Size()
		b.params[q] = s
		b.Params = append(b.Params, s)
	}
}

// paramLayouts collects the layouts that the steps want.
func (b *builder) paramLayouts(layout map[*ir.Param]Layout) {
	for _, s := range b.Program.Forward {
		if l, ok := s.(*ir.Linear); ok {
			acc := b.layout.accumulator(l)
			layout[l.W] = acc
			if b.isDot(l) {
				// One output: the lanes run over the inputs.
				layout[l.W] = Layout{Width: l.W.Shape[1]}
			}
			if l.Bias != nil {
				layout[l.Bias] = acc
			}
		}
		if m := ir.FusedMap(s); m != nil && m.Param != nil && m.PerChannel() {
			layout[m.Param] = b.layout.unit[m]
		}
	}
}

// placeTensors gives every buffer its place.
func (b *builder) placeTensors() {
	p, over := b.Program, b.overlays()
	b.place(p.X)
	for _, v := range p.Buffers {
		b.place(v)
		if over[v] != nil {
			t := b.tensors[v] // it takes the place of another
			b.TensorSize -= t.Size() + t.Gap
			t.Gap = 0
		}
	}
	b.Raw = b.tensors[p.Raw]
	for to, from := range over {
		b.tensors[to].Over = b.tensors[from]
		b.tensors[to].Offset = b.tensors[from].Offset
	}
}

// place gives a buffer its place.
func (b *builder) place(v *ir.Buffer) {
	l := b.layout.of[v]
	if l.Width == 0 {
		l.Width = v.Width
	}
	b.tensors[v] = b.extra(v.Name, l)
}

// overlays lets the gradient that an activation's saved slopes are multiplied
// to take the place of the slopes, and one that is made where the inputs of a layer
// of one output are read for the last time, the place of these: its lines are then
// in the cache when they are written.
func (b *builder) overlays() map[*ir.Buffer]*ir.Buffer {
	over := map[*ir.Buffer]*ir.Buffer{}
	for _, s := range b.Program.Backward {
		m := ir.FusedMap(s)
		if m == nil || len(m.Out) == 0 {
			continue
		}
		for _, in := range m.In {
			slope, grad := in.View.Buffer, m.Out[0].View.Buffer
			if slope != nil && slope.Role == ir.Slope && slope.Width == grad.Width {
				over[grad] = slope
			}
		}
	}
	for _, s := range b.Program.Backward {
		if in, ok := s.(*ir.GradInput); ok && b.isDotWeight(in.W) && in.Map != nil && len(in.Map.Out) == 1 {
			grad, x := in.Map.Out[0].View.Buffer, b.weightGradOf(in.W).X
			// On the way back, only the layer's own gradients read its inputs.
			if over[grad] == nil && grad.Width == x.Width {
				over[grad] = x
			}
		}
	}
	return over
}

// extra adds a tensor to those of training, or of the inference that is being
// planned.
func (b *builder) extra(name string, l Layout) *Tensor {
	list, size, rows := &b.Tensors, &b.TensorSize, b.Rows
	if b.infer != nil {
		list, size, rows = &b.infer.Tensors, &b.infer.Size, b.infer.Rows
	}
	t := &Tensor{Name: name, Layout: l, Rows: rows, Offset: *size, Flat: len(*list) == 0 && b.flat}
	if b.sharing(0) != Unshared && !t.Flat && !l.Dense {
		t.Gap = gapPanels*rows*kernel.Lanes + halfPage
	}
	*size += t.Size() + t.Gap
	*list = append(*list, t)
	return t
}
