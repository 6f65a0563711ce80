package data

import (
	"bytes"
	"fmt"
	"strings"
)

// origin tells where the rows of a Set stand in their source. It does not hold
// on to the source's text.
type origin struct {
	source string
	lines  []uint32 // of a text file, from 1; nil elsewhere
	rows   []int    // of the source, from 0; nil where they are those of the Set
}

// Where says where row i of the set stands in its source, for messages:
// "rows.csv, line 17", or "row 12 of rows.npz", counted from 0. It is empty where
// that is row i itself.
func (s *Set) Where(i int) string {
	switch {
	case s.origin.lines != nil:
		return fmt.Sprintf("%s, line %d", s.origin.source, s.origin.lines[i])
	case s.origin.rows != nil:
		return fmt.Sprintf("row %d of %s", s.origin.rows[i], s.origin.source)
	}
	return ""
}

// origin finds where the given rows of the grid stand.
func (t *Table) origin(rows []int) origin {
	o := origin{source: t.x.at(rows[0], 0, "").File}
	if g, isText := t.x.(*text); isText && !strings.HasPrefix(g.file, builtinPrefix) {
		o.lines = g.lines(rows)
		return o
	}
	for i, r := range rows {
		if i != r {
			o.rows = rows
			return o
		}
	}
	return o
}

// lines returns the line of each of the given rows, which are in order.
func (g *text) lines(rows []int) []uint32 {
	lines := make([]uint32, len(rows))
	line, from := 1, 0
	for i, r := range rows {
		to := int(g.starts[r*g.columns])
		line += ends(g.raw[from:to])
		from = to
		lines[i] = uint32(line)
	}
	return lines
}

// ends counts the ends of lines: \n, \r\n or \r.
func ends(b []byte) int {
	return bytes.Count(b, []byte{'\n'}) + bytes.Count(b, []byte{'\r'}) - bytes.Count(b, []byte("\r\n"))
}
