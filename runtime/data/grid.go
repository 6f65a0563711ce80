package data

import (
	"fmt"
	"math"
	"strconv"
)

// grid is the cells of a source: rows of columns, both counted from 0.
type grid interface {
	size() (rows, columns int)
	// numbers writes the cells of one row in the given columns to dst. NaN
	// stands for a missing one. An error tells of the first cell that is
	// neither missing nor a finite number; it does not name the column.
	numbers(row int, columns []int, dst []float64) (bad int, err *Error)
	missing(row, column int) bool
	// text returns a cell that is not missing as text, without the spaces
	// around it.
	text(row, column int) string
	// at makes an error about a cell. what continues a name of the cell, as
	// "is missing" does.
	at(row, column int, what string) *Error
}

// numeric is a grid of numbers, row-major.
type numeric[T float32 | uint8 | int64] struct {
	file    string
	name    string // of the array, for messages
	data    []T    // [rows, columns]
	columns int
	rows    int
}

func (g *numeric[T]) size() (rows, columns int) { return g.rows, g.columns }

func (g *numeric[T]) numbers(row int, columns []int, dst []float64) (int, *Error) {
	cells := g.data[row*g.columns:][:g.columns]
	for i, c := range columns {
		v := float64(cells[c])
		if math.IsInf(v, 0) {
			return i, g.at(row, c, "is infinite")
		}
		dst[i] = v
	}
	return 0, nil
}

func (g *numeric[T]) missing(row, column int) bool {
	v := g.data[row*g.columns+column]
	return v != v // NaN alone
}

func (g *numeric[T]) text(row, column int) string {
	return strconv.FormatFloat(float64(g.data[row*g.columns+column]), 'g', -1, 64)
}

func (g *numeric[T]) at(row, column int, what string) *Error {
	return &Error{File: g.file, Msg: fmt.Sprintf("%s[%d,%d] %s", g.name, row, column, what)}
}
