package golang

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/ir"
)

// categorical reports whether a feature of the data becomes several inputs.
func (e *emitter) categorical() bool { return len(e.p.Settings.Data.Categorical) > 0 }

// named reports whether the spec names the features, so that a row can be a
// struct.
func (e *emitter) named() bool { return len(e.p.Settings.Data.Features) > 0 }

func (e *emitter) isCategory(feature string) bool {
	return slices.Contains(e.p.Settings.Data.Categorical, feature)
}

// rowType writes Row, a field for each feature, and what makes cells of it.
func (e *emitter) rowType(f *jen.File) {
	features := e.p.Settings.Data.Features
	fields, tags := fieldNames(features), jsonNames(features)
	text := "Row is a row of the data: its features, in the order of the spec. NaN is a missing number"
	if e.categorical() {
		text += `, "" a missing category`
	}
	e.text(f, text+".")
	f.Type().Id("Row").StructFunc(func(g *jen.Group) {
		for i, name := range features {
			kind, comment := jen.Float64(), ""
			if e.isCategory(name) {
				kind, comment = jen.String(), "a category"
			}
			if tags[i] != name {
				comment = strings.TrimPrefix(comment+", "+strconv.QuoteToGraphic(name), ", ")
			}
			field := g.Id(fields[i]).Add(kind).Tag(map[string]string{"json": tags[i]})
			if comment != "" {
				field.Comment("// " + ir.OneLine(comment))
			}
		}
	}).Line()
	e.text(f, "cells returns the row in the runtime's form.")
	f.Func().Params(id("r").Op("*").Id("Row")).Id("cells").Params().Index(n(len(features))).Qual(dataPath, "Cell").Block(
		jen.Return(jen.Index(n(len(features))).Qual(dataPath, "Cell").CustomFunc(multi, func(g *jen.Group) {
			for i, name := range features {
				cell := "Number"
				if e.isCategory(name) {
					cell = "Category"
				}
				g.Qual(dataPath, cell).Call(id("r").Dot(fields[i]))
			}
		})),
	).Line()
}

// fieldNames makes an exported field name of each feature's name: its letters
// and digits, in CamelCase. Where that is no name, or one that is taken, the
// feature's number makes it one.
func fieldNames(features []string) []string {
	names := make([]string, len(features))
	taken := map[string]bool{}
	for i, feature := range features {
		name := camelWords(feature)
		if first := []rune(name); len(first) == 0 || !unicode.IsUpper(first[0]) {
			name = "Feature" + name
		}
		if name == "Feature" || taken[name] {
			name += strconv.Itoa(i)
		}
		for taken[name] {
			name += "_"
		}
		names[i], taken[name] = name, true
	}
	return names
}

// camelWords joins the words of a text, each with a capital.
func camelWords(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return camel(strings.Join(words, "_"), true)
}

// jsonNames returns the keys of the features in JSON: their names, or where the
// syntax of struct tags does not allow that, their numbers.
func jsonNames(features []string) []string {
	names := make([]string, len(features))
	for i, feature := range features {
		names[i] = feature
		if isTagName(feature) {
			continue
		}
		names[i] = fmt.Sprintf("feature%d", i)
		for slices.Contains(features, names[i]) {
			names[i] += "_"
		}
	}
	return names
}

// isTagName reports whether encoding/json takes a name from a struct tag.
func isTagName(s string) bool {
	const allowed = "!#$%&()*+-./:;<=>?@[]^_{|}~ "
	bad := func(r rune) bool {
		return !strings.ContainsRune(allowed, r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	return s != "" && s != "-" && !strings.ContainsFunc(s, bad)
}
