package spec

import (
	"cmp"
	"slices"
	"strings"
)

// Problem is one thing in a spec that is wrong, or that trains badly.
type Problem struct {
	Code     string // "E0301"; the code of a warning starts with W
	File     string // as it was given to Parse
	Line     int    // counted from 1
	Col      int    // counted from 1, in characters
	EndCol   int    // of the character behind the marked text, on the same line
	Message  string // what is wrong, on one line
	Found    string // what stands there; empty where that is plain from Message
	Expected string // what may stand there; empty where that is plain from Message
	Hint     string // what to do about it; never empty
	Source   string // text of the line
	cause    error
}

// Warning reports whether the spec is valid in spite of the problem.
func (p *Problem) Warning() bool { return strings.HasPrefix(p.Code, "W") }

// Error returns the problem on one line, with its position first.
func (p *Problem) Error() string { return p.short() }

// Unwrap returns the error of Options.Infer that led to the problem, if any.
func (p *Problem) Unwrap() error { return p.cause }

// Errors is what Parse returns for a spec that is not valid: every problem,
// sorted by position, at most MaxErrors.
type Errors []*Problem

// Error returns one line a problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.short()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, p := range e {
		errs[i] = p
	}
	return errs
}

// span is a piece of one line; line and columns count from 1, in characters,
// and end is behind the last one.
type span struct{ line, col, end int }

// report adds a problem at the span, which is cut to its line.
func (r *reader) report(at span, p Problem) {
	p.File = r.file
	p.Line = min(max(at.line, 1), len(r.lines))
	p.Source = r.lines[p.Line-1]
	width := len(r.runes(p.Line))
	p.Col = min(max(at.col, 1), width+1)
	p.EndCol = max(min(at.end, width+1), p.Col+1)
	r.problems = append(r.problems, &p)
}

// runes returns the characters of a line, counted from 1; none for a line that
// there is not. It keeps them: a line may be long, and hold thousands of tokens.
func (r *reader) runes(line int) []rune {
	if line < 1 || line > len(r.lines) {
		return nil
	}
	chars, ok := r.chars[line]
	if !ok {
		chars = []rune(r.lines[line-1])
		r.chars[line] = chars
	}
	return chars
}

// errors returns the errors that were reported, sorted and cut; nil for none.
func (r *reader) errors() error {
	if list := pickProblems(r.problems, false); len(list) > 0 {
		return Errors(list)
	}
	return nil
}

// warnings returns the warnings that were reported, sorted and cut.
func (r *reader) warnings() []*Problem { return pickProblems(r.problems, true) }

func (r *reader) failed() bool {
	return slices.ContainsFunc(r.problems, func(p *Problem) bool { return !p.Warning() })
}

func pickProblems(all []*Problem, warnings bool) []*Problem {
	var list []*Problem
	for _, p := range all {
		if p.Warning() == warnings {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return list[:min(len(list), MaxErrors)]
}
