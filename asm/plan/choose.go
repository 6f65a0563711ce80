package plan

import (
	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/runtime/pool"
)

// Bounds of the choices below.
const (
	// mostRows is the number of rows that steps of all workers walk at a time.
	mostRows = 512
	// tileRows and smallTileRows are the numbers of rows of a tile that one worker
	// takes through all layers.
	tileRows, smallTileRows = 128, 64
	// tiledBatch is the least batch for which tiles are worth their extra sums
	// of gradients.
	tiledBatch = 512
	// tiledFloats is the most float32 that a worker's weights, their transposes
	// and gradients, and a tile of activations may take together: three quarters
	// of a second cache of 1 MiB.
	tiledFloats = 192 << 10
	// aloneWork is the number of multiply-adds of a step below which one worker
	// is faster than several: waiting for each other takes most of a microsecond
	// a layer.
	aloneWork = 1 << 20
	// WorkerShare is the number of multiply-adds of a step for each of which it is
	// worth having a worker: 35 µs of a fast core. Sharing a step costs a few
	// microseconds, since the workers' caches hold what others need next.
	WorkerShare = 4 << 20
	// callWork is the most multiply-adds of a call: 9 µs on a fast core, and not
	// much more than 50 µs at a quarter of its speed.
	callWork = 1 << 20
	// leastCallWork is the number below which calls are not made smaller so that
	// more workers have one: half a microsecond.
	leastCallWork = 1 << 16
	// stepCalls is the number of calls that a step is cut into where it is large
	// enough: a few for each worker, so that none waits long for the last one.
	stepCalls = 16
	// claimedWork is the number of multiply-adds from which workers take each
	// other's calls of a step: a shorter one loses more by claims, most of a
	// microsecond a step, than by waiting for a core that is away.
	claimedWork = 1 << 22
	// moveWork and lossWork are the numbers of multiply-adds that take as long as
	// moving a number and as the loss of one; dotWork is how many of them take as
	// long as one in a layer of one output, which reads each number once.
	moveWork, lossWork, dotWork = 8, 64, 4
	// idealDepth is about the depth of a block of a product: two panels of it take a
	// quarter of a second cache of 512 KiB.
	idealDepth = 1024
	// mostPieces is the number of pieces that a product in blocks is shared in, if it
	// has fewer groups: a few for each of many workers.
	mostPieces = 64
	// transposedRows is the least rows of a piece that transposes its weights, which
	// takes as long as the product of 16 rows, and leastPieces the number of such
	// pieces below which the product is not made in blocks, but shared by tiles.
	transposedRows, leastPieces = 128, 16
	// gapPanels is the number of panels that stay free behind a tensor of which all
	// workers read the same rows in one panel after the other: a processor that
	// expects more panels fetches lines behind the last one, which another worker may
	// be writing.
	gapPanels = 16
	// halfPage is a further part of a gap in float32: rows that are read together, of
	// two tensors, then do not meet in the same sets of the first cache.
	halfPage = 512
	// updateLines is the number of cache lines of gradients and states that a call
	// of the update reads at most: some 5 µs from a third cache.
	updateLines = 2048
	// inferLeast and inferMost bound the number of rows that inference walks at a
	// time.
	inferLeast, inferMost = 64, 256
)

// choose decides how a step is cut.
func (b *builder) choose() {
	p := b.Program
	weights, widest := 0, p.Input
	for _, q := range p.Params {
		weights += q.Size()
	}
	acts := p.Input
	for _, v := range p.Buffers {
		acts += v.Width
		widest = max(widest, v.Width)
	}
	b.Rows = min(p.Batch, mostRows)
	if p.Full || p.Batch >= tiledBatch {
		for _, rows := range []int{tileRows, smallTileRows} {
			if 3*weights+rows*acts <= tiledFloats {
				b.Tiled, b.Rows = true, rows
				break
			}
		}
	}
	b.Keep = p.Full || b.Tiled || p.Batch > b.Rows
	b.Shards = 1
	if b.Tiled {
		b.Shards = pool.MostTapered
		if tiles := (p.Batch + b.Rows - 1) / b.Rows; !p.Full {
			b.Shards = pool.Tapered(tiles)
		}
	}
	if !p.Full {
		b.Work = 3 * weights * p.Batch
		b.Alone = b.Work < aloneWork
	}
	b.Splits = splits(b.Rows)
}

// groupPanels returns how many panels of columns a product makes in one call:
// as many as keep the multiply-add units busy with few rows.
func groupPanels(rows int) int {
	switch {
	case rows <= 3:
		return 8
	case rows <= 6:
		return 4
	}
	return 2
}

// blockDepth returns the depth of the blocks in which a product is made that reads
// its panels several times: all of it, unless they are too large for the second
// cache. Where steps are tiled, all weights are in that cache; one that a single
// worker makes may be a single function, which takes whole products.
func (b *builder) blockDepth(depth int) int {
	blocks := (depth + idealDepth/2) / idealDepth
	if b.Tiled || b.Alone && b.infer == nil || blocks <= 1 {
		return depth
	}
	return ((depth+blocks-1)/blocks + kernel.Lanes - 1) / kernel.Lanes * kernel.Lanes
}

// groupPieces is the number of pieces of tiles that a group of a product in blocks
// is shared in. Each piece transposes the weights for itself, if they are.
func groupPieces(groups, tiles, rows int, transposed bool) int {
	pieces := min(tiles, (mostPieces+groups-1)/groups)
	if transposed {
		pieces = min(pieces, max(1, rows/transposedRows))
	}
	return pieces
}

// Sharing says how workers share the calls of a step.
type Sharing int

// The ways of sharing.
const (
	Unshared Sharing = iota // one worker makes them all
	Shared                  // each worker makes the same part in every step
	Claimed                 // the same, and then calls that others have not begun
	InTurn                  // whoever is free makes the next one
)

// sharing chooses for a step of so many multiply-adds.
func (b *builder) sharing(work int) Sharing {
	switch {
	case b.infer != nil || b.Tiled || b.Alone:
		return Unshared
	case work < claimedWork:
		return Shared
	}
	return Claimed
}

// most returns how many units of the given work each, units in all, a call may
// do.
func (b *builder) most(work, units int) int {
	call := callWork
	if b.sharing(0) != Unshared {
		call = min(callWork, max(leastCallWork, work*units/stepCalls))
	}
	return max(1, call/max(1, work))
}

// lanes is the number of lanes of n panels.
func lanes(n int) int { return n * kernel.Lanes }
