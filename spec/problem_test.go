package spec

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// checkProblems checks what holds for all problems of any text.
func checkProblems(t *testing.T, text []byte, problems []*Problem) {
	t.Helper()
	if len(problems) == 0 || len(problems) > MaxErrors {
		t.Errorf("%d problems", len(problems))
	}
	lines := bytes.Count(text, []byte("\n")) + 1
	var before *Problem
	for _, p := range problems {
		if p.Line < 1 || p.Line > lines || p.Col < 1 || p.EndCol <= p.Col || p.Col > utf8.RuneCountInString(p.Source)+1 {
			t.Errorf("position %d:%d-%d is outside of the text: %s", p.Line, p.Col, p.EndCol, p.Message)
		}
		if before != nil && (p.Line < before.Line || p.Line == before.Line && p.Col < before.Col) {
			t.Errorf("problems are not sorted: %d:%d after %d:%d", p.Line, p.Col, before.Line, before.Col)
		}
		before = p
		if _, ok := Explain(p.Code); !ok {
			t.Errorf("code %q is not in the table", p.Code)
		}
		if p.Hint == "" || p.Message == "" {
			t.Errorf("no hint or no message: %+v", p)
		}
		for _, s := range []string{p.Message, p.Found, p.Expected, p.Hint, p.short()} {
			if strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("not printable: %q", s)
			}
			if utf8.RuneCountInString(s) > 1000 {
				t.Errorf("too long: %q", s)
			}
		}
	}
}
