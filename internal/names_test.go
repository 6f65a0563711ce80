package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/op"
)

// folders lists where a name of the tables must not stand, and apart those below
// them where it may: the tables, and networks that tests need.
var (
	folders = []string{"spec", "gen", "internal", "asm", "cuda", "cmd", "runtime"}
	apart   = []string{filepath.Join("..", "internal", "op"), filepath.Join("..", "runtime", "internal")}
)

// rowNames are the names of activations, losses and optimizers. Those that are
// primitives too (tanh, say) stand for the primitive elsewhere.
func rowNames() []string {
	list := append(append(op.Names(op.Activations), op.Names(op.Losses)...), op.Names(op.Optimizers)...)
	return slices.DeleteFunc(list, func(name string) bool {
		return slices.ContainsFunc(expr.Ops(), func(o expr.Op) bool { return o.String() == name })
	})
}

// literals returns the string literals of a source that are one of the names.
func literals(t *testing.T, file string, source any, names []string) (found []string) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil // the compiler says what is wrong with it
	}
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		if s, err := strconv.Unquote(lit.Value); err == nil && slices.Contains(names, s) {
			found = append(found, fset.Position(lit.Pos()).String()+": "+lit.Value)
		}
		return true
	})
	return found
}

// TestNamesStandInTheTablesAlone: an entry of the language is one row. Where
// its name stood anywhere else, a new row would have to be added there too.
func TestNamesStandInTheTablesAlone(t *testing.T) {
	names, files := rowNames(), 0
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join("..", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if slices.Contains(apart, path) || d.Name() == "testdata" {
					return filepath.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			files++
			for _, at := range literals(t, path, nil, names) {
				t.Errorf("%s belongs in internal/op alone", strings.TrimPrefix(at, "../"))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if files < 30 {
		t.Errorf("only %d files were read", files)
	}
}

func TestNamesAreFound(t *testing.T) {
	source := "package p\nvar a = \"relu\"\nvar b = `adam`\nfunc f(s string) bool { switch s { case \"mse\": return true }; return s == \"relu6\" }\n"
	if found := literals(t, "p.go", source, rowNames()); len(found) != 3 {
		t.Errorf("found %v, want the three names", found)
	}
	if len(rowNames()) < 15 {
		t.Errorf("only %d names: %v", len(rowNames()), rowNames())
	}
}
