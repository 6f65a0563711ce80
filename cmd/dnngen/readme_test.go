package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/spec"
)

// fence matches a block of code in Markdown, with the line before it.
var fence = regexp.MustCompile("(?m)^(.*)\n+```([a-z]+)\n((?s:.*?))^```$")

// untested marks a block of commands that the test leaves out, with the reason:
// <!-- not tested: needs a GPU -->.
const untested = "<!-- not tested: "

// blocks lists the blocks of a language in the README.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(golden.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range fence.FindAllStringSubmatch("\n"+string(text), -1) {
		if m[2] == language && !strings.HasPrefix(m[1], untested) {
			list = append(list, m[3])
		}
	}
	if len(list) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return list
}

// The commands of the README do what they are there for, one after the other in
// one directory. Those of make are for a developer, and run elsewhere.
func TestReadmeCommands(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(golden.Root(t), "examples"))); err != nil {
		t.Fatal(err)
	}
	script := "set -eu\n"
	for _, block := range blocks(t, "sh") {
		for line := range strings.Lines(block) {
			if !strings.HasPrefix(line, "make ") {
				// This test is the dnngen that the README runs from its source.
				script += strings.ReplaceAll(line, "go run ./cmd/dnngen", "dnngen")
			}
		}
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), buildEnv(t)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
}

// The specs of the README are valid, and the one that it shows as an example is
// that example.
func TestReadmeSpecs(t *testing.T) {
	shown := map[string]*spec.Network{}
	for _, block := range blocks(t, "yaml") {
		net, _, err := spec.Parse("README.md", []byte(block), spec.Options{})
		if err != nil {
			t.Errorf("%v\n%s", err, block)
			continue
		}
		shown[net.Name] = net
	}
	name := filepath.Join(golden.Root(t), "examples", "digits.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	example, _, err := spec.Parse(name, text, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := shown[example.Name]
	if got == nil {
		t.Fatalf("the README does not show %s", example.Name)
	}
	if a, b := essence(got), essence(example); a != b {
		t.Errorf("the README shows\n%s\nbut the example is\n%s", a, b)
	}
}

// The mistake that the README shows is told as it says, in the spec that it shows.
func TestReadmeMistake(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(golden.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	line := string(regexp.MustCompile(`(?m)^digits\.yaml:\d+:\d+: .*$`).Find(text))
	shown := strings.Split(blocks(t, "yaml")[0], "\n")
	at := strings.Split(line, ":")
	if len(at) < 3 {
		t.Fatal("the README shows no mistake")
	}
	n, err := strconv.Atoi(at[1])
	if err != nil || n > len(shown) {
		t.Fatalf("there is no line of %q", line)
	}
	shown[n-1] = strings.Replace(shown[n-1], "relu", "rleu", 1)
	_, _, err = spec.Parse("digits.yaml", []byte(strings.Join(shown, "\n")), spec.Options{})
	var problems spec.Errors
	if !errors.As(err, &problems) {
		t.Fatalf("error %v", err)
	}
	var told strings.Builder
	if err := (spec.Printer{Format: "text"}).Print(&told, problems); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(told.String(), "\n"); first != line {
		t.Errorf("the README shows\n%s\nand dnngen says\n%s", line, first)
	}
}

// The emitted code that the README shows is what the example becomes.
func TestReadmeCode(t *testing.T) {
	name := filepath.Join(golden.Root(t), "examples", "digits.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	net, _, err := spec.Parse(name, text, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := gen.Generate(net, gen.Options{ImportPath: "digits"})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, block := range blocks(t, "go") {
		if !strings.HasPrefix(block, "// forward") {
			continue // of a program that uses it
		}
		shown++
		if !slices.ContainsFunc(files, func(f gen.File) bool { return strings.Contains(string(f.Content), block) }) {
			t.Errorf("this is not what is emitted:\n%s", block)
		}
	}
	if shown == 0 {
		t.Error("the README shows no emitted code")
	}
}

// essence is what a spec says, apart from its lines and comments.
func essence(net *spec.Network) string {
	layers := slices.Clone(net.Layers)
	for i := range layers {
		layers[i].Line, layers[i].Activation = 0, nil // the text names it
	}
	train := net.Train
	return fmt.Sprint(layers, net.Loss.Name, net.Transform.Name, train.Batch, train.Epochs, train.Optimizer.Name, train.OptimizerSet,
		train.Schedule.Name, train.ScheduleSet, train.Init.Name, train.Seed, fmt.Sprintf("%+v", net.Data))
}
