// Package scratch builds emitted packages for tests, in a Go module of their own
// beside links to packages of this one.
package scratch

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/golden"
)

// Path is the module's path: that of this module, so that its internal packages
// may be imported.
const Path = "github.com/dnngen/dnngen"

// engines is where emitted networks are registered.
const engines = "internal/engines"

// Module is a Go module in a folder of a test.
type Module struct {
	t   testing.TB
	dir string
}

// New makes a module with the requirements of this one, beside links to the
// runtime and to other folders of this module.
func New(t testing.TB, links ...string) *Module {
	t.Helper()
	m := &Module{t, t.TempDir()}
	root := golden.Root(t)
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		m.check(err)
		m.Put(name, content)
	}
	for _, name := range append(links, "runtime", engines) {
		name = filepath.FromSlash(name)
		m.check(os.MkdirAll(filepath.Join(m.dir, filepath.Dir(name)), 0o755))
		m.check(os.Symlink(filepath.Join(root, name), filepath.Join(m.dir, name)))
	}
	return m
}

func (m *Module) check(err error) {
	if err != nil {
		m.t.Helper()
		m.t.Fatal(err)
	}
}

// Put writes a file.
func (m *Module) Put(file string, content []byte) {
	m.t.Helper()
	name := filepath.Join(m.dir, filepath.FromSlash(file))
	m.check(os.MkdirAll(filepath.Dir(name), 0o755))
	m.check(os.WriteFile(name, content, 0o644))
}

// Register lets an emitted package in a folder register the devices that its
// function returns, under the package's name, and make more calls of package
// runner, which is imported if there are any.
func (m *Module) Register(folder, name, devices, runner string, calls ...string) {
	m.t.Helper()
	imports := fmt.Sprintf("import %q\n", Path+"/"+engines)
	if len(calls) > 0 {
		imports += fmt.Sprintf("import %q\n", Path+"/"+runner)
	}
	calls = append([]string{fmt.Sprintf("engines.Register(%q, %s)", name, devices)}, calls...)
	m.Put(folder+"/register.go", []byte(fmt.Sprintf("package %s\n\n%s\nfunc init() {\n\t%s\n}\n", name, imports, strings.Join(calls, "\n\t"))))
}

// Program compiles a program that imports packages and answers requests by
// runner's function Serve, and returns its path.
func (m *Module) Program(runner string, packages []string) (binary string) {
	m.t.Helper()
	main := "package main\n\nimport (\n\t\"os\"\n\n"
	for _, p := range packages {
		main += fmt.Sprintf("\t_ %q\n", Path+"/"+p)
	}
	main += fmt.Sprintf("\t%q\n)\n\nfunc main() {\n\tif err := runner.Serve(os.Stdin, os.Stdout); err != nil {\n\t\tpanic(err)\n\t}\n}\n", Path+"/"+runner)
	folder := path.Dir(path.Dir(runner)) + "/cmd"
	m.Put(folder+"/main.go", []byte(main))
	return m.Build("./" + folder)
}

// Vet looks for mistakes in a package, among them those of assembly that does not
// fit its declarations.
func (m *Module) Vet(pkg string) {
	m.t.Helper()
	cmd := exec.Command("go", "vet", pkg)
	cmd.Dir = m.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("go vet: %v\n%s", err, out)
	}
}

// Build compiles a command, without cgo, and returns the path of the program.
// SCRATCH_KEEP names a file for it instead: a profiler reads its symbols after
// the test.
func (m *Module) Build(command string) (binary string) {
	m.t.Helper()
	binary = filepath.Join(m.dir, "program")
	if keep := os.Getenv("SCRATCH_KEEP"); keep != "" {
		binary = keep
	}
	cmd := exec.Command("go", "build", "-o", binary, command)
	cmd.Dir, cmd.Env = m.dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
	return binary
}
