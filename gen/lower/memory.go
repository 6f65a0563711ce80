package lower

import "github.com/dnngen/dnngen/internal/ir"

// planMemory places the buffers in one arena, in columns of a matrix that all
// rows of a batch share.
func planMemory(p *ir.Program) {
	p.ArenaWidth = place(p.Buffers, ir.Lifetimes(p))
	p.InferWidth = place(p.InferBuffers, ir.InferLifetimes(p))
}

func place(buffers []*ir.Buffer, life map[*ir.Buffer]ir.Lifetime) (width int) {
	at, width := ir.Pack(buffers, life, func(b *ir.Buffer) int { return b.Width })
	for _, b := range buffers {
		b.Column = at[b]
	}
	return width
}
