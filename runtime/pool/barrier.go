package pool

import (
	"runtime"
	"sync/atomic"
)

// spins bounds the busy wait: 50 to 100 microseconds, a few times what it
// takes to wake a thread. Longer waits park, so that an idle trainer, or one
// whose core was taken by another process, burns no time. Where there are more
// workers than processors, those that wait take the others' place: they park
// almost at once.
const (
	spins        = 200000
	crowdedSpins = 100
)

// barrier lets n goroutines wait for each other, again and again. What they
// spin on is the count of arrivals itself: one cache line travels, once to each.
type barrier struct {
	n       uint64
	spins   int
	_       [48]byte
	arrived atomic.Uint64 // since the beginning
	_       [56]byte
	parked  atomic.Int32 // goroutines that sleep, or are about to
	sleep   sleeper
}

func (b *barrier) init(n int) {
	b.n, b.spins = uint64(n), spins
	crowded := n > runtime.GOMAXPROCS(0)
	if crowded {
		b.spins = crowdedSpins
	}
	b.sleep.init(!crowded)
}

// wait returns when all have called it, and whether it slept before that.
func (b *barrier) wait() (slept bool) {
	arrived := b.arrived.Add(1)
	all := (arrived + b.n - 1) / b.n * b.n
	if arrived == all {
		// A waiter counts itself as parked before it looks at the arrivals for the
		// last time, so either it sees this one or it is seen here.
		if b.parked.Load() > 0 {
			b.sleep.wake()
		}
		return false
	}
	for range b.spins {
		if b.arrived.Load() >= all {
			return false
		}
	}
	b.parked.Add(1)
	b.sleep.until(func() bool { return b.arrived.Load() >= all })
	b.parked.Add(-1)
	return true
}
