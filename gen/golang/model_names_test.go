package golang_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/gen/golang"
	"github.com/dnngen/dnngen/internal/ir"
)

// publicFile emits a program and returns its public file.
func publicFile(t *testing.T, p *ir.Program) *ast.File {
	t.Helper()
	content, err := golang.EmitModel(p, golang.Options{ImportPath: "example.com/p"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", content, parser.ParseComments)
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	return file
}

// declared lists the imports and the declarations of a file.
func declared(f *ast.File) []string {
	var list []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = "method " + name
			}
			list = append(list, name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ImportSpec:
					list = append(list, "import "+s.Path.Value)
				case *ast.TypeSpec:
					list = append(list, "type "+s.Name.Name)
				case *ast.ValueSpec:
					list = append(list, d.Tok.String()+" "+s.Names[0].Name)
				}
			}
		}
	}
	return list
}

// rowFields returns the fields of the type Row and their keys in JSON.
func rowFields(t *testing.T, f *ast.File) (names, keys []string) {
	t.Helper()
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.TypeSpec)
		if !ok || s.Name.Name != "Row" {
			return true
		}
		for _, field := range s.Type.(*ast.StructType).Fields.List {
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			key, ok := reflect.StructTag(tag).Lookup("json")
			if !ok {
				t.Errorf("the tag %q has no key for JSON", tag)
			}
			names, keys = append(names, field.Names[0].Name), append(keys, key)
		}
		return false
	})
	return names, keys
}

func TestNamesOfFeatures(t *testing.T) {
	p := lowered(t, "named")
	features := []string{
		"island", "bill_length_mm", "bill length mm", "Größe", "2nd floor", "% fat", "年齢", "",
		"a,b", "-", `quote"d`, "back`tick", "feature8", "omit\nnewline", "_", "Row", "cells",
	}
	p.Settings.Data.Features = features
	names, keys := rowFields(t, publicFile(t, p))
	wantNames := []string{
		"Island", "BillLengthMm", "BillLengthMm2", "Größe", "Feature2ndFloor", "Fat", "Feature年齢", "Feature7",
		"AB", "Feature9", "QuoteD", "BackTick", "Feature8", "OmitNewline", "Feature14", "Row", "Cells",
	}
	wantKeys := slices.Clone(features)
	for i, key := range map[int]string{7: "feature7", 8: "feature8_", 9: "feature9", 10: "feature10", 11: "feature11", 13: "feature13"} {
		wantKeys[i] = key
	}
	if !slices.Equal(names, wantNames) {
		t.Errorf("fields\n%q, want\n%q", names, wantNames)
	}
	if !slices.Equal(keys, wantKeys) {
		t.Errorf("keys\n%q, want\n%q", keys, wantKeys)
	}
}

// FuzzNamesOfTheModel tries to smuggle code into the public file through the
// texts of a spec.
func FuzzNamesOfTheModel(f *testing.F) {
	for _, s := range []string{
		"island", "a\nfunc init() {}", "*/ import \"os\"", "`+panic(0)+`", "\"", "\\", "\u2028func x(){}", "\xff\xfe",
		"//go:linkname a b", "\r\n//line x:1", "%s%n", strings.Repeat("x", 300),
	} {
		f.Add(s, "size", s)
	}
	f.Fuzz(func(t *testing.T, feature, second, source string) {
		p := lowered(t, "named")
		want := declared(publicFile(t, p))
		p.Source, p.Text = source, source
		p.Settings.Data.Train, p.Settings.Data.Target = source, feature
		p.Settings.Data.Features = []string{feature, second, source}
		p.Settings.Data.Categorical = []string{second}
		p.Layers = slices.Clone(p.Layers)
		for i := range p.Layers {
			p.Layers[i].Text = source
		}
		file := publicFile(t, p)
		if got := declared(file); !slices.Equal(got, want) {
			t.Errorf("declared are %q, want %q", got, want)
		}
		for _, group := range file.Comments {
			for _, c := range group.List {
				if !strings.HasPrefix(c.Text, "// ") && c.Text != "//" && !strings.HasPrefix(c.Text, "//\t") {
					t.Errorf("the comment %q may be a directive", c.Text)
				}
			}
		}
		names, _ := rowFields(t, file)
		for i, name := range names {
			if !ast.IsExported(name) || !token.IsIdentifier(name) || slices.Contains(names[:i], name) {
				t.Errorf("the field %q of %q", name, p.Settings.Data.Features)
			}
		}
	})
}
