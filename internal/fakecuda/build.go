// Package fakecuda stands in for the CUDA driver in tests: it compiles a
// libcuda.so.1 that needs no GPU, checks every argument, keeps real memory and
// fails when told to. Tests open it by path in their own process (Open), or
// have another process find it (Directory).
package fakecuda

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

//go:embed src lt
var sources embed.FS

// library is the name under which the driver is looked for, cublasLt that under
// which cuBLASLt is.
const (
	library  = "libcuda.so.1"
	cublasLt = "libcublasLt.so.12"
)

// Directory returns a directory that holds the fake libcuda.so.1, to be named in
// LD_LIBRARY_PATH. What that process tells the fake goes through FAKECUDA (the
// settings, as Open takes them), FAKECUDA_KERNELS (a library with kernels) and
// FAKECUDA_REPORT (a file that is written when a context is released). Where
// there is no C compiler, the test is skipped.
func Directory(t testing.TB) string {
	t.Helper()
	return directory(t, "src", library)
}

// BLASDirectory returns a directory that holds a fake libcublasLt.so.12, to be
// named in LD_LIBRARY_PATH beside Directory: it works with the fake driver, which
// is told of the rules that are broken. FAKECUBLASLT sets it up; what it takes is
// said in lt/cublaslt.c.
func BLASDirectory(t testing.TB) string {
	t.Helper()
	return directory(t, "lt", cublasLt)
}

// Variables returns what to add to the environment of a process that shall find
// the fakes in the given directories. No toolkit and no Python environment is named
// any more, so that what a test sees does not depend on what is installed.
func Variables(directories ...string) []string {
	return []string{
		"CUDA_HOME=", "CUDA_PATH=", "VIRTUAL_ENV=", "CONDA_PREFIX=",
		"LD_LIBRARY_PATH=" + strings.Join(directories, string(os.PathListSeparator)),
	}
}

// directory returns one that holds a library of the C sources in a folder.
func directory(t testing.TB, folder, library string) string {
	t.Helper()
	hash := sha256.New()
	for _, name := range names(t) {
		text, err := sources.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("fakecuda-%d-%x-%s", os.Getuid(), hash.Sum(nil)[:8], folder))
	if _, err := os.Stat(filepath.Join(dir, library)); err == nil {
		return dir
	}
	build := t.TempDir()
	if err := os.CopyFS(build, sources); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// Packages are tested at once: each compiles for itself, the last one stays.
	made, err := os.CreateTemp(dir, "building-")
	if err != nil {
		t.Fatal(err)
	}
	_ = made.Close()
	files, err := filepath.Glob(filepath.Join(build, folder, "*.c"))
	if err != nil {
		t.Fatal(err)
	}
	compile(t, made.Name(), files...)
	if err := os.Rename(made.Name(), filepath.Join(dir, library)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// names lists all sources.
func names(t testing.TB) (list []string) {
	t.Helper()
	for _, pattern := range []string{"src/*", "lt/*"} {
		found, err := fs.Glob(sources, pattern)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	return list
}

// Kernels compiles C text that defines functions of the type fake_kernel, and
// returns the library's path. The text may include "fakecuda.h".
func Kernels(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	header, err := sources.ReadFile("src/fakecuda.h")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"fakecuda.h": header, "kernels.c": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "kernels.so")
	compile(t, out, filepath.Join(dir, "kernels.c"))
	return out
}

func compile(t testing.TB, out string, files ...string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the fake CUDA driver is for Linux")
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("NOTICE: no C compiler (cc), so nothing is tested with the fake CUDA driver")
	}
	args := append([]string{"-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", out}, files...)
	if text, err := exec.Command(cc, append(args, "-ldl", "-lpthread", "-lm")...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cc, err, text)
	}
}
