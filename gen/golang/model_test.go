package golang_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen/golang"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// lowered compiles the spec testdata/model/NAME.yaml as far as its program.
func lowered(t *testing.T, name string) *ir.Program {
	t.Helper()
	file := filepath.Join("testdata", "model", name+".yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	net, _, err := spec.Parse(file, text, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// modelCases are the specs whose public file differs in form.
func modelCases(t *testing.T) []string {
	t.Helper()
	specs, err := filepath.Glob("testdata/model/*.yaml")
	if err != nil || len(specs) < 6 {
		t.Fatalf("%d specs, %v", len(specs), err)
	}
	var names []string
	for _, s := range specs {
		names = append(names, strings.TrimSuffix(filepath.Base(s), ".yaml"))
	}
	return names
}

func TestModelGolden(t *testing.T) {
	for _, name := range modelCases(t) {
		golden := filepath.Join("testdata", "model", name+".golden")
		got, err := golang.EmitModel(lowered(t, name), golang.Options{ImportPath: "example.com/" + name})
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(golden, got, 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is emitted; look at it, then run the test with -update", golden)
		}
	}
}

// TestModelBehaviour makes a module of the emitted packages, and vets and runs
// what uses them there.
func TestModelBehaviour(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, name := range modelCases(t) {
		files, err := golang.Emit(lowered(t, name), golang.Options{ImportPath: "example.com/emitted/" + name})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			write(path.Join(name, f.Path), f.Content)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// The module needs what this one needs, in the same versions.
	_, needs, _ := bytes.Cut(read(filepath.Join(root, "go.mod")), []byte("\n"))
	const head = "module example.com/emitted\n\nrequire github.com/dnngen/dnngen v0.0.0\n\nreplace github.com/dnngen/dnngen => %q\n"
	write("go.mod", append(fmt.Appendf(nil, head, root), needs...))
	write("go.sum", read(filepath.Join(root, "go.sum")))
	write("behaviour/behaviour_test.go", read("testdata/model/behaviour_test.go"))
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./behaviour"}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
