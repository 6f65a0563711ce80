// Command dnngen compiles a network spec to a specialised trainer.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/dnngen/dnngen/spec"
)

// Exit statuses, as the trainer's.
const (
	exitFailed    = 1
	exitUsage     = 2
	exitSpec      = 3
	exitData      = 4
	exitResources = 7
)

// exitError carries the exit status of a failure. A nil err has been told
// already.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func fail(status int, format string, args ...any) error {
	return &exitError{status, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole command but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var invalid spec.Errors
	if errors.As(err, &invalid) {
		return exitSpec // told with the spec's lines
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitUsage, err} // cobra's own errors are of usage
	}
	if exit.err != nil {
		fmt.Fprintf(stderr, "dnngen: %v\n", exit.err)
	}
	return exit.status
}
