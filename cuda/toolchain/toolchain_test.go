package toolchain

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kernel needs no header, for any of the compilers.
const kernel = `
#if defined(__clang__) && !defined(__CUDACC__)
#define __global__ __attribute__((global))
#endif
extern "C" __global__ void axpy(float *y, const float *x, float a, int n) {
	int i;
	asm("mov.u32 %0, %%tid.x;" : "=r"(i));
	if (i < n) y[i] += a * x[i];
}
`

// script puts a program into dir.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// compiler is a program that says a version and, asked for anything else, writes
// its arguments to what -o names.
func compiler(version string) string {
	return `[ "$1" = --version ] && { echo "` + version + `"; exit; }
args="$*"
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
echo "$args" > "$out"`
}

const (
	clang19 = "Debian clang version 19.1.7 (3~deb12u1)"
	ptxas12 = "Cuda compilation tools, release 12.9, V12.9.86"
)

func unpack(t *testing.T, f File) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(f.Content))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// files lists the names of the images.
func files(r *Result) string {
	var names []string
	for _, f := range r.Files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(f.Name, "kernels.sm_"), ".gz"))
	}
	return strings.Join(names, " ")
}

func TestFindIn(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name  string
		tools map[string]string
		want  string
	}{
		{"nothing", nil, "none"},
		{"ptxas alone", map[string]string{"ptxas": compiler(ptxas12)}, "none"},
		{"clang", map[string]string{"clang-19": compiler(clang19)}, "clang 19.1"},
		{"the newest clang", map[string]string{"clang-19": compiler(clang19), "clang-22": compiler("clang version 22.1.8"), "clang": compiler(clang19)}, "clang 22.1"},
		{"an old clang", map[string]string{"clang-14": compiler("clang version 14.0.6"), "clang": compiler("clang version 16.0.1")}, "none"},
		{"clang without a number", map[string]string{"clang": compiler(clang19), "ptxas": compiler(ptxas12)}, "clang 19.1, ptxas 12.9"},
		{"nvcc", map[string]string{"nvcc": compiler("Cuda compilation tools, release 13.0, V13.0.48")}, "nvcc 13.0"},
		{"programs that do not run", map[string]string{"nvcc": "exit 1", "clang-20": "exit 3", "ptxas": "echo hello"}, "none"},
	} {
		dir := t.TempDir()
		for name, text := range c.tools {
			script(t, dir, name, text)
		}
		if err := os.Mkdir(filepath.Join(dir, "clang-30"), 0o700); err != nil {
			t.Fatal(err)
		}
		found := FindIn(ctx, []string{"", ".", filepath.Join(dir, "absent"), dir})
		if got := found.String(); got != c.want || found.Compiles() != (c.want != "none") {
			t.Errorf("%s: found %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDirectories(t *testing.T) {
	home := t.TempDir()
	wheel := filepath.Join(home, "venv", "lib", "python3.11", "site-packages", "triton", "backends", "nvidia", "bin")
	if err := os.MkdirAll(wheel, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/a:/b")
	t.Setenv("CUDA_HOME", "/toolkit")
	t.Setenv("VIRTUAL_ENV", filepath.Join(home, "venv"))
	// Whoever runs this test may have set it.
	t.Setenv(Variable, "")
	if err := os.Unsetenv(Variable); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(Directories(), ":"); !strings.HasPrefix(got, "/a:/b:/toolkit/bin:/usr/local/cuda/bin:") || !strings.Contains(got, wheel) {
		t.Errorf("got %s", got)
	}
	t.Setenv(Variable, "/only:/these")
	if got := strings.Join(Directories(), " "); got != "/only /these" {
		t.Errorf("got %s", got)
	}
	for _, none := range []string{"none", ""} {
		t.Setenv(Variable, none)
		if got := Directories(); len(got) != 0 {
			t.Errorf("%q: got %v", none, got)
		}
	}
}

func TestCompileChoosesImages(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name              string
		tools             map[string]string
		files, used, note string
	}{
		{"nothing", nil, "", "", ""},
		{"clang", map[string]string{"clang": compiler(clang19)}, "80.ptx", "clang 19.1", ""},
		{"clang and ptxas", map[string]string{"clang": compiler(clang19), "ptxas": compiler(ptxas12)},
			"100.cubin 120.cubin 80.cubin 80.ptx 86.cubin 89.cubin 90.cubin", "clang 19.1, ptxas 12.9", ""},
		{"an old ptxas", map[string]string{"clang": compiler(clang19), "ptxas": compiler("release 11.1, V11.1")}, "80.cubin 80.ptx 86.cubin", "clang 19.1, ptxas 11.1", ""},
		{"nvcc", map[string]string{"nvcc": compiler("release 12.0, V")}, "80.cubin 80.ptx 86.cubin 89.cubin 90.cubin", "nvcc 12.0", ""},
		{"nvcc and clang", map[string]string{"nvcc": compiler("release 12.0, V"), "clang": compiler(clang19)},
			"80.cubin 80.ptx 86.cubin 89.cubin 90.cubin", "nvcc 12.0, clang 19.1", ""},
		{"nvcc that lacks its parts", map[string]string{"nvcc": `[ "$1" = --version ] && { echo "release 13.0"; exit; }; echo "no cicc" >&2; exit 1`, "clang": compiler(clang19)},
			"80.ptx", "clang 19.1", "kernels.sm_80.cubin: nvcc 13.0: exit status 1: no cicc"},
		{"a clang that refuses", map[string]string{"clang": `[ "$1" = --version ] && { echo "clang version 19.1"; exit; }; echo "error: expected ';'" >&2; exit 1`, "ptxas": compiler(ptxas12)},
			"", "", "kernels.sm_80.ptx: clang 19.1: exit status 1: error: expected ';'"},
		{"a clang that writes nothing", map[string]string{"clang": `[ "$1" = --version ] && echo "clang version 19.1"; exit 0`}, "", "", "kernels.sm_80.ptx: nothing was written: "},
		{"a ptxas that refuses", map[string]string{"clang": compiler(clang19), "ptxas": `[ "$1" = --version ] && { echo "release 12.9"; exit; }; exit 255`}, "80.ptx", "clang 19.1", "kernels.sm_90.cubin: ptxas 12.9: exit status 255"},
	} {
		dir := t.TempDir()
		for name, text := range c.tools {
			script(t, dir, name, text)
		}
		r, err := FindIn(ctx, []string{dir}).Compile(ctx, "kernels", []byte(kernel))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := files(r); got != c.files {
			t.Errorf("%s: made %q, want %q", c.name, got, c.files)
		}
		if got := strings.Join(r.Used, ", "); got != c.used {
			t.Errorf("%s: used %q, want %q", c.name, got, c.used)
		}
		if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
			t.Errorf("%s: notes %q, want %q", c.name, notes, c.note)
		}
	}
}

// TestCompilePassesFlags looks at what the compilers are called with.
func TestCompilePassesFlags(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	script(t, dir, "clang", compiler(clang19))
	script(t, dir, "ptxas", compiler(ptxas12))
	r, err := FindIn(ctx, []string{dir}).Compile(ctx, "kernels", []byte(kernel))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Files {
		args := string(unpack(t, f))
		switch f.Name {
		case "kernels.sm_80.ptx.gz":
			if !strings.Contains(args, "--cuda-gpu-arch=sm_80 ") || !strings.Contains(args, "+ptx70 ") || !strings.Contains(args, "-nocudainc -nocudalib") {
				t.Errorf("%s: %s", f.Name, args)
			}
		case "kernels.sm_120.cubin.gz":
			if !strings.Contains(args, "-arch=sm_120 ") {
				t.Errorf("%s: %s", f.Name, args)
			}
		}
	}
}

func TestCompileIsCancelled(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "clang", `[ "$1" = --version ] && { echo "clang version 19.1"; exit; }; exec sleep 60`)
	ctx, cancel := context.WithCancelCause(context.Background())
	found := FindIn(ctx, []string{dir})
	stop := errors.New("stop")
	cancel(stop)
	if r, err := found.Compile(ctx, "kernels", []byte(kernel)); !errors.Is(err, stop) {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestCompilers compiles with what is installed: the images are for what their
// names say, the PTX for old drivers too, and the same every time.
func TestCompilers(t *testing.T) {
	ctx := context.Background()
	found := Find(ctx)
	if !found.Compiles() {
		t.Skip("NOTICE: no compiler for CUDA (clang 19 or newer, or nvcc): none is tested")
	}
	t.Logf("found %v", found)
	if found.Clang != nil && found.Ptxas == nil {
		t.Log("NOTICE: no ptxas: no machine code is tested")
	}
	first, err := found.Compile(ctx, "kernels", []byte(kernel))
	if err != nil {
		t.Fatal(err)
	}
	again, err := found.Compile(ctx, "kernels", []byte(kernel))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("made %s with %v; notes %q", files(first), first.Used, first.Notes)
	if !strings.Contains(files(first), "80.ptx") {
		t.Errorf("no PTX: %v", first.Notes)
	}
	for i, f := range first.Files {
		if i < len(again.Files) && f.Name == again.Files[i].Name && !bytes.Equal(f.Content, again.Files[i].Content) {
			t.Errorf("%s is not the same twice", f.Name)
		}
		content := unpack(t, f)
		if strings.HasSuffix(f.Name, ".ptx.gz") {
			if !bytes.Contains(content, []byte(".entry axpy")) || found.Clang != nil && !bytes.Contains(content, []byte(".version 7.0")) || !bytes.Contains(content, []byte(".target sm_80")) {
				t.Errorf("%s:\n%.500s", f.Name, content)
			}
			continue
		}
		// The version in the ELF header is ptxas's own, and no reader of ELF takes
		// it: machine 190 is CUDA; the architecture stands in the flags.
		var number, suffix = 0, ""
		if n, err := fmt.Sscanf(f.Name, "kernels.sm_%d%s", &number, &suffix); n != 2 || err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if len(content) < 64 || string(content[:4]) != elf.ELFMAG || content[18] != 190 || content[48] != byte(number) && content[49] != byte(number) || !bytes.Contains(content, []byte(".text.axpy")) {
			t.Errorf("%s begins with %x", f.Name, content[:min(64, len(content))])
		}
	}
	broken, err := found.Compile(ctx, "kernels", []byte("int x"))
	if err != nil || len(broken.Files) > 0 || !strings.Contains(strings.Join(broken.Notes, "\n"), "error") {
		t.Errorf("a source that is broken: %v, %s, %q", err, files(broken), broken.Notes)
	}
}

func TestKey(t *testing.T) {
	tool := func(name string, minor int) *Tool {
		return &Tool{Name: name, Path: "/" + name, Version: Version{19, minor}}
	}
	seen := map[string]string{}
	for what, key := range map[string]string{
		"clang":         (&Toolchain{Clang: tool("clang", 1)}).Key("kernels", []byte("a")),
		"another clang": (&Toolchain{Clang: tool("clang", 2)}).Key("kernels", []byte("a")),
		"a source":      (&Toolchain{Clang: tool("clang", 1)}).Key("kernels", []byte("b")),
		"a name":        (&Toolchain{Clang: tool("clang", 1)}).Key("others", []byte("a")),
		"ptxas":         (&Toolchain{Clang: tool("clang", 1), Ptxas: tool("ptxas", 1)}).Key("kernels", []byte("a")),
		"nothing":       (&Toolchain{}).Key("kernels", []byte("a")),
	} {
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s have the same key", what, other)
		}
		seen[key] = what
	}
}

func ExampleToolchain_String() {
	fmt.Println(&Toolchain{Clang: &Tool{Name: "clang", Version: Version{19, 1}}})
	// Output: clang 19.1
}
