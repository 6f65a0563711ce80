package plan

import (
	"slices"

	"github.com/dnngen/dnngen/internal/ir"
)

// readsFlat tells whether X is read as the caller gives it, row by row, and
// never copied into panels: where all that reads it are products that take its
// numbers one by one.
//
// The rows of a tile are then so far apart as they are wide. Where that is a
// multiple of half a page, their lines fall into one or two of the 64 sets of a
// first cache, too few for a tile's rows.
func (b *builder) readsFlat() bool {
	p := b.Program
	if b.layout.of[p.X].Pairs > 0 || 4*p.Input%2048 == 0 {
		return false
	}
	for _, s := range slices.Concat(p.Forward, p.Infer, p.Backward) {
		if !slices.Contains(ir.Reads(s), p.X) {
			continue
		}
		switch s := s.(type) {
		case *ir.Linear:
			if b.isDot(s) {
				return false
			}
		case *ir.GradWeight:
			if b.isDotWeight(s.W) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
