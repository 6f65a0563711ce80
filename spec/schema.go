package spec

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
)

// Schema returns the JSON Schema (draft 2020-12) of a spec, from the grammar
// and the tables. The bytes are the same each time. It knows names, types and
// ranges; what depends on more than one value is left to Parse.
func Schema() []byte {
	defs := object{}
	for _, c := range []catalogue{layerKinds, losses, outputs, optimizers, schedules, inits, precisions, scales, missings} {
		defs = append(defs, pair{defName(c), c.definition()})
	}
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "dnngen spec"},
		{"description", "A feedforward network, how it is trained, and on which data."},
	}
	root = append(root, grammar().schema().(object)...)
	root = append(root, pair{"$defs", defs})
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // it holds strings, numbers, booleans, lists and objects
	}
	return out.Bytes()
}

// object is an object of JSON whose keys keep their order.
type object []pair

type pair struct {
	key   string
	value any
}

// MarshalJSON writes the pairs in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(p.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(p.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// schema returns the schema of a section.
func (s section) schema() any {
	properties := object{}
	var required []string
	for _, f := range s {
		p := object{{"description", f.doc}}
		if f.sub != nil {
			p = append(p, f.sub.schema().(object)...)
		} else {
			p = append(p, f.schema().(object)...)
		}
		if f.initial != nil {
			p = append(p, pair{"default", f.initial})
		}
		properties = append(properties, pair{f.name, p})
		if f.required {
			required = append(required, f.name)
		}
	}
	out := object{{"type", "object"}, {"properties", properties}}
	if required != nil {
		out = append(out, pair{"required", required})
	}
	return append(out, pair{"additionalProperties", false})
}

func (f entryForm[R]) schema() any { return ref(f.catalogue) }

// defName is the catalogue's key without the section before it.
func defName(c catalogue) string {
	words := strings.Fields(c.home)
	return words[len(words)-1]
}

func ref(c catalogue) any { return object{{"$ref", "#/$defs/" + defName(c)}} }

// definition returns the schema of a catalogue's entries: each name that can
// stand alone, and each name with its settings.
func (c catalogue) definition() any {
	var forms []any
	properties := object{}
	add := func(e *op.Entry, name string, preset op.Values) {
		alone := true
		for _, s := range e.Settings {
			alone = alone && (!s.Required() || preset[s.Name] != nil)
		}
		if alone {
			forms = append(forms, object{{"const", name}, {"description", e.Doc}})
		}
		properties = append(properties, pair{name, settingsSchema(e, preset)})
	}
	for _, e := range c.rows {
		add(e, e.Name, nil)
		for _, a := range e.Aliases {
			add(e, a.Name, a.Preset)
		}
	}
	return object{{"anyOf", append(forms, object{
		{"type", "object"}, {"properties", properties},
		{"minProperties", 1}, {"maxProperties", 1}, {"additionalProperties", false},
	})}}
}

// settingsSchema returns the schema of what may stand behind an entry's name.
func settingsSchema(e *op.Entry, preset op.Values) any {
	properties := object{}
	var required []string
	var forms []any
	for _, s := range e.Settings {
		if _, fixed := preset[s.Name]; fixed {
			continue
		}
		if s.Required() {
			required = append(required, s.Name)
		}
		p := append(object{{"description", s.Doc}}, settingSchema(s)...)
		if !s.Required() {
			p = append(p, pair{"default", s.Default})
		}
		properties = append(properties, pair{s.Name, p})
		if s.Name == e.Main {
			forms = append(forms, p)
		}
	}
	full := object{{"type", "object"}, {"properties", properties}}
	if required != nil {
		full = append(full, pair{"required", required})
		if len(required) > 1 {
			forms = nil
		}
	}
	full = append(full, pair{"additionalProperties", false})
	doc := pair{"description", e.Doc}
	if forms == nil {
		return append(object{doc}, full...)
	}
	return object{doc, {"anyOf", append(forms, full)}}
}

// settingSchema returns the schema of one setting.
func settingSchema(s op.Setting) object {
	switch s.Kind {
	case op.Flag:
		return object{{"type", "boolean"}}
	case op.Choice:
		return object{{"enum", s.Choices}}
	case op.Count:
		return object{{"type", "integer"}, {"minimum", s.Min}, {"maximum", s.Max}}
	}
	lower := "minimum"
	if s.Open {
		lower = "exclusiveMinimum"
	}
	return object{{"type", "number"}, {lower, s.Min}, {"maximum", s.Max}}
}
