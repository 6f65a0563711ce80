package spec

import "fmt"

// Bounds of `batch: auto`.
const (
	// autoMemory is the GiB that it may take where the spec names no number.
	autoMemory = 8
	autoDoc    = "the largest power of two that fits a GPU of 8 GiB"
	// maxAutoBatch is more than any GPU needs to be busy.
	maxAutoBatch = 1 << 18
)

// autoBatch chooses the batch of `batch: auto`: the largest power of two whose
// training takes at most so much of a GPU's memory. Kernels are compiled for one
// batch, and a batch is a part of what a training computes: it follows from the
// spec alone, and is the same on every machine.
func (r *reader) autoBatch() {
	n := r.net
	limit := int64(n.Train.AutoMemory) << 30
	at := r.where("train.batch")
	for rows := int64(maxAutoBatch); rows > 0; rows /= 2 {
		if n.arena(rows) <= limit && n.fits(rows) {
			n.Train.Batch = int(rows)
			r.report(at, Problem{
				Code: warnAutoBatch,
				Message: fmt.Sprintf("`batch: auto` is %d: the largest power of two, up to %d, with which a GPU needs at most %d GiB",
					rows, maxAutoBatch, n.Train.AutoMemory),
				Found: wordAuto, Expected: "a number, where it matters",
				Hint: "a larger batch makes fewer updates an epoch; write a number where that trains badly",
			})
			return
		}
	}
	r.report(at, Problem{
		Code: codeAutoBatch, Message: fmt.Sprintf("no batch fits %d GiB: one of a single row needs %.1f", n.Train.AutoMemory, float64(n.arena(1))/(1<<30)),
		Found: wordAuto, Expected: "a network that fits", Hint: "state more memory, as in `batch: {auto: 80}`, or make the layers narrower",
	})
}

// fits reports whether a batch is within what a spec may ask for.
func (n *Network) fits(rows int64) bool {
	values := int64(0)
	for _, l := range n.Layers {
		values += int64(l.Out)
		if rows*int64(l.Out) > maxTensor {
			return false
		}
	}
	return rows*values <= maxActivations
}

// arena is an upper bound of the bytes that training takes of a GPU with a batch
// of so many rows. It counts float32: of a row, its features, once more as
// operands, its targets and what each layer gives, with a slope and two gradients of it; of a parameter,
// itself, at most three states, its gradient and a copy of less precision; the
// parts that a gradient is summed of, layer by layer or, where all weights fit a
// block's shared memory, by the blocks of a pass in one kernel; and the rows that
// inference takes at a time.
func (n *Network) arena(rows int64) int64 {
	const (
		perValue = 4
		perParam = 6
		parts    = 160     // blocks that make parts of one gradient
		tile     = 1 << 15 // elements of such a part
		shared   = 1 << 17 // parameters that one kernel may hold, or fewer
	)
	row, params, sums := 2*int64(n.Input), int64(0), int64(0)
	for _, l := range n.Layers {
		row += perValue * int64(l.Out)
		size := int64(learned(l))
		if l.Activation == nil {
			size = int64(l.In+1) * int64(l.Out)
		}
		params += size
		sums += parts * min(size, tile)
	}
	if params <= shared {
		sums = max(sums, parts*params)
	}
	row += int64(n.Output)
	infer := min(max(rows, 256), 4096)
	return 4 * (rows*row + infer*row + perParam*params + sums)
}
