package loop

import (
	"math/bits"
	"math/rand/v2"
)

// shuffle fills order with the permutation of its indices that belongs to
// (seed, epoch). It depends on nothing else, so a training can be taken up in
// any epoch. The algorithm is Durstenfeld's version of the Fisher-Yates
// shuffle on the PCG-DXSM generator.
func shuffle(order []int32, seed uint64, epoch int) {
	for i := range order {
		order[i] = int32(i)
	}
	r := rand.NewPCG(seed, uint64(epoch))
	for i := len(order) - 1; i > 0; i-- {
		j := below(r, uint64(i)+1)
		order[i], order[j] = order[j], order[i]
	}
}

// below returns a number in [0, n) without bias (Lemire 2019, "Fast random
// integer generation in an interval"). The standard library has the same, but
// does not promise that the numbers stay the same from one Go version to the
// next; a resumed training needs that.
func below(r *rand.PCG, n uint64) uint64 {
	high, low := bits.Mul64(r.Uint64(), n)
	if low < n {
		for reject := -n % n; low < reject; {
			high, low = bits.Mul64(r.Uint64(), n)
		}
	}
	return high
}
