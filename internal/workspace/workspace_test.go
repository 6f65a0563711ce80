package workspace

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
)

// home makes a cache directory of this test's own.
func home(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, dir)
	}
}

func TestOpenExtractsOnceAndRepairs(t *testing.T) {
	home(t)
	w, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(w.Dir, "runtime", "engine", "engine.go")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// As an extraction leaves it that was cut short.
	if err := errors.Join(os.Remove(filepath.Join(w.Dir, completeMark)), os.Truncate(name, 10)); err != nil {
		t.Fatal(err)
	}
	again, err := Open()
	if err != nil || again.Dir != w.Dir {
		t.Fatalf("%+v, %v", again, err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != string(whole) {
		t.Errorf("%s has %d bytes, want %d: %v", name, len(got), len(whole), err)
	}
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(name); err != nil || !os.SameFile(before, after) {
		t.Errorf("opened again, the sources were written again: %v", err)
	}
}

func TestSourcesHoldWhatABuildNeeds(t *testing.T) {
	files, sum, err := sources()
	if err != nil || len(sum) != 64 {
		t.Fatal(sum, err)
	}
	names := map[string]bool{}
	for _, f := range files {
		names[f.Path] = true
		if strings.HasSuffix(f.Path, "_test.go") || strings.Contains(f.Path, "testdata") {
			t.Errorf("%s is for tests", f.Path)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "runtime/trainer/main.go"} {
		if !names[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

// The modules that a trainer links are linked into dnngen, so that they are in
// the module cache wherever dnngen was built.
func TestModulesOfTrainersAreThoseOfDnngen(t *testing.T) {
	modules := func(pattern string) []string {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", pattern)
		cmd.Dir = filepath.Join("..", "..")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Fields(string(out))
		slices.Sort(list)
		return slices.Compact(list)
	}
	of := modules("./cmd/dnngen")
	for _, m := range modules("./runtime/internal/testtrainer") {
		if !slices.Contains(of, m) {
			t.Errorf("trainers link %s, which dnngen does not", m)
		}
	}
}

func TestImportPath(t *testing.T) {
	a := ImportPath("Net", "net.yaml", "text")
	if !strings.HasPrefix(a, Module+"/trainers/net-") {
		t.Errorf("got %s", a)
	}
	if a != ImportPath("Net", "net.yaml", "text") {
		t.Error("the same spec has two paths")
	}
	for _, other := range []string{ImportPath("Net", "other.yaml", "text"), ImportPath("Net", "net.yaml", "other")} {
		if a == other {
			t.Error("two specs share a path")
		}
	}
}

func TestReplaceable(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("mine"), 0o777); err != nil {
		t.Fatal(err)
	}
	// A program, but no trainer: this test.
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]string{
		filepath.Join(dir, "none"): "",
		dir:                        "is a directory",
		text:                       "is not a trainer",
		program:                    "is not a trainer",
	} {
		err := replaceable(name)
		var notOurs *NotOurs
		if why == "" && err != nil || why != "" && (!errors.As(err, &notOurs) || !strings.Contains(notOurs.Why, why)) {
			t.Errorf("%s: %v, want %q", name, err, why)
		}
	}
}

func TestModuleFiles(t *testing.T) {
	w := &Workspace{Dir: filepath.Join(t.TempDir(), "with space")}
	files, err := w.ModuleFiles("trainer/net", "// header")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", files[0].Content, nil)
	if err != nil {
		t.Fatal(err)
	}
	if mod.Module.Mod.Path != "trainer/net" || len(mod.Replace) != 1 || mod.Replace[0].New.Path != w.Dir {
		t.Errorf("got\n%s", files[0].Content)
	}
	if files[1].Path != "go.sum" || len(files[1].Content) == 0 {
		t.Error("there is no go.sum")
	}
}

func TestTrim(t *testing.T) {
	now := time.Now()
	root := t.TempDir()
	w := &Workspace{Dir: filepath.Join(root, "new")}
	old := now.Add(-2 * keepFor)
	place := func(at time.Time, parts ...string) string {
		name := filepath.Join(append([]string{root}, parts...)...)
		if err := errors.Join(os.MkdirAll(filepath.Join(name, "inside"), 0o777), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	there := func(name string) bool {
		_, err := os.Stat(name)
		return err == nil
	}
	keep := []string{place(now, "new", trainersDir, "a"), place(now, "new", binariesDir, "a"), place(old, "old", "runtime")}
	drop := []string{place(old, "new", trainersDir, "b"), place(old, "old", trainersDir, "c"), place(old, "old", binariesDir, "c")}
	w.Trim(now)
	for _, name := range keep {
		if !there(name) {
			t.Errorf("%s is gone", name)
		}
	}
	for _, name := range drop {
		if there(name) {
			t.Errorf("%s is still there", name)
		}
	}
	// Once a day is enough.
	later := place(old, "new", trainersDir, "d")
	w.Trim(now.Add(time.Hour))
	if !there(later) {
		t.Error("trimmed twice in a day")
	}
	w.Trim(now.Add(2 * trimEvery))
	if there(later) {
		t.Error("not trimmed the next day")
	}
}
