package data_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

func scaled(kind string, factor float64) engine.Data {
	return engine.Data{Scale: engine.Scale{Kind: kind, Factor: factor}}
}

// Column a is 2, 4, 6 (mean 4, deviation of the population √(8/3)), b constant.
func TestScale(t *testing.T) {
	table := mustCSV(t, "a,b,y\n2,7,0\n4,7,0\n6,7,0\n")
	deviation := math.Sqrt(8.0 / 3)
	for kind, want := range map[string][]float32{
		"":            {2, 7, 4, 7, 6, 7},
		"none":        {2, 7, 4, 7, 6, 7},
		"divide":      {0.5, 1.75, 1, 1.75, 1.5, 1.75},
		"minmax":      {0, 0, 0.5, 0, 1, 0},
		"standardize": {float32(-2 / deviation), 0, 0, 0, float32(2 / deviation), 0},
	} {
		got := prepared(t, table, regression(2, 1, scaled(kind, 4)))
		if !slices.Equal(got.X, want) {
			t.Errorf("%s: %v, want %v", kind, got.X, want)
		}
	}
}

// Scaling learns from the training rows and is applied to others.
func TestScaleIsFittedOnTrainingRows(t *testing.T) {
	train := mustCSV(t, "a,y\n0,0\n10,0\n")
	test := mustCSV(t, "a,y\n20,1\n-10,2\n")
	p := mustFit(t, train, regression(1, 1, scaled("minmax", 0)))
	s, err := p.Apply(test)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.X, []float32{2, -1}) || !slices.Equal(s.Target.Value, []float32{1, 2}) {
		t.Errorf("got %v, %v", s.X, s.Target.Value)
	}
}

// A large mean does not eat the digits of a small deviation.
func TestStandardizeKeepsDigits(t *testing.T) {
	table := mustCSV(t, "a,y\n1000000001,0\n1000000002,0\n1000000003,0\n")
	s := prepared(t, table, regression(1, 1, scaled("standardize", 0)))
	want := float32(math.Sqrt(1.5))
	if s.X[0] != -want || s.X[1] != 0 || s.X[2] != want {
		t.Errorf("got %v, want ±%v", s.X, want)
	}
}

func TestScaleThatOverflows(t *testing.T) {
	table := mustCSV(t, "a,y\n1e308,0\n-1e308,0\n")
	_, err := data.Fit(table, regression(1, 1, scaled("minmax", 0)))
	wantError(t, "minmax", err,
		`train.csv: the column "a" cannot be scaled: the scale is not finite; hint: choose another scale, or leave the column out`)
}

const penguins = `species,island,bill,sex,mass
Adelie,Torgersen,39,male,3750
Adelie,Biscoe,NA,female,3800
Gentoo,Biscoe,46,,5000
Gentoo,Biscoe,50,male,?
Chinstrap,Dream,49,female,3700
`

func TestMissing(t *testing.T) {
	d := engine.Data{Target: "species", Features: []string{"bill", "sex", "mass"}, Categorical: []string{"sex"}}
	for kind, want := range map[string]struct {
		rows int
		x    []float32 // bill, female, male, mass
	}{
		"drop": {2, []float32{39, 0, 1, 3750, 49, 1, 0, 3700}},
		"mean": {5, []float32{39, 0, 1, 3750, 46, 1, 0, 3800, 46, 1, 0, 5000, 50, 0, 1, 4062.5, 49, 1, 0, 3700}},
		// Both categories are equally frequent: the first of them fills.
		"median": {5, []float32{39, 0, 1, 3750, 47.5, 1, 0, 3800, 46, 1, 0, 5000, 50, 0, 1, 3775, 49, 1, 0, 3700}},
		"const":  {5, []float32{39, 0, 1, 3750, -1, 1, 0, 3800, 46, 0, 0, 5000, 50, 0, 1, -1, 49, 1, 0, 3700}},
	} {
		d.Missing = engine.Missing{Kind: kind, Value: -1}
		table := mustCSV(t, penguins)
		s := prepared(t, table, classes(4, 3, d))
		if s.Rows != want.rows || !slices.Equal(s.X, want.x) || len(s.Target.Class) != want.rows {
			t.Errorf("%s: %d rows %v, want %v", kind, s.Rows, s.X, want.x)
		}
		inputs, classes, rows, err := data.Width(table, d)
		if wantClasses := map[bool]int{true: 2, false: 3}[kind == "drop"]; inputs != 4 || classes != wantClasses || rows != want.rows || err != nil {
			t.Errorf("%s: width %d, %d classes, %d rows, %v", kind, inputs, classes, rows, err)
		}
	}
	for _, kind := range []string{"", "error"} {
		d.Missing = engine.Missing{Kind: kind}
		_, err := data.Fit(mustCSV(t, penguins), classes(4, 3, d))
		wantError(t, kind, err, `train.csv:4:18: the cell is missing (column "sex"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`)
	}
	d.Scale.Kind = "standardize"
	_, err := data.Fit(mustCSV(t, strings.Replace(penguins, "46,,", "46,male,", 1)), classes(4, 3, d))
	wantError(t, "number", err, `train.csv:3:15: the cell "NA" is missing (column "bill"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`)
}

func TestMissingEverywhere(t *testing.T) {
	for kind, want := range map[string]string{
		"drop":   `train.csv: every row has a missing value; hint: use missing: mean, median or {const: 0}, or fewer features`,
		"mean":   `train.csv: the column "a" has only missing values; hint: leave it out of features:`,
		"median": `train.csv: the column "a" has only missing values; hint: leave it out of features:`,
	} {
		_, err := data.Fit(mustCSV(t, "a,b,y\n?,1,2\nNA,1,3\n"), regression(2, 1, engine.Data{Missing: engine.Missing{Kind: kind}}))
		wantError(t, kind, err, want)
	}
	_, err := data.Fit(mustCSV(t, "a,b,y\n?,1,2\nNA,1,3\n"),
		regression(2, 1, engine.Data{Categorical: []string{"a"}, Missing: engine.Missing{Kind: "mean"}}))
	wantError(t, "category", err, `train.csv: the categorical column "a" has only missing values; hint: leave it out of features:`)
}

// What a fit filled by is used on other rows, too. Rows for predictions are all
// kept; where nothing fills, a missing value is an error.
func TestMissingInOtherRows(t *testing.T) {
	other := "a,c,y\nnull,x,1\n5,,2\n5,x,3\n"
	d := engine.Data{Categorical: []string{"c"}, Missing: engine.Missing{Kind: "mean"}}
	train := mustCSV(t, "a,c,y\n1,x,1\n2,x,2\n6,y,3\n")
	p := mustFit(t, train, regression(3, 1, d))
	s, err := p.Apply(mustCSV(t, other))
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{3, 1, 0, 5, 1, 0, 5, 1, 0}; !slices.Equal(s.X, want) {
		t.Errorf("got %v, want %v", s.X, want)
	}
	d.Missing.Kind = "drop"
	p = mustFit(t, train, regression(3, 1, d))
	if s, err = p.Apply(mustCSV(t, other)); err != nil || s.Rows != 1 || s.Target.Value[0] != 3 {
		t.Errorf("dropping left %v, %v", s, err)
	}
	_, err = p.Rows(mustCSV(t, other))
	wantError(t, "rows", err, `train.csv:2:1: the cell "null" is missing (column "a"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`)
	_, err = p.Rows(mustCSV(t, "a,c,y\n5,,2\n"))
	wantError(t, "rows", err, `train.csv:2:3: the cell is missing (column "c"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`)
	_, err = p.Apply(mustCSV(t, "a,c,y\n5,,2\n"))
	wantError(t, "all dropped", err, `train.csv: every row has a missing value; hint: use missing: mean, median or {const: 0}, or fewer features`)
	d.Missing.Kind = "error"
	p = mustFit(t, train, regression(3, 1, d))
	_, err = p.Apply(mustCSV(t, other))
	wantError(t, "error", err, `train.csv:2:1: the cell "null" is missing (column "a"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`)
}

func TestCategories(t *testing.T) {
	d := engine.Data{Target: "y", Categorical: []string{"c", "n"}}
	train := mustCSV(t, "y,c,a,n\n1,red,5,10\n2, blue ,6,9\n3,red,7,10\n")
	p := mustFit(t, train, regression(5, 1, d))
	s, err := p.Apply(train)
	if err != nil {
		t.Fatal(err)
	}
	// c: blue, red; a; n: "10", "9" in the order of text.
	if want := []float32{0, 1, 5, 1, 0, 1, 0, 6, 0, 1, 0, 1, 7, 1, 0}; !slices.Equal(s.X, want) {
		t.Errorf("got %v, want %v", s.X, want)
	}
	_, err = p.Rows(mustCSV(t, "c,a,n\nred,5,10\ngreen,5,10\n"))
	wantError(t, "unseen", err,
		`train.csv:3:1: the cell "green" is "green", a category that no training row has (column "c"); hint: the categories are "blue", "red"`)
}

func TestColumnErrors(t *testing.T) {
	const text = "island,bill_mm,species\nA,1,x\nB,2,y\n"
	for name, c := range map[string]struct {
		d    engine.Data
		want string
	}{
		"target":    {engine.Data{Target: "specis"}, `train.csv:1:1: there is no column "specis" for the target; hint: did you mean "species"?`},
		"far":       {engine.Data{Target: "colour"}, `train.csv:1:1: there is no column "colour" for the target; hint: the columns are "island", "bill_mm", "species"`},
		"number":    {engine.Data{Target: "3"}, `train.csv:1:1: there is no column "3" for the target; hint: the columns are "island", "bill_mm", "species"`},
		"feature":   {engine.Data{Features: []string{"bill"}}, `train.csv:1:1: there is no column "bill" for the features; hint: did you mean "bill_mm"?`},
		"category":  {engine.Data{Categorical: []string{"Island2"}}, `train.csv:1:1: there is no column "Island2" for the categories; hint: did you mean "island"?`},
		"no target": {engine.Data{Features: []string{"species"}}, `train.csv: the column "species" is the target and a feature; hint: take it out of features:`},
		"twice":     {engine.Data{Features: []string{"bill_mm", "1"}}, `train.csv: the column "bill_mm" is named twice among the features`},
		"no feature": {engine.Data{Features: []string{"bill_mm"}, Categorical: []string{"island"}},
			`train.csv: the categorical column "island" is not a feature; hint: list it under features: too, or take it out of categorical:`},
		"width": {engine.Data{Categorical: []string{"island"}, Features: []string{"island"}},
			`train.csv: the features make 2 inputs, but the network net takes 7; hint: each category of a categorical column makes one input`},
		"plain width": {engine.Data{Features: []string{"bill_mm"}},
			`train.csv: the features make 1 input, but the network net takes 7; hint: set input: to the number of features, or choose columns under data: features:`},
	} {
		_, err := data.Fit(mustCSV(t, text), classes(7, 2, c.d))
		wantError(t, name, err, c.want)
	}
	_, err := data.Fit(mustCSV(t, "1\n2\n"), regression(1, 1, engine.Data{}))
	wantError(t, "one column", err, `train.csv: the only column is the target; hint: a source needs a column for the target and one or more for the features`)
	_, err = data.Fit(mustCSV(t, "1,2\n2,3\n"), regression(1, 1, engine.Data{Target: "y"}))
	wantError(t, "no header", err, `train.csv: there is no column "y" for the target; hint: the source has no header; its 2 columns are called 0 to 1`)
}

// A model trained on one form of a table takes the rows of another.
func TestColumnsAreFound(t *testing.T) {
	named := mustCSV(t, "a,y,b\n1,0,2\n3,1,4\n")
	d := engine.Data{Target: "y"}
	p := mustFit(t, named, regression(2, 1, d))
	x := []float32{1, 2, 3, 4}
	for name, table := range map[string]*data.Table{
		"the same":        named,
		"another order":   mustCSV(t, "b,a\n2,1\n4,3\n"),
		"more columns":    mustCSV(t, "z,b,q,a\nx,2,x,1\ny,4,z,3\n"),
		"no header":       mustCSV(t, "1,0,2\n3,1,4\n"),
		"no target":       mustCSV(t, "1,2\n3,4\n"),
		"array":           mustNPZ(t, "x", floats([]int{2, 2}, 1, 2, 3, 4)),
		"array of bytes":  mustNPZ(t, "x", ints([]int{2, 2}, 1, 2, 3, 4)),
		"array of images": mustNPZ(t, "x", floats([]int{2, 1, 2}, 1, 2, 3, 4)),
	} {
		s, err := p.Rows(table)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(s.X, x) || s.Target.Class != nil || s.Target.Value != nil {
			t.Errorf("%s: got %v", name, s)
		}
	}
	for name, c := range map[string]struct {
		table *data.Table
		want  string
	}{
		"one column": {mustCSV(t, "1\n2\n"), `train.csv: a row has 1 column, but the network takes 2 features; hint: give the columns that the network was trained on, in the same order`},
		"four":       {mustNPZ(t, "x", floats([]int{1, 4}, 1, 2, 3, 4)), `train.npz: a row has 4 columns, but the network takes 2 features; hint: give the columns that the network was trained on, in the same order`},
		"other name": {mustCSV(t, "a,bb\n1,2\n"), `train.csv:1:1: there is no column "b" for the features; hint: did you mean "bb"?`},
	} {
		_, err := p.Rows(c.table)
		wantError(t, name, err, c.want)
	}
	// With targets: by name, by place, and of an array.
	for name, table := range map[string]*data.Table{
		"another order": mustCSV(t, "y,b,a\n0,2,1\n1,4,3\n"),
		"no header":     mustCSV(t, "1,0,2\n3,1,4\n"),
		"array":         mustNPZ(t, "x", floats([]int{2, 2}, 1, 2, 3, 4), "y", ints([]int{2}, 0, 1)),
	} {
		s, err := p.Apply(table)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(s.X, x) || !slices.Equal(s.Target.Value, []float32{0, 1}) {
			t.Errorf("%s: got %v", name, s)
		}
	}
	for name, c := range map[string]struct {
		table *data.Table
		want  string
	}{
		"named":     {mustCSV(t, "b,a\n2,1\n"), `train.csv:1:1: there is no column "y" for the target; hint: the columns are "b", "a"`},
		"no header": {mustCSV(t, "2,1\n"), `train.csv: there are no targets; hint: a test set needs the target column that the training set has`},
		"array":     {mustNPZ(t, "x", floats([]int{1, 2}, 1, 2)), `train.npz: there are no targets; hint: an .npz file with x and y, or a table with a target column`},
	} {
		_, err := p.Apply(c.table)
		wantError(t, name, err, c.want)
	}
}

// A model trained on arrays takes tables, whose last column is the target.
func TestTablesAfterArrays(t *testing.T) {
	p := mustFit(t, mustNPZ(t, "x", floats([]int{1, 2}, 1, 2), "y", floats([]int{1}, 3)), regression(2, 1, engine.Data{}))
	for name, text := range map[string]string{"header": "a,b,y\n4,5,6\n", "no header": "4,5,6\n", "y first": "6,4,5\n"} {
		o := data.Options{FS: disk(t, map[string]string{"t.csv": text})}
		if name == "y first" {
			o.Target = "0"
		}
		table, err := data.Open("t.csv", o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Apply(table)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(s.X, []float32{4, 5}) || s.Target.Value[0] != 6 {
			t.Errorf("%s: got %v", name, s)
		}
	}
	if s, err := p.Rows(mustCSV(t, "a,b\n4,5\n")); err != nil || !slices.Equal(s.X, []float32{4, 5}) {
		t.Errorf("without a target: %v", err)
	}
}

// Applying changes nothing in the table, and big arrays are not copied.
func TestArraysAreNotCopied(t *testing.T) {
	v := make([]float32, 1000)
	for i := range v {
		v[i] = float32(i)
	}
	table := mustNPZ(t, "x", floats([]int{100, 10}, v...), "y", floats([]int{100}, v[:100]...))
	plain := mustFit(t, table, regression(10, 1, engine.Data{}))
	first, err := plain.Apply(table)
	if err != nil {
		t.Fatal(err)
	}
	again, err := plain.Rows(table)
	if err != nil {
		t.Fatal(err)
	}
	if &first.X[0] != &again.X[0] {
		t.Error("the features were copied")
	}
	halved, err := mustFit(t, table, regression(10, 1, scaled("divide", 2))).Apply(table)
	if err != nil {
		t.Fatal(err)
	}
	if &halved.X[0] == &first.X[0] || first.X[999] != 999 || halved.X[999] != 499.5 {
		t.Errorf("scaling gave %v and left %v", halved.X[999], first.X[999])
	}
}

func TestPrepJSON(t *testing.T) {
	d := engine.Data{Target: "species", Categorical: []string{"island", "sex"}, Missing: engine.Missing{Kind: "median"}, Scale: engine.Scale{Kind: "standardize"}}
	p := mustFit(t, mustCSV(t, penguins), classes(7, 3, d))
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"inputs":7,"outputs":3,"features":[` +
		`{"column":1,"name":"island","categories":["Biscoe","Dream","Torgersen"],"fill_category":0},` +
		`{"column":2,"name":"bill","offset":46.3,"divisor":3.8935844667863577,"fill":47.5},` +
		`{"column":3,"name":"sex","categories":["female","male"],"fill_category":0},` +
		`{"column":4,"name":"mass","offset":4005,"divisor":498.59803449271647,"fill":3775}],` +
		`"columns":5,"target":{"name":"species","column":0,"kind":"classes","labels":["Adelie","Chinstrap","Gentoo"],"text":true}}`
	var gotAny, wantAny any
	if err := json.Unmarshal(b, &gotAny); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wantAny); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wantAny, gotAny); d != "" {
		t.Errorf("%s\nin %s", d, b)
	}
	if got := p.Labels(); !slices.Equal(got, []string{"Adelie", "Chinstrap", "Gentoo"}) {
		t.Errorf("the labels are %v", got)
	}
}

// A preparation that a damaged file could hold is refused, not used.
func TestPrepRefuses(t *testing.T) {
	const good = `{"version":1,"inputs":3,"outputs":2,"features":[{"column":0,"divisor":1},{"column":1,"categories":["a","b"]}],"columns":3,"target":{"column":2,"kind":"classes","labels":["n","y"],"text":true}}`
	var p data.Prep
	if err := json.Unmarshal([]byte(good), &p); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{`"version":1`, `"version":2`, "version 2"},
		{`"inputs":3`, `"inputs":4`, "make 3 inputs"},
		{`"inputs":3`, `"other":3`, "unknown field"},
		{`"outputs":2`, `"outputs":0`, "0 outputs"},
		{`"outputs":2`, `"outputs":1`, "2 class labels"},
		{`"column":0`, `"column":-1`, "out of place"},
		{`"column":0`, `"column":3`, "out of place"},
		{`"column":0`, `"column":2`, "out of place"},
		{`"divisor":1`, `"divisor":1e999`, "cannot unmarshal"},
		{`"divisor":1`, `"divisor":0`, "neither"},
		{`"divisor":1`, `"divisor":1,"categories":["a"]`, "has categories"},
		{`["a","b"]`, `["b","a"]`, "not in order"},
		{`["a","b"]`, `["a","a"]`, "not in order"},
		{`["a","b"]`, `[]`, "neither"},
		{`["a","b"]`, `["a","b"],"fill_category":2`, "not one of"},
		{`["a","b"]`, `["a","b"],"fill_category":-2`, "not one of"},
		{`["a","b"]`, `["a","b"],"fill":1`, "neither"},
		{`"column":2`, `"column":3`, "out of place"},
		{`"column":2`, `"column":-2`, "out of place"},
		{`"kind":"classes"`, `"kind":"x"`, "unknown"},
		{`"kind":"classes"`, `"kind":"values"`, "2 class labels"},
		{`["n","y"]`, `["y","n"]`, "not in order"},
		{`["n","y"]`, `[]`, "not in order"},
		{`"features":[`, `"features":[],"x":[`, "unknown field"},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if err := json.Unmarshal([]byte(bad), &p); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v, want %q", bad, err, c[2])
		}
	}
	if err := json.Unmarshal([]byte(`{"version":1,"inputs":0,"outputs":1,"features":[],"columns":1,"target":{"column":0,"kind":"values"}}`), &p); err == nil {
		t.Error("no feature at all")
	}
}
