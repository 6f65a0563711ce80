package data_test

import (
	"slices"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

// Rows are told by the line of a text file, blank lines, cells of several lines
// and all; elsewhere by the row of the source where that is another one.
func TestWhere(t *testing.T) {
	table := mustCSV(t, "a,b,y\r\n1,x,0\r\n\r\n?,x,0\r\n3,\"two\r\nlines\",0\r\n4,x,0\r\n5,x,0\n")
	net := regression(1, 1, engine.Data{Features: []string{"a"}, Missing: engine.Missing{Kind: "drop"}})
	prep, err := data.Fit(table, net)
	if err != nil {
		t.Fatal(err)
	}
	set, err := prep.Apply(table)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range set.Rows {
		got = append(got, set.Where(i))
	}
	if want := []string{"train.csv, line 2", "train.csv, line 5", "train.csv, line 7", "train.csv, line 8"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	whole, err := data.Open("builtin:sine", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	test, err := data.Open("builtin:sine/test", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if prep, err = data.Fit(whole, regression(1, 1, engine.Data{})); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		table *data.Table
		want  string
	}{{whole, ""}, {test, "row 9 of builtin:sine"}} {
		set, err := prep.Apply(c.table)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Where(1); got != c.want {
			t.Errorf("%s: %q, want %q", c.table.Source(), got, c.want)
		}
	}
	penguins, err := data.Open("builtin:penguins", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := engine.Data{Features: []string{"bill_length_mm"}, Missing: engine.Missing{Kind: "drop"}}
	if prep, err = data.Fit(penguins, classes(1, 3, d)); err != nil {
		t.Fatal(err)
	}
	if set, err = prep.Apply(penguins); err != nil {
		t.Fatal(err)
	}
	if got := set.Where(set.Rows - 1); got != "row 343 of builtin:penguins" {
		t.Errorf("%q", got)
	}
}
