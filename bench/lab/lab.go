// Package lab is what the commands that measure dnngen share: building it as a
// user does, running programs for their time and memory, and keeping results.
package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/fsys"
)

// Stamp says where and when results were measured.
type Stamp struct {
	Machine bench.Machine `json:"machine"`
	Date    string        `json:"date"`
	Command string        `json:"command"` // that measures them again
}

// Stamped makes a stamp of now; the command is that of this process.
func Stamped(name string) Stamp {
	return Stamp{bench.ThisMachine(), time.Now().UTC().Format(time.DateOnly), "go run ./bench/" + name + arguments(os.Args[1:])}
}

func arguments(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return " " + strings.Join(args, " ")
}

// grace is how long a command that is interrupted may take to end by itself.
const grace = 500 * time.Millisecond

// Exit ends a command with a status of its own.
type Exit struct {
	Status int
	Why    string
}

func (e *Exit) Error() string { return e.Why }

// Main runs a command in a temporary directory, until it is done or told to end
// by Ctrl-C or SIGTERM. Then the programs that it started with its context
// are killed at once; what it computes in this process is left alone, and the exit
// status is 128 and the signal's number, 130 after Ctrl-C. An error is told, and
// gives status 1, or that of an Exit.
func Main(name string, run func(ctx context.Context, temp string) error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	var end os.Signal
	temp, err := os.MkdirTemp("", "dnngen-"+name+"-")
	if err == nil {
		done := make(chan error, 1)
		go func() { done <- run(ctx, temp) }()
		select {
		case err = <-done:
		case end = <-ends:
			cancel()
			select {
			case <-done:
			case <-time.After(grace):
			}
		}
		_ = os.RemoveAll(temp) // what is left there does no harm
	}
	var exit *Exit
	switch {
	case end != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, end)
		number, _ := end.(syscall.Signal)
		os.Exit(128 + int(number))
	case errors.As(err, &exit):
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(exit.Status)
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Partial is what the name of a file of results ends in while not all are there.
const Partial = ".part"

// Each measures one thing after the other and writes all results to a file, which
// replaces that of an earlier run only when all are there. What was measured is kept
// where a later one fails or is interrupted, in a file beside it, whose name ends in
// Partial.
// results points to what measure adds to; without a file nothing is written.
func Each[T any](file string, results any, things []T, measure func(T) error) error {
	if err := Writable(file); err != nil {
		return err
	}
	part := ""
	if file != "" {
		part = file + Partial
	}
	if err := Writable(part); err != nil {
		return err
	}
	for i, thing := range things {
		err := measure(thing)
		if err == nil && part != "" {
			err = Write(part, results)
		}
		if err != nil {
			if part != "" && i > 0 {
				err = fmt.Errorf("%w; what was measured before is in %s", err, part)
			}
			return err
		}
	}
	if part == "" || len(things) == 0 {
		return nil
	}
	return os.Rename(part, file)
}

// Writable returns an error where Write could not store a file, before anything is
// measured for it. An empty name is right: nothing is to be written then.
func Writable(file string) error {
	if file == "" {
		return nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory, and the results are to be a file", file)
	}
	trial, err := os.CreateTemp(filepath.Dir(file), ".trial-*")
	if err != nil {
		return fmt.Errorf("the results cannot be written to %s: %w", file, err)
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// NoArguments ends a command that takes none, and was given one, with exit status
// 2, as package flag does for a flag that it does not know.
func NoArguments(name string) {
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "%s takes no argument %q\n", name, flag.Arg(0))
		os.Exit(2)
	}
}

// Dnngen builds the command from the working tree.
func Dnngen(ctx context.Context, temp string) (string, error) {
	name := filepath.Join(temp, "dnngen")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", name, "./cmd/dnngen")
	cmd.Stderr = os.Stderr
	return name, cmd.Run()
}

// DnngenOpenBLAS builds the command with an interpreter on OpenBLAS.
func DnngenOpenBLAS(ctx context.Context, temp string) (string, error) {
	name := filepath.Join(temp, "dnngen")
	cmd := exec.CommandContext(ctx, filepath.Join("bench", "autograd", "openblas.sh"), "build", "-o", name, "./cmd/dnngen")
	cmd.Stderr = os.Stderr
	return name, cmd.Run()
}

// Run is one run of a program.
type Run struct {
	Seconds float64
	RSS     int64 // bytes of memory at most; 0 where the system does not say
	Stdout  []byte
}

// Time runs a program to its end.
func Time(ctx context.Context, env []string, name string, args ...string) (*Run, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	r := &Run{Seconds: time.Since(start).Seconds(), Stdout: out.Bytes()}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, LastWords(errs.String()))
	}
	r.RSS = rss(cmd.ProcessState)
	return r, nil
}

// LastWords is what a program's errors come down to, where it ended by a fault
// of its own: the first line of a crash of Go's, the last one of Python's.
func LastWords(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "fatal error: ") || strings.HasPrefix(l, "panic: ") {
			return l
		}
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "Traceback ") {
			return lines[len(lines)-1]
		}
	}
	return strings.Join(lines, "\n")
}

// Python is the interpreter that has the peers.
func Python() string {
	if name := os.Getenv("PEER_PYTHON"); name != "" {
		return name
	}
	return "python3"
}

// Write stores results as JSON.
func Write(file string, v any) error {
	return fsys.WriteAtomic(fsys.OS(), file, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(v)
	})
}

// Read reads what Write stored. A file of another form, with fields that v lacks,
// is an error: it has to be measured again.
func Read(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
