// Package toolchain finds what compiles CUDA C++ on this machine (nvcc, clang,
// ptxas; none of them has to be there) and compiles kernels with it to images
// that the package cuda/driver loads.
package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Variable is the environment variable that replaces the places where tools are
// looked for: directories, as in PATH, or "none".
const Variable = "DNNGEN_CUDA"

// Version of a tool.
type Version struct{ Major, Minor int }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// atLeast reports whether v is w or newer.
func (v Version) atLeast(w Version) bool {
	return v.Major > w.Major || v.Major == w.Major && v.Minor >= w.Minor
}

// Tool is one program.
type Tool struct {
	Name    string // "clang"
	Path    string
	Version Version // of nvcc and ptxas, the release of CUDA they come with
}

func (t *Tool) String() string { return fmt.Sprintf("%s %v", t.Name, t.Version) }

// Toolchain is what there is; each tool may be nil.
type Toolchain struct {
	Nvcc  *Tool // C++ to machine code, by itself
	Clang *Tool // C++ to PTX, without any part of the CUDA toolkit
	Ptxas *Tool // PTX to machine code

	portable bool // PTX alone is made
}

// Portable returns the tools with PTX as all that they make: one image that every
// device takes, and compiles when it first loads it.
func (t *Toolchain) Portable() *Toolchain {
	p := *t
	p.portable = true
	return &p
}

// oldestClang has all that the kernels use.
var oldestClang = Version{19, 0}

// Find looks for the tools where they are usually installed.
func Find(ctx context.Context) *Toolchain { return FindIn(ctx, Directories()) }

// Directories returns where Find looks, in order: PATH, the toolkit's own
// places, and Python's packages, which have ptxas and nvcc as wheels.
func Directories() []string {
	if set, ok := os.LookupEnv(Variable); ok {
		if set == "none" {
			return nil
		}
		return filepath.SplitList(set)
	}
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, name := range []string{"CUDA_HOME", "CUDA_PATH"} {
		if home := os.Getenv(name); home != "" {
			dirs = append(dirs, filepath.Join(home, "bin"))
		}
	}
	dirs = append(dirs, "/usr/local/cuda/bin", "/opt/cuda/bin")
	prefixes := []string{"/usr/local", "/usr"}
	if home, err := os.UserHomeDir(); err == nil {
		prefixes = append([]string{filepath.Join(home, ".local")}, prefixes...)
	}
	for _, name := range []string{"CONDA_PREFIX", "VIRTUAL_ENV"} {
		if prefix := os.Getenv(name); prefix != "" {
			prefixes = append([]string{prefix}, prefixes...)
		}
	}
	for _, prefix := range prefixes {
		for _, wheel := range []string{"nvidia/cu*/bin", "nvidia/cuda_nvcc/bin", "triton/backends/nvidia/bin"} {
			found, _ := filepath.Glob(filepath.Join(prefix, "lib", "python3*", "*-packages", filepath.FromSlash(wheel)))
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

// FindIn looks in the given directories; the first tool that says its version
// is taken, of clang the newest.
func FindIn(ctx context.Context, dirs []string) *Toolchain {
	t := &Toolchain{}
	release := regexp.MustCompile(`release (\d+)\.(\d+)`)
	for _, dir := range dirs {
		if dir == "" || !filepath.IsAbs(dir) {
			continue // as the go command does, nothing from the current directory
		}
		if t.Nvcc == nil {
			t.Nvcc = probe(ctx, "nvcc", filepath.Join(dir, "nvcc"), release)
		}
		if t.Ptxas == nil {
			t.Ptxas = probe(ctx, "ptxas", filepath.Join(dir, "ptxas"), release)
		}
	}
	t.Clang = findClang(ctx, dirs)
	return t
}

func findClang(ctx context.Context, dirs []string) *Tool {
	version := regexp.MustCompile(`clang version (\d+)\.(\d+)`)
	var paths []string
	for _, dir := range dirs {
		if filepath.IsAbs(dir) {
			numbered, _ := filepath.Glob(filepath.Join(dir, "clang-[1-9][0-9]"))
			paths = append(append(paths, numbered...), filepath.Join(dir, "clang"))
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return suffix(b) - suffix(a) })
	for _, path := range paths {
		if n := suffix(path); n > 0 && n < oldestClang.Major {
			continue
		}
		if c := probe(ctx, "clang", path, version); c != nil && c.Version.atLeast(oldestClang) {
			return c
		}
	}
	return nil
}

// suffix returns NN of clang-NN, 0 where there is none.
func suffix(path string) int {
	_, number, _ := strings.Cut(filepath.Base(path), "-")
	n, _ := strconv.Atoi(number)
	return n
}

// probe asks a program for its version; nil where it is not there or says none.
func probe(ctx context.Context, name, path string, version *regexp.Regexp) *Tool {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	m := version.FindSubmatch(out)
	if m == nil {
		return nil
	}
	t := &Tool{Name: name, Path: path}
	t.Version.Major, _ = strconv.Atoi(string(m[1]))
	t.Version.Minor, _ = strconv.Atoi(string(m[2]))
	return t
}

// String names the tools that compile, "none" if there are none.
func (t *Toolchain) String() string {
	var tools []string
	if t.Nvcc != nil {
		tools = append(tools, t.Nvcc.String())
	}
	if t.Clang != nil {
		tools = append(tools, t.Clang.String())
		if t.Ptxas != nil {
			tools = append(tools, t.Ptxas.String())
		}
	}
	if len(tools) == 0 {
		return "none"
	}
	return strings.Join(tools, ", ")
}

// Compiles reports whether there is a compiler at all. ptxas alone is none.
func (t *Toolchain) Compiles() bool { return t.Nvcc != nil || t.Clang != nil }
