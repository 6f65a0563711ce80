package plan

import "github.com/dnngen/dnngen/internal/ir"

// This file has what differs where tensor cores make the products: their
// operands stand in memory in the precision, with rows that begin at multiples
// of 16 bytes.

// Tensor reports whether tensor cores make the products.
func (p *Plan) Tensor() bool { return p.Precision.Major > 0 }

// Lead is the distance between the rows of an operand, in operands.
func (p *Plan) Lead(width int) int { return roundUp(width, 16/p.Precision.Bytes) }

// Operand reports whether a buffer holds operands of products, and not float32.
// Program.X holds float32; its operands lie in Layout.Inputs.
func (p *Plan) Operand(b *ir.Buffer) bool { return p.operands[b] }

// Copy is where the operands of a weight lie, and the distance between its rows.
// ok is false for a parameter that no product multiplies.
func (p *Plan) Copy(q *ir.Param) (offset, lead int, ok bool) {
	at, ok := p.copies[q]
	if !ok {
		return 0, 0, false
	}
	return p.Copies.Offset + at, p.Lead(q.Shape[1]), true
}

// Convert makes the operands of a batch. In training it gathers its rows itself
// where many steps are one launch, and brings what Fetch otherwise does.
type Convert struct{ Infer bool }

// Refresh makes the operands of all weights, and Rescale changes the scale of
// the loss's gradient at the end of a step.
type (
	Refresh struct{ *Update }
	Rescale struct{}
)

// ScalingWords is the size of Layout.Scaling: DnnScaling of dnn_step.h.
const ScalingWords = 4

// words is the size of a matrix of operands in float32.
func (p *Plan) words(rows, width int) int { return ceil(rows*p.Lead(width)*p.Precision.Bytes, 4) }

// tensor plans what operands need: which buffers hold them, and copies of the
// weights.
func (p *Plan) tensor() {
	q := p.Program
	p.operands, p.copies = map[*ir.Buffer]bool{}, map[*ir.Param]int{}
	weight := func(w *ir.Param) {
		if _, ok := p.copies[w]; !ok {
			p.copies[w] = p.Copies.Size
			p.Copies.Size += roundUp(p.words(w.Shape[0], w.Shape[1]), 64)
		}
	}
	for _, list := range [][]ir.Step{q.Forward, q.Backward, q.Infer} {
		for _, s := range list {
			switch s := s.(type) {
			case *ir.Linear:
				p.operands[s.X] = true
				weight(s.W)
			case *ir.GradInput:
				p.operands[s.DZ] = true
				weight(s.W)
			case *ir.GradWeight:
				p.operands[s.DZ], p.operands[s.X] = true, true
			}
		}
	}
	if p.operands[q.X] {
		delete(p.operands, q.X)
		p.Inputs.Size = p.words(max(q.Batch, p.InferRows), q.Input)
	}
	if p.Precision.Scaled {
		p.Scaling.Size = ScalingWords
	}
}

// convert adds the launch that makes the operands of a batch.
func (p *Plan) convert(list *[]*Launch, name string, rows int, infer bool) {
	if p.Inputs.Size > 0 {
		blocks := min(ceil(rows*p.Program.Input, 4*Threads), copyBlocks)
		*list = append(*list, &Launch{Name: name, Grid: [3]int{blocks, 1, 1}, Work: &Convert{infer}})
	}
}

// Tile is a block's share of a product on tensor cores.
type Tile struct{ Rows, Cols int }

// tensorTile returns a large tile where enough blocks are left, if each tile is
// made in up to that many parts.
func tensorTile(rows, cols, parts int) Tile {
	fit := func(n int) int {
		switch {
		case n <= 32:
			return 32
		case n <= 64:
			return 64
		}
		return 128
	}
	t := Tile{fit(rows), fit(cols)}
	for ceil(rows, t.Rows)*ceil(cols, t.Cols)*parts < enough && max(t.Rows, t.Cols) > 32 {
		if t.Cols >= t.Rows {
			t.Cols /= 2
		} else {
			t.Rows /= 2
		}
	}
	return t
}

// Shared memory of DnnGemm in dnn_gemm.h: its stages, the bytes of a slab, and
// what lies between rows.
const (
	gemmStages   = 3
	gemmSlab     = 64
	gemmGap      = 16
	gemmTurnedBy = 8 // operands between turned rows
)

// shared is DnnGemm::BYTES.
func (p *Plan) shared(t Tile, turnedA, turnedB bool) int {
	side := func(width int, turned bool) int {
		if turned {
			return gemmSlab / p.Precision.Bytes * (width + gemmTurnedBy) * p.Precision.Bytes
		}
		return width * (gemmSlab + gemmGap)
	}
	return gemmStages * (side(t.Rows, turnedA) + side(t.Cols, turnedB))
}
