package engine

import "iter"

// MostPiece is the number of elements, 1 MiB of them, that parameters are
// drawn, stored and loaded by: a copy of a whole tensor would take as much
// memory as the tensor. It is even, so that numbers drawn in pairs stay
// together.
const MostPiece = 1 << 18

// Pieces cuts size elements into ranges [lo, hi) of at most MostPiece.
func Pieces(size int) iter.Seq2[int, int] {
	return func(yield func(lo, hi int) bool) {
		for lo := 0; lo < size; lo += MostPiece {
			if !yield(lo, min(lo+MostPiece, size)) {
				return
			}
		}
	}
}

// Piece returns room for any piece of any parameter of the network.
func (n *Network) Piece() []float32 {
	most := 0
	for _, p := range n.Params {
		most = max(most, p.Size())
	}
	return make([]float32, min(most, MostPiece))
}
