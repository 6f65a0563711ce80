// Command dnngen compiles a network spec to a specialised trainer.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/spec"
)

// Exit statuses, as the trainer's. An interrupted command has 128 and the
// number of the signal.
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

// fileError gives what went wrong with files its exit status: that of resources
// where the system refused, and of a failure where dnngen itself did.
func fileError(err error) error {
	var (
		path  *fs.PathError
		link  *os.LinkError
		errno syscall.Errno
	)
	if errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &errno) {
		return fail(exitResources, "%w", err)
	}
	return fail(exitFailed, "%w", err)
}

func fail(status int, format string, args ...any) error {
	return &exitError{status, fmt.Errorf(format, args...)}
}

// interrupted is the cause of a context that a signal cancelled.
type interrupted struct{ signal os.Signal }

func (e *interrupted) Error() string {
	if e.signal == os.Interrupt {
		return "interrupted by Ctrl-C"
	}
	return "interrupted by signal: " + e.signal.String()
}

// heap is what dnngen may use before it collects garbage: most runs end before.
const heap = 256 << 20

func main() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(heap)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it ignored
		signal.Notify(signals, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		cancel(&interrupted{<-signals})
		signal.Stop(signals) // a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole command but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o := &options{format: "text"}
	out := &firstError{w: stdout}
	root := rootCommand(o)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if out.err != nil && (err == nil || errors.Is(err, out.err)) {
		err = fail(exitResources, "write to standard output: %w", out.err)
	}
	status := statusOf(err)
	report(stderr, o.format, err, status)
	return status
}

// statusOf returns the exit status of an error.
func statusOf(err error) int {
	var (
		signal  *interrupted
		invalid spec.Errors
		exit    *exitError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &signal):
		if number, ok := signal.signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
		return exitFailed
	case errors.As(err, &invalid):
		return invalidStatus(invalid)
	case errors.As(err, &exit):
		return exit.status
	}
	return exitUsage // cobra's own errors are of usage
}

// invalidStatus returns the exit status for the problems of a spec. Where the
// spec is right and its data is not, the data is to blame.
func invalidStatus(problems spec.Errors) int {
	for _, p := range problems {
		var source *data.Error
		if !errors.As(p, &source) {
			return exitSpec
		}
	}
	return exitData
}

// report tells an error, unless it was told already.
func report(stderr io.Writer, format string, err error, status int) {
	var (
		invalid spec.Errors // told with the spec's lines
		exit    *exitError
	)
	if err == nil || errors.As(err, &invalid) || errors.As(err, &exit) && exit.err == nil {
		return
	}
	if format == "json" {
		line, _ := json.Marshal(struct { // strings and a number: it cannot fail
			Severity string `json:"severity"`
			Message  string `json:"message"`
			Status   int    `json:"exit_status"`
		}{"error", err.Error(), status})
		fmt.Fprintf(stderr, "%s\n", line)
		return
	}
	fmt.Fprintf(stderr, "dnngen: %v\n", err)
}

// firstError keeps the first error of writing to standard output.
type firstError struct {
	w   io.Writer
	err error
}

func (o *firstError) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}
