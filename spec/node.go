package spec

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is one value of the YAML text. Of the slices, a list has items alone;
// a mapping has keys and, as items, their values.
type node struct {
	kind  nodeKind
	text  string // of a scalar
	at    span
	keys  []*node
	items []*node
}

type nodeKind uint8

const (
	null    nodeKind = iota
	plain            // a scalar without quotes
	quoted           // a scalar in quotes
	list             // a sequence
	mapping          // a mapping
)

// The core schema of YAML 1.2, section 10.3.2.
var (
	wholeForm   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	decimalForm = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	specialForm = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
	boolForm    = regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`)
	// Numbers of other dialects, which are text in YAML 1.2 or easily misread.
	dialectForm = regexp.MustCompile(`^[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?)$`)
)

// number reports whether n is a finite number without quotes.
func (n *node) number() bool { return n.kind == plain && decimalForm.MatchString(n.text) }

// boolean reports whether n is true or false.
func (n *node) boolean() bool { return n.kind == plain && boolForm.MatchString(n.text) }

// word reports whether n is text: neither a number nor a boolean, unless in quotes.
func (n *node) word() bool {
	return n.kind == quoted || n.kind == plain && !n.number() && !n.boolean() &&
		!specialForm.MatchString(n.text) && !dialectForm.MatchString(n.text)
}

// scalar reports whether n is a single value.
func (n *node) scalar() bool { return n.kind == plain || n.kind == quoted }

// describe says what n is, for messages.
func (n *node) describe() string {
	switch n.kind {
	case null:
		return "nothing"
	case list:
		return "a list"
	case mapping:
		return "a mapping"
	case quoted:
		return "the text " + quote(n.text)
	}
	switch {
	case n.boolean(), specialForm.MatchString(n.text):
		return n.text
	case n.number(), dialectForm.MatchString(n.text):
		return "the number " + shorten(n.text)
	}
	return "the text " + quote(n.text)
}

// flow prints n on one line as YAML in flow style. It is used on nodes that
// were read without an error, whose scalars are names, numbers and booleans.
func (n *node) flow() string {
	switch n.kind {
	case null:
		return "null"
	case list, mapping:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = item.flow()
			if n.kind == mapping {
				parts[i] = n.keys[i].flow() + ": " + parts[i]
			}
		}
		if n.kind == list {
			return "[" + strings.Join(parts, ", ") + "]"
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	if n.kind == plain || bareWord.MatchString(n.text) {
		return n.text
	}
	return strconv.Quote(n.text)
}

var bareWord = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// quote quotes text of the spec for a message, cut to a readable length.
func quote(s string) string { return strconv.Quote(shorten(s)) }

// shorten cuts text of the spec to what a message can hold.
func shorten(s string) string { return cut(s, 40) }

// cut shortens text to a number of characters.
func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
