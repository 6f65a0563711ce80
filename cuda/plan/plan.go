// Package plan decides how a program runs on a GPU: what lies where in the one
// arena, which kernels there are, how large their tiles and grids, and the
// order in which they are launched.
package plan

import (
	"fmt"
	"math"
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// Threads is the number of threads of every block.
const Threads = 256

// Plan is a program with all that was decided about it.
type Plan struct {
	Program   *ir.Program
	Precision ir.Precision // of the products
	Layout
	Params []*Param
	Slot   int // float32 of a slot: all parameters, or one state of each

	InferRows int      // rows that inference walks at a time
	Scalars   []string // what stands in Layout.Step after StepWords

	// Pass is a forward and a backward pass over up to Program.Batch rows.
	// Update makes the new parameters from the gradients.
	Pass, Update, Infer []*Launch
	// Refresh makes what the kernels need beside the parameters, once these were
	// written by the host.
	Refresh []*Launch

	// Fetch makes the batch of a pass from rows that lie on the GPU, so that a graph
	// has many steps; it is nil where the pass finds its rows itself, be it in Convert.
	// The host asks for up to Steps at once.
	Fetch *Launch
	Steps int

	// Fused are other ways to do what Pass and Update do, the best first. A
	// device takes the first for which its blocks have enough shared memory.
	Fused []*Fused
	// Libraries are products of Pass that a library may make, where a device has
	// one.
	Libraries []*Library

	// Where buffers lie in Layout.Work, in training and in inference.
	places [2]map[*ir.Buffer]int
	// Where tensor cores make the products: the buffers that hold operands, and
	// where the operands of the weights lie in Layout.Copies.
	operands map[*ir.Buffer]bool
	copies   map[*ir.Param]int

	inferWords int // of Layout.Work that inference needs
}

// Launches lists all launches, those of Jobs as the one that they are. Each has a
// kernel of its own.
func (p *Plan) Launches() []*Launch {
	list := slices.Concat(p.Pass, p.Update, p.Infer, p.Refresh)
	if p.Fetch != nil {
		list = append([]*Launch{p.Fetch}, list...)
	}
	for _, f := range p.Fused {
		list = slices.Concat(list, f.Pass, f.Update)
	}
	for _, l := range p.Libraries {
		list = slices.Concat(list, l.Before, l.After)
	}
	return list
}

// Launch is one launch of a kernel that this plan has for it alone.
type Launch struct {
	Name string // of the kernel
	Grid [3]int
	Work any // what it does: *Product, *Map, *Loss, …
	// Shared is the dynamic shared memory of a block, in bytes.
	Shared int
}

// Product is a Linear or a GradInput with its tile.
type Product struct {
	Step   ir.Step
	Infer  bool
	TM, TN int  // elements of a thread
	Tile   Tile // on tensor cores
	Sum    *Sum
	// Loss follows on a block's part of the raw outputs, while they are in its
	// multiprocessor's cache; nil: it does not.
	Loss *Loss
}

// Block is the number of rows and columns that a block makes.
func (w *Product) Block() (rows, cols int) {
	if w.Tile.Rows > 0 {
		return w.Tile.Rows, w.Tile.Cols
	}
	return 16 * w.TM, 16 * w.TN
}

// weight is what the rows are multiplied with.
func (w *Product) weight() *ir.Param {
	if s, ok := w.Step.(*ir.Linear); ok {
		return s.W
	}
	return w.Step.(*ir.GradInput).W
}

// Map is a Map of its own.
type Map struct {
	Map   *ir.Map
	Infer bool
	Sum   *Sum
}

// Sum is where a step leaves the parts of a learned parameter's gradient.
type Sum struct {
	Param   *Param
	Partial int  // in the arena
	Count   int  // parts
	Whole   bool // one sum, not one a unit
}

// Loss is the loss and its gradient. By itself a block takes the rows that follow
// each other of an element-wise loss, or of a row-wise one a row for each warp at a time.
type Loss struct {
	Loss *ir.Loss
	Rows int // of a block, of an element-wise loss
}

// LossSum is the sum over all blocks, which ends the pass's turn in a launch of many
// steps.
type LossSum struct{ Blocks int }

// GradWeight is a GradWeight with its tile and the rows of a part.
type GradWeight struct {
	Step   *ir.GradWeight
	TM, TN int
	Tile   Tile
	Rows   int
}

// Fold adds up what a Sum left.
type Fold struct{ Sum *Sum }

// Update is the update of all parameters.
type Update struct {
	Params []*Param
	Each   int   // elements of a thread
	Blocks []int // first block of each
}

// Fetch brings a batch and the step's words.
type Fetch struct{}

// updateEach is the number of elements that a thread of the update takes.
const updateEach = 4

// Options change what is planned.
type Options struct {
	// Precision is what products are made in, one of the program's; the zero value
	// is float32.
	Precision ir.Precision
	// Multiprocessors are those to share a fused pass among; 0 stands for those
	// of an H200.
	Multiprocessors int
	// LibraryFLOPs is the work of a product from which on a library is asked for
	// it; 0 stands for as much as may pay.
	LibraryFLOPs float64
}

// New plans a program whose products are made in float32.
func New(p *ir.Program) (*Plan, error) { return With(p, Options{}) }

// With plans a program.
func With(p *ir.Program, o Options) (*Plan, error) {
	pl := &Plan{Program: p, Precision: o.Precision, InferRows: min(max(p.Batch, 256), 4096)}
	pl.Slot = pl.params()
	pl.Scalars = scalars(p.Rule)
	pl.X.Size = max(p.Batch, pl.InferRows) * p.Input
	pl.Y.Size = p.Batch
	if !p.Loss.Classes() {
		pl.Y.Size *= p.Output
	}
	pl.Step.Size = StepWords + len(pl.Scalars)
	pl.Feed.Size = FeedWords
	pl.Loss.Size = 2
	pl.Slots.Size = pl.Slot * (1 + len(p.Rule.States))
	if pl.Tensor() {
		pl.tensor()
	}
	if o.LibraryFLOPs == 0 {
		o.LibraryFLOPs = pl.libraryFLOPs()
	}
	pl.train(o)
	pl.feed()
	pl.convert(&pl.Infer, "convert_infer", pl.InferRows, true)
	pl.steps(&pl.Infer, "infer", p.Infer, true)
	pl.buffers()
	pl.fuse(o)
	pl.place()
	for _, q := range pl.Params {
		q.Grad += pl.Grads.Offset
	}
	for _, l := range pl.Pass {
		for _, j := range l.Jobs() {
			if f, ok := j.Work.(*Fold); ok {
				f.Sum.Partial += pl.Sums.Offset
			}
		}
	}
	for _, f := range pl.Fused {
		for _, q := range f.params {
			q.Grad += pl.Grads.Offset
		}
		f.Total = roundUp(pl.Work.Offset+pl.inferWords+gap, 64)
	}
	pl.libraries(o.LibraryFLOPs)
	return pl, pl.check()
}

// scalars lists what a rule reads that is the same for all elements.
func scalars(r ir.Rule) []string {
	own := map[string]bool{ir.VarW: true, ir.VarG: true}
	for _, s := range r.States {
		own[s] = true
	}
	var list []string
	for _, name := range expr.Vars(append([]*expr.Node{r.W}, r.Next...)...) {
		if !own[name] {
			list = append(list, name)
		}
	}
	return list
}

func (p *Plan) train(o Options) {
	p.convert(&p.Pass, "convert", p.Program.Batch, false)
	p.steps(&p.Pass, "forward", p.Program.Forward, false)
	blocks := p.loss()
	p.Partial.Size = 2 * blocks
	p.Pass = append(p.Pass, &Launch{Name: "loss_sum", Grid: [3]int{1, 1, 1}, Work: &LossSum{blocks}})
	var backward []*Launch
	p.steps(&backward, "backward", p.Program.Backward, false)
	// A sum is folded beside the gradients of the layer below.
	for i, l := range backward {
		p.Pass = append(p.Pass, l)
		if i > 0 {
			p.fold(backward[i-1])
		}
	}
	if len(backward) > 0 {
		p.fold(backward[len(backward)-1])
	}
	p.Pass = p.group(p.Pass, o.LibraryFLOPs)
	p.Update = p.update("update", p.Params, updateEach)
	if p.Copies.Size > 0 {
		u := p.Update[0]
		p.Refresh = []*Launch{{Name: "refresh", Grid: u.Grid, Work: &Refresh{u.Work.(*Update)}}}
	}
}

// Warps is the number of warps of every block.
const Warps = Threads / 32

// warpRows is the most rows of logits that one of a block's warps takes, one after the
// other. Where there would be more, a launch of its own, which shares them among all
// warps of the GPU, should be faster: that was not measured.
const warpRows = 8

// loss plans the loss, and returns the number of blocks that leave a part of its sum.
// It belongs to the product that makes the raw outputs where a block has all that it
// needs of them: some elements, or whole rows of logits.
func (p *Plan) loss() (blocks int) {
	l, batch := p.Program.Loss, p.Program.Batch
	if len(p.Pass) > 0 {
		last := p.Pass[len(p.Pass)-1]
		if w, ok := last.Work.(*Product); ok && slices.Contains(ir.Writes(w.Step), l.Raw) && Stride(ir.FusedMap(w.Step)) == 1 {
			rows, _ := w.Block()
			if !l.Classes() || last.Grid[1] == 1 && rows <= Warps*warpRows {
				w.Loss = &Loss{Loss: l}
				return last.Blocks()
			}
		}
	}
	w := &Loss{Loss: l}
	if l.Classes() {
		blocks = min(ceil(batch, Warps), 512)
	} else {
		w.Rows = ceil(batch, min(ceil(batch*p.Program.Output, Threads), 512))
		blocks = ceil(batch, w.Rows)
	}
	p.Pass = append(p.Pass, &Launch{Name: "loss", Grid: [3]int{blocks, 1, 1}, Work: w})
	return blocks
}

// fold adds up what a launch has left of a learned parameter's gradient.
func (p *Plan) fold(l *Launch) {
	if s := sumOf(l); s != nil {
		p.Pass = append(p.Pass, &Launch{Name: fmt.Sprintf("fold%d", s.Param.Index), Grid: [3]int{s.Param.Size(), 1, 1}, Work: &Fold{s}})
	}
}

// update plans the update of parameters, as one launch where there are any.
func (p *Plan) update(name string, params []*Param, each int) []*Launch {
	if len(params) == 0 {
		return nil
	}
	u, blocks := &Update{Params: params, Each: each}, 0
	for _, q := range params {
		u.Blocks = append(u.Blocks, blocks)
		blocks += ceil(q.Size(), each*Threads)
	}
	list := []*Launch{{Name: name, Grid: [3]int{blocks, 1, 1}, Work: u}}
	if p.Precision.Scaled {
		list = append(list, &Launch{Name: name + "_rescale", Grid: [3]int{1, 1, 1}, Work: &Rescale{}})
	}
	return list
}

const (
	// mostSteps bounds the steps that the host asks for at once, and callFLOPs
	// their work: it hears nothing, an interrupt included, before they are made.
	mostSteps = 512
	callFLOPs = 1e11
	// copyBlocks are enough to walk a matrix as fast as memory allows.
	copyBlocks = 1024
)

// feed plans what stands around a pass where many steps are one launch.
func (p *Plan) feed() {
	if p.Inputs.Size == 0 {
		blocks := min(ceil(p.Program.Batch*p.Program.Input, 4*Threads), copyBlocks)
		p.Fetch = &Launch{Name: "fetch", Grid: [3]int{blocks, 1, 1}, Work: &Fetch{}}
	}
	flops := 0.0
	for _, q := range p.Program.Params {
		flops += 6 * float64(q.Size()) * float64(p.Program.Batch)
	}
	// How many updates were left out decides the optimizer's scalars of the next:
	// the host must hear of it.
	most := mostSteps
	if p.Precision.Scaled {
		most = 1
	}
	for p.Steps = 1; p.Steps < most && 2*float64(p.Steps)*flops <= callFLOPs; p.Steps *= 2 {
	}
}

func sumOf(l *Launch) *Sum {
	switch w := l.Work.(type) {
	case *Product:
		return w.Sum
	case *Map:
		return w.Sum
	}
	return nil
}

// steps plans the steps of a pass; prefix and a number name the kernels.
func (p *Plan) steps(list *[]*Launch, prefix string, steps []ir.Step, infer bool) {
	rows := p.Program.Batch
	if infer {
		rows = p.InferRows
	}
	for i, s := range steps {
		name := fmt.Sprintf("%s%d", prefix, i)
		switch s := s.(type) {
		case *ir.Linear:
			*list = append(*list, p.product(name, s, s.W.Shape[0], rows, infer, s.Map))
		case *ir.GradInput:
			*list = append(*list, p.product(name, s, s.W.Shape[1], rows, infer, s.Map))
		case *ir.Map:
			grid := [3]int{ceil(rows, 64), ceil(s.Width, 64), 1}
			*list = append(*list, &Launch{Name: name, Grid: grid, Work: &Map{s, infer, p.sum(s, grid)}})
		case *ir.GradWeight:
			*list = append(*list, p.gradWeight(name, s))
		}
	}
}

func (p *Plan) product(name string, s ir.Step, cols, rows int, infer bool, m *ir.Map) *Launch {
	w := &Product{Step: s, Infer: infer}
	if p.Tensor() {
		_, turned := s.(*ir.GradInput)
		w.Tile = tensorTile(rows, cols, 1)
		grid := [3]int{ceil(rows, w.Tile.Rows), ceil(cols, w.Tile.Cols), 1}
		w.Sum = p.sum(m, grid)
		return &Launch{Name: name, Grid: grid, Work: w, Shared: p.shared(w.Tile, false, turned)}
	}
	w.TM, w.TN = tile(rows, cols)
	if Stride(m) == 2 {
		w.TN = max(w.TN, 2)
	}
	grid := [3]int{ceil(rows, 16*w.TM), ceil(cols, 16*w.TN), 1}
	w.Sum = p.sum(m, grid)
	return &Launch{Name: name, Grid: grid, Work: w, Shared: slabs(w.TM, w.TN)}
}

// Stride is the number of columns of its accumulator that a unit of a map
// reads: 2 for a gated unit, else 1.
func Stride(m *ir.Map) int {
	if m != nil {
		for _, in := range m.In {
			if in.View.Buffer == nil {
				return in.View.Stride
			}
		}
	}
	return 1
}

// enough is the number of blocks that keep a large GPU busy.
const enough = 128

// slabs is the shared memory of dnn_product in dnn_tile.h.
func slabs(tm, tn int) int { return 4 * 16 * (16*tm + 16*tn + 8) }

// tile returns how many elements a thread takes in each direction: many, where
// enough blocks are left.
func tile(rows, cols int) (tm, tn int) {
	fit := func(n int) int {
		switch {
		case n <= 16:
			return 1
		case n <= 32:
			return 2
		}
		return 4
	}
	if rows >= 128 && cols >= 128 && ceil(rows, 128)*ceil(cols, 128) >= enough {
		return 8, 8
	}
	return fit(rows), fit(cols)
}

func (p *Plan) sum(m *ir.Map, grid [3]int) *Sum {
	if m == nil || len(m.Sum) == 0 {
		return nil
	}
	q := p.Params[m.Sum[0].Param.Index]
	s := &Sum{Param: q, Partial: p.Sums.Size, Whole: q.Size() == 1, Count: grid[0]}
	if s.Whole {
		s.Count *= grid[1]
	}
	p.Sums.Size += roundUp(s.Count*q.Size(), 4)
	p.grad(q, 1)
	return s
}

func (p *Plan) grad(q *Param, parts int) {
	q.Grad, q.Parts = p.Grads.Size, parts
	p.Grads.Size += roundUp(parts*q.Size(), 4)
}

// gradWeight shares the rows among blocks where the weight has too few tiles
// for them, in parts of at least 64 rows.
func (p *Plan) gradWeight(name string, s *ir.GradWeight) *Launch {
	out, in := s.W.Shape[0], s.W.Shape[1]
	w := &GradWeight{Step: s}
	w.TM, w.TN = tile(out, in)
	grid := [3]int{ceil(in, 16*w.TN), ceil(out, 16*w.TM)}
	l := &Launch{Name: name, Work: w, Shared: slabs(w.TM, w.TN)}
	most := max(p.Program.Batch/64, 1)
	if p.Tensor() {
		w.Tile = tensorTile(out, in, most)
		grid = [3]int{ceil(in, w.Tile.Cols), ceil(out, w.Tile.Rows)}
		l.Shared = p.shared(w.Tile, true, true)
	}
	parts := min(max(enough/(grid[0]*grid[1]), 1), most)
	w.Rows = roundUp(ceil(p.Program.Batch, parts), 16)
	parts = ceil(p.Program.Batch, w.Rows)
	p.grad(p.Params[s.W.Index], parts)
	if s.Bias != nil {
		p.grad(p.Params[s.Bias.Index], parts)
	}
	l.Grid = [3]int{grid[0], grid[1], parts}
	return l
}

// maxGrid is what a GPU takes in the second and third direction of a grid.
const maxGrid = 65535

// check refuses what the kernels cannot do.
func (p *Plan) check() error {
	var jobs []*Launch
	for _, l := range p.Launches() {
		if l.Grid[1] > maxGrid || l.Grid[2] > maxGrid || l.Grid[0] < 1 || l.Grid[0] > math.MaxInt32 {
			return fmt.Errorf("cuda: %s needs a grid of %v blocks", l.Name, l.Grid)
		}
		jobs = append(jobs, l.Jobs()...)
	}
	for _, l := range jobs {
		m := mapOf(l)
		if m == nil {
			continue
		}
		if len(m.Sum) > 1 {
			return fmt.Errorf("cuda: %s sums into %d parameters", l.Name, len(m.Sum))
		}
		for _, in := range m.In {
			if in.View.Buffer == nil && (in.View.Stride != Stride(m) || in.View.Offset >= in.View.Stride || in.View.Stride > 2) {
				return fmt.Errorf("cuda: %s reads columns %d, step %d, of its accumulator", l.Name, in.View.Offset, in.View.Stride)
			}
		}
	}
	return nil
}

func mapOf(l *Launch) *ir.Map {
	switch w := l.Work.(type) {
	case *Product:
		return ir.FusedMap(w.Step)
	case *Map:
		return w.Map
	}
	return nil
}
