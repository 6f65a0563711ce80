//go:build linux && (amd64 || arm64)

package cuda_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/internal/fakecuda"
	"github.com/dnngen/dnngen/internal/scratch"
	"github.com/dnngen/dnngen/spec"
)

const digits = `name: digits
input: 64
layers: [linear: 12, relu, linear: 10]
loss: cross_entropy
output: argmax
train: {batch: 64, epochs: 2, optimizer: {adam: {lr: 0.01}}, schedule: cosine}
data: {train: builtin:digits/train, test: builtin:digits/test, scale: {divide: 16}}
`

// gpuTrainer is an emitted trainer whose GPU is the fake driver, with emulated
// kernels.
type gpuTrainer struct {
	binary, dir string
	env         []string
	arena       int // bytes
}

func newGPUTrainer(t *testing.T) *gpuTrainer { return newGPUTrainerIn(t, 0) }

// newGPUTrainerIn has kernels in one precision, by its number.
func newGPUTrainerIn(t *testing.T, precision int) *gpuTrainer {
	t.Helper()
	emulator.Compiler(t)
	directory := fakecuda.Directory(t)
	net, _, err := spec.Parse("digits.yaml", []byte(digits), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := newModule(t)
	const at = "cuda/nets/digits"
	files, err := gen.Generate(net, gen.Options{ImportPath: scratch.Path + "/" + at})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		m.Put(at+"/"+f.Path, f.Content)
	}
	pl := emitted(t, planIn(t, net, precision))
	folder := at + "/" + filepath.Dir(cuda.Source)
	if precision > 0 {
		folder += "/" + pl.Precision.Name
	}
	m.Put(folder+"/kernels.sm_80.ptx", fakePTX(pl))
	return &gpuTrainer{
		binary: m.Build("./" + at + "/cmd/digits"), dir: t.TempDir(), arena: 4 * pl.Total,
		env: slices.Concat(os.Environ(), fakecuda.Variables(directory), []string{"FAKECUDA_KERNELS=" + emulator.Library(t, pl)}),
	}
}

func (g *gpuTrainer) command(settings string, args ...string) *exec.Cmd {
	cmd := exec.Command(g.binary, append([]string{"train", "--log-every", "1"}, args...)...)
	cmd.Dir, cmd.Env = g.dir, append(g.env, "FAKECUDA="+settings)
	return cmd
}

// run trains and wants an exit status and texts in what is told.
func (g *gpuTrainer) run(t *testing.T, settings string, status int, args []string, texts ...string) {
	t.Helper()
	out, err := g.command(settings, args...).CombinedOutput()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if code != status {
		t.Fatalf("%v: exit status %d, want %d\n%s", args, code, status, out)
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			t.Errorf("%v: lacks %q:\n%s", args, text, out)
		}
	}
}

// losses reads the losses of a run's steps.
func (g *gpuTrainer) losses(t *testing.T, run string) (list []float64) {
	t.Helper()
	f, err := os.Open(filepath.Join(g.dir, run, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			Event string
			Loss  float64
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Event == "step" {
			list = append(list, line.Loss)
		}
	}
	return list
}

// same wants two runs to have left the same model and metrics.
func (g *gpuTrainer) same(t *testing.T, a, b string) {
	t.Helper()
	for _, name := range []string{"model.safetensors", "metrics.jsonl"} {
		one, err := os.ReadFile(filepath.Join(g.dir, a, name))
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(filepath.Join(g.dir, b, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(one) != string(other) {
			t.Errorf("%s of %s and of %s differ", name, a, b)
		}
	}
}

// TestTrainer trains as a user does, with a GPU that keeps the rows, one that
// does not, and the CPU.
func TestTrainer(t *testing.T) {
	t.Parallel()
	g := newGPUTrainer(t)
	on := func(run string, more ...string) []string {
		return append([]string{"--run", run, "--device", "cuda"}, more...)
	}
	g.run(t, "", 0, []string{"--run", "cpu", "--device", "cpu:go"})
	g.run(t, "", 0, on("kept"), "cuda:0", "kept on the device")
	want, got := g.losses(t, "cpu"), g.losses(t, "kept")
	if len(got) != len(want) || len(want) != 46 {
		t.Fatalf("%d and %d steps", len(got), len(want))
	}
	for i, w := range want {
		if math.Abs(got[i]-w) > 2e-4*(1+w) {
			t.Errorf("the loss of step %d is %g, the CPU's %g", i, got[i], w)
		}
	}
	streamed := fmt.Sprintf("largest=%d", max(g.arena, 160<<10))
	g.run(t, streamed, 0, on("streamed"), "1438 rows and 359 to test\n")
	g.same(t, "streamed", "kept")
	g.run(t, "", 0, on("cut", "--steps", "13", "--checkpoint-every", "5"))
	g.run(t, streamed, 0, on("cut", "--resume", "--steps", "0"), "going on after step 13")
	g.same(t, "cut", "kept")

	g.run(t, fmt.Sprintf("memory=%d", g.arena+60<<20), 7, on("none"), "the network needs", "are free", "--device cpu")
	if _, err := os.Stat(filepath.Join(g.dir, "none")); err == nil {
		t.Error("a training that cannot begin leaves a directory")
	}
	g.run(t, "lost_at=200", 7, on("lost"), "device cuda:0 failed", "CUDA error 700")
	g.run(t, "", 5, on("nan", "--lr", "1e38"), "is NaN")
	g.run(t, "", 5, []string{"--run", "nan-cpu", "--device", "cpu:go", "--lr", "1e38"}, "is NaN")
	if a, b := len(g.losses(t, "nan")), len(g.losses(t, "nan-cpu")); a != b || a < 1 {
		t.Errorf("stopped after %d steps, the CPU after %d", a, b)
	}
	// The emulated GPU is right, and slower than the CPU.
	g.run(t, "", 0, []string{"--run", "auto", "--steps", "2"}, "not cuda:0: not faster")
}

// TestTrainerInterrupted interrupts a training and takes it up.
func TestTrainerInterrupted(t *testing.T) {
	t.Parallel()
	g := newGPUTrainer(t)
	cmd := g.command("", "--run", "r", "--device", "cuda", "--epochs", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(g.dir, "r", "info.json")); err == nil {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("ended with %v", err)
	}
	text, err := os.ReadFile(filepath.Join(g.dir, "r", "info.json"))
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		Status string
		Steps  int
	}
	if err := json.Unmarshal(text, &info); err != nil || info.Status != "interrupted" {
		t.Fatalf("%v: %s", err, text)
	}
	steps := strconv.Itoa(info.Steps + 30)
	g.run(t, "", 0, []string{"--run", "r", "--device", "cuda", "--resume", "--steps", steps})
	g.run(t, "", 0, []string{"--run", "whole", "--device", "cuda", "--epochs", "1000", "--steps", steps})
	g.same(t, "r", "whole")
}

// TestTrainerPrecision trains in fp16, whose scale belongs to the state of a
// training: stopped and taken up it is the uninterrupted one.
func TestTrainerPrecision(t *testing.T) {
	t.Parallel()
	g := newGPUTrainerIn(t, 3)
	half := func(run string, more ...string) []string {
		return append([]string{"--run", run, "--device", "cuda", "--precision", "fp16", "--epochs", "1"}, more...)
	}
	g.run(t, "", 0, half("whole"), "cuda:0 in fp16 (")
	g.run(t, "", 0, half("cut", "--steps", "2"))
	text, err := os.ReadFile(filepath.Join(g.dir, "cut", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"precision":"fp16","scaling":{"scale":`) {
		t.Errorf("the checkpoint says nothing of its precision and scale: %.600q", text)
	}
	g.run(t, "", 0, []string{"--run", "cut", "--device", "cuda", "--resume", "--steps", "0"}, "cuda:0 in fp16 (", "going on after step 2")
	g.same(t, "cut", "whole")
	g.run(t, "", 5, half("nan", "--lr", "1e38"), "is NaN")
	g.run(t, "cc=75", 7, half("old"), "device cuda:0: precision fp16: ", "compute capability 7.5, and fp16 needs 8.0")
	g.run(t, "", 7, []string{"--run", "cpu", "--device", "cpu", "--precision", "fp16"}, "precision fp16: ", "has fp32 alone")
}
