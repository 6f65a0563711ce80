package spec

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSpec reads any bytes: a network that is complete, or errors that are
// located, explained and printable.
func FuzzSpec(f *testing.F) {
	for _, folder := range []string{"valid", "bad", "warn"} {
		for _, name := range yamlFiles(f, folder) {
			f.Add(readFile(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, warnings, err := Parse("dir/net.yaml", text, Options{Infer: infer})
		problems := warnings
		if err != nil {
			var errs Errors
			if !errors.As(err, &errs) || n != nil || warnings != nil {
				t.Fatalf("error %T with network %v", err, n)
			}
			checkProblems(t, text, errs)
			problems = errs
		} else {
			checkNetwork(t, n)
			if len(warnings) > 0 {
				checkProblems(t, text, warnings)
			}
			again, _, err := Parse("dir/net.yaml", []byte(n.Text), Options{Infer: infer})
			if err != nil || dump(again) != dump(n) {
				t.Errorf("the network's text reads as another: %v", err)
			}
		}
		for _, format := range Formats {
			var b bytes.Buffer
			if err := (Printer{Format: format}).Print(&b, problems); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestLimits reads texts that would be costly without limits. Each gives one
// error, and the time it takes is bounded by the test's own limit.
func TestLimits(t *testing.T) {
	repeat := func(s string) string { return strings.Repeat(s, maxBytes/len(s)) }
	var indent strings.Builder
	for i := range 1400 {
		indent.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	texts := map[string]string{
		"too long": strings.Repeat("# a comment\n", maxBytes/12+1),
		"comments": repeat("#\n"), "one comment": "#" + repeat("a")[1:], "blank": repeat("\n"), "spaces": repeat(" "),
		"commas": "[" + repeat("1,")[2:] + "]", "dashes": repeat("- "), "items": repeat("- a\n"), "nulls": repeat("-\n"),
		"keys": repeat("a: 1\n"), "null keys": repeat("a:\n"), "colons": repeat("a:"), "words": repeat("a b "), "word": repeat("a"),
		"lists": repeat("["), "mappings": repeat("{"), "mixed": repeat("[{"), "pairs": repeat("{a: "), "closed": repeat("[]"),
		"literal": "a: |\n" + repeat("  b\n")[4:], "tags": repeat("!a "), "anchors": repeat("&a "), "aliases": repeat("*a "),
		"directives": repeat("%a\n"), "documents": repeat("---\n"), "ends": repeat("...\n"), "questions": repeat("? "),
		"quotes": repeat("'"), "double quotes": repeat("\""), "open quote": "a: \"" + repeat("b\n")[4:], "escapes": "a: \"" + repeat("\\n")[4:],
		"backslashes": repeat("\\"), "plain lines": "a: " + repeat("b\n  ")[4:], "pipes": repeat("|\n"), "merge keys": repeat("<<: \n"),
		"crlf": repeat("a\r\n"), "returns": repeat("\r"), "indentation": indent.String(), "accents": repeat("é"), "nul": repeat("\x00"),
		"not utf-8": repeat("\xff"), "long line": "name: " + repeat("é "), "marks": strings.Repeat("-\n", maxMarks/2),
		"null items": "layers:\n" + strings.Repeat("-\n", maxNodes-10), "many layers": "layers:\n" + strings.Repeat("- relu\n", maxLayers+1),
		"quoted": "a: [" + strings.Repeat("'é',", 9900) + "]", "quoted words": "a: [" + strings.Repeat("\"a b\", ", 9900) + strings.Repeat("é", 500000) + "]",
		"wrong numbers": "data: {features: [" + strings.Repeat("1,", 4000) + "], é: " + strings.Repeat("é", 500000) + "}",
		"many values":   "layers: [" + strings.Repeat("1,", maxNodes+5) + "]",
		"long keys":     strings.Repeat("{"+strings.Repeat("k", maxKeyText)+": ", 60) + "[" + strings.Repeat("1,", 9000),
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			_, _, err := Parse("net.yaml", []byte(text), Options{})
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("error %v", err)
			}
			checkProblems(t, []byte(text), errs)
			if name == "too long" && (len(errs) != 1 || errs[0].Code != codeTooLong) {
				t.Errorf("got %v", errs)
			}
		})
	}
}

// TestLargest reads a spec that is as large as allowed.
func TestLargest(t *testing.T) {
	text := "name: large\ninput: 8\nlayers: # all of them\n" + strings.Repeat("  - linear: 8 # a layer\n  - relu\n", maxLayers/2) + "loss: mse\n"
	n, warnings, err := Parse("large.yaml", []byte(text), Options{})
	if err != nil || len(warnings) != 1 || len(n.Layers) != maxLayers {
		t.Fatal(err, warnings)
	}
}

// TestProduct multiplies around the limits of 64 bits.
func TestProduct(t *testing.T) {
	const limit = maxTensor
	for _, c := range []struct {
		a, b, n int64
		ok      bool
	}{
		{0, 0, 0, true}, {0, 1 << 62, 0, true}, {1 << 62, 0, 0, true}, {1, limit, limit, true}, {limit, 1, limit, true},
		{1 << 16, 1 << 15, limit, true}, {1 << 16, 1<<15 + 1, 0, false}, {1 << 62, 4, 0, false}, {1 << 32, 1 << 32, 0, false}, {-1, 5, 0, false}, {5, -1, 0, false},
	} {
		if n, ok := product(c.a, c.b, limit); n != c.n || ok != c.ok {
			t.Errorf("product(%d, %d) = %d, %t", c.a, c.b, n, ok)
		}
	}
}

// TestMarksAt checks positions in characters, not in bytes, and after a byte
// order mark.
func TestMarksAt(t *testing.T) {
	for _, c := range []struct {
		text           string
		line, col, end int
	}{
		{"name: größe", 1, 7, 12},
		{"\uFEFFname: 1", 1, 7, 8},
		{"# größe\n\"näme\": x # ü", 2, 1, 7},
		{"name: net\r\ninput: 'é'\r\n", 2, 8, 11},
		{"name: net\ndata: {train: é, test: 200%}", 2, 24, 28},
	} {
		_, _, err := Parse("net.yaml", []byte(c.text), Options{})
		var errs Errors
		errors.As(err, &errs)
		found := false
		for _, p := range errs {
			found = found || p.Line == c.line && p.Col == c.col && p.EndCol == c.end
		}
		if !found {
			t.Errorf("%q: no error at %d:%d-%d in\n%v", c.text, c.line, c.col, c.end, err)
		}
	}
}

// TestPrinter prints one problem in each format.
func TestPrinter(t *testing.T) {
	text := "name: net\ninput: 4\nlayers:\n  - linear: 8\n  - rleu\nloss: mse\n"
	_, _, err := Parse(filepath.Join("a", "net.yaml"), []byte(text), Options{})
	errs, ok := err.(Errors)
	if !ok || len(errs) != 1 {
		t.Fatal(err)
	}
	head := `a/net.yaml:5:5: unknown activation "rleu" (did you mean "relu"?) [E0301]`
	for format, want := range map[string]string{
		"short": head + " hint: write relu\n",
		"text":  head + "\n  5 |   - rleu\n    |     ^^^^ expected a layer\n    = hint: write relu\n    = more: dnngen explain E0301\n",
		"json": `{"severity":"error","code":"E0301","file":"a/net.yaml","line":5,"column":5,"end_column":9,` +
			`"message":"unknown activation \"rleu\" (did you mean \"relu\"?)","found":"\"rleu\"","expected":"a layer","hint":"write relu"}` + "\n",
	} {
		var b strings.Builder
		if err := (Printer{Format: format}).Print(&b, errs); err != nil || b.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", format, err, b.String(), want)
		}
	}
	var b strings.Builder
	if err := (Printer{Format: "text", Color: true}).Print(&b, errs); err != nil || !strings.Contains(b.String(), "\x1b[31m^^^^ expected a layer\x1b[0m") {
		t.Errorf("no colour: %v %q", err, b.String())
	}
	if err := (Printer{Format: "xml"}).Print(&b, errs); err == nil {
		t.Error("the format xml is accepted")
	}
	if got, want := fmt.Sprint(err), head+" hint: write relu"; got != want {
		t.Errorf("Error() is %q, want %q", got, want)
	}
}
