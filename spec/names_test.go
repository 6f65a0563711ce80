package spec

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/op"
)

// ownWords are words of the language that name a row of the tables and, in
// this package, something else.
var ownWords = []string{
	linear.Name,          // the layer; also a schedule
	wordAuto,             // a batch that fits the memory; also an initial distribution
	ScaleKinds[0].Name,   // these tables stand in this package
	MissingKinds[0].Name, //
}

// TestNoRowNames keeps the names of rows out of the code: what holds for a
// row is an attribute of the row.
func TestNoRowNames(t *testing.T) {
	names := slices.Concat(op.Names(op.Activations), op.Names(op.Losses), op.Names(op.Outputs),
		op.Names(op.Optimizers), op.Names(op.Schedules), op.Names(op.Inits))
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, f, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && slices.Contains(names, s) && !slices.Contains(ownWords, s) {
					t.Errorf("%s: the name of the row %q", fset.Position(lit.Pos()), s)
				}
			}
			return true
		})
	}
}

// TestEveryEntry reads each entry of each table in each of its forms, and a
// misspelling of its name.
func TestEveryEntry(t *testing.T) {
	spec := func(home, value string) string {
		lines := map[string]string{"layers": "[{linear: 2}]", "loss": op.Losses[0].Name}
		keys := strings.Split(home, ": ")
		switch {
		case home == "layers":
			lines["layers"] = "[{linear: 2}, " + value + "]"
		case len(keys) == 2:
			lines[keys[0]] = "{" + keys[1] + ": " + value + "}"
		default:
			lines[home] = value
		}
		text := "name: net\ninput: 4\n"
		for k, v := range lines {
			text += k + ": " + v + "\n"
		}
		return text
	}
	parse := func(home, value string) Errors {
		_, _, err := Parse("net.yaml", []byte(spec(home, value)), Options{})
		errs, _ := err.(Errors)
		return slices.DeleteFunc(errs, func(p *Problem) bool { return p.Code == codeOutput || p.Code == codeOneOutput })
	}
	for _, c := range catalogues {
		for _, e := range c.rows {
			var full []string
			alone := true
			for _, s := range e.Settings {
				v := digits(s.Max)
				switch s.Kind {
				case op.Flag:
					v = "true"
				case op.Choice:
					v = s.Choices[0]
				}
				if s.Needs != "" {
					v = "false"
				}
				full = append(full, s.Name+": "+v)
				alone = alone && !s.Required()
				// Any setting out of its range, of another kind, or twice.
				for _, bad := range []string{".nan", "[1]", "{a: 1}", "'x'", "1e999", "~"} {
					if errs := parse(c.home, "{"+e.Name+": {"+s.Name+": "+bad+"}}"); len(errs) == 0 {
						t.Errorf("%s takes %s: %s", e.Name, s.Name, bad)
					}
				}
			}
			if errs := parse(c.home, "{"+e.Name+": {"+strings.Join(full, ", ")+"}}"); len(errs) > 0 {
				t.Errorf("%s with all settings at their largest: %v", e.Name, errs)
			}
			if errs := parse(c.home, e.Name); alone != (len(errs) == 0) {
				t.Errorf("%s alone: %v", e.Name, errs)
			}
			for _, a := range e.Aliases {
				if errs := parse(c.home, a.Name); len(errs) > 0 {
					t.Errorf("%s alone: %v", a.Name, errs)
				}
				for s := range a.Preset {
					if errs := parse(c.home, "{"+a.Name+": {"+s+": 1}}"); len(errs) != 1 || errs[0].Code != codeFixedSetting {
						t.Errorf("%s with %s: %v", a.Name, s, errs)
					}
				}
			}
			if errs := parse(c.home, e.Name+"x"); len(errs) != 1 || errs[0].Code != codeUnknownName || !strings.Contains(errs[0].Message, "did you mean") {
				t.Errorf("%sx: %v", e.Name, errs)
			}
		}
	}
}

// TestNames tries names of networks.
func TestNames(t *testing.T) {
	good := []string{"a", "Z9", "digits", "my_net", "initial", "mainly", "test", "tests_", "conn", "com", "com10", "con_net", strings.Repeat("n", 63)}
	bad := []string{
		"", "_a", "9a", "a-b", "a.b", "a/b", "a b", "é", "aé", "a\u200b", "go", "func", "int", "nil", "iota", "any", "error", "init",
		"main", "x_test", "internal", "vendor", "testdata", strings.Repeat("n", 64), "con", "CON_", "n_ul", "Lpt1", "a;b", "a\\nb", "*/a",
	}
	for i, name := range append(good, bad...) {
		_, _, err := Parse("net.yaml", []byte("name: \""+name+"\"\ninput: 4\nlayers: [{linear: 2}]\nloss: mse\n"), Options{})
		if want := i < len(good); (err == nil) != want {
			t.Errorf("the name %q: valid should be %t: %v", name, want, err)
		}
	}
}
