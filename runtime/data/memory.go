package data

import (
	"fmt"
	"math"
	"strconv"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/wording"
)

// memory is how messages name rows that no file holds.
const memory = "rows"

// FromNumbers makes a table of numbers in memory: x [rows, inputs], where NaN
// is a missing number, and y, a class for each row or values [rows, outputs].
// labels are the names of the classes 0, 1, …; none are needed. The table
// shares the memory of x and of y's values.
func FromNumbers(x []float32, inputs int, y engine.Target, outputs int, labels ...string) (*Table, error) {
	if inputs < 1 || len(x)%inputs != 0 {
		return nil, &Error{File: memory, Msg: fmt.Sprintf("%d numbers are no rows of %s", len(x), wording.Count(inputs, "feature"))}
	}
	rows := len(x) / inputs
	t := &Table{file: memory, labels: labels}
	t.x = &numeric[float32]{file: memory, name: "x", data: x, rows: rows, columns: inputs}
	return t, t.setTargets(y, outputs)
}

// FromCells makes a table of cells in memory: rows of a cell for each name, and
// y as FromNumbers has it. The table shares the memory of the rows and of y's
// values.
func FromCells(names []string, rows [][]Cell, y engine.Target, outputs int, labels ...string) (*Table, error) {
	for i, r := range rows {
		if len(r) != len(names) {
			return nil, &Error{File: memory, Msg: fmt.Sprintf("row %d has %s, not %d", i, wording.Count(len(r), "feature"), len(names))}
		}
	}
	t := &Table{file: memory, labels: labels, names: names, x: &cells{rows, len(names)}}
	return t, t.setTargets(y, outputs)
}

// setTargets gives a table targets that are no column of it.
func (t *Table) setTargets(y engine.Target, outputs int) error {
	rows, _ := t.x.size()
	have := len(y.Class)
	if y.Class == nil {
		if outputs < 1 || len(y.Value)%outputs != 0 {
			return t.errorf("", "%d target values are no rows of %s", len(y.Value), wording.Count(outputs, "output"))
		}
		have = len(y.Value) / outputs
		t.y = &numeric[float32]{file: t.file, name: "y", data: y.Value, rows: have, columns: outputs}
	} else {
		classes := make([]int64, len(y.Class))
		for i, c := range y.Class {
			classes[i] = int64(c)
		}
		t.y = &numeric[int64]{file: t.file, name: "y", data: classes, rows: have, columns: 1}
	}
	if have != rows {
		return t.errorf("", "there are %s, but targets for %d", wording.Count(rows, "row"), have)
	}
	return nil
}

// cells is a grid of rows in memory.
type cells struct {
	rows    [][]Cell
	columns int
}

func (g *cells) size() (rows, columns int) { return len(g.rows), g.columns }

func (g *cells) numbers(row int, columns []int, dst []float64) (int, *Error) {
	for i, c := range columns {
		cell := &g.rows[row][c]
		if cell.isText && cell.text != "" {
			return i, g.at(row, c, "is a category, not a number")
		}
		v := cell.number
		if cell.isText {
			v = math.NaN()
		}
		if math.IsInf(v, 0) {
			return i, g.at(row, c, "is infinite")
		}
		dst[i] = v
	}
	return 0, nil
}

func (g *cells) missing(row, column int) bool {
	c := &g.rows[row][column]
	if c.isText {
		return c.text == ""
	}
	return math.IsNaN(c.number)
}

func (g *cells) text(row, column int) string {
	c := &g.rows[row][column]
	if c.isText {
		return c.text
	}
	return strconv.FormatFloat(c.number, 'g', -1, 64)
}

func (g *cells) at(row, column int, what string) *Error {
	return &Error{File: memory, Msg: fmt.Sprintf("row %d, feature %d %s", row, column, what)}
}
