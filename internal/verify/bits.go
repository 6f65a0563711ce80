package verify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

const (
	// bitWork is about how many operations a training of the checks on bits may
	// take, and bitSteps how many steps.
	bitWork  = 5e9
	bitSteps = 60
	// repeats is how often a training is run again.
	repeats = 3
	// signalAfter is how long a training runs before it is interrupted.
	signalAfter = 100 * time.Millisecond
)

// bitSteps is the length of a training whose bits are compared.
func (v *verifier) bitSteps(r *rows) int {
	work := stepWork(v.p, v.stepRows(r.set.Rows))
	return min(bitSteps, max(4, int(bitWork/work)))
}

// bits compares trainings on one device bit by bit: their model and their
// metrics.
type bits struct {
	v      *verifier
	rows   *rows
	device string
	steps  int
	lr     float64
	whole  string // sum of a training without any interruption
}

// args are the arguments of a training that makes the given number of steps in
// all.
func (b *bits) args(run string, steps int, more ...string) []string {
	args := []string{"train", "--run", run, "--device", b.device, "--quiet", "--steps", strconv.Itoa(steps)}
	return append(args, more...)
}

// fresh are the arguments that a training starts with and keeps when it is
// resumed.
func (b *bits) fresh() []string {
	lr := strconv.FormatFloat(b.lr, 'g', -1, 64)
	return []string{"--train", b.rows.source, "--test", "", "--log-every", "1", "--epochs", strconv.Itoa(b.epochs()), "--lr", lr}
}

// calm is the share of the reference's learning rate that a training is given
// whose bits are compared: it shall run on for long, and need not learn.
const calm = 0x1p-10

// epochs is more than any of the trainings make.
func (b *bits) epochs() int { return max(b.v.Net.Train.Epochs, 1_000_000) }

func (b *bits) train(ctx context.Context, more ...string) (sum string, err error) {
	run := b.v.runDir()
	if _, err := b.v.run(ctx, append(b.args(run, b.steps, b.fresh()...), more...)...); err != nil {
		return "", err
	}
	return finish(run)
}

// finish returns the hash of what a training left, and removes it.
func finish(run string) (sum string, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(run)) }()
	hash := sha256.New()
	for _, name := range []string{modelFile(run), filepath.Join(run, "metrics.jsonl")} {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%d\n", len(content))
		hash.Write(content)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}

// repeated trains again and again.
func (b *bits) repeated(ctx context.Context) (string, error) {
	var err error
	if b.whole, err = b.train(ctx); err != nil {
		return "", err
	}
	for i := 1; i < repeats; i++ {
		sum, err := b.train(ctx)
		if err != nil {
			return "", err
		}
		if sum != b.whole {
			return "", fmt.Errorf("run %d of %d steps gives other bits than the first", i+1, b.steps)
		}
	}
	return fmt.Sprintf("%d runs of %d steps: the same bits (SHA-256 %.12s)", repeats, b.steps, b.whole), nil
}

// threads trains with each number of threads.
func (b *bits) threads(ctx context.Context) (string, error) {
	for _, n := range []string{"1", "2", "3"} {
		sum, err := b.train(ctx, "--threads", n)
		if err != nil {
			return "", err
		}
		if sum != b.whole {
			return "", fmt.Errorf("%d steps with %s threads give other bits than with the default number", b.steps, n)
		}
	}
	return fmt.Sprintf("%d steps: the same bits", b.steps), nil
}

// cut ends trainings at several steps and goes on with them.
func (b *bits) cut(ctx context.Context) (string, error) {
	cuts := []int{1, b.steps / 3, b.steps / 2, b.steps - 1}
	for _, at := range cuts {
		run := b.v.runDir()
		if _, err := b.v.run(ctx, b.args(run, at, b.fresh()...)...); err != nil {
			return "", err
		}
		if err := b.resume(ctx, run, b.steps, b.whole); err != nil {
			return "", fmt.Errorf("cut after step %d: %w", at, err)
		}
	}
	return fmt.Sprintf("after steps %d, %d, %d and %d of %d: the same bits", cuts[0], cuts[1], cuts[2], cuts[3], b.steps), nil
}

func (b *bits) resume(ctx context.Context, run string, steps int, want string) error {
	if _, err := b.v.run(ctx, b.args(run, steps, "--resume")...); err != nil {
		return err
	}
	sum, err := finish(run)
	if err != nil {
		return err
	}
	if sum != want {
		return fmt.Errorf("goes on to other bits than a training that was not stopped")
	}
	return nil
}

// interrupted ends a training by a signal, wherever that hits it, and goes on.
func (b *bits) interrupted(ctx context.Context) (string, error) {
	if runtime.GOOS == "windows" {
		return "not tried: a process cannot be sent Ctrl-C here", nil
	}
	run := b.v.runDir()
	at, err := b.stop(ctx, run)
	if err != nil {
		return "", err
	}
	end := at + min(b.steps, 20)
	whole := b.v.runDir()
	if _, err := b.v.run(ctx, b.args(whole, end, b.fresh()...)...); err != nil {
		return "", err
	}
	want, err := finish(whole)
	if err != nil {
		return "", err
	}
	if err := b.resume(ctx, run, end, want); err != nil {
		return "", fmt.Errorf("interrupted after step %d: %w", at, err)
	}
	return fmt.Sprintf("by a signal after step %d of %d: the same bits", at, end), nil
}

// stop starts a training without an end, interrupts it once it is under way,
// and returns the number of steps that it made.
func (b *bits) stop(ctx context.Context, run string) (int, error) {
	const endless = 1_000_000_000
	args := append(b.args(run, endless, b.fresh()...), "--json")
	cmd := b.v.command(ctx, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	// The first line comes before the first step.
	_, readErr := bufio.NewReader(out).ReadBytes('\n')
	if readErr == nil {
		timer := time.AfterFunc(signalAfter, func() { _ = cmd.Process.Signal(os.Interrupt) })
		defer timer.Stop()
	}
	_, _ = io.Copy(io.Discard, out)
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		if err == nil {
			err = errors.New("it ended by itself")
		}
		return 0, b.v.explain(ctx, "train, interrupted", err, stderr.String())
	}
	text, err := os.ReadFile(filepath.Join(run, "info.json"))
	if err != nil {
		return 0, err
	}
	var info struct {
		Steps int `json:"steps"`
	}
	return info.Steps, json.Unmarshal(text, &info)
}
