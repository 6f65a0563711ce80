package data

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf8"
)

// text is a grid of the cells of a CSV file. It keeps the file's bytes and where
// each cell starts, four bytes a cell: numbers are read from there when they are
// wanted, and an error can tell the line and the column of any cell.
type text struct {
	file       string
	raw        []byte
	comma      byte     // what separates cells
	starts     []uint32 // [rows, columns], row-major
	columns    int
	headerLine int // 0: there is none
	// unnamed is the column whose number in the first line tells that the line does
	// not name the columns; −1 where none does.
	unnamed int
}

// maxText is the longest text that 32-bit offsets reach.
const maxText = math.MaxUint32

func (g *text) size() (rows, columns int) {
	if g.columns == 0 {
		return 0, 0
	}
	return len(g.starts) / g.columns, g.columns
}

// cell returns a cell without the quotes and the spaces around it.
func (g *text) cell(row, column int) []byte {
	c, _ := scanCell(g.raw, int(g.starts[row*g.columns+column]), g.comma)
	return c.content(g.raw)
}

func (g *text) numbers(row int, columns []int, dst []float64) (int, *Error) {
	for i, c := range columns {
		cell := g.cell(row, c)
		v, k := parseNumber(cell)
		switch k {
		case isText:
			e := g.at(row, c, "is not a number")
			e.Msg = clip(string(cell)) + " is not a number"
			e.Hint = "list the column under categorical:, or leave it out of features:"
			if hint := g.headerHint(row, c); hint != "" {
				e.Hint = hint
			} else if looksLikeDecimalComma(cell) {
				e.Hint = "numbers have a decimal point, not a comma"
			}
			return i, e
		case isInfinite:
			e := g.at(row, c, "")
			e.Msg = clip(string(cell)) + " is not finite"
			return i, e
		}
		dst[i] = v
	}
	return 0, nil
}

// headerHint says why the first line is a row, where a text in it looks like the name
// of a column of numbers.
func (g *text) headerHint(row, column int) string {
	rows, _ := g.size()
	if row != 0 || rows < 2 || g.unnamed < 0 {
		return ""
	}
	if _, k := parseNumber(g.cell(1, column)); k != isNumber {
		return ""
	}
	return g.whyRow()
}

// inFirstRow tells whether a cell of the first row is such a text.
func (g *text) inFirstRow(name string) bool {
	for c := range g.columns {
		if string(g.cell(0, c)) == name {
			return true
		}
	}
	return false
}

// whyRow says why the first line does not name the columns.
func (g *text) whyRow() string {
	return fmt.Sprintf("the first line is taken for a row, because the cell %s in it is a number; if it names the columns, give that one another name",
		clip(string(g.cell(0, g.unnamed))))
}

func looksLikeDecimalComma(cell []byte) bool {
	if bytes.Count(cell, []byte{','}) != 1 {
		return false
	}
	_, k := parseNumber(bytes.Replace(cell, []byte{','}, []byte{'.'}, 1))
	return k == isNumber
}

func (g *text) missing(row, column int) bool { return isMissingText(g.cell(row, column)) }

func (g *text) text(row, column int) string { return string(g.cell(row, column)) }

func (g *text) at(row, column int, what string) *Error {
	e := g.place(int(g.starts[row*g.columns+column]))
	e.Msg = "the cell " + what
	if cell := g.cell(row, column); len(cell) > 0 {
		e.Msg = "the cell " + clip(string(cell)) + " " + what
	}
	return e
}

// place makes an error about a place in the text.
func (g *text) place(offset int) *Error {
	before := g.raw[:offset]
	line := 1 + bytes.Count(before, []byte{'\n'})
	// A carriage return ends a line, too, unless a newline follows.
	line += bytes.Count(before, []byte{'\r'}) - bytes.Count(g.raw[:min(offset+1, len(g.raw))], []byte("\r\n"))
	start := bytes.LastIndexAny(before, "\r\n") + 1
	return &Error{File: g.file, Line: line, Col: 1 + utf8.RuneCount(before[start:])}
}

func (g *text) errorf(offset int, hint, format string, args ...any) *Error {
	e := g.place(offset)
	e.Msg, e.Hint = fmt.Sprintf(format, args...), hint
	return e
}

// scanned is a cell as it lies in the text.
type scanned struct {
	from, to int  // without quotes and spaces
	escaped  bool // quotes inside are doubled
	ok       bool // false: a quote has no end, or letters follow it
}

func (c scanned) content(raw []byte) []byte {
	b := raw[c.from:c.to]
	if c.escaped {
		b = bytes.ReplaceAll(b, []byte(`""`), []byte(`"`))
	}
	return b
}

// scanCell reads the cell that starts at pos. next is the place of what ends
// it: a separator, the end of a line, or the end of the text. Cells may stand
// in double quotes, where they may hold separators and newlines and write a
// quote twice.
func scanCell(raw []byte, pos int, comma byte) (c scanned, next int) {
	for pos < len(raw) && isSpace(raw[pos], comma) {
		pos++
	}
	c.from, c.ok = pos, true
	if pos < len(raw) && raw[pos] == '"' {
		return scanQuoted(raw, pos, comma)
	}
	for pos < len(raw) && raw[pos] != comma && raw[pos] != '\n' && raw[pos] != '\r' {
		pos++
	}
	c.to = pos
	c.trim(raw, comma)
	return c, pos
}

// trim leaves out the spaces at both ends.
func (c *scanned) trim(raw []byte, comma byte) {
	for c.from < c.to && isSpace(raw[c.from], comma) {
		c.from++
	}
	for c.from < c.to && isSpace(raw[c.to-1], comma) {
		c.to--
	}
}

func scanQuoted(raw []byte, pos int, comma byte) (c scanned, next int) {
	c.from = pos + 1
	for pos++; ; pos++ {
		i := bytes.IndexByte(raw[pos:], '"')
		if i < 0 {
			c.to = len(raw)
			return c, len(raw)
		}
		pos += i
		if pos+1 < len(raw) && raw[pos+1] == '"' {
			c.escaped = true
			pos++
			continue
		}
		break
	}
	c.to = pos
	c.trim(raw, comma)
	pos++
	for pos < len(raw) && isSpace(raw[pos], comma) {
		pos++
	}
	c.ok = pos == len(raw) || raw[pos] == comma || raw[pos] == '\n' || raw[pos] == '\r'
	return c, pos
}

func isSpace(b, comma byte) bool { return b == ' ' || b == '\t' && comma != '\t' }

// line reads the cells of the line that starts at pos, and appends where each
// starts. next is the start of the line after it.
func (g *text) line(pos int, starts []uint32) (_ []uint32, next int, err *Error) {
	for {
		starts = append(starts, uint32(pos))
		c, end := scanCell(g.raw, pos, g.comma)
		if !c.ok {
			return nil, 0, g.badQuote(pos, end)
		}
		pos = end
		if pos == len(g.raw) || g.raw[pos] != g.comma {
			return starts, afterLine(g.raw, pos), nil
		}
		pos++
	}
}

func (g *text) badQuote(start, end int) *Error {
	const hint = "inside quotes a quote is written twice"
	if end == len(g.raw) {
		return g.errorf(start, hint, "a cell starts with a quote that is never closed")
	}
	return g.errorf(end, hint, "letters follow the quote that ends a cell")
}

// afterLine skips the end of a line: \n, \r\n or \r.
func afterLine(raw []byte, pos int) int {
	if pos < len(raw) && raw[pos] == '\r' {
		pos++
	}
	if pos < len(raw) && raw[pos] == '\n' {
		pos++
	}
	return pos
}

// skipBlank skips lines that hold nothing but spaces.
func (g *text) skipBlank(pos int) int {
	for pos < len(g.raw) {
		end := pos
		for end < len(g.raw) && isSpace(g.raw[end], g.comma) {
			end++
		}
		if end < len(g.raw) && g.raw[end] != '\n' && g.raw[end] != '\r' {
			return pos
		}
		pos = afterLine(g.raw, end)
	}
	return pos
}
