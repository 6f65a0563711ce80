package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/runtime/bench"
)

// TrainerError tells why a trainer cannot take part; Code is its exit status.
type TrainerError struct {
	Code int
	Text string
}

func (e *TrainerError) Error() string { return e.Text }

// trainer is a trainer's process that is driven through its standard input.
type trainer struct {
	*bench.Remote
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	ended  bool
}

// startTrainer starts a command that answers requests; dir is where it looks
// for data.
func startTrainer(ctx context.Context, dir string, command, env []string) (*trainer, error) {
	t := &trainer{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	t.cmd.Env = append(append(os.Environ(), "DNNGEN_DATA="+dir), env...)
	t.cmd.Stderr = &t.stderr
	t.cmd.WaitDelay = time.Second
	stdin, err := t.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	t.stdin = stdin
	t.Remote = bench.NewRemote(stdin, stdout)
	return t, nil
}

// stop ends the process, which ends by itself when there are no more requests.
func (t *trainer) stop() error {
	if t.ended {
		return nil
	}
	t.ended = true
	return errors.Join(t.stdin.Close(), t.cmd.Wait())
}

// explain replaces the error of a broken pipe by what the trainer said before
// it ended.
func (t *trainer) explain(err error) error {
	_ = t.stop() // its exit status is read below
	if t.cmd.ProcessState == nil || t.cmd.ProcessState.ExitCode() == 0 {
		return err
	}
	return &TrainerError{t.cmd.ProcessState.ExitCode(), strings.TrimPrefix(lab.LastWords(t.stderr.String()), "error: ")}
}
