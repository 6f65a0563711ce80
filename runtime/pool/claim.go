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
	own, round := &p.ledgers[worker], p.begin(worker)
	start, open, end := parts(n, worker, p.threads)
	for lo, hi := start, open; lo < hi; lo, hi = own.take(round, open, end, half) {
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
			lo, hi := p.ledgers[other].take(round, open, end, last)
			if lo == hi {
				break
			}
			if !yield(lo) {
				return
			}
		}
	}
}

// begin begins a worker's next round and returns its number.
func (p *Pool) begin(worker int) uint64 {
	own := &p.ledgers[worker]
	round := own.rounds
	own.rounds++
	if round%ledgerRounds == 0 {
		// Nobody may still be in a round whose place this or one of the next takes.
		p.Wait()
	}
	return round
}

// InTurn returns the pieces of n, fewer than 1<<24, that fall to worker, where
// whoever is free takes the next one: for pieces of different sizes, the large
// ones first. Each is made once, but by whom depends on time. Its rounds are
// like those of Claim.
func (p *Pool) InTurn(worker, n int) iter.Seq[int] {
	return func(yield func(piece int) bool) {
		if p.threads == 1 {
			for i := 0; i < n && yield(i); i++ {
			}
			return
		}
		round := p.begin(worker)
		for {
			lo, hi := p.ledgers[0].take(round, 0, n, first)
			if lo == hi || !yield(lo) {
				return
			}
		}
	}
}

// parts returns a worker's part of n pieces, and where those begin that others
// may take.
func parts(n, worker, threads int) (start, open, end int) {
	start, end = Part(n, worker, threads)
	return start, start + (end-start+1)/2, end
}

// ledgerRounds is the number of rounds that a ledger holds at a time.
const ledgerRounds = 16

// ledger tells which of one worker's pieces, or of all with InTurn, nobody has
// claimed, in each of the last rounds. Nothing is cleared before a round: a place that holds an older
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

// choice says which of the pieces that are left a worker takes.
type choice int

const (
	half  choice = iota // the first half of them
	first               // the first one
	last                // the last one
)

// take claims some of the open pieces of a round that are left. It returns their
// range, an empty one where none is left.
func (l *ledger) take(round uint64, open, end int, which choice) (lo, hi int) {
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
		switch which {
		case half:
			lo, hi = from, from+(to-from+1)/2
			from = hi
		case first:
			lo, hi = from, min(from+1, to)
			from = hi
		case last:
			lo, hi = max(from, to-1), to
			to = lo
		}
		if left.CompareAndSwap(old, tag<<(2*pieceBits)|uint64(from)<<pieceBits|uint64(to)) {
			return lo, hi
		}
	}
}
