package spec

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean checks the bytes of a spec and returns them as text: without a byte
// order mark, with every line ended by LF.
func (r *reader) clean(raw []byte) (string, bool) {
	if len(raw) > maxBytes {
		first, _, _ := bytes.Cut(raw[:maxText], []byte("\n"))
		r.lines = []string{strings.ToValidUTF8(string(first), "\uFFFD")}
		r.report(span{1, 1, 2}, Problem{
			Code: codeTooLong, Message: fmt.Sprintf("the spec is %d bytes long", len(raw)),
			Expected: fmt.Sprintf("at most %d bytes", maxBytes),
			Hint:     "keep data in files of their own and name them under data:",
		})
		return "", false
	}
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	valid := utf8.ValidString(text)
	r.lines = strings.Split(strings.ToValidUTF8(text, "\uFFFD"), "\n")
	if !valid {
		r.reportInvalidUTF8(text)
		return "", false
	}
	r.checkLines()
	return text, !r.failed()
}

// reportInvalidUTF8 points at the first byte that is no part of a character.
func (r *reader) reportInvalidUTF8(text string) {
	line, col := 1, 1
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRuneInString(text[i:])
		if c == utf8.RuneError && size <= 1 {
			r.report(span{line, col, col + 1}, Problem{
				Code: codeNotUTF8, Message: "the spec is not UTF-8",
				Found: fmt.Sprintf("the byte 0x%02x", text[i]), Expected: "text in UTF-8",
				Hint: "save the file as UTF-8",
			})
			return
		}
		if i, col = i+size, col+1; c == '\n' {
			line, col = line+1, 1
		}
	}
}

// checkLines refuses characters that hide or reorder text, and tabs that
// stand as indentation.
func (r *reader) checkLines() {
	for i, line := range r.lines {
		if len(r.problems) >= MaxErrors {
			return
		}
		col := 0
		for _, c := range line {
			if col++; !forbidden(c) {
				continue
			}
			r.report(span{i + 1, col, col + 1}, Problem{
				Code: codeCharacter, Message: fmt.Sprintf("the character %U does not belong in a spec", c),
				Expected: "printable text", Hint: "delete it, or save the file as plain text",
			})
			break
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		rest := line[len(indent):]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && rest != "" && rest[0] != '#' {
			r.report(span{i + 1, tab + 1, tab + 2}, Problem{
				Code: codeTab, Message: "a tab stands in the indentation",
				Expected: "spaces", Hint: "indent with two spaces; YAML does not take tabs",
			})
		}
	}
}

// forbidden reports whether a character may not stand in a spec: controls,
// separators that some programs take for line ends, marks that reorder text,
// and values that are no characters.
func forbidden(c rune) bool {
	switch {
	case c == '\t':
		return false
	case c == '\u2028', c == '\u2029', c == '\uFEFF':
		return true
	case c&0xFFFE == 0xFFFE, c >= 0xFDD0 && c <= 0xFDEF:
		return true
	}
	return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)
}

// foreign makes a message of other code fit to stand in one of ours.
func foreign(message string) string { return cut(visible(message), 300) }

// visible makes any text printable on one line: what is not printable becomes
// U+FFFD, a tab a space.
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case unicode.IsPrint(c):
			return c
		}
		return utf8.RuneError
	}, s)
}
