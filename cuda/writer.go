package cuda

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// writer writes lines of C++, indented by the braces they open and close.
type writer struct {
	b     bytes.Buffer
	depth int
	next  int // number of the next temporary
}

func (w *writer) line(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if strings.HasPrefix(s, "}") {
		w.depth--
	}
	if s != "" {
		w.b.WriteString(strings.Repeat("    ", w.depth))
	}
	w.b.WriteString(s + "\n")
	if strings.HasSuffix(s, "{") {
		w.depth++
	}
}

// comment writes a line comment. What could end the line, or hide, becomes a
// space, and so does a backslash at its end, which would join the next line.
func (w *writer) comment(format string, args ...any) {
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return ' '
		}
		return r
	}, fmt.Sprintf(format, args...))
	s = strings.TrimRight(s, "\\ ")
	// The text of a trigraph for a backslash.
	s = strings.ReplaceAll(s, "??/", "? /")
	w.line("%s", strings.TrimRight("// "+s, " "))
}

// fresh names a temporary.
func (w *writer) fresh() string {
	w.next++
	return fmt.Sprintf("t%d", w.next-1)
}
