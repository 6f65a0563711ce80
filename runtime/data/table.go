package data

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/wording"
)

// Table is what a source gave, before any preparation. Nothing changes a Table
// once it is there, so parts of it and several goroutines may share it.
type Table struct {
	file   string   // the source, as messages name it
	x      grid     // the columns
	names  []string // of the columns; nil where the source has none
	y      grid     // targets that are no column of x: those of .npz and IDX
	target string   // the column that the source or the caller asked for
	usual  string   // the target column of a built-in table
	labels []string // the names of the classes 0, 1, …, where the source gives them
	rows   []int32  // which rows of the grids belong to the table; nil: all
	split  string   // how it came to have no rows, where Split left it none
}

// Source returns the name that messages give to the source.
func (t *Table) Source() string { return t.file }

// Rows returns the number of rows.
func (t *Table) Rows() int {
	if t.rows != nil {
		return len(t.rows)
	}
	rows, _ := t.x.size()
	return rows
}

// Columns returns the names of the columns, among them the target where it is
// one of them. Columns without a name are called by their number from 0.
func (t *Table) Columns() []string {
	_, columns := t.x.size()
	names := make([]string, columns)
	for c := range names {
		names[c] = t.column(c)
	}
	return names
}

func (t *Table) column(c int) string {
	if t.names != nil {
		return t.names[c]
	}
	return strconv.Itoa(c)
}

// row returns where row i of the table stands in the grids.
func (t *Table) row(i int) int {
	if t.rows != nil {
		return int(t.rows[i])
	}
	return i
}

// choose returns a table with some rows of t, given by their place in t.
func (t *Table) choose(rows []int32) *Table {
	part := *t
	part.rows = make([]int32, len(rows))
	for i, r := range rows {
		part.rows[i] = int32(t.row(int(r)))
	}
	return &part
}

// errorf makes an error about the whole source.
func (t *Table) errorf(hint, format string, args ...any) *Error {
	return &Error{File: t.file, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// Split takes a share of t's rows, 0 to 1, away for testing. Which rows these
// are depends on the seed and on the number of rows alone, on every machine.
// Both parts keep the order of t and share its memory. Neither part is empty
// where t has two rows or more and the share is neither 0 nor 1.
func Split(t *Table, share float64, seed uint64) (train, test *Table) {
	n := t.Rows()
	take := min(n, max(0, int(float64(share*float64(n))+0.5)))
	if n >= 2 && share > 0 && share < 1 {
		take = min(n-1, max(1, take))
	}
	order := permutation(n, seed)
	testRows, trainRows := order[:take], order[take:]
	slices.Sort(testRows)
	slices.Sort(trainRows)
	train, test = t.choose(trainRows), t.choose(testRows)
	if n > 0 {
		of := fmt.Sprintf("%.4g%% of %s", 100*share, wording.Count(n, "row"))
		train.split, test.split = "testing on "+of+" leaves none to train on", of+" leaves none to test on"
	}
	return train, test
}

// noRows is the error that there is nothing to prepare.
func (t *Table) noRows() *Error {
	switch {
	case t.Rows() > 0: // and all are left out
		return t.errorf("use missing: mean, median or {const: 0}, or fewer features", "every row has a missing value")
	case t.split != "":
		return t.errorf("give more rows, or test rows of their own", "%s", t.split)
	}
	return t.errorf("", "there are no rows")
}

// permutation returns 0 to n−1 in an order that depends on the seed. It is the
// shuffle of Fisher and Yates, written out, because the order in which a
// library's shuffle draws its numbers is not promised to stay.
func permutation(n int, seed uint64) []int32 {
	const stream = 0x73706c6974 // "split": apart from the streams of init and shuffling
	random := rand.NewPCG(seed, stream)
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	for i := n - 1; i > 0; i-- {
		// The upper half of a 128-bit product is below i+1; its bias is below
		// n/2⁶⁴.
		k, _ := bits.Mul64(random.Uint64(), uint64(i+1))
		order[i], order[k] = order[k], order[i]
	}
	return order
}

// Share reads a share such as "20%" and tells whether s is one: a number above
// 0 and below 100 with a percent sign.
func Share(s string) (share float64, ok bool) {
	number, found := strings.CutSuffix(s, "%")
	if !found {
		return 0, false
	}
	v, kind := parseNumber([]byte(strings.TrimSpace(number)))
	if kind != isNumber || v <= 0 || v >= 100 {
		return 0, false
	}
	return v / 100, true
}
