package data_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

func mustOpen(t testing.TB, src string) *data.Table {
	t.Helper()
	table, err := data.Open(src, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestBuiltins(t *testing.T) {
	tidy := engine.Data{Categorical: []string{"island", "sex"}, Missing: engine.Missing{Kind: "drop"}}
	for name, c := range map[string]struct {
		rows, train, test int
		n                 *engine.Network
		labels            []string
	}{
		"digits":        {1797, 1438, 359, classes(64, 10, engine.Data{}), nil},
		"breast_cancer": {569, 456, 113, unitNet(30, 1, engine.Data{}), []string{"malignant", "benign"}},
		"penguins":      {344, 276, 68, classes(10, 3, tidy), []string{"Adelie", "Chinstrap", "Gentoo"}},
		"concrete":      {1030, 824, 206, regression(8, 1, engine.Data{}), nil},
		"sine":          {1200, 960, 240, regression(1, 1, engine.Data{}), nil},
		"positive":      {1200, 960, 240, regression(1, 1, engine.Data{}), nil},
		"xor":           {1200, 960, 240, unitNet(2, 1, engine.Data{}), nil},
		"two_moons":     {1200, 960, 240, unitNet(2, 1, engine.Data{}), nil},
		"spirals":       {1200, 960, 240, classes(2, 3, engine.Data{}), nil},
	} {
		whole, train, test := mustOpen(t, "builtin:"+name), mustOpen(t, "builtin:"+name+"/train"), mustOpen(t, "builtin:"+name+"/test")
		if whole.Rows() != c.rows || train.Rows() != c.train || test.Rows() != c.test {
			t.Errorf("%s has %d, %d and %d rows", name, whole.Rows(), train.Rows(), test.Rows())
		}
		if test.Source() != "builtin:"+name+"/test" {
			t.Errorf("%s calls its test part %s", name, test.Source())
		}
		p := mustFit(t, train, c.n)
		s, err := p.Apply(test)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(s.Labels, c.labels) {
			t.Errorf("%s: the labels are %v", name, s.Labels)
		}
	}
	if got := mustOpen(t, "builtin:breast_cancer").Columns(); got[0] != "radius_mean" || got[30] != "diagnosis" {
		t.Errorf("the columns of breast_cancer are %v", got)
	}
}

// Every built-in table can be opened, says where it comes from, and stands in
// the list beside the files.
func TestBuiltinsAreDescribed(t *testing.T) {
	readme, err := os.ReadFile("builtin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range data.Builtins() {
		mustOpen(t, "builtin:"+b.Name)
		if b.Doc == "" || b.Source == "" || b.Licence == "" {
			t.Errorf("%s lacks a description: %+v", b.Name, b)
		}
		if set, _, _ := strings.Cut(b.Name, "/"); !strings.Contains(string(readme), "`"+set) {
			t.Errorf("the list of sources lacks %s", set)
		}
	}
}

// The generated problems have the same bits on every machine.
func TestGeneratedBits(t *testing.T) {
	for name, want := range map[string]string{
		"sine":      "cb58da5f21b4d6df",
		"positive":  "5c79ee5af8a7593d",
		"xor":       "6fdb758d16189fd7",
		"two_moons": "7bd2ca47fe5d2617",
		"spirals":   "72dd69847884d20f",
	} {
		table := mustOpen(t, "builtin:"+name)
		s := prepared(t, table, regression(len(table.Columns())-1, 1, engine.Data{}))
		h := sha256.New()
		for _, v := range slices.Concat(s.X, s.Target.Value) {
			if err := binary.Write(h, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
		if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
			t.Errorf("%s has the hash %s, want %s", name, got, want)
		}
	}
}

// The generated problems are what their descriptions say.
func TestGeneratedValues(t *testing.T) {
	sets := map[string]*data.Set{}
	for _, name := range []string{"sine", "positive", "xor", "two_moons", "spirals"} {
		table := mustOpen(t, "builtin:"+name)
		sets[name] = prepared(t, table, regression(len(table.Columns())-1, 1, engine.Data{}))
	}
	for i, y := range sets["sine"].Target.Value {
		// The noise is at most 6 deviations of 0.05.
		if x := float64(sets["sine"].X[i]); math.Abs(x) > math.Pi || math.Abs(math.Sin(x)-float64(y)) > 0.3 {
			t.Fatalf("sine: %v gives %v", x, y)
		}
	}
	for i, y := range sets["positive"].Target.Value {
		if x := sets["positive"].X[i]; y < 0.05 || math.Abs(float64(y-x*x/4-0.05)) > 1.5 {
			t.Fatalf("positive: %v gives %v", x, y)
		}
	}
	for i, y := range sets["xor"].Target.Value {
		a, b := sets["xor"].X[2*i], sets["xor"].X[2*i+1]
		if (a > 0.5) != (b > 0.5) != (y == 1) && math.Abs(float64(a-0.5)) > 0.1 && math.Abs(float64(b-0.5)) > 0.1 {
			t.Fatalf("xor: %v, %v give %v", a, b, y)
		}
	}
	for i, y := range sets["two_moons"].Target.Value {
		a, b := float64(sets["two_moons"].X[2*i]), float64(sets["two_moons"].X[2*i+1])
		if y == 1 {
			a, b = 1-a, 0.5-b
		}
		if r := math.Hypot(a, b); r < 0.3 || r > 1.7 || b < -0.6 {
			t.Fatalf("two_moons: %v, %v is far from its moon", a, b)
		}
	}
	for i, y := range sets["spirals"].Target.Value {
		a, b := float64(sets["spirals"].X[2*i]), float64(sets["spirals"].X[2*i+1])
		radius := math.Hypot(a, b)
		angle := math.Atan2(b, a) - 4*radius - float64(y)*2*math.Pi/3
		if off := math.Remainder(angle, 2*math.Pi); radius > 1 || math.Abs(off) > 0.9+1e-3 {
			t.Fatalf("spirals: %v, %v is %v beside its arm", a, b, off)
		}
	}
}
