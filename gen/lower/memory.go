package lower

import (
	"cmp"
	"slices"

	"github.com/dnngen/dnngen/internal/ir"
)

// planMemory places the buffers in one arena so that buffers which never live
// at once may share their place: the widest first, each at the lowest column
// that is free for its whole life.
func planMemory(p *ir.Program) {
	p.ArenaWidth = place(p.Buffers, ir.Lifetimes(p))
	p.InferWidth = place(p.InferBuffers, ir.InferLifetimes(p))
}

func place(buffers []*ir.Buffer, life map[*ir.Buffer]ir.Lifetime) (width int) {
	order := slices.Clone(buffers)
	slices.SortStableFunc(order, func(a, b *ir.Buffer) int { return cmp.Compare(b.Width, a.Width) })
	var placed []*ir.Buffer
	for _, b := range order {
		b.Column = lowestFree(b, placed, life)
		placed = append(placed, b)
		slices.SortStableFunc(placed, func(a, b *ir.Buffer) int { return cmp.Compare(a.Column, b.Column) })
		width = max(width, b.Column+b.Width)
	}
	return width
}

// lowestFree returns the lowest column at which b meets no living buffer;
// placed is sorted by column.
func lowestFree(b *ir.Buffer, placed []*ir.Buffer, life map[*ir.Buffer]ir.Lifetime) int {
	column := 0
	for _, other := range placed {
		apart := life[b].Last < life[other].First || life[other].Last < life[b].First
		if !apart && other.Column < column+b.Width {
			column = max(column, other.Column+other.Width)
		}
	}
	return column
}
