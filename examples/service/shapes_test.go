package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWrongShapesDoNotCompile builds a package whose wrong lines say what the
// compiler must find wrong with them.
func TestWrongShapesDoNotCompile(t *testing.T) {
	const file = "testdata/shapes/shapes.go"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{} // "27" -> "cannot use"
	for i, line := range strings.Split(string(text), "\n") {
		if _, part, found := strings.Cut(line, "// want "); found {
			want[fmt.Sprint(i+1)] = part
		}
	}
	out, err := exec.Command("go", "build", "-gcflags=-e", "./"+filepath.Dir(file)).CombinedOutput()
	if err == nil {
		t.Fatal("the package with wrong shapes compiles")
	}
	for _, m := range regexp.MustCompile(`(?m)^\S+\.go:(\d+):\d+: (.*)$`).FindAllStringSubmatch(string(out), -1) {
		part, expected := want[m[1]]
		if !expected {
			t.Errorf("line %s is said to be wrong: %s", m[1], m[2])
		} else if !strings.Contains(m[2], part) {
			t.Errorf("line %s: %q does not contain %q", m[1], m[2], part)
		}
		delete(want, m[1])
	}
	for line := range want {
		t.Errorf("line %s compiles", line)
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// TestGeneratedCodeIsFresh runs what go generate runs, without writing.
func TestGeneratedCodeIsFresh(t *testing.T) {
	out, err := exec.Command("go", "run", "github.com/dnngen/dnngen/cmd/dnngen", "gen", "--check", "net.yaml", "-o", "internal/net").CombinedOutput()
	if err != nil {
		t.Errorf("%v: run go generate\n%s", err, out)
	}
}
