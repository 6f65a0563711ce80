package golang

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/ir"
)

// This file is the emitter's vocabulary: the phrases of Go that it says often.

type code = *jen.Statement

func id(name string) code { return jen.Id(name) }

func n(v int) code { return jen.Lit(v) }

func floats() code { return jen.Index().Float32() }

// doc writes a comment, a line each.
func doc(f interface{ Comment(string) code }, lines ...string) {
	for _, line := range lines {
		f.Comment("// " + ir.OneLine(line))
	}
}

// fileDoc lets doc write to a file.
type fileDoc struct{ *jen.File }

func (f fileDoc) Comment(s string) code { return f.File.Comment(s) }

// array is the type of a pointer to width floats.
func array(width int) code { return jen.Op("*").Index(n(width)).Float32() }

// asArray views the start of a slice as an array: one check for its length,
// none for the elements.
func asArray(width int, slice code) code {
	return jen.Parens(array(width)).Call(slice)
}

// from is slice[index*width:], in constants where index is one.
func from(slice code, index code, width int) code {
	return slice.Index(times(index, width).Op(":"))
}

// times is index*width without a factor of 1.
func times(index code, width int) code {
	if width == 1 {
		return index
	}
	return index.Op("*").Add(n(width))
}

// row views row r of a buffer [rows, width] as an array.
func row(name string, r code, width int) code {
	return asArray(width, from(id(name), r, width))
}

// block views n floats of an array or slice from index on.
func block(name string, index code, width int) code {
	return asArray(width, id(name).Index(index.Clone().Op(":")))
}

// stride is `for name := 0; name < limit; name += by`.
func stride(name string, limit, by int) code {
	return jen.For(id(name).Op(":=").Lit(0), id(name).Op("<").Add(n(limit)), id(name).Op("+=").Add(n(by)))
}

func define(name string, value code) code { return id(name).Op(":=").Add(value) }

// shape writes "a1 [rows, 128]".
func shape(b *ir.Buffer) string { return fmt.Sprintf("%s [rows, %d]", b.Name, b.Width) }

// dims writes a parameter's shape: "[128, 64]".
func dims(q *ir.Param) string { return strings.ReplaceAll(fmt.Sprint(q.Shape), " ", ", ") }

// field is the name of a parameter in emitted code: "weight0" for "0.weight".
func field(q *ir.Param) string {
	_, base, _ := strings.Cut(q.Name, ".")
	return fmt.Sprintf("%s%d", base, q.Layer)
}

// origin tells where a layer stands in the spec: "digits.yaml:4  linear: 128".
func (e *emitter) origin(layer int) string {
	l := e.p.Layers[layer]
	text := fmt.Sprintf("\t%s:%d  %s", e.p.Source, l.Line, l.Text)
	if l.Formula != "" {
		text += "  // " + l.Formula
	}
	return text
}

// camel writes snake_case as camelCase, or as CamelCase.
func camel(s string, exported bool) string {
	var b strings.Builder
	up := exported
	for _, r := range s {
		if r == '_' {
			up = true
			continue
		}
		if up {
			b.WriteString(strings.ToUpper(string(r)))
			up = false
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
