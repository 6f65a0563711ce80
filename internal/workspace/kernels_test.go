package workspace

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/internal/ir"
)

// lister is a package that says what it embeds.
const lister = `package main

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *
var files embed.FS

func main() {
	_ = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() && strings.Contains(path, "kernels.") {
			fmt.Print(path, " ")
		}
		return err
	})
}
`

// prober is a package that links the binding to the driver.
const prober = `package main

import (
	"fmt"

	"github.com/dnngen/dnngen/cuda/driver"
)

func main() {
	_, err := driver.Open()
	fmt.Print(err)
}
`

// open makes a workspace in a cache of its own.
func open(t *testing.T) *Workspace {
	t.Helper()
	// The go command keeps what it compiled where the user's cache is by default.
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Skipf("go env: %v", err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	w, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func buildTest(t *testing.T, w *Workspace, text string, change func(*Job)) (job Job, said string) {
	t.Helper()
	var log bytes.Buffer
	job = Job{
		ImportPath: ImportPath("test", "test.yaml", text), Host: true, Log: &log,
		Files: []ir.File{{Path: "main.go", Content: []byte(text)}, {Path: "kernels.cu", Content: []byte("the kernels")}},
		Out:   filepath.Join(t.TempDir(), "program"),
	}
	if change != nil {
		change(&job)
	}
	if err := w.Build(t.Context(), job); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return job, log.String()
}

func output(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// clang puts a stand-in for a compiler into a directory, where alone it is found;
// the function tells how often it compiled.
func clang(t *testing.T, text string) func() int {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for a compiler is a shell script")
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] && { echo clang version 19.1.7; exit; }\necho x >> %s/calls\n%s\n", dir, text)
	if err := os.WriteFile(filepath.Join(dir, "clang"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(toolchain.Variable, dir)
	return func() int {
		calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
		return len(calls) / 2
	}
}

const compiles = `while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done; echo ptx > "$out"`

func TestKernelsAreCompiled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("kernels are compiled for Linux alone")
	}
	w := open(t)
	t.Setenv(toolchain.Variable, "none")
	job, said := buildTest(t, w, lister, nil)
	if got := output(t, job.Out); got != "kernels.cu" || !strings.HasPrefix(said, "cuda: no compiler here (nvcc, or clang 19 or newer; DNNGEN_CUDA is none): ") || strings.Count(said, "\n") != 1 {
		t.Errorf("without a compiler: embeds %q, says %q", got, said)
	}

	calls := clang(t, compiles)
	const all, line = "kernels.cu kernels.sm_80.ptx.gz", "cuda: fp32 (sm_80.ptx), 1 KB, made by clang 19.1\n"
	job, said = buildTest(t, w, lister, nil)
	if got := output(t, job.Out); got != all || said != line || calls() != 1 {
		t.Errorf("with clang: embeds %q, says %q", got, said)
	}
	job, said = buildTest(t, w, lister, nil)
	if got := output(t, job.Out); got != all || said != line || calls() != 1 {
		t.Errorf("again: embeds %q, says %q, clang was called %d times", got, said, calls())
	}
	if _, said = buildTest(t, w, lister, func(job *Job) { job.Quiet = true }); said != "" {
		t.Errorf("quietly: says %q", said)
	}

	// Other tools, other images: none of before stays.
	clang(t, "echo no such thing >&2; exit 1")
	job, said = buildTest(t, w, lister, func(job *Job) { job.Files[1].Content = []byte("other kernels") })
	if got := output(t, job.Out); got != "kernels.cu" || !strings.HasPrefix(said, "cuda: not made in fp32: kernels.sm_80.ptx: clang 19.1: exit status 1: no such thing\n") {
		t.Errorf("with a clang that fails: embeds %q, says %q", got, said)
	}

	// Nothing is compiled for who cannot load it.
	calls = clang(t, compiles)
	job, said = buildTest(t, w, lister, func(job *Job) { job.Tags = "nogpu" })
	if got := output(t, job.Out); got != "kernels.cu" || said != "" || calls() != 0 {
		t.Errorf("without CUDA: embeds %q, says %q", got, said)
	}
	for target, want := range map[string]bool{"linux/amd64": true, "linux/arm64": true, "linux/riscv64": false, "darwin/arm64": false, "windows/amd64": false} {
		goos, goarch, _ := strings.Cut(target, "/")
		t.Setenv("GOOS", goos)
		t.Setenv("GOARCH", goarch)
		if got := (Job{}).runsCUDA(nil); got != want {
			t.Errorf("%s can have CUDA: %t", target, got)
		}
	}
}

// TestPrecisions compiles a source in several precisions: machine code for the
// spec's and for fp32, PTX for all.
func TestPrecisions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("kernels are compiled for Linux alone")
	}
	w := open(t)
	// What is compiled says what was defined.
	calls := clang(t, `while [ $# -gt 0 ]; do [ "$1" = -o ] && { out=$2; in=$3; }; shift; done; head -n 1 "$in" > "$out"`)
	dir := os.Getenv(toolchain.Variable)
	script := "#!/bin/sh\n[ \"$1\" = --version ] && { echo release 11.8; exit; }\nwhile [ $# -gt 0 ]; do [ \"$1\" = -o ] && out=$2; shift; done; echo code > \"$out\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ptxas"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	half := func(job *Job) { job.Precisions = []string{"half", "fp32", "quarter"} }
	job, said := buildTest(t, w, lister, half)
	const images = "kernels.sm_80.cubin.gz kernels.sm_80.ptx.gz kernels.sm_86.cubin.gz kernels.sm_89.cubin.gz kernels.sm_90.cubin.gz"
	want := strings.ReplaceAll(images, "kernels", "half/kernels") + " kernels.cu " + images + " quarter/kernels.sm_80.ptx.gz"
	if got := output(t, job.Out); got != want {
		t.Errorf("embeds %q, want %q", got, want)
	}
	const each = "sm_80.cubin sm_80.ptx sm_86.cubin sm_89.cubin sm_90.cubin"
	if line := "cuda: half (" + each + "), fp32 (" + each + "), quarter (sm_80.ptx), 1 KB, made by clang 19.1, ptxas 11.8\n"; said != line {
		t.Errorf("says %q, want %q", said, line)
	}
	for i, define := range []string{"#define DNN_HALF", "the kernels", "#define DNN_QUARTER"} {
		relative := strings.TrimPrefix(job.ImportPath, Module+"/")
		f, err := os.Open(filepath.Join(w.Dir, relative, job.folder(i), "kernels.sm_80.ptx.gz"))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(unpacked); err != nil || strings.TrimSpace(string(text)) != define {
			t.Errorf("%s is compiled from %q, %v", job.precision(i), text, err)
		}
		_ = f.Close()
	}
	if made := calls(); made != 11 {
		t.Errorf("%d calls of the compiler, want 11", made)
	}
	clang(t, "exit 1")
	job, _ = buildTest(t, w, lister, half)
	// The same version makes the same PTX of the same source: it is still there.
	if got := output(t, job.Out); got != "kernels.cu quarter/kernels.sm_80.ptx.gz" {
		t.Errorf("with a clang that fails: embeds %q", got)
	}
}

// TestImagesAreWhole interrupts keeping the images: what is there in part is
// not used.
func TestImagesAreWhole(t *testing.T) {
	w := open(t)
	for _, f := range []string{"kernels.sm_80.ptx.gz", completeMark} {
		if _, ok := w.cached("images/key"); ok {
			t.Errorf("before %s is written, the images are used", f)
		}
		if err := write(w.Dir, ir.File{Path: "images/key/" + f, Content: []byte(f)}); err != nil {
			t.Fatal(err)
		}
	}
	if c, ok := w.cached("images/key"); !ok || len(c.files) != 1 || !slices.Equal(c.by, []string{completeMark}) {
		t.Errorf("got %v, %t", c, ok)
	}
}

func TestCompilingIsInterrupted(t *testing.T) {
	w := open(t)
	clang(t, "exec sleep 60")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(io.ErrUnexpectedEOF)
	job := Job{ImportPath: ImportPath("test", "", ""), Host: true, Out: filepath.Join(t.TempDir(), "program"),
		Files: []ir.File{{Path: "main.go", Content: []byte(lister)}, {Path: "kernels.cu"}}}
	if err := w.Build(ctx, job); err == nil {
		t.Error("an interrupted build succeeds")
	}
	if left, _ := os.ReadDir(filepath.Dir(job.Out)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// interpreter reports whether a dynamic linker starts a program.
func interpreter(t *testing.T, program string) bool {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

func TestDriverIsLinked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the binding is for Linux alone")
	}
	w := open(t)
	t.Setenv(toolchain.Variable, "none")
	job, _ := buildTest(t, w, prober, nil)
	if got := output(t, job.Out); strings.Contains(got, "built without CUDA") {
		t.Errorf("by default: %s", got)
	}
	job, _ = buildTest(t, w, prober, func(job *Job) { job.Tags = "nogpu" })
	if got := output(t, job.Out); got != "this program was built without CUDA" || interpreter(t, job.Out) {
		t.Errorf("with nogpu: %s; needs an interpreter: %t", got, interpreter(t, job.Out))
	}
}

// TestNoGlibc builds where a program that is linked with glibc would not start.
func TestNoGlibc(t *testing.T) {
	if _, known := loaders[runtime.GOARCH]; !known || runtime.GOOS != "linux" {
		t.Skip("the binding is not for this system")
	}
	old := loaders
	loaders = map[string]string{runtime.GOARCH: filepath.Join(t.TempDir(), "absent")}
	defer func() { loaders = old }()
	w := open(t)
	job, said := buildTest(t, w, prober, nil)
	if got := output(t, job.Out); got != "this program was built without CUDA" || interpreter(t, job.Out) || said != "cuda: left out: this system has no glibc, which NVIDIA's driver needs\n" {
		t.Errorf("got %q, says %q", got, said)
	}
	// Another machine may have it.
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	t.Setenv("GOARCH", other)
	if tags, why := (Job{}).tags(); len(tags) > 0 || why != "" {
		t.Errorf("for %s: %v, %s", other, tags, why)
	}
}

// TestModuleCannotBeHad builds where the module of the binding is not in the
// cache and there is no network: the trainer is built without it.
func TestModuleCannotBeHad(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the binding is for Linux alone")
	}
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("go env: %v", err)
	}
	without := t.TempDir()
	for _, dir := range []string{"", "github.com", "cache", "cache/download", "cache/download/github.com"} {
		hide(t, filepath.Join(strings.TrimSpace(string(out)), dir), filepath.Join(without, dir))
	}
	w := open(t)
	t.Setenv(toolchain.Variable, "none")
	t.Setenv("GOMODCACHE", without)
	t.Setenv("GOPROXY", "off")
	job, said := buildTest(t, w, prober, nil)
	if got := output(t, job.Out); got != "this program was built without CUDA" || !strings.Contains(said, "purego") || !strings.Contains(said, "cuda: left out: the go command cannot get a module") {
		t.Errorf("got %q, says %q", got, said)
	}
}

// hide makes a directory with links to what another holds, except the module of
// the binding and directories on the way to it.
func hide(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains([]string{"github.com", "cache", "download", "ebitengine"}, e.Name()) {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKernelsAreLeftAlone: a trainer that is built to run here at once, where
// there is no GPU, has its kernels as source alone.
func TestKernelsAreLeftAlone(t *testing.T) {
	w := open(t)
	calls := clang(t, compiles)
	job, said := buildTest(t, w, lister, func(job *Job) { job.Source = true })
	if n := calls(); n != 0 || said != "" {
		t.Errorf("%d calls of the compiler, and %q", n, said)
	}
	if got := output(t, job.Out); got != "kernels.cu" {
		t.Errorf("embedded are %q", got)
	}
}

func TestGPU(t *testing.T) {
	for _, name := range []string{"nvidiactl", "nvgpu0", "dxg"} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "dev"), 0o755); err != nil {
			t.Fatal(err)
		}
		if GPU(root) {
			t.Error("an empty folder has a GPU")
		}
		if err := os.WriteFile(filepath.Join(root, "dev", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if !GPU(root) {
			t.Errorf("%s is not seen", name)
		}
	}
}
