package plan

import "github.com/dnngen/dnngen/internal/ir"

// This file has what a layered pass needs so that a library's kernel can make a
// product in place of one of ours: what is multiplied, and the kernels around it
// that do what the library does not.

// Library is a product that a library may make. It then runs Before, the product
// and After in place of Plan.Pass[Launch].
type Library struct {
	Launch            int
	Rows, Cols, Inner int
	// Left [Rows, Inner] and Right [Inner, Cols] are multiplied to the float32
	// matrix To.
	Left, Right, To Operand
	Before, After   []*Launch
	// Reads are the values that the product and After read beside the parameters,
	// and Writes those by which two ways of making it are compared.
	Reads, Writes []Values
}

// Operand is a matrix in the arena: rows at the distance of Lead elements.
type Operand struct {
	Offset, Lead int
	Turned       bool // its transpose is what is multiplied
}

// Values are rows of numbers in the arena. Where they have parts, these follow
// each other, and their sum counts.
type Values struct {
	Offset           int
	Rows, Cols, Lead int
	Operand          bool // in the precision, and not float32
	Parts            int
}

// Tail zeroes the rows of a gradient's operands that a short batch leaves as they
// were: a library multiplies all rows. ColumnSums is the gradient of a bias, and
// Finite notes where a gradient is not finite.
type (
	Tail       struct{ Step *ir.GradWeight }
	ColumnSums struct{ Work *GradWeight }
	Finite     struct{ Work *GradWeight }
)

// Epilogue does to a product's elements, once they lie in Layout.Scratch, what
// their own kernel does to them in registers: with the same tiles.
type Epilogue struct {
	*Product
	Of   string // the kernel that makes the product itself
	Cols int
}

// libraryFLOPs is the work of a product from which on a library is asked for it, and
// for which it has a launch of its own. It takes a large GPU some 10 µs, with tensor
// cores or without. Smaller products are done before the launches around a library's,
// that which it is no longer a part of, and the second reading of the elements have
// cost anything back.
func (p *Plan) libraryFLOPs() float64 {
	if !p.Tensor() {
		return 1 << 29
	}
	return 1 << 33 / float64(p.Precision.Bytes)
}

// libraryMay tells whether a library may make a launch's product, if it has at least
// so much work.
func (p *Plan) libraryMay(l *Launch, least float64) bool {
	var weight *ir.Param
	switch w := l.Work.(type) {
	case *Product:
		weight = w.weight()
	case *GradWeight:
		// Where a step has many passes, only our own kernel adds to the gradient.
		if p.Program.Full {
			return false
		}
		weight = w.Step.W
	default:
		return false
	}
	return 2*float64(weight.Size())*float64(p.Program.Batch) >= least
}

// libraries plans what a library may make of the layered pass.
func (p *Plan) libraries(least float64) {
	p.Scratch.Offset = p.Total
	for i, l := range p.Pass {
		if !p.libraryMay(l, least) {
			continue
		}
		var lib *Library
		switch w := l.Work.(type) {
		case *Product:
			lib = p.libraryProduct(l, w)
		case *GradWeight:
			lib = p.libraryGradient(l, w)
		}
		lib.Launch = i
		p.Libraries = append(p.Libraries, lib)
	}
	for _, lib := range p.Libraries {
		if _, ok := p.Pass[lib.Launch].Work.(*Product); ok {
			p.Scratch.Size = max(p.Scratch.Size, lib.Rows*lib.Cols)
		}
	}
}

// operand is where the operands of a buffer of training lie.
func (p *Plan) operand(b *ir.Buffer) Operand {
	switch {
	case !p.Tensor():
		return Operand{Offset: p.Buffer(b, false), Lead: b.Width}
	case b == p.Program.X:
		return Operand{Offset: p.Inputs.Offset, Lead: p.Lead(b.Width)}
	}
	return Operand{Offset: p.Buffer(b, false), Lead: p.Lead(b.Width)}
}

// Rows is where the rows of an operand of training lie, and the float32 from one
// to the next.
func (p *Plan) Rows(b *ir.Buffer) (offset, words int) {
	m := p.operand(b)
	if !p.Tensor() {
		return m.Offset, m.Lead
	}
	return m.Offset, m.Lead * p.Precision.Bytes / 4
}

// weight is where the operands of a weight lie.
func (p *Plan) weight(q *ir.Param) Operand {
	if at, lead, ok := p.Copy(q); ok {
		return Operand{Offset: at, Lead: lead}
	}
	return Operand{Offset: p.At(q), Lead: q.Shape[1]}
}

// values are all rows of a buffer of training.
func (p *Plan) values(b *ir.Buffer) Values {
	v := Values{Offset: p.Buffer(b, false), Rows: p.Program.Batch, Cols: b.Width, Lead: b.Width, Parts: 1}
	if p.Operand(b) || p.Tensor() && b == p.Program.X {
		m := p.operand(b)
		v.Offset, v.Lead, v.Operand = m.Offset, m.Lead, true
	}
	return v
}

func (p *Plan) libraryProduct(l *Launch, w *Product) *Library {
	lib := &Library{Rows: p.Program.Batch}
	switch s := w.Step.(type) {
	case *ir.Linear:
		lib.Cols, lib.Inner = s.W.Shape[0], s.W.Shape[1]
		lib.Left, lib.Right = p.operand(s.X), p.weight(s.W)
		lib.Right.Turned = true
	case *ir.GradInput:
		lib.Cols, lib.Inner = s.W.Shape[1], s.W.Shape[0]
		lib.Left, lib.Right = p.operand(s.DZ), p.weight(s.W)
	}
	lib.To = Operand{Offset: p.Scratch.Offset, Lead: lib.Cols}
	for _, b := range ir.Reads(w.Step) {
		lib.Reads = append(lib.Reads, p.values(b))
	}
	for _, b := range ir.Writes(w.Step) {
		lib.Writes = append(lib.Writes, p.values(b))
	}
	if w.Loss != nil {
		lib.Writes = append(lib.Writes, p.values(w.Loss.Loss.Grad))
	}
	lib.After = []*Launch{{Name: l.Name + "_epilogue", Grid: l.Grid, Work: &Epilogue{w, l.Name, lib.Cols}}}
	return lib
}

const (
	// tailBlocks are enough to zero what a short batch leaves.
	tailBlocks = 64
	// SumColumns is the number of columns that a block of ColumnSums adds up.
	SumColumns = 32
)

func (p *Plan) libraryGradient(l *Launch, w *GradWeight) *Library {
	s, weight := w.Step, p.Params[w.Step.W.Index]
	lib := &Library{Rows: s.W.Shape[0], Cols: s.W.Shape[1], Inner: p.Program.Batch, Left: p.operand(s.DZ), Right: p.operand(s.X)}
	lib.Left.Turned = true
	lib.To = Operand{Offset: weight.Grad, Lead: lib.Cols}
	lib.Reads = []Values{p.values(s.DZ), p.values(s.X)}
	lib.Writes = []Values{{Offset: weight.Grad, Rows: lib.Rows, Cols: lib.Cols, Lead: lib.Cols, Parts: weight.Parts}}
	lib.Before = []*Launch{{Name: l.Name + "_tail", Grid: [3]int{tailBlocks, 1, 1}, Work: &Tail{s}}}
	if s.Bias != nil {
		bias := p.Params[s.Bias.Index]
		lib.Writes = append(lib.Writes, Values{Offset: bias.Grad, Rows: 1, Cols: lib.Rows, Lead: lib.Rows, Parts: bias.Parts})
		lib.After = append(lib.After, &Launch{Name: l.Name + "_bias", Grid: [3]int{ceil(lib.Rows, SumColumns), 1, bias.Parts}, Work: &ColumnSums{w}})
	}
	if p.Precision.Scaled {
		blocks := min(ceil(s.W.Size(), 4*Threads), copyBlocks)
		lib.After = append(lib.After, &Launch{Name: l.Name + "_finite", Grid: [3]int{blocks, 1, 1}, Work: &Finite{w}})
	}
	return lib
}
