package data_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

// numbered returns a table whose row i holds i and target −i.
func numbered(t *testing.T, rows int) *data.Table {
	t.Helper()
	var s strings.Builder
	s.WriteString("a,y\n")
	for i := range rows {
		fmt.Fprintf(&s, "%d,-%d\n", i, i)
	}
	return mustCSV(t, s.String())
}

// values returns the first feature of each row.
func values(t *testing.T, table *data.Table) []float32 {
	t.Helper()
	if table.Rows() == 0 {
		return nil
	}
	return prepared(t, table, regression(1, 1, engine.Data{})).X
}

// TestSplitLeavesNone: a part without rows says what left it none, and an empty file
// that it is empty.
func TestSplitLeavesNone(t *testing.T) {
	n := regression(1, 1, engine.Data{})
	train, test := data.Split(numbered(t, 1), 0.2, 1)
	p, err := data.Fit(train, n)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Apply(test)
	wantError(t, "test", err, "train.csv: 20% of 1 row leaves none to test on; hint: give more rows, or test rows of their own")
	train, _ = data.Split(numbered(t, 1), 0.7, 1)
	_, err = data.Fit(train, n)
	wantError(t, "train", err, "train.csv: testing on 70% of 1 row leaves none to train on; hint: give more rows, or test rows of their own")
	train, _ = data.Split(numbered(t, 0), 0.2, 1)
	_, err = data.Fit(train, n)
	wantError(t, "empty", err, "train.csv: there are no rows")
	// Rows that are left out for what they lack are rows.
	_, test = data.Split(mustCSV(t, "a,y\n,1\n,2\n"), 0.5, 1)
	n = regression(1, 1, engine.Data{Missing: engine.Missing{Kind: "drop"}})
	if p, err = data.Fit(numbered(t, 2), n); err != nil {
		t.Fatal(err)
	}
	_, err = p.Apply(test)
	wantError(t, "dropped", err, "train.csv: every row has a missing value; hint: use missing: mean, median or {const: 0}, or fewer features")
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		rows, test int
		share      float64
	}{
		{10, 2, 0.2}, {11, 2, 0.2}, {13, 3, 0.2}, {1797, 359, 0.2}, {2, 1, 0.01}, {2, 1, 0.99}, {1, 0, 0.2}, {0, 0, 0.2},
		{5, 0, 0}, {5, 5, 1}, {5, 5, 7}, {5, 0, -1},
	} {
		table := numbered(t, c.rows)
		train, test := data.Split(table, c.share, 1)
		if test.Rows() != c.test || train.Rows() != c.rows-c.test {
			t.Errorf("%v of %d rows: %d and %d", c.share, c.rows, train.Rows(), test.Rows())
			continue
		}
		a, b := values(t, train), values(t, test)
		if !slices.IsSorted(a) || !slices.IsSorted(b) {
			t.Errorf("%v of %d rows: the order is lost", c.share, c.rows)
		}
		all := slices.Concat(a, b)
		slices.Sort(all)
		for i, v := range all {
			if v != float32(i) {
				t.Fatalf("%v of %d rows: row %d is missing", c.share, c.rows, i)
			}
		}
	}
}

// The same seed gives the same rows on every machine: these are written down.
func TestSplitIsFixed(t *testing.T) {
	_, test := data.Split(numbered(t, 20), 0.25, 1)
	if got, want := values(t, test), []float32{6, 8, 9, 13, 15}; !slices.Equal(got, want) {
		t.Errorf("seed 1 chose %v, want %v", got, want)
	}
	_, other := data.Split(numbered(t, 20), 0.25, 2)
	if slices.Equal(values(t, test), values(t, other)) {
		t.Error("another seed chose the same rows")
	}
}

// Targets go with their rows, also through a second split, and also where they
// stand apart.
func TestSplitKeepsRowsWhole(t *testing.T) {
	var x []float32
	for i := range 100 {
		x = append(x, float32(i))
	}
	for name, table := range map[string]*data.Table{
		"table": numbered(t, 100),
		"array": mustNPZ(t, "x", floats([]int{100, 1}, x...), "y", floats([]int{100}, negative(x)...)),
	} {
		train, _ := data.Split(table, 0.5, 3)
		_, part := data.Split(train, 0.5, 4)
		s := prepared(t, part, regression(1, 1, engine.Data{}))
		if s.Rows != 25 {
			t.Errorf("%s: %d rows", name, s.Rows)
		}
		for i, v := range s.X {
			if s.Target.Value[i] != -v {
				t.Errorf("%s: row %v has the target %v", name, v, s.Target.Value[i])
			}
		}
	}
}

func negative(x []float32) []float32 {
	n := make([]float32, len(x))
	for i, v := range x {
		n[i] = -v
	}
	return n
}

// Each row is as likely to be a test row as any other.
func TestSplitIsFair(t *testing.T) {
	const rows, seeds = 50, 2000
	table := numbered(t, rows)
	var chosen [rows]int
	for seed := range uint64(seeds) {
		_, test := data.Split(table, 0.2, seed)
		for _, v := range values(t, test) {
			chosen[int(v)]++
		}
	}
	// 2000 draws with probability 1/5 have a deviation of √(2000·0.2·0.8) = 18;
	// five of these are not passed by any of 50 rows but once in 35,000 runs.
	for i, n := range chosen {
		if n < 400-90 || n > 400+90 {
			t.Errorf("row %d was chosen %d times, not about 400", i, n)
		}
	}
}
