//go:build linux

package pool

import (
	"math"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadSleeper waits in the kernel, on a futex.
type threadSleeper struct{ wakes atomic.Uint32 }

// A thread waits so often, for so long: a few milliseconds in all.
const (
	naps    = 4
	napNsec = 1e6
)

// until returns true when done does, and false if that takes long.
func (s *threadSleeper) until(done func() bool) bool {
	timeout := unix.Timespec{Nsec: napNsec}
	for range naps {
		seen := s.wakes.Load()
		if done() {
			return true
		}
		// The kernel lets us sleep only if no wake has come since seen was read. Any
		// other return (a signal, say) leads back to the question.
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.wakes)), futexWaitPrivate,
			uintptr(seen), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	}
	return done()
}

func (s *threadSleeper) wake() {
	s.wakes.Add(1)
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.wakes)), futexWakePrivate, math.MaxInt32, 0, 0, 0)
}

// Operations of the system call, linux/futex.h: FUTEX_WAIT and FUTEX_WAKE with
// FUTEX_PRIVATE_FLAG.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)
