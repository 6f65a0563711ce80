package spec

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/internal/op"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// infer stands for the data of every spec that has some.
func infer(Data, uint64) (int, error) { return 5, nil }

// count tells what the names of rows say: "4x3.csv" has 4 inputs and 3 classes,
// "4x3x1.csv" a target a row, too. Other rows tell nothing, and broken.csv is.
func count(d Data, _ uint64) (have Counts, err error) {
	if d.Train == "broken.csv" {
		return have, &brokenRows{"broken.csv:3:1: the row has 7 cells", "quote cells with commas"}
	}
	if d.Train == "away.csv" {
		return have, fmt.Errorf("away.csv: %w", fs.ErrNotExist)
	}
	if _, err := fmt.Sscanf(d.Train, "%dx%dx%d.csv", &have.Inputs, &have.Classes, &have.Targets); err == nil {
		return have, nil
	}
	if _, err := fmt.Sscanf(d.Train, "%dx%d.csv", &have.Inputs, &have.Classes); err != nil {
		return Counts{}, nil
	}
	return have, nil
}

// brokenRows is an error that tells its hint apart.
type brokenRows struct{ what, hint string }

func (e *brokenRows) Error() string              { return e.what + "; hint: " + e.hint }
func (e *brokenRows) Split() (what, hint string) { return e.what, e.hint }

// yamlFiles lists the specs of a folder of testdata.
func yamlFiles(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no specs in testdata/%s: %v", folder, err)
	}
	return files
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares text with a file, or writes the file where -update is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (go test ./spec -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale (go test ./spec -update writes it) (-want +got):\n%s", name, diff)
	}
}

func print(t *testing.T, problems []*Problem) string {
	t.Helper()
	var b strings.Builder
	if err := (Printer{Format: "text"}).Print(&b, problems); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestBad compares what is said of specs that are not valid. Every error is
// located, has a known code and a hint.
func TestBad(t *testing.T) {
	for _, f := range yamlFiles(t, "bad") {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			text := readFile(t, f)
			n, warnings, err := Parse(filepath.Base(f), text, Options{Count: count})
			if n != nil || warnings != nil {
				t.Fatal("a spec that is not valid gave a network or warnings")
			}
			errs, ok := err.(Errors)
			if !ok {
				t.Fatalf("the error is %T, not Errors", err)
			}
			checkProblems(t, text, errs)
			golden(t, strings.TrimSuffix(f, ".yaml")+".txt", print(t, errs))
		})
	}
}

// TestValid compares what valid specs are read as.
func TestValid(t *testing.T) {
	for _, f := range yamlFiles(t, "valid") {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			n, _, err := Parse(f, readFile(t, f), Options{Infer: infer})
			if err != nil {
				t.Fatalf("a valid spec is refused:\n%s", print(t, err.(Errors)))
			}
			checkNetwork(t, n)
			golden(t, strings.TrimSuffix(f, ".yaml")+".txt", dump(n))
		})
	}
}

// TestWarn compares what is said of valid specs that train badly.
func TestWarn(t *testing.T) {
	for _, f := range yamlFiles(t, "warn") {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			text := readFile(t, f)
			_, warnings, err := Parse(filepath.Base(f), text, Options{Count: count})
			if err != nil {
				t.Fatalf("a valid spec is refused:\n%s", print(t, err.(Errors)))
			}
			if len(warnings) > 0 {
				checkProblems(t, text, warnings)
			}
			for _, w := range warnings {
				if !w.Warning() {
					t.Errorf("%s is among the warnings", w.Code)
				}
			}
			golden(t, strings.TrimSuffix(f, ".yaml")+".txt", print(t, warnings))
		})
	}
}

// dump writes a network as text.
func dump(n *Network) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w("name %s, file %s, %d to %d", n.Name, n.File, n.Input, n.Output)
	for i, l := range n.Layers {
		w("%d: %s %d -> %d bias %t set %v, line %d: %s", i, l.Name, l.In, l.Out, l.Bias, l.Set, l.Line, l.Text)
	}
	w("loss %s %v, output %s", n.Loss.Name, n.LossSet, n.Transform.Name)
	t := n.Train
	w("batch %d, epochs %d, seed %d, init %s", t.Batch, t.Epochs, t.Seed, t.Init.Name)
	w("optimizer %s %v, schedule %s %v", t.Optimizer.Name, t.OptimizerSet, t.Schedule.Name, t.ScheduleSet)
	d := n.Data
	w("data %q %q, target %q, features %q, categorical %q", d.Train, d.Test, d.Target, d.Features, d.Categorical)
	w("scale %v, missing %v", d.Scale, d.Missing)
	return b.String()
}

// safeText is what may stand in a comment of emitted code.
var safeText = regexp.MustCompile(`^[A-Za-z0-9_:{}., +-]{1,200}$`)

// checkNetwork checks what holds for every network that Parse returns.
func checkNetwork(t *testing.T, n *Network) {
	t.Helper()
	if !nameRule.MatchString(n.Name) || n.Loss == nil || n.Transform == nil || n.Train.Optimizer == nil ||
		n.Train.Schedule == nil || n.Train.Init == nil || len(n.Layers) == 0 || n.Train.Epochs < 1 || n.Train.Batch < 0 {
		t.Fatalf("the network is not complete: %+v", n)
	}
	width := n.Input
	for i, l := range n.Layers {
		out := l.In
		switch {
		case l.Activation == nil:
			out = l.Out
		case l.Activation.Gated:
			out = l.In / 2
		}
		if l.In != width || l.Out != out || l.Out < 1 || l.Out > maxWidth {
			t.Errorf("layer %d: %d -> %d after width %d", i, l.In, l.Out, width)
		}
		if !safeText.MatchString(l.Text) {
			t.Errorf("layer %d: the text %q is not safe in a comment", i, l.Text)
		}
		if l.Activation != nil {
			l.Activation.Expr(l.Set) // panics where a setting is missing
		}
		width = l.Out
	}
	if width != n.Output {
		t.Errorf("output %d after width %d", n.Output, width)
	}
	n.Loss.Expr(n.LossSet)
	n.Train.Optimizer.Rule(n.Train.OptimizerSet)
	n.Train.Schedule.Rate(n.Train.ScheduleSet)
}

// TestInfer tries each way in which the number of features is found.
func TestInfer(t *testing.T) {
	const head = "name: net\nlayers: [{linear: 1}]\nloss: mse\n"
	failure := errors.New("rows.csv:3:1: the row has\n7 cells")
	mistyped := &brokenRows{`rows.csv:1:1: there is no column "specis" for the target`, `did you mean "species"?`}
	for _, test := range []struct {
		name, data string
		infer      func(Data, uint64) (int, error)
		want       int
		code       string
		line       int
	}{
		{"by columns", "data: {features: [a, b, c]}", nil, 3, "", 0},
		{"from data", "data: {train: rows.csv}", func(d Data, _ uint64) (int, error) { return len(d.Train), nil }, 8, "", 0},
		{"from data with text", "data: {train: rows.csv, features: [a, b], categorical: [b]}", func(Data, uint64) (int, error) { return 6, nil }, 6, "", 0},
		{"no reader", "data: {train: rows.csv}", nil, 0, codeInput, 1},
		{"no source", "data: {scale: none}", infer, 0, codeInput, 1},
		{"no data", "data: {train: rows.csv}", func(Data, uint64) (int, error) { return 0, fs.ErrNotExist }, 0, codeInput, 4},
		{"bad data", "data: {train: rows.csv}", func(Data, uint64) (int, error) { return 0, failure }, 0, codeData, 4},
		{"mistyped target", "data: {train: rows.csv, target: specis}", func(Data, uint64) (int, error) { return 0, mistyped }, 0, codeData, 4},
		{"no columns", "data: {train: rows.csv}", func(Data, uint64) (int, error) { return 0, nil }, 0, codeInput, 4},
		{"too many columns", "data: {train: rows.csv}", func(Data, uint64) (int, error) { return 1 << 40, nil }, 0, codeInput, 4},
		{"bad section", "data: {train: rows.csv, scale: 3}", func(Data, uint64) (int, error) { panic("not to be read") }, 0, codeType, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, _, err := Parse("net.yaml", []byte(head+test.data), Options{Infer: test.infer})
			if test.code == "" {
				if err != nil || n.Input != test.want || n.Layers[0].In != test.want {
					t.Fatalf("input %v, want %d: %v", n, test.want, err)
				}
				return
			}
			var errs Errors
			if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Code != test.code || errs[0].Line != test.line {
				t.Fatalf("got %v, want %s in line %d", err, test.code, test.line)
			}
			checkProblems(t, []byte(head+test.data), errs)
			if test.name == "bad data" && !errors.Is(err, failure) {
				t.Error("the reader's error is lost")
			}
			if test.name == "mistyped target" && (errs[0].Hint != `did you mean "species"?` || strings.Contains(errs[0].Message, "hint")) {
				t.Errorf("the hint is %q, the message %q", errs[0].Hint, errs[0].Message)
			}
		})
	}
}

// TestDefaults reads a spec of required keys alone.
func TestDefaults(t *testing.T) {
	n, warnings, err := Parse("dir/net.yaml", []byte("\uFEFFname: net\r\ninput: 3\r\nlayers: [{linear: 2}]\r\nloss: mse\r\n"), Options{})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if n.File != "net.yaml" || n.Text != "name: net\ninput: 3\nlayers: [{linear: 2}]\nloss: mse\n" {
		t.Errorf("file %q, text %q", n.File, n.Text)
	}
	if got := n.Train; got.Batch != 32 || got.Epochs != 10 || got.Seed != 1 || got.Optimizer != op.Optimizers[0] ||
		got.OptimizerSet.Num("lr") != 0.01 || got.Schedule != op.Schedules[0] || got.Init != op.Inits[0] {
		t.Errorf("train is %+v", got)
	}
	if n.Transform != op.Outputs[0] || n.Data.Scale.Kind != "none" || n.Data.Missing.Kind != "error" {
		t.Errorf("output %s, data %+v", n.Transform.Name, n.Data)
	}
}
