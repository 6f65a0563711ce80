package gen_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/gen/golang"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/spec"
)

// hostile are texts that try to leave the comment or the literal that they are
// put into.
var hostile = []string{
	"plain",
	"a\nfunc init() { panic(1) }\n",
	"a\rb", "a\u2028import \"C\"", "a\u0085b", "a\v\fb", "\x00", "\ufeff", "a\xff\xfeb",
	"*/ func init() {} /*",
	"\"+func() string { panic(1) }()+\"",
	"`+x+`",
	"\\\"", "\\n", "%s%d%!", "${x}", "{{.X}}", "$1",
	"\n//go:linkname runtime.x y", "//go:embed /etc/passwd", "\n//line x.go:1", "/*line x.go:1*/", "// +build ignore",
	"\n#include \"textflag.h\"\nTEXT ·x(SB), 4, $0\n\tRET\n",
	"../../../etc/passwd", "a b/ü.yaml", "con", ".", "",
	strings.Repeat("long ", 2000),
}

// A spec whose every free text is hostile gives the same code as a plain one:
// the same declarations, the same imports, the same statements, no directive
// but our own.
func TestHostileTexts(t *testing.T) {
	for i, text := range hostile {
		checkHostile(t, portable, text, hostile[(i+1)%len(hostile)])
	}
	all := strings.Join(hostile, "")
	checkHostile(t, gen.Generate, all, "\n"+all)
}

// generator is gen.Generate, or the part of it that emits Go: assembly takes
// long, and has no text of the spec in it but the name of its file.
type generator func(*spec.Network, gen.Options) ([]gen.File, error)

func portable(net *spec.Network, o gen.Options) ([]gen.File, error) {
	p, err := lower.Lower(net)
	if err != nil {
		return nil, err
	}
	return golang.Emit(p, golang.Options{ImportPath: o.ImportPath})
}

// FuzzIdentifiers tries any text as the file's name, as a path, as a column, as
// a layer's text; and any name that a spec may have.
func FuzzIdentifiers(f *testing.F) {
	for i, text := range hostile {
		f.Add(text, hostile[(i+1)%len(hostile)])
	}
	for _, name := range []string{"net", "Net_1", "a", "strings", "float64", "init", "main", "x_test", "Network"} {
		f.Add(name, name)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		checkHostile(t, portable, a, b)
		checkName(t, a)
	})
}

const plainSpec = `name: plain
input: 2
layers: [{linear: 2}, swiglu, linear: 1]
loss: mse
data: {train: plain.csv, test: plain.csv, target: c, features: [a, b]}
`

// checkHostile compares the code of a spec with hostile texts, which need not be
// such that Parse would let them pass, with that of a plain one.
func checkHostile(t *testing.T, g generator, a, b string) {
	t.Helper()
	net := network(t, plainSpec)
	net.File, net.Text = a, b
	net.Data.Train, net.Data.Test, net.Data.Target = a, b, a
	net.Data.Features = []string{b, a}
	net.Layers[1].Text, net.Layers[1].Name = a, b
	want := network(t, plainSpec)
	if a == "" { // a field that is empty is left out
		want.Data.Train, want.Data.Target = "", ""
	}
	if b == "" {
		want.Data.Test = ""
	}
	compareCode(t, emit(t, g, net), emit(t, g, want))
}

// checkName compares the code of a network of any name that a spec may have
// with that of a plain one, but for the names that are made of it.
func checkName(t *testing.T, name string) {
	t.Helper()
	quoted, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(plainSpec, "plain", string(quoted), 1)
	net, _, err := spec.Parse("plain.yaml", []byte(text), spec.Options{})
	if err != nil {
		return // refused: that is what the checks on names are for
	}
	pkg := gen.PackageName(net.Name)
	if !token.IsIdentifier(pkg) {
		t.Fatalf("the name %q makes the package %q", name, pkg)
	}
	want, got := emit(t, portable, network(t, plainSpec)), emit(t, portable, net)
	for i := range got {
		if len(got) != len(want) || strings.Count(got[i].Path, "/") != strings.Count(want[i].Path, "/") {
			t.Fatalf("the name %q changes the files", name)
		}
		got[i].Path = want[i].Path
		if path.Ext(got[i].Path) == ".go" {
			declarations(t, got[i]) // it parses
		}
	}
}

func network(t *testing.T, text string) *spec.Network {
	t.Helper()
	net, _, err := spec.Parse("plain.yaml", []byte(text), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func emit(t *testing.T, g generator, net *spec.Network) []gen.File {
	t.Helper()
	files, err := g(net, gen.Options{ImportPath: "example.com/plain"})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func compareCode(t *testing.T, got, want []gen.File) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d files, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Path != want[i].Path {
			t.Fatalf("file %q, want %q", got[i].Path, want[i].Path)
		}
		view := code
		rename := map[string]string{}
		if ext := path.Ext(want[i].Path); ext == ".s" || ext == ".cu" {
			view = assembly
		} else {
			fields := rowFields(t, got[i])
			for k, name := range rowFields(t, want[i]) {
				rename["IDENT "+name] = "IDENT " + fields[k]
			}
		}
		g, w := view(t, got[i]), view(t, want[i])
		for k := range max(len(g), len(w)) {
			if k < len(g) && k < len(w) && (g[k] == w[k] || g[k] == rename[w[k]]) {
				continue
			}
			t.Fatalf("%s: item %d is %q, want %q\n%s", want[i].Path, k, g[k:min(k+1, len(g))], w[k:min(k+1, len(w))], clip(got[i].Content))
		}
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 4000)] }

// code lists what a Go file says to the compiler: its declarations, its tokens
// without the texts of literals, and its directives. The constant that holds the
// spec's text is left out, as it has a literal for each line.
func code(t *testing.T, f gen.File) []string {
	t.Helper()
	list := declarations(t, f)
	files := token.NewFileSet()
	var s scanner.Scanner
	s.Init(files.AddFile(f.Path, -1, len(f.Content)), f.Content, func(at token.Position, msg string) {
		t.Fatalf("%s: %s", at, msg)
	}, scanner.ScanComments)
	inText := false
	for {
		_, tok, lit := s.Scan()
		switch {
		case tok == token.EOF:
			return list
		case tok == token.COMMENT:
			if isDirective(lit) {
				list = append(list, lit)
			}
		case inText:
			inText = tok == token.STRING || tok == token.ADD
		case tok == token.STRING:
			list = append(list, "a text")
		case lit == "specText":
			list = append(list, lit)
			inText = true
			s.Scan() // the = of the constant, or what follows its name elsewhere
		default:
			list = append(list, tok.String()+" "+lit)
		}
	}
}

// rowFields lists the fields of the type Row, which are named after the
// features.
func rowFields(t *testing.T, f gen.File) []string {
	t.Helper()
	var list []string
	ast.Inspect(parse(t, f), func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok && s.Name.Name == "Row" {
			for _, field := range s.Type.(*ast.StructType).Fields.List {
				for _, name := range field.Names {
					list = append(list, name.Name)
				}
			}
		}
		return true
	})
	return list
}

func parse(t *testing.T, f gen.File) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v\n%s", err, clip(f.Content))
	}
	return file
}

// declarations lists the names that a Go file declares, and its imports.
func declarations(t *testing.T, f gen.File) []string {
	t.Helper()
	var list []string
	for _, d := range parse(t, f).Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" {
				t.Fatalf("%s declares init", f.Path)
			}
			list = append(list, "func "+d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ImportSpec:
					list = append(list, "import "+s.Path.Value)
				case *ast.TypeSpec:
					list = append(list, "type "+s.Name.Name)
				case *ast.ValueSpec:
					list = append(list, fmt.Sprint(d.Tok, s.Names))
				}
			}
		}
	}
	return list
}

// isDirective reports whether a comment speaks to a tool.
func isDirective(comment string) bool {
	for _, start := range []string{"//go:", "//line ", "/*line ", "// +build", "//export ", "//extern ", "#cgo"} {
		if strings.HasPrefix(comment, start) {
			return true
		}
	}
	return false
}

// assembly lists what a file of assembly or CUDA C++ says to the compiler, and
// its directives.
func assembly(t *testing.T, f gen.File) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(string(f.Content)) {
		line = strings.TrimRight(line, "\n")
		if strings.ContainsAny(line, "\r\x00\v\f") {
			t.Fatalf("%s holds a control character: %q", f.Path, line)
		}
		if isDirective(line) {
			list = append(list, line)
			continue
		}
		statement, comment, _ := strings.Cut(line, "//")
		if strings.HasSuffix(comment, "\\") {
			t.Fatalf("%s: a comment takes in the next line: %q", f.Path, line)
		}
		if statement = strings.TrimSpace(statement); statement != "" {
			list = append(list, statement)
		}
	}
	return list
}

// What is emitted twice is the same, whatever order maps have.
func TestEmissionIsDeterministic(t *testing.T) {
	for range 2 {
		a, b := emit(t, gen.Generate, network(t, plainSpec)), emit(t, gen.Generate, network(t, plainSpec))
		if !slices.EqualFunc(a, b, func(x, y gen.File) bool {
			return x.Path == y.Path && string(x.Content) == string(y.Content)
		}) {
			t.Fatal("the same spec gave other bytes")
		}
	}
}
