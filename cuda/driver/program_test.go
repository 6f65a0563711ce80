package driver

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/dynamic"
	"github.com/dnngen/dnngen/internal/fakecuda"
)

// probe compiles testdata/probe without cgo.
func probe(t *testing.T, arch string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "probe")
	cmd := exec.Command("go", append([]string{"build", "-o", out}, append(flags, "./testdata/probe")...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	return out
}

// interpreted reports whether a program is started by a dynamic linker, and
// which libraries it cannot start without.
func interpreted(t *testing.T, program string) (bool, []string) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), libraries
}

// run returns what a program prints where libraries lie in dir.
func run(t *testing.T, program, dir string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(text)
}

func TestProgram(t *testing.T) {
	program := probe(t, runtime.GOARCH)
	_, libraries := interpreted(t, program)
	for _, l := range libraries {
		if !slices.Contains([]string{"libc.so.6", "libdl.so.2", "libpthread.so.0"}, l) {
			t.Errorf("the program needs %s to start", l)
		}
	}
	if runtime.GOOS != "linux" || !dynamic.BuiltIn {
		t.Skip("this test was built without the binding")
	}
	if got := run(t, program, ""); !strings.HasPrefix(got, "cpu: there is no CUDA driver: ") && !strings.HasPrefix(got, "cpu: the CUDA driver finds no GPU") &&
		!strings.HasPrefix(got, "cuda: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
	if got, want := run(t, program, fakecuda.Directory(t)), "cuda: Fake GPU 0\n"; got != want {
		t.Errorf("with the fake driver: got %q, want %q", got, want)
	}
}

func TestProgramWithoutTheBindingIsStatic(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		program := probe(t, arch, "-tags", "nogpu")
		if linked, libraries := interpreted(t, program); linked || len(libraries) > 0 {
			t.Errorf("%s: built with -tags nogpu, needs an interpreter: %t, libraries: %v", arch, linked, libraries)
		}
		if runtime.GOOS != "linux" || arch != runtime.GOARCH {
			continue
		}
		if got, want := run(t, program, ""), "cpu: this program was built without CUDA\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
