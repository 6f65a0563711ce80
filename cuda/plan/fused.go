package plan

import (
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/internal/ir"
)

// Fused is a training pass as one kernel. A block takes tiles of rows, one
// after the other, through all layers and back. What lies between two layers
// stays in shared memory, and so do the weights; gradients of weights are
// summed in registers over all tiles of a block, and written once.
//
// It is a faster way for what Plan.Pass and Plan.Update do layer by layer, on
// devices whose blocks may have Shared bytes of shared memory.
type Fused struct {
	Precision    ir.Precision
	Rows         int // of a tile
	Blocks       int // at most Options.Multiprocessors
	Shared       int // bytes, those of the kernel's own variables included
	Total        int // float32 of the arena: Plan.Work has only what inference needs
	Pass, Update []*Launch

	Weights map[*ir.Param]Matrix // [out][in]
	Vectors map[*ir.Param]int    // where biases and learned parameters lie, in float32
	Buffers map[*ir.Buffer]Matrix
	Grads   []*Accumulator // of each GradWeight, in the order of Backward
	Sums    []*TileSum     // of each Map that sums
	params  []*Param
}

// Matrix is a matrix in shared memory. Its columns are filled up with zeros to a
// multiple of 16.
type Matrix struct {
	Offset int  // bytes
	Cols   int  // with the zeros
	Lead   int  // numbers between rows
	Float  bool // float32, whatever the precision
	bytes  int
}

// Accumulator is where a block sums the gradient of a weight [out, in].
type Accumulator struct {
	Step      *ir.GradWeight
	Registers bool // otherwise in the block's part, in memory
	// In registers, the weight's tiles of 16 by 16 are shared by WM by WN warps:
	// each has TM by TN of them.
	WM, WN, TM, TN int
}

// TileSum is a learned parameter's gradient.
type TileSum struct {
	Param  *ir.Param
	Offset int // bytes, of [warps of rows][units] float32; where there is one value, nowhere
}

// Whole tells that there is one value.
func (s *TileSum) Whole() bool { return s.Param.Size() == 1 }

// Units is the number of values, filled up to a multiple of 16.
func (s *TileSum) Units() int { return roundUp(s.Param.Size(), 16) }

// multiprocessors are those of an H100 or H200. On each runs one block of a large
// pass. It is no matter of the device that a program runs on, so that the order
// of sums is the program's.
const multiprocessors = 132

// The shared memory of a block, in bytes: of sm_90 and sm_100, of sm_80, and of the
// smaller devices of these generations, such as sm_86, sm_89 and sm_120 (CUDA C++
// Programming Guide, "Technical Specifications per Compute Capability").
var sharedLimits = []int{227 << 10, 163 << 10, 99 << 10}

// SharedLimit is the shared memory of a block of an architecture, in bytes.
func SharedLimit(sm int) int {
	switch sm {
	case 90, 100:
		return sharedLimits[0]
	case 80:
		return sharedLimits[1]
	}
	return sharedLimits[2]
}

// ownShared is what a kernel's own variables take: dnn_block_sum's 256 float64.
const ownShared = 8 * Threads

// accumulators is how many of a thread's 255 registers may hold gradients.
const accumulators = 136

// Param returns a parameter with the parts of its gradient.
func (f *Fused) Param(q *ir.Param) *Param { return f.params[q.Index] }

// Params lists the parameters with the parts of their gradients.
func (f *Fused) Params() []*Param { return f.params }

// Groups is how many groups of warps share the rows of a tile: 16 rows each.
func (f *Fused) Groups() int { return f.Rows / 16 }

// Need is the most float32 that a device's arena takes: that of the layered pass
// counts where there are devices whose blocks have too little shared memory for
// every fused pass.
func (p *Plan) Need() int {
	need, fits := 0, false
	for _, f := range p.Fused {
		need, fits = max(need, f.Total), fits || f.Shared <= sharedLimits[len(sharedLimits)-1]
	}
	if !fits {
		need = p.Total
	}
	return need
}

// Use returns the plan with a fused pass as its only one. It gathers its rows
// tile by tile.
func (p *Plan) Use(f *Fused) *Plan {
	q := *p
	q.Pass, q.Update, q.Fetch, q.Fused = f.Pass, f.Update, nil, nil
	return &q
}

// fuse plans the fused passes: one for each limit of shared memory that a tile of
// 16 rows fits in, the largest first. Which of them, or whether one, follows
// from shapes alone.
func (p *Plan) fuse(o Options) {
	if o.Precision.Major == 0 || !p.fusible() {
		return
	}
	if o.Multiprocessors == 0 {
		o.Multiprocessors = multiprocessors
	}
	for _, limit := range sharedLimits {
		f := p.fit(o, limit)
		if f == nil || len(p.Fused) > 0 && p.Fused[len(p.Fused)-1].Rows == f.Rows {
			continue
		}
		p.Fused = append(p.Fused, f)
		p.Partial.Size = max(p.Partial.Size, 2*f.Blocks)
	}
}

// fusible tells whether there is something to fuse: a network with a weight,
// whose outputs a step makes.
func (p *Plan) fusible() bool {
	return p.Program.Raw != p.Program.X && slices.ContainsFunc(p.Program.Backward, func(s ir.Step) bool {
		_, ok := s.(*ir.GradWeight)
		return ok
	})
}

// fit plans with the tallest tile that fits: as long as there are not enough
// tiles for all multiprocessors, a lower one is better.
func (p *Plan) fit(o Options, limit int) *Fused {
	for rows := 128; rows >= 16; rows /= 2 {
		if rows > 16 && ceil(p.Program.Batch, rows) < min(o.Multiprocessors, enough) {
			continue
		}
		f := &Fused{Precision: o.Precision, Rows: rows, Blocks: min(ceil(p.Program.Batch, rows), o.Multiprocessors)}
		f.place(p)
		if f.Shared <= limit {
			f.launches(p)
			return f
		}
	}
	return nil
}

// matrix is a matrix of rows in shared memory. The distance of rows is an odd
// number of 16 bytes: eight rows then lie in different banks.
func (f *Fused) matrix(width int, float bool) Matrix {
	m := Matrix{Cols: roundUp(width, 16), Float: float, bytes: f.Precision.Bytes}
	if float {
		m.bytes = 4
	}
	m.Lead = m.Cols + 16/m.bytes
	return m
}

// Size is the matrix's bytes.
func (m Matrix) Size(rows int) int { return rows * m.Lead * m.bytes }

// place lays out the shared memory: what stays, then the buffers, which share
// what is left by their lifetimes.
func (f *Fused) place(p *Plan) {
	f.Weights, f.Vectors, f.Buffers = map[*ir.Param]Matrix{}, map[*ir.Param]int{}, map[*ir.Buffer]Matrix{}
	at := 0
	take := func(bytes int) int {
		at += bytes
		return at - bytes
	}
	for _, s := range p.Program.Backward {
		if g, ok := s.(*ir.GradWeight); ok {
			w := f.matrix(g.W.Shape[1], false)
			w.Offset = take(w.Size(roundUp(g.W.Shape[0], 16)))
			f.Weights[g.W] = w
			f.Grads = append(f.Grads, f.accumulator(g))
		}
	}
	for _, q := range p.Program.Params {
		if _, ok := f.Weights[q]; !ok {
			f.Vectors[q] = take(4 * roundUp(q.Size(), 16))
		}
	}
	for _, s := range p.Program.Backward {
		if m := ir.FusedMap(s); m != nil && len(m.Sum) > 0 {
			sum := &TileSum{Param: m.Sum[0].Param}
			if !sum.Whole() {
				sum.Offset = take(4 * f.Groups() * sum.Units())
			}
			f.Sums = append(f.Sums, sum)
		}
	}
	f.budget()
	f.Shared = at + f.buffers(p.Program, at) + ownShared
}

// span is a buffer's place and the steps during which it is in use.
type span struct {
	b           *ir.Buffer
	first, last int
	at, end     int
}

// buffers places the buffers from an offset on and returns the bytes they take.
func (f *Fused) buffers(p *ir.Program, from int) int {
	spans := lives(p)
	// Large ones first, and of these the longest in use.
	slices.SortStableFunc(spans, func(a, b *span) int {
		if a.b.Width != b.b.Width {
			return b.b.Width - a.b.Width
		}
		return (b.last - b.first) - (a.last - a.first)
	})
	end := 0
	var placed []*span
	for _, s := range spans {
		m := f.matrix(s.b.Width, s.b == p.Raw)
		size := m.Size(f.Rows)
		var near []*span
		for _, o := range placed {
			if o.first <= s.last && s.first <= o.last {
				near = append(near, o)
			}
		}
		slices.SortFunc(near, func(a, b *span) int { return a.at - b.at })
		for _, o := range near {
			if s.at+size <= o.at {
				break
			}
			s.at = max(s.at, o.end)
		}
		s.end = s.at + size
		end = max(end, s.end)
		placed = append(placed, s)
		m.Offset = from + s.at
		f.Buffers[s.b] = m
	}
	return end
}

// lives lists the buffers, the batch's rows among them, with the first and the
// last step that touches each.
func lives(p *ir.Program) []*span {
	var list []*span
	find := map[*ir.Buffer]*span{}
	step := 0
	touch := func(buffers ...*ir.Buffer) {
		for _, b := range buffers {
			s := find[b]
			if s == nil {
				s = &span{b: b, first: step}
				find[b] = s
				list = append(list, s)
			}
			s.last = step
		}
	}
	touch(p.X)
	for _, s := range p.Forward {
		step++
		touch(ir.Reads(s)...)
		touch(ir.Writes(s)...)
	}
	step++
	touch(p.Loss.Raw, p.Loss.Grad)
	for _, s := range p.Backward {
		step++
		touch(ir.Reads(s)...)
		touch(ir.Writes(s)...)
	}
	return list
}

// accumulator shares a weight's tiles among the warps so that each has few.
func (f *Fused) accumulator(g *ir.GradWeight) *Accumulator {
	rows, cols := ceil(g.W.Shape[0], 16), ceil(g.W.Shape[1], 16)
	var best *Accumulator
	for wm := 1; wm <= Threads/32; wm *= 2 {
		a := &Accumulator{Step: g, WM: wm, WN: Threads / 32 / wm}
		a.TM, a.TN = ceil(rows, a.WM), ceil(cols, a.WN)
		if best == nil || a.registers() < best.registers() || a.registers() == best.registers() && a.TM+a.TN < best.TM+best.TN {
			best = a
		}
	}
	return best
}

func (a *Accumulator) registers() int {
	n := 8 * a.TM * a.TN
	if a.Step.Bias != nil {
		n += 4 * a.TM
	}
	return n
}

// budget gives registers to gradients, as far as they go.
func (f *Fused) budget() {
	left := accumulators
	for _, a := range f.Grads {
		if a.Registers = a.registers() <= left; a.Registers {
			left -= a.registers()
		}
	}
}

// launches plans the kernel, the sum of losses and the update. Each block leaves
// a part of each gradient.
func (f *Fused) launches(p *Plan) {
	at := 0
	for _, q := range p.Params {
		part := *q
		part.Grad, part.Parts = at, f.Blocks
		at += roundUp(f.Blocks*q.Size(), 4)
		f.params = append(f.params, &part)
	}
	p.Grads.Size = max(p.Grads.Size, at)
	f.Pass = []*Launch{
		{Name: f.name("fused"), Grid: [3]int{f.Blocks, 1, 1}, Work: f, Shared: f.Shared - ownShared},
		{Name: f.name("loss_sum"), Grid: [3]int{1, 1, 1}, Work: &LossSum{f.Blocks}},
	}
	// There is much to add up for each element: threads take one.
	f.Update = p.update(f.name("update"), f.params, 1)
}

// name is a kernel's name: there is one for each precision and tile.
func (f *Fused) name(kernel string) string {
	return fmt.Sprintf("%s_%s_%d", kernel, f.Precision.Name, f.Rows)
}
