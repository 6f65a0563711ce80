package spec

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Formats are the names of Printer's formats.
var Formats = []string{"text", "short", "json"}

// Printer prints problems.
type Printer struct {
	// Format is "text" (the line with a caret, a hint), "short" (one line a
	// problem) or "json" (one object a line).
	Format string
	// Color adds ANSI colours to "text".
	Color bool
}

// Print writes the problems in their order.
func (p Printer) Print(w io.Writer, problems []*Problem) error {
	for _, problem := range problems {
		var text string
		switch p.Format {
		case "text":
			text = p.text(problem)
		case "short":
			text = problem.short() + "\n"
		case "json":
			b, err := json.Marshal(record(problem))
			if err != nil {
				return err
			}
			text = string(b) + "\n"
		default:
			return fmt.Errorf("unknown format %q: choose from %s", p.Format, strings.Join(Formats, ", "))
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// head is the first line: position, what is wrong, code.
func (p *Problem) head() string {
	kind := ""
	if p.Warning() {
		kind = "warning: "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s [%s]", visible(p.File), p.Line, p.Col, kind, p.Message, p.Code)
}

func (p *Problem) short() string { return p.head() + " hint: " + p.Hint }

// text prints a problem as
//
//	net.yaml:7:5: unknown activation "rleu" (did you mean "relu"?) [E0301]
//	  7 |   - rleu
//	    |     ^^^^ expected an activation
//	    = hint: write relu
//	    = more: dnngen explain E0301
func (p Printer) text(q *Problem) string {
	paint := func(code, s string) string {
		if !p.Color || s == "" {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	mark := "31" // red
	if q.Warning() {
		mark = "33" // yellow
	}
	number := strconv.Itoa(q.Line)
	margin := strings.Repeat(" ", len(number)+3)
	source, indent, carets := window(q)
	if q.Expected != "" {
		carets += " expected " + q.Expected
	}
	var b strings.Builder
	fmt.Fprintln(&b, paint("1", q.head()))
	fmt.Fprintf(&b, "  %s | %s\n", number, source)
	fmt.Fprintf(&b, "%s| %s%s\n", margin, indent, paint(mark, carets))
	fmt.Fprintf(&b, "%s= hint: %s\n", margin, q.Hint)
	fmt.Fprintf(&b, "%s= more: dnngen explain %s\n", margin, q.Code)
	return b.String()
}

// window returns the part of the source line around the mark that a terminal
// shows, the space before the mark, and the mark.
func window(p *Problem) (source, indent, carets string) {
	const before, width = 60, 100
	line := []rune(visible(p.Source))
	start, end := p.Col-1, p.EndCol-1
	from := 0
	lead := ""
	if start > width-20 {
		from, lead = start-before, "…"
	}
	to := min(len(line), from+width)
	source = lead + string(line[from:to])
	if to < len(line) {
		source += "…"
	}
	indent = strings.Repeat(" ", len([]rune(lead))+start-from)
	return source, indent, strings.Repeat("^", max(1, min(end, to)-start))
}

// record is a problem as an object of JSON.
func record(p *Problem) any {
	severity := "error"
	if p.Warning() {
		severity = "warning"
	}
	return struct {
		Severity string `json:"severity"`
		Code     string `json:"code"`
		File     string `json:"file"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
		End      int    `json:"end_column"`
		Message  string `json:"message"`
		Found    string `json:"found,omitempty"`
		Expected string `json:"expected,omitempty"`
		Hint     string `json:"hint"`
	}{severity, p.Code, p.File, p.Line, p.Col, p.EndCol, p.Message, p.Found, p.Expected, p.Hint}
}
