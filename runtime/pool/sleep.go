package pool

import (
	"sync"
	"sync/atomic"
)

// sleeper lets goroutines sleep until a condition holds.
//
// Go's own way of waiting gives the goroutine's processor away; when it wakes,
// another thread has first to wake and to take it over, which takes longer than
// many a step. So a sleeper first waits in the kernel, where the system lets
// it, with the goroutine's thread and processor; if that lasts, it waits as Go
// does, so that other goroutines find a processor.
type sleeper struct {
	thread threadSleeper
	direct bool // wait in the kernel first
	asleep atomic.Int32
	mu     sync.Mutex
	cond   sync.Cond
}

func (s *sleeper) init(direct bool) {
	s.direct = direct
	s.cond.L = &s.mu
}

// until returns when done does. done is asked again after each wake.
func (s *sleeper) until(done func() bool) {
	if s.direct && s.thread.until(done) {
		return
	}
	s.mu.Lock()
	s.asleep.Add(1)
	for !done() {
		s.cond.Wait()
	}
	s.asleep.Add(-1)
	s.mu.Unlock()
}

// wake wakes all. What done asks for has been done before.
func (s *sleeper) wake() {
	if s.direct {
		s.thread.wake()
	}
	if s.asleep.Load() > 0 {
		s.mu.Lock()
		s.cond.Broadcast()
		s.mu.Unlock()
	}
}
