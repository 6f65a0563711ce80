//go:build !linux

package pool

// threadSleeper would wait in the kernel; here it leaves that to Go.
type threadSleeper struct{}

func (threadSleeper) until(done func() bool) bool { return done() }

func (threadSleeper) wake() {}
