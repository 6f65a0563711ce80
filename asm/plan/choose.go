package plan

import (
	"github.com/dnngen/dnngen/asm/kernel"
)

// Bounds of the choices below.
const (
	// mostRows is the number of rows that steps of all workers walk at a time.
	mostRows = 512
	// tileRows is the number of rows of a tile that one worker takes through all
	// layers: 64 rows of a layer of 64 are half of a first cache.
	tileRows = 64
	// tiledBatch is the least batch for which tiles are worth their extra sums
	// of gradients.
	tiledBatch = 512
	// tiledFloats is the most float32 that a worker's weights, their transposes
	// and gradients, and a tile of activations may take together: half of a
	// second cache of 1 MiB.
	tiledFloats = 128 << 10
	// mostShards is the number of gradients that are added up. It is fixed, so
	// that the sum does not depend on the number of workers.
	mostShards = 16
	// aloneWork is the number of multiply-adds of a step below which one worker
	// is faster than several: waiting for each other takes most of a microsecond
	// a layer.
	aloneWork = 1 << 20
	// callWork is the number of multiply-adds of a call, so that none takes
	// longer than about 50 µs at a quarter of the speed of a fast core.
	callWork = 1 << 20
	// inferMost is the most rows that inference walks at a time.
	inferMost = 256
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
	small := 3*weights+tileRows*acts <= tiledFloats
	switch {
	case small && (p.Full || p.Batch >= tiledBatch):
		b.Tiled, b.Rows = true, tileRows
	default:
		b.Rows = min(p.Batch, mostRows)
	}
	b.Keep = p.Full || b.Tiled || p.Batch > b.Rows
	b.Shards = 1
	if b.Tiled {
		b.Shards = mostShards
		if tiles := (p.Batch + b.Rows - 1) / b.Rows; !p.Full {
			b.Shards = min(b.Shards, tiles)
		}
	}
	b.Alone = !p.Full && 3*weights*p.Batch < aloneWork
	b.Splits = splits(b.Rows)
}

// groupPanels returns how many panels of columns a product makes in one call:
// as many as keep the multiply-add units busy with few rows.
func groupPanels(rows int) int {
	switch {
	case rows <= 3:
		return 8
	case rows <= 7:
		return 4
	}
	return 2
}

// most returns how many units of the given work a call may do.
func most(work int) int { return max(1, callWork/max(1, work)) }

// lanes is the number of lanes of n panels.
func lanes(n int) int { return n * kernel.Lanes }
