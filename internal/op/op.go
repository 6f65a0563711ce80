// Package op holds the tables of the language: activations, losses, output
// transformations, optimizers, schedules and initial distributions. One row is
// one entry of the language; the schema, the documentation, the kernels of
// every backend, the reference and the tests are derived from it. An entry's
// name stands in its row and nowhere else in the compiler or the runtime.
package op

import (
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/internal/expr"
)

// Kind is the type of a setting.
type Kind string

// The kinds of settings.
const (
	Number Kind = "number"
	Count  Kind = "integer" // a whole number
	Flag   Kind = "boolean"
	Choice Kind = "choice"
)

// Setting is one value that the spec may set on an entry.
type Setting struct {
	Name     string
	Kind     Kind
	Default  any // float64, bool or string by Kind; nil where the spec must give it
	Min, Max float64
	// Open excludes Min itself.
	Open    bool
	Choices []string
	// Needs names a numeric setting that must not be 0 where this flag is true.
	Needs string
	Doc   string
}

// Required reports whether the spec must give the setting.
func (s Setting) Required() bool { return s.Default == nil }

// Values holds the settings of an entry as the spec gives them, defaults
// filled in: a float64, bool or string each.
type Values map[string]any

// Num returns a numeric setting.
func (v Values) Num(name string) float64 { return v[name].(float64) }

// Flag returns a boolean setting.
func (v Values) Flag(name string) bool { return v[name].(bool) }

// Text returns a setting that is a choice.
func (v Values) Text(name string) string { return v[name].(string) }

// Alias is a second name of an entry, with settings that it fixes.
type Alias struct {
	Name   string
	Preset Values
}

// Entry is what every row has.
type Entry struct {
	Name     string
	Aliases  []Alias
	Doc      string // one sentence
	Settings []Setting
	// Main names the setting that may stand alone: `{sgd: 0.1}` for `{sgd: {lr: 0.1}}`.
	Main string
}

// Base returns the entry itself, so that all tables can be walked alike.
func (e *Entry) Base() *Entry { return e }

// Defaults returns the default of every setting that has one.
func (e *Entry) Defaults() Values {
	v := Values{}
	for _, s := range e.Settings {
		if !s.Required() {
			v[s.Name] = s.Default
		}
	}
	return v
}

// Setting returns the named setting.
func (e *Entry) Setting(name string) (Setting, bool) {
	i := slices.IndexFunc(e.Settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return e.Settings[i], true
}

// Row is implemented by a pointer to any row of any table.
type Row interface{ Base() *Entry }

// Find returns the row that has the name or alias, and the settings that the
// alias fixes.
func Find[R Row](table []R, name string) (row R, preset Values, ok bool) {
	for _, r := range table {
		e := r.Base()
		if e.Name == name {
			return r, nil, true
		}
		for _, a := range e.Aliases {
			if a.Name == name {
				return r, a.Preset, true
			}
		}
	}
	return row, nil, false
}

// Names lists the names of a table in its order, each alias after its entry.
func Names[R Row](table []R) []string {
	var names []string
	for _, r := range table {
		names = append(names, r.Base().Name)
		for _, a := range r.Base().Aliases {
			names = append(names, a.Name)
		}
	}
	return names
}

// must returns the row of a name that the tables themselves refer to.
func must[R Row](table []R, name string) R {
	r, _, ok := Find(table, name)
	if !ok {
		panic(fmt.Sprintf("op: no row %q", name))
	}
	return r
}

// Short names for the rows, which are formulas.
var (
	c    = expr.C
	add  = expr.Sum
	sub  = expr.Diff
	mul  = expr.Prod
	div  = expr.Quot
	pick = expr.IfNotPositive
)

func exp(x *expr.Node) *expr.Node      { return expr.Fn(expr.Exp, x) }
func expm1(x *expr.Node) *expr.Node    { return expr.Fn(expr.Expm1, x) }
func tanh(x *expr.Node) *expr.Node     { return expr.Fn(expr.Tanh, x) }
func sigmoid(x *expr.Node) *expr.Node  { return expr.Fn(expr.Sigmoid, x) }
func softplus(x *expr.Node) *expr.Node { return expr.Fn(expr.Softplus, x) }
func erf(x *expr.Node) *expr.Node      { return expr.Fn(expr.Erf, x) }
func sqrt(x *expr.Node) *expr.Node     { return expr.Fn(expr.Sqrt, x) }
func abs(x *expr.Node) *expr.Node      { return expr.Fn(expr.Abs, x) }
