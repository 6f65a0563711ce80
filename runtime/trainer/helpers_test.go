package trainer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/rundir"
)

// childVariable makes the test binary a trainer, for tests that need a process
// of its own.
const childVariable = "DNNGEN_TEST_TRAINER"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "train":
		os.Exit(Main(spirals()))
	case "large":
		code := Main(largeNet())
		if err := notePeak(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = exitFailed
		}
		os.Exit(code)
	case "until the first step":
		net := spirals()
		portable := net.Devices[0].New
		net.Devices[0].New = func(o engine.Options) (engine.Engine, error) {
			e, err := portable(o)
			return exiting{e}, err
		}
		os.Exit(Main(net))
	}
	os.Exit(m.Run())
}

// exiting ends the process at its first step.
type exiting struct{ engine.Engine }

func (exiting) Step([]float32, engine.Target, int, engine.Hyper) float64 {
	os.Exit(0)
	return 0
}

func builtin(name string) engine.Data {
	return engine.Data{Train: "builtin:" + name + "/train", Test: "builtin:" + name + "/test"}
}

// spirals tells three classes apart.
func spirals() *engine.Network {
	return testnet.New(testnet.Options{
		Name: "spirals", Inputs: 2, Hidden: 16, Outputs: 3, Batch: 16, Loss: "cross_entropy", Output: "argmax",
		Momentum: 0.9, Epochs: 3, Data: builtin("spirals"),
	})
}

func moons() *engine.Network {
	return testnet.New(testnet.Options{
		Name: "moons", Inputs: 2, Hidden: 8, Outputs: 1, Batch: 32, Loss: "bce_with_logits", Epochs: 3, Data: builtin("two_moons"),
	})
}

func sine() *engine.Network {
	return testnet.New(testnet.Options{Name: "sine", Inputs: 1, Hidden: 8, Outputs: 1, Batch: 8, Epochs: 3, Data: builtin("sine")})
}

// result is what a run of the command line left.
type result struct {
	code           int
	stdout, stderr string
}

// in is a command line's surroundings.
type in struct {
	net   *engine.Network
	fs    fsys.FS
	env   map[string]string
	stdin string
}

func (i in) run(args ...string) result {
	var stdout, stderr bytes.Buffer
	a := &app{
		env: func(name string) string { return i.env[name] }, net: i.net, fs: i.fs,
		stdin: strings.NewReader(i.stdin), stdout: &output{w: &stdout}, stderr: &stderr, exit: os.Exit,
	}
	a.program = programName([]string{"trainer"}, a.env)
	if a.fs == nil {
		a.fs = fsys.OS()
	}
	code := a.main(args, nil)
	return result{code, stdout.String(), stderr.String()}
}

// must runs a command line that is to succeed.
func (i in) must(t *testing.T, args ...string) result {
	t.Helper()
	r := i.run(args...)
	if r.code != 0 {
		t.Fatalf("%v: exit %d\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r
}

func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("lacks %q:\n%s%s", text, r.stdout, r.stderr)
		}
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// writeNPZ writes rows whose class (or value) is a function of two features.
func writeNPZ(t *testing.T, name string, rows, width int, classes bool) {
	t.Helper()
	x := &npy.Array{Shape: []int{rows, width}, Float: make([]float32, rows*width)}
	y := &npy.Array{Shape: []int{rows}}
	for i := range x.Float {
		x.Float[i] = float32(i*7919%101)/50 - 1
	}
	for r := range rows {
		positive := x.Float[r*width] > 0
		switch {
		case classes && positive:
			y.Int = append(y.Int, 1)
		case classes:
			y.Int = append(y.Int, 0)
		default:
			y.Float = append(y.Float, x.Float[r*width]/2)
		}
	}
	var b bytes.Buffer
	if err := npy.EncodeZip(&b, []string{"x", "y"}, []*npy.Array{x, y}); err != nil {
		t.Fatal(err)
	}
	write(t, name, b.String())
}

func loadCheckpoint(t *testing.T, run string) *rundir.Checkpoint {
	t.Helper()
	c, err := rundir.ReadCheckpoint(fsys.OS(), filepath.Join(run, rundir.CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sameRun checks that two runs left the same model and the same metrics.
func sameRun(t *testing.T, a, b string) {
	t.Helper()
	for _, name := range []string{rundir.ModelFile, rundir.MetricsFile} {
		if got, want := read(t, a, name), read(t, b, name); got != want {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s of %s and %s differ from byte %d on (%d and %d bytes)", name, a, b, i, len(got), len(want))
		}
	}
}

func lines(format string, n int, f func(i int) []any) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format+"\n", f(i)...)
	}
	return b.String()
}
