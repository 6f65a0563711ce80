package spec

import (
	"fmt"
	"go/doc"
	"go/token"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/wording"
)

// whole is a whole number in a range.
type whole struct{ min, max uint64 }

func (w whole) expects() string {
	if w.max == math.MaxUint64 {
		return fmt.Sprintf("a whole number of %d or more", w.min)
	}
	return fmt.Sprintf("a whole number from %d to %d", w.min, w.max)
}

func (w whole) schema() any {
	return object{{"type", "integer"}, {"minimum", w.min}, {"maximum", w.max}}
}

func (w whole) read(r *reader, key string, n *node) (uint64, bool) {
	if !n.number() {
		r.wrongType(n, code(key), w.expects(), numberHint(n, w.expects()))
		return 0, false
	}
	if !wholeForm.MatchString(n.text) {
		r.notWhole(n, key)
		return 0, false
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(n.text, "+"), 10, 64)
	if err != nil || v < w.min || v > w.max {
		r.outOfRange(n, key, w.expects())
		return 0, false
	}
	if r.leadingZero(n, key) {
		return 0, false
	}
	return v, true
}

func (r *reader) outOfRange(n *node, key, expected string) {
	r.report(n.at, Problem{
		Code: codeRange, Message: fmt.Sprintf("`%s` cannot be %s", key, shorten(n.text)),
		Found: shorten(n.text), Expected: expected, Hint: "choose " + expected,
	})
}

func (r *reader) notWhole(n *node, key string) {
	hint := "write it without a fraction or an exponent"
	if v, err := strconv.ParseFloat(n.text, 64); err == nil && v == math.Trunc(v) && math.Abs(v) < 1e15 {
		hint = "write " + strconv.FormatFloat(v, 'f', -1, 64)
	}
	r.report(n.at, Problem{
		Code: codeNotWhole, Message: fmt.Sprintf("`%s` is %s, not a whole number", key, shorten(n.text)),
		Found: shorten(n.text), Expected: "a whole number, in digits alone", Hint: hint,
	})
}

// leadingZero reports numbers such as 012, which is 10 in YAML 1.1 and 12 in
// YAML 1.2.
func (r *reader) leadingZero(n *node, key string) bool {
	digits := strings.TrimLeft(n.text, "+-")
	if len(digits) < 2 || digits[0] != '0' || digits[1] < '0' || digits[1] > '9' {
		return false
	}
	r.report(n.at, Problem{
		Code: codeDialect, Message: fmt.Sprintf("`%s` is %s, which some programs read as octal", key, shorten(n.text)),
		Found: shorten(n.text), Expected: "a decimal number", Hint: "write it without leading zeros",
	})
	return true
}

// numberHint says how to make a number of n.
func numberHint(n *node, expected string) string {
	bare := strings.ReplaceAll(n.text, "_", "")
	switch {
	case n.kind == quoted && decimalForm.MatchString(n.text):
		return fmt.Sprintf("write %s without quotes", shorten(n.text))
	case n.kind == plain && bare != n.text && decimalForm.MatchString(bare):
		return fmt.Sprintf("write %s: numbers take no underscores", shorten(bare))
	case n.kind == plain && dialectForm.MatchString(n.text):
		return "write the number in decimal"
	case n.kind == plain && specialForm.MatchString(n.text):
		return "write a finite number"
	}
	return "write " + expected
}

// textHint says how to make text of n.
func textHint(n *node, expected string) string {
	if n.kind == plain {
		return fmt.Sprintf("write %q, in quotes", shorten(n.text))
	}
	return "write " + expected
}

// textForm is a word or a text.
type textForm struct{ what string }

func (f textForm) expects() string { return f.what }
func (f textForm) schema() any {
	return object{{"type", "string"}, {"minLength", 1}, {"maxLength", maxText}}
}

func (f textForm) read(r *reader, key string, n *node) (string, bool) {
	if !n.word() {
		r.wrongType(n, code(key), f.what, textHint(n, f.what))
		return "", false
	}
	if strings.TrimSpace(n.text) == "" {
		r.report(n.at, Problem{
			Code: codeText, Message: fmt.Sprintf("`%s` is empty", key),
			Expected: f.what, Hint: "write " + f.what + ", or leave the key out",
		})
		return "", false
	}
	return n.text, true
}

// testForm is a source, or a share of the training rows.
type testForm struct{}

var (
	shareForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*%$`)
	testText  = textForm{"a source, or a share such as 20%"}
)

func (testForm) expects() string { return testText.what }
func (testForm) schema() any     { return testText.schema() }

func (testForm) read(r *reader, key string, n *node) (string, bool) {
	if v, err := strconv.ParseFloat(n.text, 64); err == nil && n.number() && v > 0 && v < 1 {
		r.wrongType(n, code(key), testText.what, fmt.Sprintf("write %s%%", strconv.FormatFloat(v*100, 'g', 6, 64)))
		return "", false
	}
	v, ok := testText.read(r, key, n)
	if !ok || !strings.HasSuffix(v, "%") {
		return v, ok
	}
	if m := shareForm.FindStringSubmatch(v); m != nil {
		if share, err := strconv.ParseFloat(m[1], 64); err == nil && share > 0 && share < 100 {
			return m[1] + "%", true
		}
	}
	r.report(n.at, Problem{
		Code: codeShare, Message: fmt.Sprintf("%s is no share of the training rows", quote(v)),
		Found: quote(v), Expected: "a share above 0% and below 100%", Hint: "write a share such as 20%",
	})
	return "", false
}

// columnsForm is a list of columns, each once.
type columnsForm struct{}

func (columnsForm) expects() string { return "a list of columns' names" }

func (columnsForm) schema() any {
	return object{
		{"type", "array"}, {"items", textForm{}.schema()},
		{"minItems", 1}, {"maxItems", maxColumns}, {"uniqueItems", true},
	}
}

func (f columnsForm) read(r *reader, key string, n *node) ([]string, bool) {
	if n.kind != list {
		hint := "write " + f.expects()
		if n.scalar() {
			hint = fmt.Sprintf("write `%s: [%s]`", key, n.flow())
		}
		r.wrongType(n, code(key), f.expects(), hint)
		return nil, false
	}
	if len(n.items) == 0 || len(n.items) > maxColumns {
		r.report(n.at, Problem{
			Code: codeRange, Message: fmt.Sprintf("`%s` names %d columns", key, len(n.items)),
			Expected: fmt.Sprintf("1 to %d columns", maxColumns), Hint: "name the columns, or leave the key out",
		})
		return nil, false
	}
	var columns []string
	valid := true
	seen := map[string]bool{}
	for _, item := range n.items {
		column, ok := textForm{"a column's name"}.read(r, key, item)
		if ok && seen[column] {
			ok = false
			r.report(item.at, Problem{
				Code: codeColumnTwice, Message: fmt.Sprintf("the column %s stands in `%s` twice", quote(column), key),
				Found: quote(column), Expected: "each column once", Hint: "delete one of the two",
			})
		}
		seen[column] = true
		columns = append(columns, column)
		valid = valid && ok
	}
	return columns, valid
}

// batch is what `batch` takes.
type batch struct {
	rows   int // 0 for `full`
	memory int // GiB that `auto` may take; 0 where rows are given
}

// yaml is the value as a spec has it.
func (b batch) yaml() any { return b.rows }

// batchForm is a number of rows, `full`, or `auto` with the GiB that it may take.
type batchForm struct{}

const (
	wordFull = "full"
	wordAuto = "auto"
)

var (
	batchSize  = whole{1, maxWidth}
	memorySize = whole{1, 1024}
)

func (batchForm) expects() string {
	return fmt.Sprintf("%s, %s, %s, or {%s: GiB}", batchSize.expects(), wordFull, wordAuto, wordAuto)
}

func (batchForm) schema() any {
	memory := object{
		{"type", "object"}, {"properties", object{{wordAuto, memorySize.schema()}}},
		{"required", []any{wordAuto}}, {"additionalProperties", false},
	}
	return object{{"anyOf", []any{batchSize.schema(), object{{"enum", []any{wordFull, wordAuto}}}, memory}}}
}

func (f batchForm) read(r *reader, key string, n *node) (batch, bool) {
	switch {
	case n.word() && n.text == wordFull:
		return batch{}, true
	case n.word() && n.text == wordAuto:
		return batch{memory: autoMemory}, true
	case n.kind == mapping && len(n.keys) == 1 && n.keys[0].text == wordAuto:
		v, ok := memorySize.read(r, wordAuto, n.items[0])
		return batch{memory: int(v)}, ok
	case !n.number():
		hint := numberHint(n, f.expects())
		if n.word() {
			if near := wording.Nearest(n.text, []string{wordFull, wordAuto}); near != "" {
				hint = "write " + near
			}
		}
		r.wrongType(n, code(key), f.expects(), hint)
		return batch{}, false
	}
	v, ok := batchSize.read(r, key, n)
	return batch{rows: int(v)}, ok
}

// nameForm is the network's name, which becomes a Go package.
type nameForm struct{}

var (
	namePattern = `^[A-Za-z][A-Za-z0-9_]{0,62}$`
	nameRule    = regexp.MustCompile(namePattern)
	// Names that Go or its tools take for something else: functions that a
	// package may not declare freely, and folders that are treated apart.
	reservedNames = []string{"init", "main", "internal", "vendor", "testdata"}
	// The go command builds no package in a folder with the name of a device of
	// Windows, on any system. Letters' case and underscores do not help: the
	// folder has the package's name, which is without both.
	deviceRule = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)
)

func (nameForm) expects() string { return "a name of letters, digits and _, such as digits" }
func (nameForm) schema() any     { return object{{"type", "string"}, {"pattern", namePattern}} }

func (f nameForm) read(r *reader, key string, n *node) (string, bool) {
	if !n.word() {
		r.wrongType(n, code(key), f.expects(), "write "+f.expects())
		return "", false
	}
	p := Problem{Code: codeName, Found: quote(n.text), Expected: f.expects()}
	switch {
	case !nameRule.MatchString(n.text):
		p.Message = fmt.Sprintf("%s cannot be a Go package's name", quote(n.text))
		p.Hint = "begin with a letter; go on with at most 62 letters, digits and _"
	case token.IsKeyword(n.text):
		p.Message = fmt.Sprintf("%s is a keyword of Go", quote(n.text))
		p.Hint = fmt.Sprintf("choose another name, such as %s_net", n.text)
	case doc.IsPredeclared(n.text):
		p.Message = fmt.Sprintf("%s is predeclared in Go", quote(n.text))
		p.Hint = fmt.Sprintf("choose another name, such as %s_net", n.text)
	case slices.Contains(reservedNames, n.text):
		p.Message = fmt.Sprintf("%s has a meaning of its own to Go's tools", quote(n.text))
		p.Hint = fmt.Sprintf("choose another name, such as %s_net", n.text)
	case deviceRule.MatchString(strings.ReplaceAll(n.text, "_", "")):
		p.Message = fmt.Sprintf("%s is a device of Windows, which Go's tools refuse as a folder's name", quote(n.text))
		p.Hint = fmt.Sprintf("choose another name, such as %s_net", strings.TrimRight(n.text, "_"))
	case strings.HasSuffix(n.text, "_test"):
		p.Message = fmt.Sprintf("%s ends in _test, which Go keeps for tests", quote(n.text))
		p.Hint = "choose a name with another ending"
	default:
		return n.text, true
	}
	r.report(n.at, p)
	return "", false
}
