package pool

import (
	"iter"
	"sync/atomic"
)

// Part returns the range of part i when n things are shared among parts.
func Part(n, i, parts int) (lo, hi int) { return i * n / parts, (i + 1) * n / parts }

// Share returns worker's part of n pieces: the same ones whenever n is.
func (p *Pool) Share(worker, n int) iter.Seq[int] {
	return func(yield func(piece int) bool) {
		lo, hi := Part(n, worker, p.threads)
		for i := lo; i < hi && yield(i); i++ {
		}
	}
}

// Claim returns the pieces of n, fewer than 1<<24, that fall to worker. Each
// worker begins with those that Share gives it, from the first to the last, so
// that what they touch stays in its core's cache from step to step. Whoever has
// done its own takes those that others have not claimed yet, from their far
// end, one by one: a worker whose core was taken away for a while holds up the
// others little. Each piece is made once, but by whom depends on time.
//
// A claim is an atomic operation that waits for all that the worker has stored
// before, a fifth of a microsecond. So a worker owns the first half of its
// pieces from the start, and then claims half of what is left each time.
//
// Each range over what Claim returns is a round. All workers make the same
// rounds in the same order, with the same n, as they all call Wait. A round
// does not wait for its end: others may still be at their last pieces.
func (p *Pool) Claim(worker, n int) iter.Seq[int] {
	return func(yield func(piece int) bool) { p.claim(worker, n, yield) }
}

func (p *Pool) claim(worker, n int, yield func(piece int) bool) {
	if p.threads == 1 {
		for i := 0; i < n && yield(i); i++ {
		}
		return
	}
	own := &p.ledgers[worker]
	round := own.rounds
	own.rounds++
	if round%ledgerRounds == 0 {
		// Nobody may still be in a round whose place this or one of the next takes.
		p.Wait()
	}
	first, open, end := parts(n, worker, p.threads)
	for lo, hi := first, open; lo < hi; lo, hi = own.take(round, open, end, false) {
		for i := lo; i < hi; i++ {
			if !yield(i) {
				return
			}
		}
	}
	for k := 1; k < p.threads; k++ {
		other := (worker + k) % p.threads
		_, open, end := parts(n, other, p.threads)
		for {
			lo, hi := p.ledgers[other].take(round, open, end, true)
			if lo == hi {
				break
			}
			if !yield(lo) {
				return
			}
		}
	}
}

// parts returns a worker's part of n pieces, and where those begin that others
// may take.
func parts(n, worker, threads int) (first, open, end int) {
	first, end = Part(n, worker, threads)
	return first, first + (end-first+1)/2, end
}

// ledgerRounds is the number of rounds that a ledger holds at a time.
const ledgerRounds = 16

// ledger tells which of one worker's pieces nobody has claimed, in each of the
// last rounds. Nothing is cleared before a round: a place that holds an older
// round stands for open pieces of which none is taken.
type ledger struct {
	rounds uint64 // that the worker has begun; nobody else reads it
	_      [56]byte
	left   [ledgerRounds]atomic.Uint64 // the round, the first piece and the end: 16, 24 and 24 bits
}

const (
	pieceBits = 24
	pieceMask = 1<<pieceBits - 1
)

// take claims some of the open pieces of a round that are left: the first half
// for their owner, or the last one for another worker. It returns their range,
// an empty one where none is left.
func (l *ledger) take(round uint64, open, end int, last bool) (lo, hi int) {
	left := &l.left[round%ledgerRounds]
	tag := round/ledgerRounds + 1 // other than in a place that was never used
	for {
		old := left.Load()
		from, to := open, end
		if old>>(2*pieceBits) == tag&0xffff {
			from, to = int(old>>pieceBits&pieceMask), int(old&pieceMask)
			if from == to {
				return 0, 0
			}
		}
		// Having no pieces is noted too, or a place might keep a round whose 16 bits
		// come again.
		if last {
			lo, hi = max(from, to-1), to
			to = lo
		} else {
			lo, hi = from, from+(to-from+1)/2
			from = hi
		}
		if left.CompareAndSwap(old, tag<<(2*pieceBits)|uint64(from)<<pieceBits|uint64(to)) {
			return lo, hi
		}
	}
}
