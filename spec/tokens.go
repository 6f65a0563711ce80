package spec

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// checkTokens refuses, before the YAML reader builds its tree, what a spec
// does not need and what could make that tree large: features beyond plain
// values, nesting, endless mappings, brackets without a partner.
func checkTokens(r *reader, tokens token.Tokens) {
	nest := nesting{r: r}
	said := map[string]bool{} // features reported, each once
	for i, t := range tokens {
		if len(r.problems) >= MaxErrors || nest.stop {
			return
		}
		if feature := features[t.Type]; feature != "" && !said[feature] {
			said[feature] = true
			r.reportFeature(r.spanOf(t), feature)
			if t.Type == token.TagType {
				return // the columns behind a tag are not where the reader puts them
			}
		}
		switch t.Type {
		case token.DocumentHeaderType:
			if i > 0 {
				r.reportDocument(t)
			}
		case token.DocumentEndType:
			if i < len(tokens)-1 {
				r.reportDocument(tokens[i+1])
			}
		}
		var prev *token.Token
		if i > 0 {
			prev = tokens[i-1]
		}
		switch t.Type {
		case token.MappingValueType:
			r.checkColon(t, prev)
		case token.StringType:
			r.checkPlain(t, len(nest.brackets) > 0)
		case token.DoubleQuoteType:
			r.checkEscapes(t)
		}
		nest.step(t, prev)
	}
	nest.finish()
}

// checkColon refuses `{key:value}`, which is one word to YAML and two to its
// reader. Behind a key in quotes the space may be missing.
func (r *reader) checkColon(t, key *token.Token) {
	if key != nil && (key.Type == token.SingleQuoteType || key.Type == token.DoubleQuoteType) {
		return
	}
	line := r.runes(t.Position.Line)
	next := t.Position.Column // the index of the character behind the colon
	if next < len(line) && !strings.ContainsRune(" \t,[]{}", line[next]) {
		r.report(r.spanOf(t), Problem{
			Code: codeSyntax, Message: "not valid YAML: no space behind the colon of a key",
			Expected: "`key: value`", Hint: "put a space behind the colon; text with a colon in it goes in quotes",
		})
	}
}

// checkPlain refuses text without quotes that YAML would divide at its special
// characters, and its reader does not.
func (r *reader) checkPlain(t *token.Token, inBrackets bool) {
	special := strings.Contains(t.Value, ": ") || strings.Contains(t.Value, " #") ||
		strings.HasPrefix(t.Value, "%") || inBrackets && strings.ContainsAny(t.Value, "[]{},")
	if special {
		r.report(r.spanOf(t), Problem{
			Code: codeSyntax, Message: fmt.Sprintf("not valid YAML: the text %s holds special characters", quote(t.Value)),
			Hint: "put the text in quotes, or divide it",
		})
	}
}

// checkEscapes refuses escapes by number that lack digits.
func (r *reader) checkEscapes(t *token.Token) {
	if _, ok := r.quotedEnd(t.Position); ok {
		return
	}
	r.report(r.spanOf(t), Problem{
		Code: codeSyntax, Message: "not valid YAML: an escape sequence without all of its digits",
		Expected: `\x and 2, \u and 4, or \U and 8 hexadecimal digits`, Hint: `in double quotes write \\ for a backslash, or use single quotes`,
	})
}

// features names what YAML has and a spec does not need.
var features = map[token.Type]string{
	token.AnchorType:     "an anchor",
	token.AliasType:      "an alias",
	token.MergeKeyType:   "a merge key",
	token.TagType:        "a tag",
	token.DirectiveType:  "a directive",
	token.MappingKeyType: "a key marked by ?",
	token.LiteralType:    "a block of text",
	token.FoldedType:     "a block of text",
}

func (r *reader) reportFeature(at span, feature string) {
	hint := "write the value out where it is used"
	if feature == features[token.TagType] {
		hint = "delete it: the kind of a value is plain without"
	}
	r.report(at, Problem{
		Code: codeFeature, Message: feature + " does not belong in a spec",
		Expected: "plain values, lists and mappings",
		Hint:     hint + "; text that begins with a special character goes in quotes",
	})
}

func (r *reader) reportDocument(t *token.Token) {
	r.report(r.spanOf(t), Problem{
		Code: codeDocuments, Message: "a second document begins",
		Expected: "one spec in a file", Hint: "put each spec in a file of its own",
	})
}

func (r *reader) reportTooDeep(at span) {
	r.report(at, Problem{
		Code: codeTooDeep, Message: "values are nested too deep",
		Expected: fmt.Sprintf("at most %d levels", maxDepth),
		Hint:     "a spec needs no more than six levels; look for a bracket or an indentation too many",
	})
}

// nesting follows the collections that are open while tokens pass.
type nesting struct {
	r        *reader
	block    []frame        // block collections, by column
	brackets []*token.Token // open flow collections
	stop     bool           // after an error that others would follow from
}

type frame struct{ col, keys int }

var closing = map[token.Type]token.Type{
	token.SequenceEndType: token.SequenceStartType,
	token.MappingEndType:  token.MappingStartType,
}

func (n *nesting) step(t, prev *token.Token) {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		n.brackets = append(n.brackets, t)
	case token.SequenceEndType, token.MappingEndType:
		last := len(n.brackets) - 1
		if last < 0 || n.brackets[last].Type != closing[t.Type] {
			n.reportBracket(t)
			n.stop = true // what follows cannot be told apart
			return
		}
		n.brackets = n.brackets[:last]
	case token.SequenceEntryType:
		n.open(t)
	case token.MappingValueType:
		if prev == nil {
			break
		}
		if size := utf8.RuneCountInString(prev.Value); size > maxKeyText {
			n.r.report(n.r.spanOf(prev), Problem{
				Code: codeText, Message: fmt.Sprintf("a key of %d characters", size),
				Expected: fmt.Sprintf("at most %d characters", maxKeyText), Hint: "the keys of a spec are short words",
			})
			n.stop = true
			return
		}
		if f := n.open(prev); f != nil {
			if f.keys++; f.keys > maxKeys {
				n.r.reportTooMany(n.r.spanOf(prev))
				n.stop = true
				return
			}
		}
	}
	if len(n.block)+len(n.brackets) > maxDepth {
		n.r.reportTooDeep(n.r.spanOf(t))
		n.stop = true
	}
}

// open returns the block collection whose items begin in the token's column;
// nil inside brackets.
func (n *nesting) open(t *token.Token) *frame {
	if len(n.brackets) > 0 {
		return nil
	}
	col := t.Position.Column
	for len(n.block) > 0 && n.block[len(n.block)-1].col > col {
		n.block = n.block[:len(n.block)-1]
	}
	if len(n.block) == 0 || n.block[len(n.block)-1].col < col {
		n.block = append(n.block, frame{col: col})
	}
	return &n.block[len(n.block)-1]
}

// finish reports the innermost bracket that was never closed.
func (n *nesting) finish() {
	if last := len(n.brackets) - 1; last >= 0 && !n.stop {
		n.reportBracket(n.brackets[last])
	}
}

func (n *nesting) reportBracket(t *token.Token) {
	n.r.report(n.r.spanOf(t), Problem{
		Code: codeBracket, Message: fmt.Sprintf("the bracket %q has no partner", t.Value),
		Expected: "every [ closed by ], every { by }", Hint: "add the missing bracket, or delete this one",
	})
}
