// Package trainer is the command line of an emitted trainer: training with
// checkpoints, evaluation, prediction, and what is compiled in.
package trainer

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/progress"
)

// Main runs the command line of this process and returns its exit status. An
// emitted trainer's main consists of it.
func Main(n *engine.Network) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup wants it ignored
		signal.Notify(signals, syscall.SIGHUP)
	}
	if c, _, err := choose(os.Args[1:]); err == nil && c.survivesPipe {
		// A training does not end because nobody reads what it says; what counts
		// is in the run directory. Other commands die of the broken pipe, as
		// filters do.
		signal.Ignore(syscall.SIGPIPE)
	}
	return Run(os.Args, os.Getenv, os.Stdin, os.Stdout, os.Stderr, n, signals)
}

// Run runs a command line, args[0] being the program's name, and returns the
// exit status. The first of the signals ends a training after its step, with
// its state saved; a later one ends the process at once.
func Run(args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer, n *engine.Network, signals <-chan os.Signal) int {
	a := &app{
		program: programName(args, env), env: env, net: n, fs: fsys.OS(),
		stdin: stdin, stdout: &output{w: stdout}, stderr: stderr, exit: os.Exit,
	}
	return a.main(args[min(1, len(args)):], signals)
}

// app is one run of a command.
type app struct {
	program string // as messages and examples name it
	env     func(string) string
	net     *engine.Network
	fs      fsys.FS
	stdin   io.Reader
	stdout  *output
	stderr  io.Writer
	exit    func(int) // for a second signal
	topic   string    // what help explains of the command: " train"
	ctx     context.Context
}

// Environment variables, beside device.Variable, NO_COLOR and TERM.
const (
	// commandVariable is how messages call the program, where it was started
	// by another one.
	commandVariable = "DNNGEN_COMMAND"
	// dataVariable is a directory in which data sources are looked for when
	// they are not in the working directory.
	dataVariable = "DNNGEN_DATA"
)

func programName(args []string, env func(string) string) string {
	if name := env(commandVariable); name != "" {
		return name
	}
	switch {
	case len(args) == 0 || args[0] == "":
		return "trainer"
	case strings.Contains(filepath.ToSlash(args[0]), "/go-build"): // of `go run`, gone when it ends
		return filepath.Base(args[0])
	}
	return args[0]
}

func (a *app) main(args []string, signals <-chan os.Signal) int {
	var stop func()
	a.ctx, stop = a.listen(signals)
	defer stop()
	c, rest, err := choose(args)
	if err == nil {
		if c != helpCommand {
			a.topic = " " + c.name
		}
		// What was saved before a device fails is whole.
		err = engine.Survive(func() error { return c.start(a, rest) })
	}
	if flushErr := a.stdout.finish(); err == nil {
		err = flushErr
	}
	return a.report(err)
}

func (a *app) display(quiet bool) *progress.Display { return progress.New(a.stderr, a.env, quiet) }

// interrupted is the cause of a context that a signal cancelled.
type interrupted struct{ signal os.Signal }

func (e *interrupted) Error() string {
	if e.signal == os.Interrupt {
		return "interrupted by Ctrl-C"
	}
	return "interrupted by signal: " + e.signal.String()
}

// code is 128 and the signal's number, as shells have it.
func (e *interrupted) code() int {
	if s, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(s)
	}
	return 130
}

// together is how long after the first signal others are taken for the same one:
// timeout(1) signals a process and then its group, and both a shell and the kernel
// tell of a terminal that is closed.
const together = 300 * time.Millisecond

// listen returns a context that the first signal cancels. A second one, which does
// not come together with it, ends the process at once: all files are replaced
// atomically, so nothing is corrupted.
func (a *app) listen(signals <-chan os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		var first *interrupted
		var at time.Time
		for {
			select {
			case s := <-signals:
				switch {
				case first == nil:
					first, at = &interrupted{s}, time.Now()
					cancel(first)
				case time.Since(at) > together:
					a.exit(first.code())
					return
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		close(done)
		cancel(nil)
	}
}

// cause replaces the plain error of a cancelled context by the signal that
// cancelled it.
func (a *app) cause(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Cause(a.ctx)
	}
	return err
}
