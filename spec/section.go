package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/runtime/wording"
)

// section is a mapping with a fixed set of keys.
type section []field

// field is one key of a section.
type field struct {
	name     string
	doc      string
	required bool
	initial  any     // the default as a spec would write it; nil for none
	sub      section // where the value is a section itself
	expects  func() string
	schema   func() any
	read     func(r *reader, n *node)
	fill     func(n *Network) // sets the default; nil for none
}

// form is a kind of value: it reads one, reporting what is wrong with it,
// says what it reads, and gives the JSON Schema of it.
type form[T any] interface {
	read(r *reader, key string, n *node) (v T, ok bool)
	expects() string
	schema() any
}

// maybe makes a key that may be left out and then stays zero.
func maybe[T any](name, doc string, f form[T], set func(*Network, T)) field {
	return field{
		name: name, doc: doc, expects: f.expects, schema: f.schema,
		read: func(r *reader, n *node) {
			if v, ok := f.read(r, name, n); ok {
				set(r.net, v)
			}
		},
	}
}

// need makes a key that every spec has.
func need[T any](name, doc string, f form[T], set func(*Network, T)) field {
	k := maybe(name, doc, f, set)
	k.required = true
	return k
}

// with makes a key that may be left out and then has the given value.
func with[T any](name, doc string, f form[T], set func(*Network, T), initial T) field {
	k := maybe(name, doc, f, set)
	k.fill = func(n *Network) { set(n, initial) }
	k.initial = initial
	if y, ok := any(initial).(interface{ yaml() any }); ok {
		k.initial = y.yaml()
	}
	return k
}

// group makes a key whose value is a section.
func group(name, doc string, s section) field {
	return field{name: name, doc: doc, sub: s, expects: s.expects}
}

func (s section) expects() string { return "a mapping with " + oneOf(s.names(), "or") }

func (s section) names() []string {
	names := make([]string, len(s))
	for i, f := range s {
		names[i] = f.name
	}
	return names
}

// values lists the keys that are no sections themselves.
func (s section) values() []string {
	return slices.DeleteFunc(s.names(), func(name string) bool {
		f, _ := s.field(name)
		return f.sub != nil
	})
}

func (s section) field(name string) (field, bool) {
	i := slices.IndexFunc(s, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return s[i], true
}

// section reads a mapping by its fields, and fills the defaults of those that
// it lacks. path is "" for the spec itself, "train." for `train`; n is nil
// where the spec leaves the section out.
func (r *reader) section(path string, s section, n *node) {
	if n != nil && n.kind != mapping {
		subject := "the spec"
		if path != "" {
			subject = code(strings.TrimSuffix(path, "."))
		}
		if key := r.joined(n.at.line); key != nil && n.kind == plain {
			r.reportJoined(*key)
		} else {
			r.wrongType(n, subject, s.expects(), "write each key on a line of its own, as `key: value`")
		}
		n = nil
		if path == "" {
			return
		}
	}
	given := map[string]*node{}
	if n != nil {
		for i, k := range n.keys {
			if _, ok := s.field(k.text); !ok || !k.scalar() {
				r.unknownKey(path, s, k)
			} else if given[k.text] == nil {
				given[k.text] = n.items[i]
			}
		}
	}
	for _, f := range s {
		value := given[f.name]
		if value != nil {
			r.at[path+f.name] = value
		}
		switch {
		case f.sub != nil:
			r.section(path+f.name+".", f.sub, value)
			continue
		case f.fill != nil:
			f.fill(r.net)
		}
		if value != nil {
			f.read(r, value)
		}
	}
	// What is missing is known once the sections inside are read: it may stand there.
	for _, f := range s {
		if !f.required || given[f.name] != nil || r.meant[path+f.name] {
			continue
		}
		at := span{1, 1, 2}
		if n != nil {
			at = n.at
		}
		r.report(at, Problem{
			Code: codeMissingKey, Message: fmt.Sprintf("the key %q is missing", f.name),
			Expected: f.expects(), Hint: fmt.Sprintf("add `%s:` with %s", f.name, f.expects()),
		})
	}
}

// unknownKey reports a key that the section does not have, and notes the one
// that was probably meant.
func (r *reader) unknownKey(path string, s section, k *node) {
	inside := "a spec"
	if path != "" {
		inside = code(strings.TrimSuffix(path, ".") + ":")
	}
	p := Problem{
		Code: codeUnknownKey, Message: fmt.Sprintf("unknown key %s in %s", quote(k.text), inside),
		Found: quote(k.text), Expected: oneOf(s.names(), "or"), Hint: "keys here: " + strings.Join(s.names(), ", "),
	}
	means := path // like no key
	if home, at := homeOf(k.text); home != "" {
		means = at
		p.Message = fmt.Sprintf("the key %s does not belong in %s", quote(k.text), inside)
		p.Hint = "put it " + home
	} else if guess := wording.Nearest(k.text, s.names()); guess != "" {
		means = path + guess
		p.Message += didYouMean(guess)
		p.Hint = "write " + code(guess+":")
	} else if near, section := nearestElsewhere(k.text); near != "" {
		means = section + "." + near
		p.Message += didYouMean(near)
		p.Hint = fmt.Sprintf("write %s under %s", code(near+":"), code(section+":"))
	} else if guess := nearest(k.text, s.values()); guess != "" {
		means = path + guess
		p.Message += didYouMean(guess)
		p.Hint = "write " + code(guess+":")
	}
	r.meant[means] = true
	r.report(k.at, p)
}

// homeOf says where in a spec a key, a setting or an entry's name belongs, and
// which key that gives; "" where there is none.
func homeOf(name string) (home, key string) {
	top := grammar()
	if _, ok := top.field(name); ok {
		return "at the left margin, beside `name:`", name
	}
	for _, f := range top {
		if _, ok := f.sub.field(name); ok {
			return "under " + code(f.name+":"), f.name + "." + name
		}
	}
	for _, c := range catalogues {
		key := strings.ReplaceAll(c.home, ": ", ".")
		if slices.Contains(c.names(), name) {
			return "under " + code(c.home+":"), key
		}
		if owner, ok := ownerOf(name, c); ok {
			return fmt.Sprintf("under %s, as a setting such as %s", code(c.home+":"), code(fmt.Sprintf("{%s: {%s: …}}", owner, name))), key
		}
	}
	return "", ""
}

// nearestElsewhere looks for a misspelled key in the sections inside the spec.
func nearestElsewhere(key string) (near, section string) {
	for _, f := range grammar() {
		if near := wording.Nearest(key, f.sub.names()); near != "" {
			return near, f.name
		}
	}
	return "", ""
}

// wrongType reports a value of a kind that cannot stand where it does.
func (r *reader) wrongType(n *node, subject, expected, hint string) {
	p := Problem{
		Code: codeType, Message: fmt.Sprintf("%s cannot be %s", subject, n.describe()),
		Found: n.describe(), Expected: expected, Hint: hint,
	}
	if n.kind == null {
		p.Message = subject + " has no value"
	}
	r.report(n.at, p)
}

// code marks a piece of YAML in a message.
func code(s string) string { return "`" + s + "`" }
