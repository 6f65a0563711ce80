package data_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

const target = "; hint: the network has 3 outputs, so classes are the whole numbers 0 to 2"

func TestClassTargets(t *testing.T) {
	for name, c := range map[string]struct {
		table  *data.Table
		class  []int32
		labels []string
	}{
		"text, sorted":      {mustCSV(t, "1,b\n2,c\n3,a\n4,b\n"), []int32{1, 2, 0, 1}, []string{"a", "b", "c"}},
		"fewer than three":  {mustCSV(t, "a,y\n1,no\n2,yes\n"), []int32{0, 1}, []string{"no", "yes"}},
		"numbers":           {mustCSV(t, "1,2\n2,0\n"), []int32{2, 0}, nil},
		"numbers as 1.0":    {mustCSV(t, "1,2.0\n2,0e3\n"), []int32{2, 0}, nil},
		"numbers and text":  {mustCSV(t, "a,y\n1,10\n2,9\n3,9b\n"), []int32{0, 1, 2}, []string{"10", "9", "9b"}},
		"quoted":            {mustCSV(t, "a,y\n1,\" a \"\"b\"\"\"\n2,c\n"), []int32{0, 1}, []string{`a "b"`, "c"}},
		"names given":       {mustCSV(t, "3,1,no,maybe,yes\n1,2\n2,0\n3,1\n"), []int32{2, 0, 1}, []string{"no", "maybe", "yes"}},
		"names given, used": {mustCSV(t, "3,1,no,maybe,yes\n1,yes\n2,0\n3,maybe\n"), []int32{2, 0, 1}, []string{"no", "maybe", "yes"}},
		"whole numbers":     {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", ints([]int{2}, 2, 0)), []int32{2, 0}, nil},
		"a column of them":  {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", ints([]int{2, 1}, 2, 0)), []int32{2, 0}, nil},
		"as float32":        {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2}, 2, 0)), []int32{2, 0}, nil},
	} {
		s := prepared(t, c.table, classes(1, 3, engine.Data{}))
		if !slices.Equal(s.Target.Class, c.class) || s.Target.Value != nil || !slices.Equal(s.Labels, c.labels) {
			t.Errorf("%s: %v with the labels %q", name, s.Target, s.Labels)
		}
	}
}

func TestClassTargetErrors(t *testing.T) {
	for name, c := range map[string]struct {
		table *data.Table
		want  string
	}{
		"out of range": {mustCSV(t, "a,y\n1,0\n2,3\n"), `train.csv:3:3: the cell "3" is 3, which is no class (column "y")` + target},
		"negative":     {mustCSV(t, "1,0\n2,-1\n"), `train.csv:2:3: the cell "-1" is -1, which is no class` + target},
		"fraction":     {mustCSV(t, "1,0\n2,0.5\n"), `train.csv:2:3: the cell "0.5" is 0.5, which is no class` + target},
		"huge":         {mustCSV(t, "1,0\n2,1e20\n"), `train.csv:2:3: the cell "1e20" is 1e+20, which is no class` + target},
		"too many": {mustCSV(t, "a,y\n1,a\n2,b\n3,c\n4,d\n"),
			`train.csv: the target has 4 classes ("a", "b", "c", "d"), but the network tells 3 apart; hint: the last layer needs an output for each class`},
		"too many names": {mustCSV(t, "1,1,a,b,c,d\n2,0\n"),
			`train.csv: the target has 4 classes ("a", "b", "c", "d"), but the network tells 3 apart; hint: the last layer needs an output for each class`},
		"missing": {mustCSV(t, "a,y\n1,a\n2,\n"),
			`train.csv:3:3: the cell is missing (column "y"); hint: a target is never made up; missing: drop leaves such rows out`},
		"array, range":    {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", ints([]int{2}, 2, 3)), `train.npz: y[1,0] is 3, which is no class` + target},
		"array, fraction": {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2}, 2, 0.5)), `train.npz: y[1,0] is 0.5, which is no class` + target},
		"array, NaN": {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2}, 2, nan)),
			`train.npz: y[1,0] is missing; hint: a target is never made up; missing: drop leaves such rows out`},
		"array, infinite": {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2}, 2, inf)), `train.npz: y[1,0] is infinite`},
		"one column a class": {mustNPZ(t, "x", floats([]int{1, 1}, 1), "y", ints([]int{1, 3}, 0, 0, 1)),
			`train.npz: a row has 3 targets, but the network needs 1; hint: y needs the shape [rows] and the numbers of the classes, not one column a class`},
		"none": {mustNPZ(t, "x", floats([]int{1, 1}, 1)),
			`train.npz: there are no targets; hint: an .npz file with x and y, or a table with a target column`},
	} {
		_, err := data.Fit(c.table, classes(1, 3, engine.Data{}))
		wantError(t, name, err, c.want)
	}
}

// Labels are those of the training rows, also where other rows have others.
func TestLabelsOfOtherRows(t *testing.T) {
	p := mustFit(t, mustCSV(t, "a,y\n1,cat\n2,dog\n"), classes(1, 3, engine.Data{}))
	s, err := p.Apply(mustCSV(t, "a,y\n1,dog\n2,dog\n"))
	if err != nil || !slices.Equal(s.Target.Class, []int32{1, 1}) || !slices.Equal(s.Labels, []string{"cat", "dog"}) {
		t.Errorf("got %v, %v", s, err)
	}
	_, err = p.Apply(mustCSV(t, "a,y\n1,cat\n2,cow\n"))
	wantError(t, "unseen", err, `train.csv:3:3: the cell "cow" is "cow", which is no class of the training rows (column "y"); hint: the classes are "cat", "dog"`)
	_, err = p.Apply(mustCSV(t, "a,y\n1,0\n2,1\n"))
	wantError(t, "number", err, `train.csv:2:3: the cell "0" is "0", which is no class of the training rows (column "y"); hint: the classes are "cat", "dog"`)
	s, err = p.Apply(mustNPZ(t, "x", floats([]int{1, 1}, 1), "y", ints([]int{1}, 1)))
	if err != nil || s.Target.Class[0] != 1 {
		t.Errorf("numbers in an array: %v", err)
	}
}

func TestValueTargets(t *testing.T) {
	for name, c := range map[string]struct {
		table *data.Table
		n     *engine.Network
		want  []float32
	}{
		"table":           {mustCSV(t, "1,-0.5\n2,7\n"), regression(1, 1, engine.Data{}), []float32{-0.5, 7}},
		"float32":         {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2}, 0.5, 2)), regression(1, 1, engine.Data{}), []float32{0.5, 2}},
		"column":          {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2, 1}, 0.5, 2)), regression(1, 1, engine.Data{}), []float32{0.5, 2}},
		"several":         {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2, 2}, 1, 2, 3, 4)), regression(1, 2, engine.Data{}), []float32{1, 2, 3, 4}},
		"whole numbers":   {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", ints([]int{2}, -3, 4)), regression(1, 1, engine.Data{}), []float32{-3, 4}},
		"binary":          {mustCSV(t, "1,1\n2,0\n3,0.25\n"), unitNet(1, 1, engine.Data{}), []float32{1, 0, 0.25}},
		"binary array":    {mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", ints([]int{2}, 1, 0)), unitNet(1, 1, engine.Data{}), []float32{1, 0}},
		"several binary":  {mustNPZ(t, "x", floats([]int{1, 1}, 1), "y", floats([]int{1, 2}, 1, 0)), unitNet(1, 2, engine.Data{}), []float32{1, 0}},
		"binary by names": {mustCSV(t, "1,yes\n2,no\n"), unitNet(1, 1, engine.Data{}), []float32{1, 0}},
	} {
		s := prepared(t, c.table, c.n)
		if d := cmp.Diff(engine.Target{Value: c.want}, s.Target); d != "" || s.Outputs != c.n.Outputs {
			t.Errorf("%s: %s", name, d)
		}
	}
	if s := prepared(t, mustCSV(t, "1,yes\n2,no\n"), unitNet(1, 1, engine.Data{})); !slices.Equal(s.Labels, []string{"no", "yes"}) {
		t.Errorf("the labels are %v", s.Labels)
	}
}

func TestValueTargetErrors(t *testing.T) {
	for name, c := range map[string]struct {
		table *data.Table
		n     *engine.Network
		want  string
	}{
		"several from a table": {mustCSV(t, "1,2,3\n"), regression(2, 2, engine.Data{}),
			`train.csv: a row has 1 target, but the network needs 2; hint: a table of text has one target column; give several as y of an .npz file`},
		"several, taken for features": {mustCSV(t, "1,2,3,4\n"), regression(2, 2, engine.Data{}),
			`train.csv: the features make 3 inputs, but the network net takes 2; hint: a table of text has one target column; give several as y of an .npz file`},
		"too few": {mustNPZ(t, "x", floats([]int{1, 1}, 1), "y", floats([]int{1}, 1)), regression(1, 2, engine.Data{}),
			`train.npz: a row has 1 target, but the network needs 2; hint: y needs the shape [rows] or [rows, outputs]`},
		"not binary": {mustCSV(t, "a,y\n1,1\n2,2\n"), unitNet(1, 1, engine.Data{}),
			`train.csv:3:3: the cell "2" is 2, not from 0 to 1 (column "y"); hint: bce_with_logits takes targets from 0 to 1`},
		"three names": {mustCSV(t, "a,y\n1,x\n2,y\n3,z\n"), unitNet(1, 1, engine.Data{}),
			`train.csv: the target has 3 classes ("x", "y", "z"), but the network tells 2 apart; hint: the last layer needs an output for each class`},
		"infinite": {mustNPZ(t, "x", floats([]int{1, 1}, 1), "y", floats([]int{1}, -inf)), regression(1, 1, engine.Data{}),
			`train.npz: y[0,0] is infinite`},
	} {
		_, err := data.Fit(c.table, c.n)
		wantError(t, name, err, c.want)
	}
}

func TestWidth(t *testing.T) {
	for name, c := range map[string]struct {
		table                 *data.Table
		d                     engine.Data
		inputs, classes, rows int
	}{
		"text":        {mustCSV(t, "a,b,y\n1,2,no\n3,4,yes\n5,6,no\n"), engine.Data{}, 2, 2, 3},
		"numbers":     {mustCSV(t, "1,0\n2,4\n"), engine.Data{}, 1, 5, 2},
		"values":      {mustCSV(t, "1,0\n2,0.5\n"), engine.Data{}, 1, 0, 2},
		"negative":    {mustCSV(t, "1,0\n2,-1\n"), engine.Data{}, 1, 0, 2},
		"names":       {mustCSV(t, "2,1,a,b,c\n1,0\n2,1\n"), engine.Data{}, 1, 3, 2},
		"used names":  {mustCSV(t, "2,1,a,b,c\n1,c\n2,1\n"), engine.Data{}, 1, 3, 2},
		"categories":  {mustCSV(t, "a,b,y\nx,2,0\ny,4,1\nz,6,0\n"), engine.Data{Categorical: []string{"a"}}, 4, 2, 3},
		"array":       {mustNPZ(t, "x", floats([]int{1, 4}, 1, 2, 3, 4), "y", ints([]int{1}, 6)), engine.Data{}, 4, 7, 1},
		"many values": {mustNPZ(t, "x", floats([]int{1, 4}, 1, 2, 3, 4), "y", ints([]int{1, 2}, 6, 1)), engine.Data{}, 4, 0, 1},
	} {
		want := 1
		if name == "many values" {
			want = 2
		}
		if targets, err := data.Targets(c.table, c.d); err != nil || targets != want {
			t.Errorf("%s: %d targets a row, %v", name, targets, err)
		}
		inputs, classes, rows, err := data.Width(c.table, c.d)
		if err != nil || inputs != c.inputs || classes != c.classes || rows != c.rows {
			t.Errorf("%s: %d inputs, %d classes, %d rows, %v", name, inputs, classes, rows, err)
		}
	}
	for name, c := range map[string]struct {
		text, want string
	}{
		"missing target": {"a,y\n1,x\n2,\n", `train.csv:3:3: the cell is missing (column "y"); hint: a target is never made up; missing: drop leaves such rows out`},
		"no rows":        {"a,y\n", `train.csv: there are no rows`},
	} {
		_, _, _, err := data.Width(mustCSV(t, c.text), engine.Data{})
		wantError(t, name, err, c.want)
	}
	_, err := data.Targets(mustCSV(t, "a,y\n1,2\n"), engine.Data{Target: "z"})
	wantError(t, "no target", err, `train.csv:1:1: there is no column "z" for the target; hint: the columns are "a", "y"`)
}

// TestComplete: what a training would stop at is found without one.
func TestComplete(t *testing.T) {
	gap := "a,b,y\n1,2,0.5\n2,,1\n3,4,\n"
	for name, c := range map[string]struct {
		text, want string
		d          engine.Data
	}{
		"a feature":      {gap, `train.csv:3:3: the cell is missing (column "b"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`, engine.Data{}},
		"a filled one":   {gap, `train.csv:4:5: the cell is missing (column "y"); hint: a target is never made up; missing: drop leaves such rows out`, engine.Data{Missing: engine.Missing{Kind: "mean"}}},
		"no feature":     {"a,b,y\n1,2,0\n2,,1\n", "", engine.Data{Features: []string{"a"}}},
		"a dropped row":  {gap, "", engine.Data{Missing: engine.Missing{Kind: "drop"}}},
		"nothing":        {"a,b,y\n1,2,0\n", "", engine.Data{}},
		"not a number":   {"a,b,y\n1,2,0\n2,inf,1\n", `train.csv:3:3: "inf" is not finite (column "b")`, engine.Data{}},
		"a category":     {"a,b,y\n1,u,0\n2,,1\n", `train.csv:3:3: the cell is missing (column "b"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`, engine.Data{Categorical: []string{"b"}}},
		"a target alone": {"a,b,y\n1,2,0.5\n2,3,\n", `train.csv:3:5: the cell is missing (column "y"); hint: a target is never made up; missing: drop leaves such rows out`, engine.Data{}},
	} {
		err := data.Complete(mustCSV(t, c.text), c.d)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantError(t, name, err, c.want)
	}
	y := mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2}, 0.5, float32(math.NaN())))
	if err := data.Complete(y, engine.Data{}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a target of an array: error %v", err)
	}
}
