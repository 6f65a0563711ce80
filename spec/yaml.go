package spec

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// tree reads the YAML of a clean text. It returns nil where it reported an
// error or the text holds no value.
func (r *reader) tree(text string) *node {
	if !r.checkMarks() {
		return nil
	}
	tokens := r.tokens(text)
	if r.failed() {
		return nil
	}
	checkTokens(r, tokens)
	if r.failed() {
		return nil
	}
	file, err := parse(tokens)
	if err != nil {
		r.reportSyntax(err)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		c := converter{r: r}
		root := c.node(doc.Body, 1)
		if r.failed() {
			return nil
		}
		return root
	}
	r.report(span{1, 1, 2}, Problem{
		Code: codeEmpty, Message: "the spec is empty",
		Expected: "a mapping of name, input, layers, loss and so on",
		Hint:     "`dnngen init DIR` writes a spec to start from",
	})
	return nil
}

// checkMarks bounds the work of the YAML reader before it starts, by the
// number of lines and of punctuation marks outside of comment lines.
func (r *reader) checkMarks() bool {
	marks := 0
	for i, line := range r.lines {
		marks++
		if !strings.HasPrefix(strings.TrimLeft(line, " "), "#") {
			for col, c := range []byte(line) {
				if strings.IndexByte(",:-[]{}?|>!&*%\"'#", c) < 0 {
					continue
				}
				if marks++; marks > maxMarks {
					return r.reportTooMany(span{i + 1, utf8.RuneCountInString(line[:col]) + 1, 0})
				}
			}
		}
		if marks > maxMarks {
			return r.reportTooMany(span{i + 1, 1, 0})
		}
	}
	return true
}

func (r *reader) reportTooMany(at span) bool {
	r.report(at, Problem{
		Code: codeTooMany, Message: "the spec holds too many values",
		Expected: fmt.Sprintf("at most %d, and %d keys in a mapping", maxNodes, maxKeys),
		Hint:     "a spec describes one network; keep data in files of their own",
	})
	return false
}

// tokens splits the text. Comments are left out.
func (r *reader) tokens(text string) token.Tokens {
	var s scanner.Scanner
	s.Init(text)
	var tokens token.Tokens
	for {
		part, err := s.Scan()
		for _, t := range part {
			if t.Type == token.InvalidType {
				r.reportSyntax(&yamlError{t.Error, t})
				return nil
			}
			if t.Type != token.CommentType {
				tokens.Add(t)
			}
		}
		if err == io.EOF {
			return tokens
		}
		if err != nil {
			r.reportSyntax(err)
			return nil
		}
	}
}

// yamlError is a mistake that the YAML reader found at a token.
type yamlError struct {
	message string
	token   *token.Token
}

func (e *yamlError) Error() string          { return e.message }
func (e *yamlError) GetMessage() string     { return e.message }
func (e *yamlError) GetToken() *token.Token { return e.token }

// parse builds the YAML reader's tree. The reader is not ours: should it
// panic on some text, that text is an error like any other.
func parse(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the text cannot be read")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// spanOf returns where a token stands; of one that goes on, the first line.
func (r *reader) spanOf(t *token.Token) span {
	p := t.Position
	text := t.Value
	switch t.Type {
	case token.ImplicitNullType:
		text = ""
	case token.StringType:
		text = strings.TrimSpace(t.Origin)
	case token.SingleQuoteType, token.DoubleQuoteType:
		end, _ := r.quotedEnd(p) // the token holds the text without its escapes
		return span{p.Line, p.Column, end}
	}
	text, _, _ = strings.Cut(text, "\n")
	return span{p.Line, p.Column, p.Column + utf8.RuneCountInString(text)}
}

// quotedEnd returns the column behind a text in quotes, on the line where it
// begins, and whether every escape by number has its digits.
func (r *reader) quotedEnd(p *token.Position) (end int, ok bool) {
	ok = true
	line, at := r.runes(p.Line), p.Column-1
	if at < 0 || at >= len(line) {
		return p.Column, true
	}
	mark := line[at]
	end = len(line) + 1
	for n, i := p.Line, at+1; n <= len(r.lines); n, i = n+1, 0 {
		for line := r.runes(n); i < len(line); i++ {
			switch {
			case mark == '"' && line[i] == '\\' && i+1 < len(line):
				i++
				ok = ok && !lacksDigits(line[i:])
			case line[i] == mark && mark == '\'' && i+1 < len(line) && line[i+1] == mark:
				i++
			case line[i] == mark:
				if n == p.Line {
					end = i + 2
				}
				return end, ok
			}
		}
	}
	return end, ok
}

// lacksDigits reports whether an escape sequence, without its backslash, is
// one by number and too short.
func lacksDigits(escape []rune) bool {
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[escape[0]]
	if digits >= len(escape) {
		return true
	}
	return slices.ContainsFunc(escape[1:1+digits], func(c rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", c) })
}

// converter makes nodes of the YAML reader's tree, counting them.
type converter struct {
	r     *reader
	count int
}

func (c *converter) node(n ast.Node, depth int) *node {
	if c.count++; c.count > maxNodes {
		if c.count == maxNodes+1 {
			c.r.reportTooMany(c.r.spanOf(n.GetToken()))
		}
		return &node{}
	}
	at := c.r.spanOf(n.GetToken())
	if depth > maxDepth {
		c.r.reportTooDeep(at)
		return &node{at: at}
	}
	switch n := n.(type) {
	case *ast.NullNode:
		out := &node{kind: null, at: at}
		if t := n.GetToken(); t.Type != token.ImplicitNullType {
			out.text = t.Value
		}
		return out
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return c.scalar(plain, strings.TrimSpace(n.GetToken().Value), at)
	case *ast.StringNode:
		if n.GetToken().Type == token.StringType {
			return c.scalar(plain, n.Value, at)
		}
		return c.scalar(quoted, n.Value, at)
	case *ast.SequenceNode:
		out := &node{kind: list, at: c.bracketSpan(n.Start, n.End)}
		for _, item := range n.Values {
			out.items = append(out.items, c.node(item, depth+1))
		}
		return out
	case *ast.MappingNode:
		out := &node{kind: mapping, at: c.bracketSpan(n.Start, n.End)}
		for _, pair := range n.Values {
			c.pair(out, pair, depth)
		}
		if !n.IsFlowStyle && len(out.keys) > 0 {
			out.at = out.keys[0].at
		}
		return out
	}
	c.r.reportFeature(at, "this form of YAML")
	return &node{at: at}
}

// pair adds one key and its value to a mapping.
func (c *converter) pair(out *node, pair *ast.MappingValueNode, depth int) {
	key := c.node(pair.Key, depth+1)
	for _, other := range out.keys {
		if other.text == key.text {
			c.r.report(key.at, Problem{
				Code: codeDuplicate, Message: fmt.Sprintf("the key %s stands here a second time", quote(key.text)),
				Hint: fmt.Sprintf("delete one of the two; the first is in line %d", other.at.line),
			})
		}
	}
	out.keys = append(out.keys, key)
	out.items = append(out.items, c.node(pair.Value, depth+1))
}

// scalar makes a node of a single value; escapes in double quotes may have
// brought in characters that the text itself could not hold.
func (c *converter) scalar(kind nodeKind, text string, at span) *node {
	out := &node{kind: kind, text: text, at: at}
	size := utf8.RuneCountInString(text)
	switch {
	case size > maxText:
		c.r.report(at, Problem{
			Code: codeText, Message: fmt.Sprintf("a value of %d characters", size),
			Expected: fmt.Sprintf("at most %d characters", maxText), Hint: "shorten it",
		})
	case size > maxDigits && out.number():
		c.r.report(at, Problem{
			Code: codeText, Message: fmt.Sprintf("a number of %d characters", size),
			Expected: fmt.Sprintf("at most %d characters", maxDigits), Hint: "round it: a float32 keeps about 7 digits",
		})
	}
	for _, char := range text {
		if forbidden(char) || char == utf8.RuneError {
			c.r.report(at, Problem{
				Code: codeCharacter, Message: fmt.Sprintf("the character %U does not belong in a value", char),
				Expected: "printable text", Hint: "delete it, or its escape sequence",
			})
			break
		}
	}
	return out
}

// bracketSpan covers a flow collection on one line, or its first token.
func (c *converter) bracketSpan(start, end *token.Token) span {
	at := c.r.spanOf(start)
	if end != nil && end.Position.Line == at.line {
		at.end = end.Position.Column + 1
	}
	return at
}
