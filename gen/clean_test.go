package gen_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/op"
)

// rows lists what of the tables a sample is made of.
func (s *sample) rows() (list []string) {
	for _, l := range s.net.Layers {
		if l.Activation != nil {
			list = append(list, "activation "+l.Activation.Name)
		}
	}
	t := &s.net.Train
	return append(list, "loss "+s.net.Loss.Name, "output "+s.net.Transform.Name,
		"optimizer "+t.Optimizer.Name, "schedule "+t.Schedule.Name, "init "+t.Init.Name)
}

// everyRow are samples that have, together, every row of every table.
func (m *emitted) everyRow(t *testing.T) (names []string) {
	t.Helper()
	missing := map[string]bool{}
	for _, row := range op.Activations {
		missing["activation "+row.Name] = true
	}
	for _, row := range op.Losses {
		missing["loss "+row.Name] = true
	}
	for _, row := range op.Outputs {
		missing["output "+row.Name] = true
	}
	for _, row := range op.Optimizers {
		missing["optimizer "+row.Name] = true
	}
	for _, row := range op.Schedules {
		missing["schedule "+row.Name] = true
	}
	for _, row := range op.Inits {
		missing["init "+row.Name] = true
	}
	for len(missing) > 0 {
		var best *sample
		most := 0
		for _, s := range m.samples {
			found := map[string]bool{}
			for _, row := range s.rows() {
				if missing[row] {
					found[row] = true
				}
			}
			if len(found) > most {
				best, most = s, len(found)
			}
		}
		if best == nil {
			t.Fatalf("no network has %v", missing)
		}
		for _, row := range best.rows() {
			delete(missing, row)
		}
		names = append(names, best.net.Name)
	}
	return names
}

// TestEmittedCode: what is emitted for every row of the tables is formatted and
// passes vet, assembly included, and, where the environment variable STATICCHECK
// is a command line of staticcheck, that too. No innermost loop of portable Go
// checks an index.
func TestEmittedCode(t *testing.T) {
	m := emitAll(t)
	names := m.everyRow(t)
	t.Logf("%d networks have every row: %v", len(names), names)
	var packages []string
	for _, name := range names {
		packages = append(packages, "./"+name+"/...")
		formatted(t, filepath.Join(m.dir, name))
	}
	if out, err := goTool(m.dir, append([]string{"vet"}, packages...)...); err != nil {
		t.Errorf("go vet: %v\n%s", err, clip(out))
	}
	if line := strings.Fields(os.Getenv("STATICCHECK")); len(line) > 0 {
		cmd := exec.Command(line[0], append(line[1:], packages...)...)
		cmd.Dir = m.dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, clip(out))
		}
	}
	m.indexChecks(t, names)
}

// formatted checks that the Go files of a directory are as gofmt leaves them.
func formatted(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := format.Source(text); err != nil || !bytes.Equal(text, want) {
			t.Errorf("%s is not formatted: %v", file, err)
		}
	}
}

// computing are the files that hold the portable engine's loops.
var computing = []string{"forward.go", "backward.go", "kernels.go"}

// indexChecks asks the compiler where it checks an index, and fails where that
// is inside an innermost loop that computes: one that holds no loop and calls no
// function of the package, whose loops would then be the innermost ones.
func (m *emitted) indexChecks(t *testing.T, names []string) {
	t.Helper()
	args := []string{"build", "-gcflags=property/...=-d=ssa/check_bce"}
	for _, name := range names {
		args = append(args, "./"+name)
	}
	out, err := goTool(m.dir, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, clip(out))
	}
	checks := map[string][]int{} // lines, by file
	for _, found := range regexp.MustCompile(`(?m)^(\S+\.go):(\d+):\d+: Found Is(Slice)?InBounds$`).FindAllStringSubmatch(string(out), -1) {
		line, err := strconv.Atoi(found[2])
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Clean(found[1])
		checks[file] = append(checks[file], line)
	}
	if len(checks) == 0 {
		t.Fatal("the compiler reports no checks at all, which it does outside of these loops")
	}
	loops := 0
	for _, name := range names {
		for _, base := range computing {
			file := filepath.Join(name, base)
			for _, l := range innermost(t, filepath.Join(m.dir, file)) {
				loops++
				for _, line := range checks[file] {
					if l[0] < line && line < l[1] {
						t.Errorf("%s:%d: an index is checked in the loop of line %d", file, line, l[0])
					}
				}
			}
		}
	}
	if loops == 0 {
		t.Error("no loops found")
	}
	t.Logf("%d innermost loops", loops)
}

// innermost returns the first and the last line of each loop that computes.
func innermost(t *testing.T, file string) (lines [][2]int) {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		var body *ast.BlockStmt
		switch n := n.(type) {
		case *ast.ForStmt:
			body = n.Body
		case *ast.RangeStmt:
			body = n.Body
		default:
			return true
		}
		inner := true
		ast.Inspect(body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ForStmt, *ast.RangeStmt:
				inner = false
			case *ast.CallExpr:
				inner = inner && !isOwn(n)
			}
			return inner
		})
		if inner {
			lines = append(lines, [2]int{files.Position(body.Lbrace).Line, files.Position(body.Rbrace).Line})
		}
		return true
	})
	return lines
}

// isOwn reports whether a call is of a function of the emitted package: neither
// a conversion, nor a builtin, nor a function of scalar or math.
func isOwn(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		switch f.Name {
		case "float32", "float64", "len", "min", "max", "clear", "copy":
			return false
		}
		return true
	case *ast.SelectorExpr:
		pkg := fmt.Sprint(f.X)
		return pkg != "scalar" && pkg != "math"
	}
	return false
}
