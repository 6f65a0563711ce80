package data

import (
	"errors"
	"math"
	"strconv"
)

// kind is what a cell of text may be.
type kind int

const (
	isText     kind = iota
	isMissing       // empty, NA, NaN, null, ?
	isNumber        // finite
	isInfinite      // inf, infinity, or a number too large for 64 bits
)

// parseNumber reads a cell that has no spaces around it. Numbers are decimal,
// with a point and an exponent where needed.
func parseNumber(b []byte) (v float64, k kind) {
	if v, ok := parseShort(b); ok {
		return v, isNumber
	}
	if isMissingText(b) {
		return math.NaN(), isMissing
	}
	unsigned := b
	if b[0] == '-' || b[0] == '+' {
		unsigned = b[1:]
	}
	if len(unsigned) == 0 {
		return 0, isText
	}
	// strconv also reads hexadecimal numbers and underscores; a table that has
	// them means text.
	for _, c := range unsigned {
		if c == 'x' || c == 'X' || c == '_' {
			return 0, isText
		}
	}
	v, err := strconv.ParseFloat(string(b), 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && math.IsInf(v, 0):
		return v, isInfinite
	case err != nil || math.IsNaN(v): // "-nan", which is nothing that a table should have
		return 0, isText
	}
	return v, isNumber
}

// parseShort reads up to 15 digits with at most one point, as nearly all cells
// are. Such a number is a whole one below 2⁵³ over a power of ten below 10²²,
// both exact, so that one division rounds correctly.
func parseShort(b []byte) (v float64, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	whole, digits, point := uint64(0), 0, -1
	for i, c := range b {
		switch {
		case '0' <= c && c <= '9':
			whole = 10*whole + uint64(c-'0')
			digits++
		case c == '.' && point < 0:
			point = i
		default:
			return 0, false
		}
	}
	if digits == 0 || digits > 15 {
		return 0, false
	}
	v = float64(whole)
	if point >= 0 {
		v /= powers[len(b)-1-point]
	}
	if negative {
		v = -v
	}
	return v, true
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// isMissingText tells whether a cell stands for a missing value.
func isMissingText(b []byte) bool {
	switch len(b) {
	case 0:
		return true
	case 1:
		return b[0] == '?'
	case 2:
		return equalFold(b, "na")
	case 3:
		return equalFold(b, "nan")
	case 4:
		return equalFold(b, "null")
	}
	return false
}

// equalFold compares with a text in small ASCII letters.
func equalFold(b []byte, small string) bool {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != small[i] {
			return false
		}
	}
	return true
}
