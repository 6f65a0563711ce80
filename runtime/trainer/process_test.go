package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/rundir"
)

// child is a trainer in a process of its own.
type child struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
	stdin          io.WriteCloser
}

// start starts a trainer in the working directory. It is killed when the test
// ends, or after a minute, whatever happens.
func start(t *testing.T, args ...string) *child {
	t.Helper()
	return startAs(t, "train", args...)
}

// startAs starts a trainer of one of the kinds that TestMain knows.
func startAs(t *testing.T, kind string, args ...string) *child {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	c := &child{Cmd: exec.CommandContext(ctx, os.Args[0], args...)}
	c.Env = append(os.Environ(), childVariable+"="+kind)
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	var err error
	if c.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// end waits for the process and returns its exit status, -1 for a signal.
func (c *child) end(t *testing.T) int {
	t.Helper()
	err := c.Wait()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

// await waits until a file is there and is not empty.
func await(t *testing.T, name string) {
	t.Helper()
	awaitOther(t, name, nil)
}

// awaitOther waits until there is another file of this name than before; nil
// where there was none. It waits as long as children live.
func awaitOther(t *testing.T, name string, before fs.FileInfo) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		info, err := os.Stat(name)
		if err == nil && info.Size() > 0 && (before == nil || !os.SameFile(info, before) || !info.ModTime().Equal(before.ModTime())) {
			return
		}
	}
	t.Fatalf("%s does not appear", name)
}

const endless = "100000000"

// The first signal ends the step, saves the state and says how to go on; what
// is taken up ends as if nothing had happened.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		signal syscall.Signal
		code   int
		text   string
	}{{syscall.SIGINT, 130, "interrupted by Ctrl-C"}, {syscall.SIGTERM, 143, "interrupted by signal: terminated"}, {syscall.SIGHUP, 129, "interrupted by signal: hangup"}} {
		t.Run(c.signal.String(), func(t *testing.T) {
			if signal.Ignored(c.signal) {
				t.Skip("the tests themselves run where this signal is ignored")
			}
			t.Chdir(t.TempDir())
			p := start(t, "--run", "r", "--epochs", endless, "--log-every", "1")
			await(t, "r/metrics.jsonl")
			if err := p.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			if code := p.end(t); code != c.code {
				t.Fatalf("exit %d, want %d\n%s", code, c.code, &p.stderr)
			}
			for _, want := range []string{c.text, "the state is saved", "train --run r --resume"} {
				if !strings.Contains(p.stderr.String(), want) {
					t.Errorf("lacks %q:\n%s", want, &p.stderr)
				}
			}
			at := loadCheckpoint(t, "r").Meta.State.Step
			steps := metricsOf(t, read(t, "r", "metrics.jsonl"))["step"]
			if int64(len(steps)) != at || at == 0 {
				t.Errorf("%d lines, checkpoint of step %d", len(steps), at)
			}
			var i info
			if err := json.Unmarshal([]byte(read(t, "r", "info.json")), &i); err != nil || i.Status != "interrupted" {
				t.Errorf("info %+v, %v", i, err)
			}
			until := strconv.FormatInt(at+50, 10)
			in{net: spirals()}.must(t, "--run", "r", "--resume", "--steps", until)
			in{net: spirals()}.must(t, "--run", "whole", "--epochs", endless, "--log-every", "1", "--steps", until)
			sameRun(t, "r", "whole")
		})
	}
}

// Under nohup a training goes on when its terminal is closed.
func TestIgnoredHangup(t *testing.T) {
	t.Chdir(t.TempDir())
	c := exec.Command("sh", "-c", `trap "" HUP; exec "$0" --run r --log-every 1 --epochs `+endless, os.Args[0])
	c.Env = append(os.Environ(), childVariable+"=train")
	if err := c.Start(); err != nil {
		t.Skip("no shell here:", err)
	}
	await(t, "r/metrics.jsonl")
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGTERM} {
		if err := c.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if _ = c.Wait(); c.ProcessState.ExitCode() != 143 {
		t.Errorf("exit %d", c.ProcessState.ExitCode())
	}
}

// timeout(1) sends its signal twice: the second one, which comes together with the
// first, does not keep the state from being saved. A later one ends the process.
func TestSignalsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exits []int
		a := &app{exit: func(code int) { exits = append(exits, code) }}
		signals := make(chan os.Signal)
		ctx, stop := a.listen(signals)
		defer stop()
		for _, after := range []time.Duration{0, time.Millisecond, together / 2} {
			time.Sleep(after)
			signals <- syscall.SIGTERM
			synctest.Wait()
			if ctx.Err() == nil || exits != nil {
				t.Fatalf("after %v: %v, exits %v", after, ctx.Err(), exits)
			}
		}
		time.Sleep(together)
		signals <- syscall.SIGINT
		synctest.Wait()
		if !slices.Equal(exits, []int{143}) {
			t.Errorf("exits %v", exits)
		}
	})
}

// A trainer that waits for its data cannot end its step; the second signal ends
// it at once.
func TestSecondSignal(t *testing.T) {
	t.Chdir(t.TempDir())
	p := start(t, "--train", "-", "--run", "r")
	// More than a pipe holds: when it is written, the trainer is reading.
	if _, err := io.WriteString(p.stdin, strings.Repeat("1,2,0\n", 50_000)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int)
	go func() { ended <- p.end(t) }()
	for {
		if err := p.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		select {
		case code := <-ended:
			if code != 130 {
				t.Errorf("exit %d\n%s", code, &p.stderr)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Interrupted before the first step there is nothing to save, and nothing is
// left behind.
func TestSignalBeforeTheFirstStep(t *testing.T) {
	t.Chdir(t.TempDir())
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	var stdout, stderr bytes.Buffer
	stdin := &afterCancel{text: strings.NewReader("a,b,c\n1,2,0\n2,3,1\n")}
	code := Run([]string{"trainer", "--train", "-", "--test", "", "--run", "r"}, func(string) string { return "" },
		stdin, &stdout, &stderr, spirals(), signals)
	if code != 143 || !strings.Contains(stderr.String(), "before the first step") {
		t.Errorf("exit %d\n%s", code, &stderr)
	}
	if _, err := os.Stat("r/checkpoint"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a checkpoint: %v", err)
	}
}

// afterCancel is an input that arrives after the signal was taken.
type afterCancel struct{ text io.Reader }

func (r *afterCancel) Read(b []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return r.text.Read(b)
}

// cuts is how often a training is killed. Set DNNGEN_TEST_CUTS for more.
func cuts(t *testing.T) int {
	text := os.Getenv("DNNGEN_TEST_CUTS")
	if text == "" {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A training that writes a checkpoint after each step is killed at random
// moments and taken up each time: every other life while it starts or later, the
// others after their first checkpoint, however long the machine takes to get
// there. No checkpoint is ever torn, and in the end the bits are those of a
// training that nobody killed.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Chdir(t.TempDir())
	random := rand.New(rand.NewPCG(1, uint64(os.Getpid())))
	n := cuts(t)
	last := int64(0)
	killed := 0
	args := []string{"--run", "r", "--epochs", endless, "--checkpoint-every", "1", "--log-every", "1", "--quiet"}
	const steps = 15 * time.Millisecond // in which some steps are made
	var launch time.Duration            // from the last start to a checkpoint that was waited for
	var checkpoint fs.FileInfo
	for killed < n {
		began := time.Now()
		p := start(t, args...)
		if killed%2 == 0 {
			awaitOther(t, "r/checkpoint", checkpoint)
			launch = time.Since(began)
			time.Sleep(time.Duration(random.Int64N(int64(steps))))
		} else {
			time.Sleep(time.Duration(random.Int64N(int64(launch + steps))))
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatalf("%v\n%s", err, &p.stderr)
		}
		if code := p.end(t); code != -1 {
			t.Fatalf("exit %d\n%s", code, &p.stderr)
		}
		if killed == 0 {
			args = append(args, "--resume")
		}
		killed++
		c, err := rundir.ReadCheckpoint(fsys.OS(), "r/checkpoint")
		if err != nil {
			t.Fatalf("after kill %d: %v", killed, err)
		}
		at := c.Meta.State.Step
		if waited := killed%2 == 1; at < last || waited && at == last {
			t.Fatalf("after kill %d the checkpoint is of step %d, before it was %d", killed, at, last)
		}
		last = at
		if checkpoint, err = os.Stat("r/checkpoint"); err != nil {
			t.Fatal(err)
		}
	}
	until := strconv.FormatInt(last+20, 10)
	in{net: spirals()}.must(t, "--run", "r", "--resume", "--steps", until)
	in{net: spirals()}.must(t, "--run", "whole", "--epochs", endless, "--steps", until, "--log-every", "1")
	sameRun(t, "r", "whole")
	entries, err := os.ReadDir("r")
	if err != nil || len(entries) != 7 {
		t.Errorf("files %v, %v", entries, err)
	}
	t.Logf("%d kills, %d steps", killed, last)
}

// A directory belongs to one trainer; the lock dies with its owner.
func TestTwoTrainers(t *testing.T) {
	t.Chdir(t.TempDir())
	first := start(t, "--run", "r", "--epochs", endless, "--checkpoint-every", "100")
	await(t, "r/checkpoint")
	for _, args := range [][]string{{"--run", "r"}, {"--run", "r", "--resume"}} {
		r := in{net: spirals()}.run(args...)
		r.want(t, 6, "process "+strconv.Itoa(first.Process.Pid)+" on ", "is using this run directory since 20")
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.end(t)
	c := loadCheckpoint(t, "r")
	in{net: spirals()}.must(t, "--run", "r", "--resume", "--steps", strconv.FormatInt(c.Meta.State.Step+1, 10))
}

// Of trainers that start at once on one directory one trains; the others come
// too early or too late, and say so.
func TestTrainersThatStartAtOnce(t *testing.T) {
	for range 3 {
		t.Chdir(t.TempDir())
		children := make([]*child, 6)
		for i := range children {
			children[i] = start(t, "--run", "r", "--quiet")
		}
		won := 0
		for _, c := range children {
			switch code := c.end(t); code {
			case 0:
				won++
			case 6:
				if s := c.stderr.String(); !strings.Contains(s, "is using this run directory") && !strings.Contains(s, "already holds a trained run") {
					t.Errorf("loser: %s", s)
				}
			default:
				t.Errorf("exit %d: %s", code, &c.stderr)
			}
		}
		if won != 1 {
			t.Errorf("%d trainers won", won)
		}
		loadCheckpoint(t, "r")
	}
}

// Numbered runs that start at once get a directory each.
func TestNumberedRunsThatStartAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	children := make([]*child, 5)
	for i := range children {
		children[i] = start(t, "--quiet", "--epochs", "1")
	}
	for _, c := range children {
		if code := c.end(t); code != 0 {
			t.Errorf("exit %d: %s", code, &c.stderr)
		}
	}
	models, err := filepath.Glob("runs/spirals/*/model.safetensors")
	if err != nil || len(models) != len(children) {
		t.Errorf("models %v, %v", models, err)
	}
}

// A reader that goes away does not end a training.
func TestClosedStandardOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := func(closeStderr bool, args ...string) (*os.ProcessState, string) {
		c := exec.CommandContext(ctx, os.Args[0], args...)
		c.Env = append(os.Environ(), childVariable+"=train")
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		c.Stdout, c.Stderr = w, &stderr
		if closeStderr {
			c.Stderr = w
		}
		if err := errors.Join(r.Close(), c.Start(), w.Close()); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		return c.ProcessState, stderr.String()
	}
	for _, closeStderr := range []bool{false, true} {
		dir := "r" + strconv.FormatBool(closeStderr)
		if state, stderr := run(closeStderr, "train", "--json", "--run", dir, "--log-every", "1"); state.ExitCode() != 0 {
			t.Errorf("train: %v\n%s", state, stderr)
		}
		loadCheckpoint(t, dir)
	}
	// Other commands end as filters do, without noise.
	state, stderr := run(false, "predict", "--model", "rfalse", "--input", "builtin:spirals")
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGPIPE || stderr != "" {
		t.Errorf("predict: %v\n%s", state, stderr)
	}
}

func TestFullStandardOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	t.Chdir(t.TempDir())
	var stderr bytes.Buffer
	code := Run([]string{"trainer", "--run", "r"}, func(string) string { return "" }, strings.NewReader(""), full, &stderr, spirals(), nil)
	if code != 7 || !strings.Contains(stderr.String(), "write standard output") {
		t.Errorf("exit %d\n%s", code, &stderr)
	}
	loadCheckpoint(t, "r")
}

// From the start of the process to the first step, with data, run directory and
// all.
func BenchmarkStartToFirstStep(b *testing.B) {
	b.Chdir(b.TempDir())
	for b.Loop() {
		c := exec.CommandContext(b.Context(), os.Args[0], "--quiet")
		c.Env = append(os.Environ(), childVariable+"=until the first step")
		if err := c.Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// What a trainer adds to each step of a network that costs nothing: order,
// schedule, metrics, progress.
func BenchmarkOverheadOfAStep(b *testing.B) {
	b.Chdir(b.TempDir())
	net := spirals()
	net.Devices[0].New = func(engine.Options) (engine.Engine, error) {
		return idle{testnet.Engine(testnet.Options{Inputs: 2, Hidden: 16, Outputs: 3, Batch: 16})}, nil
	}
	steps := b.N
	r := in{net: net}.run("--quiet", "--run", "r", "--test", "", "--epochs", endless, "--steps", strconv.Itoa(steps))
	if r.code != 0 {
		b.Fatal(r.stderr)
	}
}

// idle is an engine whose steps do nothing.
type idle struct{ engine.Engine }

func (idle) Step([]float32, engine.Target, int, engine.Hyper) float64 { return 1 }
