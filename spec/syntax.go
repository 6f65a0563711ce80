package spec

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// reportSyntax reports what the YAML reader says, in our words.
func (r *reader) reportSyntax(err error) {
	at, said := span{1, 1, 2}, err.Error
	var located interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &located) {
		said = located.GetMessage
		if t := located.GetToken(); t != nil && t.Position != nil {
			at = r.spanOf(t)
		}
	}
	if key := r.joined(at.line); key != nil {
		r.reportJoined(*key)
		return
	}
	message, hint := inOurWords(said())
	r.report(at, Problem{Code: codeSyntax, Message: "not valid YAML: " + message, Hint: hint})
}

// syntaxWords is what the YAML reader says, by a part of it, in our words, and
// what to do about it.
var syntaxWords = []struct{ part, message, hint string }{
	{"mapping value is not allowed", "a key with its value cannot stand here", "indent the keys of one mapping alike; a mapping inside a line goes in braces"},
	{"non-map value", "this is neither a key nor part of the value above", "write `key: value`, or indent the line as what it belongs to"},
	{"unexpected key name", "this key cannot stand here", "indent the keys of one mapping alike"},
	{"invalid key for this map", "this key is not indented as those beside it", "indent the keys of one mapping alike"},
	{"map key-value", "a key with its value cannot stand here", "indent the keys of one mapping alike; a mapping inside a line goes in braces"},
	{"sequence entries are not allowed", "a list cannot begin here", "put each `-` on a line of its own, below the key"},
	{"value is not allowed", "a value cannot stand here", "check the indentation of this line and its neighbours"},
	{"implicit line break", "a key goes on in the next line", "write each key on one line, with a colon behind it"},
	{"',' or", "a comma or the closing bracket is missing", "divide what stands in brackets by commas"},
	{"found ','", "a comma with nothing before it", "delete one of the commas"},
	{"end character of", "a quote is opened and never closed", "close the quote"},
	{"reserved character", "the text begins with a character that YAML reserves", "put the text in quotes"},
	{"escape character", "an escape sequence that YAML does not know", "in double quotes write \\\\ for a backslash, or use single quotes"},
	{"tab character", "a tab stands where spaces belong", "use spaces; YAML does not take tabs"},
	{"'\t'", "a tab stands where spaces belong", "use spaces; YAML does not take tabs"},
}

func inOurWords(said string) (message, hint string) {
	for _, w := range syntaxWords {
		if strings.Contains(said, w.part) {
			return w.message, w.hint
		}
	}
	return "from here on it cannot be read", "check the indentation of this line and its neighbours, and that every quote is closed"
}

// joinedForm is a line that lacks the space behind a key's colon.
var joinedForm = regexp.MustCompile(`^(\s*)([a-z_]+):([^\s:/\\][^\s]*)\s*$`)

// joinedKey is such a key.
type joinedKey struct {
	at         span
	key, value string
}

// joined returns the key of a line whose value follows the colon at once: one
// word to YAML, and two to its reader. nil where the line is none.
func (r *reader) joined(line int) *joinedKey {
	if line < 1 || line > len(r.lines) {
		return nil
	}
	m := joinedForm.FindStringSubmatch(r.lines[line-1])
	if m == nil {
		return nil
	}
	if home, _ := homeOf(m[2]); home == "" {
		return nil
	}
	start := len(m[1]) + 1
	return &joinedKey{span{line, start, start + len(m[2]) + 1 + len([]rune(m[3]))}, m[2], m[3]}
}

func (r *reader) reportJoined(k joinedKey) {
	r.report(k.at, Problem{
		Code: codeSyntax, Message: "not valid YAML: no space behind the colon of a key",
		Expected: "`key: value`", Hint: fmt.Sprintf("write `%s: %s`", k.key, shorten(k.value)),
	})
}
