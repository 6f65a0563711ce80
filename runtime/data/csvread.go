package data

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/dnngen/dnngen/runtime/wording"
)

// readCSV makes a table of the text of a file.
func readCSV(file string, raw []byte) (*Table, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	g := &text{file: file, raw: raw, unnamed: -1}
	if err := g.checkText(); err != nil {
		return nil, err
	}
	g.comma = g.findComma()
	t := &Table{file: file, x: g}
	first := g.skipBlank(0)
	if first == len(raw) {
		return nil, t.errorf("", "the file is empty")
	}
	head, body, err := g.line(first, nil)
	if err != nil {
		return nil, err
	}
	headCells := g.cells(head)
	g.columns = len(head)
	body = g.skipBlank(body)
	if body < len(raw) {
		second, next, err := g.line(body, nil)
		if err != nil {
			return nil, err
		}
		if len(second) != len(head) {
			if !startsScikit(headCells, len(second)) {
				return nil, g.ragged(second, first, len(head))
			}
			first, g.columns = body, len(second)
		}
		// The other lines are about as long: the guess saves growing again and
		// again.
		lines := (len(raw)-body)/(next-body) + 1
		g.starts = make([]uint32, 0, (lines+lines/8)*g.columns)
	}
	if err := g.index(body, first); err != nil {
		return nil, err
	}
	// What the first line is shows only beside the lines after it.
	if labels, is, err := g.classNames(headCells); err != nil {
		return nil, err
	} else if is {
		t.labels = labels
		return t, nil
	}
	if len(head) != g.columns {
		return nil, g.ragged(head, body, g.columns)
	}
	if g.isHeader(headCells) {
		g.headerLine = g.place(first).Line
		t.names, err = g.headerNames(head, headCells)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	g.starts = slices.Insert(g.starts, 0, head...)
	return t, nil
}

// checkText refuses what is no text, or is text that would be misread.
func (g *text) checkText() *Error {
	if uint64(len(g.raw)) >= maxText {
		return &Error{File: g.file, Msg: fmt.Sprintf("a text of %d bytes is longer than %d", len(g.raw), uint64(maxText)),
			Hint: "save it as .npz"}
	}
	if bytes.HasPrefix(g.raw, []byte("\xff\xfe")) || bytes.HasPrefix(g.raw, []byte("\xfe\xff")) {
		return &Error{File: g.file, Msg: "the text is in UTF-16", Hint: "save it as UTF-8"}
	}
	if i := bytes.IndexByte(g.raw, 0); i >= 0 {
		return g.errorf(i, "CSV is text", "there is a zero byte")
	}
	if !utf8.Valid(g.raw) {
		i := 0
		for i < len(g.raw) {
			r, size := utf8.DecodeRune(g.raw[i:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			i += size
		}
		return g.errorf(i, "save it as UTF-8", "the byte 0x%02x is not UTF-8", g.raw[i])
	}
	return nil
}

// findComma finds what separates the cells: the candidate by which most of the
// first lines fall into equally many cells, two or more. Of equals, the rarer
// one wins, for where a semicolon or a tab is in every line, commas are in text
// or in numbers such as 3,14.
func (g *text) findComma() byte {
	const lines = 50
	best, bestLines := byte(','), 0
	for _, comma := range []byte{'\t', ';', ','} {
		trial := &text{raw: g.raw, comma: comma}
		alike := map[int]int{} // lines with so many cells
		pos := trial.skipBlank(0)
		for range lines {
			if pos >= len(g.raw) {
				break
			}
			starts, next, err := trial.line(pos, nil)
			if err != nil {
				break
			}
			alike[len(starts)]++
			pos = trial.skipBlank(next)
		}
		for cells, n := range alike {
			if cells > 1 && n > bestLines {
				best, bestLines = comma, n
			}
		}
	}
	return best
}

// index finds the cells of all lines from pos on, and checks that each line has
// as many as the line at first.
func (g *text) index(pos, first int) *Error {
	for pos < len(g.raw) {
		before := len(g.starts)
		starts, next, err := g.line(pos, g.starts)
		if err != nil {
			return err
		}
		if len(starts)-before != g.columns {
			return g.ragged(starts[before:], first, g.columns)
		}
		if len(starts)/g.columns >= math.MaxInt32 {
			return g.errorf(pos, "", "there are more than %d rows", math.MaxInt32-1)
		}
		g.starts = starts
		pos = g.skipBlank(next)
	}
	return nil
}

// ragged is the error that a line has not as many cells as the line at other.
func (g *text) ragged(line []uint32, other, want int) *Error {
	at := line[min(want, len(line)-1)] // the first cell too many, or the last one there is
	return g.errorf(int(at), "a cell with a separator inside needs quotes",
		"the line has %s, but line %d has %d", wording.Count(len(line), "cell"), g.place(other).Line, want)
}

func (g *text) cells(starts []uint32) [][]byte {
	cells := make([][]byte, len(starts))
	for i, pos := range starts {
		c, _ := scanCell(g.raw, int(pos), g.comma)
		cells[i] = c.content(g.raw)
	}
	return cells
}

// startsScikit tells whether a first line starts with a number of rows and a
// number of features, as in scikit-learn's own files: the lines after it have
// one cell more than there are features.
func startsScikit(head [][]byte, columns int) bool {
	if len(head) < 2 {
		return false
	}
	_, ok := whole(head[0])
	features, featuresOK := whole(head[1])
	return ok && featuresOK && features == columns-1
}

// classNames reads a first line such as "569,30,malignant,benign", in which the
// names of the classes follow the numbers of rows and features.
func (g *text) classNames(head [][]byte) (names []string, is bool, _ *Error) {
	have, _ := g.size()
	if have == 0 || !startsScikit(head, g.columns) {
		return nil, false, nil
	}
	for _, cell := range head[2:] {
		if _, k := parseNumber(cell); k != isText {
			return nil, false, nil
		}
		names = append(names, string(cell))
	}
	rows, _ := whole(head[0])
	switch {
	case rows == have:
		return names, true, nil
	case len(head) == g.columns:
		return nil, false, nil // a row may start with two whole numbers, too
	}
	return nil, false, g.errorf(0, "the file may be cut off",
		"the first line promises %s, but there are %d", wording.Count(rows, "row"), have)
}

// whole reads a cell as a whole number that is not negative.
func whole(cell []byte) (int, bool) {
	v, k := parseNumber(cell)
	if k != isNumber {
		return 0, false
	}
	return class(v)
}

// isHeader tells whether a first line names the columns: no cell of it is a
// number where the column has numbers. In a table without any number, it is one
// unless a cell of it comes again below.
func (g *text) isHeader(head [][]byte) bool {
	const sample = 200 // rows
	rows, columns := g.size()
	rows = min(rows, sample)
	named, recurs, anyNumeric := false, false, false
	for c := range columns {
		numbers, others := 0, 0
		for r := range rows {
			cell := g.cell(r, c)
			switch _, k := parseNumber(cell); k {
			case isNumber, isInfinite:
				numbers++
			case isText:
				others++
			}
			recurs = recurs || len(cell) > 0 && bytes.Equal(cell, head[c])
		}
		_, k := parseNumber(head[c])
		if rows > 0 && (numbers == 0 || numbers < others) {
			continue
		}
		anyNumeric = anyNumeric || rows > 0
		switch k {
		case isNumber, isInfinite:
			g.unnamed = c
			return false
		case isText:
			named = true
		}
	}
	if anyNumeric {
		return named
	}
	return !recurs
}

// headerNames reads the names of the columns. A column without one is called by
// its number.
func (g *text) headerNames(starts []uint32, cells [][]byte) ([]string, *Error) {
	names := make([]string, len(cells))
	seen := make(map[string]bool, len(cells))
	for i, cell := range cells {
		names[i] = string(cell)
		if len(cell) == 0 {
			names[i] = strconv.Itoa(i)
		}
		if seen[names[i]] {
			return nil, g.errorf(int(starts[i]), "", "two columns have the name %s", clip(names[i]))
		}
		seen[names[i]] = true
	}
	return names, nil
}

// clip quotes a text from a file for a message, and keeps it short.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
