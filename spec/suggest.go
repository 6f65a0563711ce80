package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/wording"
)

// didYouMean asks for one of the guesses.
func didYouMean(guesses ...string) string {
	quoted := make([]string, len(guesses))
	for i, g := range guesses {
		quoted[i] = fmt.Sprintf("%q", g)
	}
	return " (did you mean " + oneOf(quoted, "or") + "?)"
}

// oneOf joins words: "a, b or c".
func oneOf(words []string, last string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

// catalogue is a table of the language as the reader of a spec sees it.
type catalogue struct {
	noun string // "activation"
	the  string // with its article: "an activation"
	home string // the key under which its entries stand
	rows []*op.Entry
}

func newCatalogue[R op.Row](the, home string, table []R) catalogue {
	_, noun, _ := strings.Cut(the, " ")
	c := catalogue{noun: noun, the: the, home: home}
	for _, r := range table {
		c.rows = append(c.rows, r.Base())
	}
	return c
}

func (c catalogue) names() []string { return op.Names(c.rows) }

// The tables. An item of `layers` is one of layerKinds.
var (
	activations = newCatalogue("an activation", "layers", op.Activations)
	linears     = newCatalogue("a layer", "layers", []*op.Entry{linear})
	layerKinds  = newCatalogue("a layer", "layers", append(linears.rows[:1:1], activations.rows...))
	losses      = newCatalogue("a loss", "loss", op.Losses)
	outputs     = newCatalogue("an output transformation", "output", op.Outputs)
	optimizers  = newCatalogue("an optimizer", "train: optimizer", op.Optimizers)
	schedules   = newCatalogue("a schedule", "train: schedule", op.Schedules)
	inits       = newCatalogue("an initial distribution", "train: init", op.Inits)
	precisions  = newCatalogue("a precision", "train: precision", op.Precisions)
	scales      = newCatalogue("a scaling", "data: scale", ScaleKinds)
	missings    = newCatalogue("a treatment of missing values", "data: missing", MissingKinds)

	catalogues = []catalogue{linears, activations, losses, outputs, optimizers, schedules, inits, precisions, scales, missings}
)

// unknownName reports a name that the catalogue lacks.
func (r *reader) unknownName(n *node, c catalogue) {
	guess := wording.Nearest(n.text, c.names())
	noun := c.noun
	if slices.Contains(activations.names(), guess) && c.home == activations.home {
		noun = activations.noun
	}
	p := Problem{
		Code: codeUnknownName, Found: quote(n.text), Expected: c.the,
		Message: fmt.Sprintf("unknown %s %s", noun, quote(n.text)),
		Hint:    "choose from " + strings.Join(c.names(), ", "),
	}
	if other, ok := otherHome(n.text, c); ok {
		p.Code = codeOtherTable
		p.Message = fmt.Sprintf("%s is %s, not %s", n.text, other.the, c.the)
		p.Hint = "put it under " + code(other.home+":")
	} else if owner, ok := ownerOf(n.text, c); ok {
		p.Message = fmt.Sprintf("%s is a setting of %s, not %s", n.text, owner, c.the)
		p.Hint = fmt.Sprintf("write it inside, as `{%s: {%s: …}}`", owner, n.text)
	} else if name, value, ok := strings.Cut(n.text, ":"); ok && slices.Contains(c.names(), name) {
		p.Message += fmt.Sprintf(" (did you mean `%s: %s`?)", name, shorten(value))
		p.Hint = "put a space behind the colon"
	} else if guess != "" {
		p.Message += didYouMean(guess)
		p.Hint = "write " + guess
	} else if longer := beginning(n.text, c.names()); longer != nil {
		p.Message += didYouMean(longer...)
		p.Hint = "write " + oneOf(longer, "or")
	}
	r.report(n.at, p)
}

// beginning lists the words that begin with a name of three letters or more.
func beginning(name string, words []string) []string {
	var out []string
	for _, w := range words {
		if len(name) >= 3 && strings.HasPrefix(w, name) {
			out = append(out, w)
		}
	}
	return out
}

// nearest is wording.Nearest, or else the only word that is a name without its last
// parts, or with some more: batch for batch_size, warmup_epochs for warmup.
func nearest(name string, words []string) string {
	guess := wording.Nearest(name, words)
	if guess != "" {
		return guess
	}
	for _, w := range words {
		if strings.HasPrefix(name, w+"_") || strings.HasPrefix(w, name+"_") {
			if guess != "" {
				return ""
			}
			guess = w
		}
	}
	return guess
}

// otherHome returns the catalogue that has the name.
func otherHome(name string, not catalogue) (catalogue, bool) {
	for _, c := range catalogues {
		if c.home != not.home && slices.Contains(c.names(), name) {
			return c, true
		}
	}
	return catalogue{}, false
}

// ownerOf returns the first entry of the catalogue that has the setting.
func ownerOf(setting string, c catalogue) (name string, ok bool) {
	for _, e := range c.rows {
		if _, ok := e.Setting(setting); ok {
			return e.Name, true
		}
	}
	return "", false
}
