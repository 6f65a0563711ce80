//go:build unix

package lab

import (
	"os"
	"runtime"
	"syscall"
)

// rss returns the largest resident memory that a process had.
func rss(s *os.ProcessState) int64 {
	u, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return u.Maxrss // bytes there, KiB elsewhere
	}
	return u.Maxrss << 10
}
