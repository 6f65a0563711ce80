package ir

import (
	"strings"
	"unicode"
)

// OneLine makes any text safe for a line comment of what is emitted: what could
// end the line, or hide, becomes a space.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return ' '
		}
		return r
	}, s)
}
