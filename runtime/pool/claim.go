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
// done its own takes those that others have not begun, from their far end: a
// worker whose core was taken away for a while holds up the others by one piece
// at most. Each piece is made once, but by whom depends on time.
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
	round := p.ledgers[worker].rounds
	p.ledgers[worker].rounds++
	if round%ledgerRounds == 0 {
		// Nobody may still be in a round whose place this or one of the next takes.
		p.Wait()
	}
	for k := range p.threads {
		whose := (worker + k) % p.threads
		l := &p.ledgers[whose]
		first, end := Part(n, whose, p.threads)
		for {
			i, ok := l.take(round, first, end, k > 0)
			if !ok {
				break
			}
			if !yield(i) {
				return
			}
		}
	}
}

// ledgerRounds is the number of rounds that a ledger holds at a time.
const ledgerRounds = 16

// ledger tells what is left of one worker's pieces in each of the last rounds.
// Nothing is cleared before a round: a place that holds an older round stands
// for pieces that nobody has touched.
type ledger struct {
	rounds uint64 // that the worker has begun; nobody else reads it
	_      [56]byte
	left   [ledgerRounds]atomic.Uint64 // the round, the first piece and the end: 16, 24 and 24 bits
}

const (
	pieceBits = 24
	pieceMask = 1<<pieceBits - 1
)

// take takes one of the pieces first to end-1 that are left in a round: the
// first, or the last. Where none is left it returns false.
func (l *ledger) take(round uint64, first, end int, last bool) (piece int, ok bool) {
	left := &l.left[round%ledgerRounds]
	tag := round/ledgerRounds + 1 // other than in a place that was never used
	for {
		old := left.Load()
		lo, hi := first, end
		touched := old>>(2*pieceBits) == tag&0xffff
		if touched {
			lo, hi = int(old>>pieceBits&pieceMask), int(old&pieceMask)
		}
		switch {
		case lo < hi && last:
			hi--
			piece, ok = hi, true
		case lo < hi:
			piece, ok = lo, true
			lo++
		case touched:
			return 0, false
		default:
			// Having no pieces is noted too, or a place might keep a round whose 16
			// bits come again.
			ok = false
		}
		if left.CompareAndSwap(old, tag<<(2*pieceBits)|uint64(lo)<<pieceBits|uint64(hi)) {
			return piece, ok
		}
	}
}
