//go:build unix

package main

import (
	"os"
	"syscall"
)

// become replaces dnngen by the trainer, which then has the terminal, the
// signals and the exit status for itself.
func become(bin string, args []string, env ...string) error {
	err := syscall.Exec(bin, append([]string{bin}, args...), append(os.Environ(), env...))
	return fail(exitFailed, "run %s: %w", bin, err)
}
