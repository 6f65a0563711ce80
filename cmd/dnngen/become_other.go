//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
)

// become runs the trainer to its end and takes over its exit status.
func become(bin string, args []string, env ...string) error {
	trainer := exec.Command(bin, args...)
	trainer.Stdin, trainer.Stdout, trainer.Stderr = os.Stdin, os.Stdout, os.Stderr
	trainer.Env = append(os.Environ(), env...)
	err := trainer.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &exitError{status: exit.ExitCode()}
	}
	if err != nil {
		return fail(exitFailed, "run %s: %w", bin, err)
	}
	return nil
}
