package spec

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCodes checks the table of codes: every code that the package can report
// stands in it, explained, and is shown by a spec of testdata or by its own
// example.
func TestCodes(t *testing.T) {
	source := readFile(t, "code.go")
	declared := map[string]bool{}
	for _, m := range regexp.MustCompile(`= "([EW]0\d{3})"\n`).FindAllStringSubmatch(string(source), -1) {
		if declared[m[1]] {
			t.Errorf("%s is declared twice", m[1])
		}
		declared[m[1]] = true
	}
	shown := map[string]bool{codeTooLong: true} // by TestLimits
	for _, folder := range []string{"bad", "warn"} {
		for _, f := range yamlFiles(t, folder) {
			_, warnings, err := Parse(f, readFile(t, f), Options{Count: count})
			if errs, ok := err.(Errors); ok {
				warnings = errs
			}
			for _, p := range warnings {
				shown[p.Code] = true
			}
		}
	}
	var ids []string
	for _, c := range Codes() {
		ids = append(ids, c.ID)
		if c.Title == "" || strings.TrimSpace(c.Text) == "" {
			t.Errorf("%s is not explained", c.ID)
		}
		if !declared[c.ID] || !shown[c.ID] {
			t.Errorf("%s: declared %t, shown by a spec of testdata %t", c.ID, declared[c.ID], shown[c.ID])
		}
	}
	if !slices.IsSorted(ids) || !slices.Equal(ids, slices.Sorted(maps.Keys(declared))) {
		t.Errorf("the table and the declared codes differ: %v", ids)
	}
	if c, ok := Explain("e0301"); !ok || c.ID != codeUnknownName || !strings.Contains(c.String(), "    layers:") {
		t.Errorf("E0301 is explained as %q, %t", c.String(), ok)
	}
	if _, ok := Explain("E9999"); ok {
		t.Error("E9999 is explained")
	}
}

// TestCodeExamples reads the examples of the table: the wrong one has its
// code, the right one has neither it nor any error.
func TestCodeExamples(t *testing.T) {
	for _, c := range Codes() {
		if c.Wrong == "" {
			continue
		}
		if codes := codesOf(t, c.Wrong); !slices.Contains(codes, c.ID) {
			t.Errorf("%s: the wrong example gives %v", c.ID, codes)
		}
		for _, code := range codesOf(t, c.Right) {
			if code == c.ID || strings.HasPrefix(code, "E") {
				t.Errorf("%s: the right example gives %s", c.ID, code)
			}
		}
	}
}

// codesOf reads a small spec in which the lines replace the keys that they give.
func codesOf(t *testing.T, lines string) []string {
	t.Helper()
	var b strings.Builder
	for _, base := range []string{"name: net", "input: 4", "layers: [{linear: 2}]", "loss: mse"} {
		key, _, _ := strings.Cut(base, ":")
		if !regexp.MustCompile(`(?m)^` + key + `:`).MatchString(lines) {
			b.WriteString(base + "\n")
		}
	}
	b.WriteString(lines + "\n")
	_, problems, err := Parse("net.yaml", []byte(b.String()), Options{})
	if errs, ok := err.(Errors); ok {
		problems = errs
	}
	var codes []string
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	return codes
}

// TestBadSpecs counts what the goldens cover.
func TestBadSpecs(t *testing.T) {
	if n := len(yamlFiles(t, "bad")); n < 70 {
		t.Errorf("%d bad specs", n)
	}
	wants, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wants {
		if _, err := os.Stat(strings.TrimSuffix(w, ".txt") + ".yaml"); err != nil {
			t.Errorf("%s has no spec", w)
		}
	}
}
