package driver

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/internal/ir"
)

// This file is the emitter's vocabulary: the phrases of Go that it says often.

type code = *jen.Statement

func id(name string) code { return jen.Id(name) }

func n(v int) code { return jen.Lit(v) }

func floats() code { return jen.Index().Float32() }

func define(name string, value code) code { return id(name).Op(":=").Add(value) }

// doc writes a comment before a declaration, a line each.
func doc(f *jen.File, lines ...string) {
	for _, line := range lines {
		f.Comment("// " + ir.OneLine(line))
	}
}

// method starts a method of the engine.
func method(f *jen.File, name string) code {
	return f.Func().Params(id("e").Op("*").Id("vector")).Id(name)
}

// own is a field of the engine, of a batch of rows, of the table of kernels.
func own(name string) code { return id("e").Dot(name) }

func inBatch(name string) code { return id("b").Dot(name) }

func call(k kernel.Kernel, args ...jen.Code) code { return own("k").Dot(k.FuncName()).Call(args...) }

// at is &slice[index].
func at(slice, index code) code { return jen.Op("&").Add(slice).Index(index) }

// times is index*by, or index where by is 1; without an index it is 0.
func times(index code, by int) code {
	switch {
	case index == nil:
		return n(0)
	case by == 1:
		return index.Clone()
	}
	return index.Clone().Op("*").Lit(by)
}

// plus is by+sum, or sum where by is 0.
func plus(sum code, by int) code {
	if by == 0 {
		return sum
	}
	return n(by).Op("+").Add(sum)
}

// field is the name of a parameter in emitted code: "weight0" for "0.weight".
func field(q *plan.Param) string { return ident(q.Param) }

func ident(q *ir.Param) string {
	_, what, _ := strings.Cut(q.Name, ".")
	return fmt.Sprintf("%s%d", what, q.Layer)
}

// stateField is the name of a parameter's state: "weight0ExpAvg".
func stateField(q *plan.Param, state string) string {
	var b strings.Builder
	b.WriteString(field(q))
	for part := range strings.SplitSeq(state, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// shapeOf describes where a tensor's columns stand.
func shapeOf(t *plan.Tensor) string {
	if t.Flat {
		return fmt.Sprintf("[%d][%d], a copy of few rows", t.Rows, t.Layout.Width)
	}
	if t.Layout.Dense {
		return fmt.Sprintf("[%d], one column", t.Rows)
	}
	s := fmt.Sprintf("[%d][%d][16], %d columns", t.Layout.Panels(), t.Rows, t.Layout.Width)
	if t.Layout.Pairs > 0 {
		s += ", gate columns beside their values"
	}
	return s
}

func paramShape(q *plan.Param) string {
	switch {
	case q.Matrix:
		return fmt.Sprintf("%s %s, packed [%d][%d][16]", q.Name, shape(q.Shape), q.Layout.Panels(), q.InPad)
	default:
		return fmt.Sprintf("%s %s, [%d][16]", q.Name, shape(q.Shape), q.Layout.Panels())
	}
}

// shape writes a shape: "[32, 7]".
func shape(dims []int) string {
	var list []string
	for _, d := range dims {
		list = append(list, strconv.Itoa(d))
	}
	return "[" + strings.Join(list, ", ") + "]"
}
