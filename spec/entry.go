package spec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/wording"
)

// picked is an entry of a table as the spec chose it.
type picked[R op.Row] struct {
	row  R
	set  op.Values
	name string // as written: the entry's name, or an alias
}

// yaml returns the entry as a spec would write it in short.
func (p picked[R]) yaml() any {
	if v, ok := p.set[p.row.Base().Main]; ok {
		return object{{p.name, v}}
	}
	return p.name
}

// first is the default of a table: its first row, as it stands alone.
func first[R op.Row](table []R) picked[R] {
	e := table[0].Base()
	return picked[R]{row: table[0], set: e.Defaults(), name: e.Name}
}

// firstWith is first with a value for the row's main setting.
func firstWith[R op.Row](table []R, main any) picked[R] {
	p := first(table)
	p.set[p.row.Base().Main] = main
	return p
}

// mainValue returns the number that an entry was given; 0 where it takes none.
func mainValue(p picked[*op.Entry]) float64 {
	v, _ := p.set[p.row.Main].(float64)
	return v
}

// entryForm is an entry of a table: a name, or a mapping of one name to its
// settings or to its main setting alone.
type entryForm[R op.Row] struct {
	catalogue
	table []R
}

func choose[R op.Row](c catalogue, table []R) entryForm[R] { return entryForm[R]{c, table} }

func (f entryForm[R]) expects() string { return "one of " + strings.Join(f.names(), ", ") }

func (f entryForm[R]) read(r *reader, key string, n *node) (picked[R], bool) {
	name, set, ok := r.entry(n, f.catalogue, code(key))
	if !ok {
		return picked[R]{}, false
	}
	row, _, _ := op.Find(f.table, name)
	return picked[R]{row: row, set: set, name: name}, true
}

// entry reads an entry of the catalogue; subject names what n is, for messages.
func (r *reader) entry(n *node, c catalogue, subject string) (name string, set op.Values, ok bool) {
	name = n.text
	var value *node // of the mapping's key
	at := n
	switch n.kind {
	case mapping:
		if !r.oneName(n, c) {
			return "", nil, false
		}
		at, value = n.keys[0], n.items[0]
		name = at.text
	case list, null:
		r.wrongType(n, subject, c.the, "choose from "+strings.Join(c.names(), ", "))
		return "", nil, false
	}
	if !at.word() {
		r.wrongType(at, subject, c.the, "choose from "+strings.Join(c.names(), ", "))
		return "", nil, false
	}
	e, preset, found := op.Find(c.rows, name)
	if !found {
		r.unknownName(at, c)
		return "", nil, false
	}
	set = e.Defaults()
	for k, v := range preset {
		set[k] = v
	}
	if value != nil && !r.settings(e, name, preset, set, value) {
		return "", nil, false
	}
	return name, set, r.complete(e, name, set, at)
}

// oneName checks that a mapping has one key, the entry's name.
func (r *reader) oneName(n *node, c catalogue) bool {
	if len(n.keys) == 1 {
		return true
	}
	p := Problem{
		Code: codeOneName, Expected: c.the + " alone, or with its settings behind a colon",
		Message: fmt.Sprintf("a mapping of %d keys stands for %s", len(n.keys), c.the),
		Found:   fmt.Sprintf("%d keys", len(n.keys)), Hint: "choose from " + strings.Join(c.names(), ", "),
	}
	if len(n.keys) == 0 {
		p.Message = "an empty mapping stands for " + c.the
	} else {
		p.Hint = "keep one of the names"
		if e, _, ok := op.Find(c.rows, n.keys[0].text); ok {
			if _, ok := e.Setting(n.keys[1].text); ok && e.Main != "" {
				p.Hint = fmt.Sprintf("put settings inside: `%s: {%s: %s, %s: %s}`", e.Name,
					e.Main, visible(shorten(n.items[0].flow())), n.keys[1].text, visible(shorten(n.items[1].flow())))
			}
		}
	}
	r.report(n.at, p)
	return false
}

// settings reads what stands behind an entry's name into set.
func (r *reader) settings(e *op.Entry, name string, preset, set op.Values, value *node) bool {
	if value.kind != mapping {
		return r.mainSetting(e, name, preset, set, value)
	}
	ok := true
	seen := map[string]bool{}
	for i, k := range value.keys {
		s, found := e.Setting(k.text)
		switch fixed, isFixed := preset[k.text]; {
		case !found || !k.scalar():
			r.unknownSetting(e, name, k, i > 0)
			ok = false
		case isFixed:
			r.fixedSetting(e, name, k.text, fixed, k)
			ok = false
		case !seen[k.text]:
			seen[k.text] = true
			v, valid := r.setting(value.items[i], s, name)
			set[k.text] = v
			ok = ok && valid
		}
	}
	if !ok {
		return false
	}
	for _, s := range e.Settings {
		if s.Needs != "" && set.Flag(s.Name) && set.Num(s.Needs) == 0 {
			at := value.at
			if i := slices.IndexFunc(value.keys, func(k *node) bool { return k.text == s.Name }); i >= 0 {
				at = value.keys[i].at
			}
			r.report(at, Problem{
				Code: codeNeeds, Message: fmt.Sprintf("`%s` of %s does nothing without `%s`", s.Name, name, s.Needs),
				Found: s.Needs + " 0", Expected: s.Needs + " above 0",
				Hint: fmt.Sprintf("set `%s`, or leave `%s` out", s.Needs, s.Name),
			})
			return false
		}
	}
	return true
}

// mainSetting reads the one value that stands for an entry's main setting.
func (r *reader) mainSetting(e *op.Entry, name string, preset, set op.Values, value *node) bool {
	fixed, isFixed := preset[e.Main]
	switch {
	case value.kind == null && settingsOf(e, preset) == "":
		r.report(value.at, Problem{
			Code: codeNoValue, Message: fmt.Sprintf("%s has a colon and no setting", name),
			Expected: name + " alone", Hint: fmt.Sprintf("write `%s`, without the colon", name),
		})
	case value.kind == null:
		r.report(value.at, Problem{
			Code: codeNoValue, Message: fmt.Sprintf("%s has a colon and no setting", name),
			Expected: settingsOf(e, preset), Hint: fmt.Sprintf("write a setting of %s behind the colon: %s", name, settingsOf(e, preset)),
		})
	case len(e.Settings) == 0:
		r.report(value.at, Problem{
			Code: codeNoSettings, Message: fmt.Sprintf("%s takes no setting", name),
			Found: value.describe(), Expected: name + " alone", Hint: fmt.Sprintf("write `%s`", name),
		})
	case isFixed:
		r.fixedSetting(e, name, e.Main, fixed, value)
	case e.Main == "" || value.kind == list:
		r.wrongType(value, code(name), "a mapping of its settings", "settings of "+name+": "+settingsOf(e, preset))
	default:
		s, _ := e.Setting(e.Main)
		v, ok := r.setting(value, s, name)
		set[e.Main] = v
		return ok
	}
	return false
}

// complete reports the settings that have no value yet.
func (r *reader) complete(e *op.Entry, name string, set op.Values, at *node) bool {
	complete := true
	for _, s := range e.Settings {
		if _, ok := set[s.Name]; ok {
			continue
		}
		complete = false
		r.report(at.at, Problem{
			Code: codeMissingSetting, Message: fmt.Sprintf("%s needs %s (%s)", name, code(s.Name), s.Doc),
			Expected: rangeOf(s), Hint: fmt.Sprintf("write `{%s: {%s: …}}` with %s", name, s.Name, rangeOf(s)),
		})
	}
	return complete
}

// unknownSetting reports a setting that an entry does not have; more tells that it
// stands behind another one.
func (r *reader) unknownSetting(e *op.Entry, name string, k *node, more bool) {
	p := Problem{
		Code: codeUnknownSetting, Message: fmt.Sprintf("%s has no setting %s", name, quote(k.text)),
		Found: quote(k.text), Expected: name + " alone", Hint: "write " + code(name),
	}
	var names []string
	for _, s := range e.Settings {
		names = append(names, s.Name)
	}
	if len(names) > 0 {
		p.Expected = oneOf(names, "or")
		p.Hint = "settings of " + name + ": " + settingsOf(e, nil)
	}
	if more && strings.Trim(k.text, "0123456789") == "" { // of 0,5
		p.Hint = "write numbers with a decimal point, as 0.5: a comma parts settings"
	} else if guess := nearest(k.text, names); guess != "" {
		p.Message += didYouMean(guess)
		p.Hint = "write " + guess
	}
	r.report(k.at, p)
}

// fixedSetting reports a setting that an alias has decided.
func (r *reader) fixedSetting(e *op.Entry, name, setting string, fixed any, n *node) {
	r.report(n.at, Problem{
		Code: codeFixedSetting, Message: fmt.Sprintf("%s is %s with `%s: %v`", name, e.Name, setting, fixed),
		Found: setting, Expected: name + " alone", Hint: fmt.Sprintf("write `%s`, or `%s: {%s: …}`", name, e.Name, setting),
	})
}

// settingsOf lists the settings that an entry leaves open, for messages.
func settingsOf(e *op.Entry, preset op.Values) string {
	var parts []string
	for _, s := range e.Settings {
		if _, fixed := preset[s.Name]; !fixed {
			parts = append(parts, s.Name+" ("+rangeOf(s)+")")
		}
	}
	return strings.Join(parts, ", ")
}

// setting reads one setting's value.
func (r *reader) setting(n *node, s op.Setting, owner string) (any, bool) {
	key := owner + ": " + s.Name
	switch s.Kind {
	case op.Flag:
		if !n.boolean() {
			r.wrongType(n, code(key), rangeOf(s), flagHint(n))
			return nil, false
		}
		return strings.EqualFold(n.text, "true"), true
	case op.Choice:
		if !n.word() || !slices.Contains(s.Choices, n.text) {
			r.wrongChoice(n, key, s.Choices)
			return nil, false
		}
		return n.text, true
	case op.Count:
		v, ok := whole{uint64(s.Min), uint64(s.Max)}.read(r, key, n)
		return float64(v), ok
	}
	return r.decimal(n, key, s)
}

// decimal reads a number that will be a float32.
func (r *reader) decimal(n *node, key string, s op.Setting) (float64, bool) {
	if !n.number() {
		r.wrongType(n, code(key), rangeOf(s), numberHint(n, rangeOf(s)))
		return 0, false
	}
	v, err := strconv.ParseFloat(n.text, 64)
	hint := "write 0, or a number of 1e-37 or more"
	if s.Open {
		hint = "write a number of 1e-37 or more"
	}
	switch {
	case err != nil || v < s.Min || v > s.Max || s.Open && v == s.Min:
		r.outOfRange(n, key, rangeOf(s))
		return 0, false
	case v != 0 && math.Abs(v) < smallest, v == 0 && strings.ContainsAny(mantissa(n.text), "123456789"):
		r.report(n.at, Problem{
			Code: codeTiny, Message: fmt.Sprintf("`%s` is %s, which a float32 cannot hold", key, shorten(n.text)),
			Found: shorten(n.text), Expected: rangeOf(s), Hint: hint,
		})
		return 0, false
	}
	return v, !r.leadingZero(n, key)
}

// smallest is the least positive normal float32.
const smallest = 0x1p-126

// mantissa returns the digits of a number before its exponent.
func mantissa(text string) string {
	m, _, _ := strings.Cut(strings.ToLower(text), "e")
	return m
}

func (r *reader) wrongChoice(n *node, key string, choices []string) {
	p := Problem{
		Code: codeChoice, Message: fmt.Sprintf("`%s` cannot be %s", key, n.describe()),
		Found: n.describe(), Expected: oneOf(choices, "or"), Hint: "write " + oneOf(choices, "or"),
	}
	if guess := wording.Nearest(n.text, choices); guess != "" {
		p.Message += didYouMean(guess)
		p.Hint = "write " + guess
	}
	r.report(n.at, p)
}

func flagHint(n *node) string {
	switch strings.ToLower(n.text) {
	case "yes", "on", "y", "1", "true":
		return "write true"
	case "no", "off", "n", "0", "false":
		return "write false"
	}
	return "write true or false"
}

// rangeOf says what a setting may be.
func rangeOf(s op.Setting) string {
	switch s.Kind {
	case op.Flag:
		return "true or false"
	case op.Choice:
		return oneOf(s.Choices, "or")
	case op.Count:
		return whole{uint64(s.Min), uint64(s.Max)}.expects()
	}
	if s.Open {
		return fmt.Sprintf("a number above %s and at most %s", digits(s.Min), digits(s.Max))
	}
	return fmt.Sprintf("a number from %s to %s", digits(s.Min), digits(s.Max))
}

// digits prints a number as a spec would.
func digits(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e9 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
