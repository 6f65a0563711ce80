package data

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
)

// penguinsNetwork declares the data of the built-in penguins:
// one categorical feature, two numbers, missing rows dropped.
func penguinsNetwork() *engine.Network {
	return &engine.Network{
		Name: "penguins", Inputs: 5, Outputs: 3, Classes: true, Metrics: "classes",
		Data: engine.Data{
			Features:    []string{"island", "bill_length_mm", "body_mass_g"},
			Categorical: []string{"island"},
			Scale:       engine.Scale{Kind: "standardize"}, Missing: engine.Missing{Kind: "drop"},
		},
	}
}

func TestRowIsPreparedAsRowsAre(t *testing.T) {
	n := penguinsNetwork()
	table, err := Open("builtin:penguins", Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Fit(table, n)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Categorical() || p.Plain() {
		t.Error("a preparation with categories and a scale says that it has neither")
	}
	islands := p.Features[0].Categories
	names := n.Data.Features
	rows := [][]Cell{}
	for i, island := range islands {
		rows = append(rows, []Cell{Category(island), Number(40.1 + float64(i)), Number(3700 + 13*float64(i))})
	}
	memory, err := FromCells(names, rows, engine.Target{Class: []int32{0, 1, 2}}, 3, "a", "b", "c")
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.Rows(memory)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 5)
	for i, r := range rows {
		if err := p.Row(got, r); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want.X[5*i:5*i+5]) {
			t.Errorf("row %d: %v, want %v", i, got, want.X[5*i:5*i+5])
		}
	}
}

func TestRowTellsWhatIsWrong(t *testing.T) {
	n := penguinsNetwork()
	table, err := Open("builtin:penguins", Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Fit(table, n)
	if err != nil {
		t.Fatal(err)
	}
	good := []Cell{Category("Dream"), Number(40), Number(4000)}
	with := func(i int, c Cell) []Cell {
		r := slices.Clone(good)
		r[i] = c
		return r
	}
	for _, test := range []struct {
		row  []Cell
		want string
	}{
		{good[:2], "has 2 features"},
		{with(0, Category("Mars")), "a category that no training row has"},
		{with(0, Category("")), `feature "island" is missing`},
		{with(0, Number(1)), "is a number, but the network was trained on a category"},
		{with(1, Category("40")), "is a category, but the network was trained on a number"},
		{with(1, Number(math.NaN())), `feature "bill_length_mm" is missing`},
		{with(2, Number(math.Inf(1))), "too large for 32 bits"},
		{with(2, Number(1e300)), "too large for 32 bits"},
	} {
		err := p.Row(make([]float32, 5), test.row)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %v, want %q", test.row, err, test.want)
		}
		if _, is := err.(*Error); !is {
			t.Errorf("%v: the error is a %T", test.row, err)
		}
	}
}

func TestFillsOfARow(t *testing.T) {
	n := penguinsNetwork()
	n.Data.Missing.Kind = "median"
	table, err := Open("builtin:penguins", Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Fit(table, n)
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]float32, 5), make([]float32, 5)
	if err := p.Row(got, []Cell{Category(""), Number(math.NaN()), Number(4000)}); err != nil {
		t.Fatal(err)
	}
	island := p.Features[0].Categories[*p.Features[0].FillCategory]
	if err := p.Row(want, []Cell{Category(island), Number(*p.Features[1].Fill), Number(4000)}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNumbersArePreparedAsRowsAre(t *testing.T) {
	n := &engine.Network{
		Name: "n", Inputs: 3, Outputs: 2, Metrics: "regression",
		Data: engine.Data{Scale: engine.Scale{Kind: "minmax"}, Missing: engine.Missing{Kind: "mean"}},
	}
	nan := float32(math.NaN())
	x := []float32{1, 2, 3, 4, nan, 7, 0.1, 5, 6}
	y := []float32{0, 1, 2, 3, 4, 5}
	table, err := FromNumbers(x, 3, engine.Target{Value: y}, 2)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Fit(table, n)
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.Apply(table)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(x))
	p.Numbers(got, x)
	if !slices.Equal(got, want.X) {
		t.Errorf("got %v, want %v", got, want.X)
	}
	if !slices.Equal(want.Target.Value, y) {
		t.Errorf("the targets are %v, want %v", want.Target.Value, y)
	}
}

func TestMemoryTablesThatDoNotFit(t *testing.T) {
	x := make([]float32, 6)
	for _, test := range []struct {
		name string
		make func() (*Table, error)
		want string
	}{
		{"ragged x", func() (*Table, error) { return FromNumbers(x, 4, engine.Target{Class: []int32{0}}, 2) }, "no rows of 4"},
		{"no width", func() (*Table, error) { return FromNumbers(x, 0, engine.Target{Class: []int32{0}}, 2) }, "no rows of 0"},
		{"few classes", func() (*Table, error) { return FromNumbers(x, 2, engine.Target{Class: []int32{0}}, 2) }, "3 rows, but targets for 1"},
		{"few values", func() (*Table, error) { return FromNumbers(x, 2, engine.Target{Value: x[:2]}, 1) }, "3 rows, but targets for 2"},
		{"ragged y", func() (*Table, error) { return FromNumbers(x, 2, engine.Target{Value: x[:5]}, 2) }, "no rows of 2 outputs"},
		{"no y", func() (*Table, error) { return FromNumbers(x, 2, engine.Target{}, 2) }, "3 rows, but targets for 0"},
		{"ragged row", func() (*Table, error) {
			return FromCells([]string{"a", "b"}, [][]Cell{{Number(1)}}, engine.Target{Class: []int32{0}}, 2)
		}, "row 0 has 1 feature, not 2"},
	} {
		_, err := test.make()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestRowsAreNotCutToFit(t *testing.T) {
	n := &engine.Network{Name: "n", Inputs: 2, Outputs: 1, Metrics: "regression"}
	y := engine.Target{Value: []float32{1, 2}}
	fitted, err := FromNumbers(make([]float32, 4), 2, y, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Fit(fitted, n)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := FromNumbers(make([]float32, 6), 3, y, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply(wide); err == nil || !strings.Contains(err.Error(), "3 columns") {
		t.Errorf("rows of three numbers are taken for two features: %v", err)
	}
}

func TestCellsOfTheWrongKind(t *testing.T) {
	rows := [][]Cell{{Category("red"), Number(1)}, {Category("blue"), Number(2)}}
	table, err := FromCells([]string{"color", "size"}, rows, engine.Target{Class: []int32{0, 1}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	n := &engine.Network{Name: "n", Inputs: 2, Outputs: 2, Classes: true, Metrics: "classes"}
	p, err := Fit(table, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply(table); err == nil || !strings.Contains(err.Error(), "row 0, feature 0 is a category") {
		t.Errorf("a category taken as a number gives %v", err)
	}
	n.Data.Categorical, n.Inputs = []string{"color", "size"}, 4
	if p, err = Fit(table, n); err != nil {
		t.Fatal(err)
	}
	if got := p.Features[1].Categories; !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("numbers taken as categories are %q", got)
	}
}

func TestDeclared(t *testing.T) {
	n := &engine.Network{Name: "n", Inputs: 2, Outputs: 1, Metrics: "regression"}
	n.Data.Scale = engine.Scale{Kind: "divide", Factor: 4}
	n.Data.Missing = engine.Missing{Kind: "const", Value: 8}
	p, lacks := Declared(n)
	if lacks != "" {
		t.Errorf("lacks %q", lacks)
	}
	got := make([]float32, 2)
	p.Numbers(got, []float32{2, float32(math.NaN())})
	if !slices.Equal(got, []float32{0.5, 2}) {
		t.Errorf("prepared %v, want [0.5 2]", got)
	}
	n.Data.Scale.Kind = "standardize"
	if p, lacks = Declared(n); !strings.Contains(lacks, "standardize") || !p.Plain() {
		t.Errorf("with a scale to fit: lacks %q, %+v", lacks, p)
	}
	n.Data.Categorical = []string{"c"}
	if p, lacks = Declared(n); lacks != "the categories" || !p.Plain() {
		t.Errorf("with categories: lacks %q, %+v", lacks, p)
	}
	for _, metrics := range []string{"regression", "binary", "classes"} {
		n.Metrics, n.Classes = metrics, metrics == "classes"
		if p, _ := Declared(n); p.check() != nil {
			t.Errorf("%s: %v", metrics, p.check())
		}
	}
}
