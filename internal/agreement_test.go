package internal_test

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/generated/digits"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// A compiler's part and the runtime name the same things and may not import each
// other. Here their lists are compared.

// TestDeviceNames: the names that a trainer understands are those of the devices
// that are emitted, and texts that list them list all.
func TestDeviceNames(t *testing.T) {
	var emitted []string
	for _, isa := range slices.Backward(vec.ISAs) {
		emitted = append(emitted, "cpu:"+isa.String())
	}
	emitted = append(emitted, "cpu:go")
	want := slices.Concat([]string{"auto", "cpu"}, emitted, []string{"cuda"})
	if !slices.Equal(device.Names, want) {
		t.Errorf("the runtime knows %q, the emitters make %q", device.Names, want)
	}
	for _, d := range digits.Network().Devices {
		if !slices.Contains(device.Names, d.Name) && !strings.HasPrefix(d.Name, "cuda:") {
			t.Errorf("a trainer has the device %s, which is no name of a device", d.Name)
		}
	}
	var quoted []string
	for _, name := range device.Names[1:] {
		quoted = append(quoted, strconv.Quote(name))
	}
	list := strings.Join(quoted, ", ") + ` or "cuda:N"`
	for _, file := range []string{"gen/golang/model.go", "runtime/model/model.go"} {
		if text := prose(t, file); !strings.Contains(text, list) {
			t.Errorf("%s does not list %s", file, list)
		}
	}
}

// prose is a source file without its line breaks and the marks of comments.
func prose(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`\s+(// )?`).ReplaceAllString(string(text), " ")
}

// kindsOf returns the names of a sentence such as `// "none", "divide"` behind a
// field of engine.Data.
func kindsOf(t *testing.T, field string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "runtime", "engine", "engine.go"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`type ` + field + ` struct \{\n\s*Kind\s+string\s+// (.*)\n`).FindSubmatch(text)
	if line == nil {
		t.Fatalf("engine.%s lists no kinds", field)
	}
	var names []string
	for _, quoted := range regexp.MustCompile(`"[a-z]+"`).FindAllString(string(line[1]), -1) {
		names = append(names, strings.Trim(quoted, `"`))
	}
	return names
}

// opened is a table of four rows, the second of which lacks a number where
// hole is set.
func opened(t *testing.T, hole bool) *data.Table {
	t.Helper()
	cell := "6"
	if hole {
		cell = ""
	}
	file := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(file, []byte("a,y\n2,0\n"+cell+",1\n7,0\n9,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := data.Open(file, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// fitted prepares a table as a network of one input declares.
func fitted(table *data.Table, d engine.Data) (*data.Prep, *data.Set, error) {
	p, err := data.Fit(table, &engine.Network{Inputs: 1, Outputs: 2, Classes: true, Data: d})
	if err != nil {
		return nil, nil, err
	}
	s, err := p.Apply(table)
	return p, s, err
}

// TestScaleKinds: the runtime does something else for each scale of the language.
func TestScaleKinds(t *testing.T) {
	if got, want := kindsOf(t, "Scale"), op.Names(spec.ScaleKinds); !slices.Equal(got, want) {
		t.Errorf("engine.Scale lists %q, the language has %q", got, want)
	}
	seen := map[[2]float64]string{}
	for _, kind := range op.Names(spec.ScaleKinds) {
		p, _, err := fitted(opened(t, false), engine.Data{Scale: engine.Scale{Kind: kind, Factor: 16}})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		f := p.Features[0]
		if same, ok := seen[[2]float64{f.Offset, f.Divisor}]; ok {
			t.Errorf("%s scales as %s does", kind, same)
		}
		seen[[2]float64{f.Offset, f.Divisor}] = kind
	}
}

// TestMissingKinds: the runtime does something else for each treatment of
// missing values of the language.
func TestMissingKinds(t *testing.T) {
	if got, want := kindsOf(t, "Missing"), op.Names(spec.MissingKinds); !slices.Equal(got, want) {
		t.Errorf("engine.Missing lists %q, the language has %q", got, want)
	}
	seen := map[float64]string{}
	for _, kind := range op.Names(spec.MissingKinds) {
		made := math.Inf(-1) // an error
		table := opened(t, true)
		_, s, err := fitted(table, engine.Data{Missing: engine.Missing{Kind: kind, Value: 16}, Scale: engine.Scale{Kind: spec.ScaleKinds[0].Name}})
		if err == nil {
			made = math.Inf(1) // a row less
			if s.Rows == table.Rows() {
				made = float64(s.X[1])
			}
		}
		if same, ok := seen[made]; ok {
			t.Errorf("%s does what %s does", kind, same)
		}
		seen[made] = kind
	}
}
