package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// structural are the codes of errors that a JSON Schema can see.
var structural = []string{
	codeUnknownKey, codeMissingKey, codeType, codeOneName, codeUnknownName, codeOtherTable,
	codeUnknownSetting, codeMissingSetting, codeNoValue, codeNoSettings, codeFixedSetting, codeRange,
	codeChoice, codeLayers, codeColumnTwice,
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("spec.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("spec.json") // checks it against its meta-schema
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decode reads a file as YAML 1.2 alone, without the grammar; nil where it is
// not even that.
func decode(t *testing.T, file string) any {
	t.Helper()
	r := newReader(file)
	text, ok := r.clean(readFile(t, file))
	if !ok {
		return nil
	}
	if root := r.tree(text); root != nil {
		return valueOf(root)
	}
	return nil
}

// valueOf returns a node as encoding/json would.
func valueOf(n *node) any {
	switch {
	case n.kind == null:
		return nil
	case n.kind == list:
		items := []any{}
		for _, item := range n.items {
			items = append(items, valueOf(item))
		}
		return items
	case n.kind == mapping:
		m := map[string]any{}
		for i, k := range n.keys {
			m[k.text] = valueOf(n.items[i])
		}
		return m
	case n.boolean():
		return strings.EqualFold(n.text, "true")
	case n.number():
		text := strings.TrimSuffix(strings.TrimPrefix(n.text, "+"), ".")
		if text[0] == '.' || strings.HasPrefix(text, "-.") {
			text = strings.Replace(text, ".", "0.", 1)
		}
		return json.Number(text)
	}
	return n.text
}

// TestSchema compares the schema with its golden file, and judges all specs
// by it: those that are valid pass, those with an error of structure do not.
func TestSchema(t *testing.T) {
	golden(t, filepath.Join("testdata", "schema.json"), string(Schema()))
	schema := compile(t)
	for _, folder := range []string{"valid", "warn"} {
		for _, f := range yamlFiles(t, folder) {
			if err := schema.Validate(decode(t, f)); err != nil {
				t.Errorf("%s is valid, but the schema refuses it: %v", f, err)
			}
		}
	}
	seen := map[string]bool{}
	for _, f := range yamlFiles(t, "bad") {
		_, _, err := Parse(f, readFile(t, f), Options{Count: count})
		var errs Errors
		if !errors.As(err, &errs) {
			t.Errorf("%s: %v", f, err)
		}
		for _, p := range errs {
			for _, code := range structural {
				if p.Code != code {
					continue
				}
				seen[code] = true
				if err := schema.Validate(decode(t, f)); err == nil {
					t.Errorf("%s has %s, but the schema accepts it", f, code)
				}
			}
		}
	}
	for _, code := range structural {
		if !seen[code] {
			t.Errorf("no bad spec shows %s to the schema", code)
		}
	}
}

// TestSchemaStable makes the schema and the reference again and again.
func TestSchemaStable(t *testing.T) {
	schema, reference := Schema(), Reference()
	for range 20 {
		if !bytes.Equal(schema, Schema()) || !bytes.Equal(reference, Reference()) {
			t.Fatal("the bytes differ from one call to the next")
		}
	}
	if strings.Contains(string(schema), `\u003`) {
		t.Error("the schema escapes characters for HTML")
	}
}
