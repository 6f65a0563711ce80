package pool

const (
	// taper is the part of what is left that each range of Taper takes.
	taper = 10
	// mostBlocks is the number of blocks that Taper cuts things into, at most, and
	// then shares out. It bounds the number of ranges.
	mostBlocks = 128
	// MostTapered is the largest number of ranges that Taper makes.
	MostTapered = 30
)

// Tapered returns how many ranges Taper cuts n things into.
func Tapered(n int) int {
	parts := 0
	for left, _ := blocks(n); left > 0; left -= next(left) {
		parts++
	}
	return parts
}

// Taper returns one of the ranges that n things are cut into, the larger ones
// first: each takes a tenth of what is left. Workers that take them in turn end
// at about the same time, whatever held one of them up, and there are few enough
// for each to have a sum of its own. The ranges depend on n alone.
func Taper(n, part int) (lo, hi int) {
	all, size := blocks(n)
	at := 0
	for ; part > 0; part-- {
		at += next(all - at)
	}
	return min(n, at*size), min(n, (at+next(all-at))*size)
}

// blocks returns how many blocks n things make, and how many each of them has,
// but the last.
func blocks(n int) (count, size int) {
	size = max(1, (n+mostBlocks-1)/mostBlocks)
	return (n + size - 1) / size, size
}

// next returns how many blocks the next range has where so many are left.
func next(left int) int { return (left + taper - 1) / taper }
