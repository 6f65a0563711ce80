package golang

import (
	"fmt"
	"maps"
	"slices"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/ir"
)

func dotName(wide, width int) string { return fmt.Sprintf("dot%dx%d", wide, width) }
func addName(rows, width int) string { return fmt.Sprintf("add%dx%d", rows, width) }

// addRows is how many scaled rows are added in one pass over a sum.
const addRows = 4

// size is the shape of a kernel.
type size struct{ rows, width int }

func bySize(a, b size) int {
	if a.width != b.width {
		return a.width - b.width
	}
	return a.rows - b.rows
}

// kernelSizes collects the kernels that the program's products call.
func (e *emitter) kernelSizes() (dots, adds []size) {
	dot, add := map[size]bool{}, map[size]bool{}
	products := func(steps []ir.Step) {
		for _, s := range steps {
			switch s := s.(type) {
			case *ir.Linear:
				in, out := s.W.Shape[1], s.W.Shape[0]
				if out >= lanes {
					dot[size{lanes, in}] = true
				}
				if out%lanes > 0 {
					dot[size{out % lanes, in}] = true
				}
			case *ir.GradInput:
				in, out := s.W.Shape[1], s.W.Shape[0]
				if out >= addRows {
					add[size{addRows, in}] = true
				}
				if out%addRows > 0 {
					add[size{1, in}] = true
				}
			case *ir.GradWeight:
				add[size{addRows, s.X.Width}] = true
				add[size{1, s.X.Width}] = true
			}
		}
	}
	products(e.p.Forward)
	products(e.p.Infer)
	products(e.p.Backward)
	return slices.SortedFunc(maps.Keys(dot), bySize), slices.SortedFunc(maps.Keys(add), bySize)
}

// kernelFile holds the inner loops of the matrix products, one for each width
// of this network. Arrays of constant length leave no bounds to check.
func (e *emitter) kernelFile() *jen.File {
	f := e.file()
	dots, adds := e.kernelSizes()
	for _, s := range dots {
		dotKernel(f, s)
	}
	for _, s := range adds {
		addKernel(f, s)
	}
	return f
}

// dotKernel writes inner products of one row with several: each sum runs over
// the row in order, whatever stands beside it.
func dotKernel(f *jen.File, s size) {
	doc(fileDoc{f}, fmt.Sprintf("%s sets z[j] to the inner product of x [%d] and row j of w [%d, %d].",
		dotName(s.rows, s.width), s.width, s.rows, s.width))
	f.Func().Id(dotName(s.rows, s.width)).Params(
		id("z").Op("*").Index(n(s.rows)).Float32(), id("x").Add(array(s.width)), id("w").Index().Float32(),
	).BlockFunc(func(g *jen.Group) {
		var sums, views []jen.Code
		for j := range s.rows {
			sums = append(sums, id(fmt.Sprintf("s%d", j)))
			views = append(views, id(fmt.Sprintf("w%d", j)))
		}
		for j := range s.rows {
			at := id("w")
			if j > 0 {
				at = id("w").Index(n(j * s.width).Op(":"))
			}
			g.Add(define(fmt.Sprintf("w%d", j), asArray(s.width, at)))
		}
		g.Var().List(sums...).Float32()
		g.For(jen.List(id("i"), id("v")).Op(":=").Range().Id("x")).BlockFunc(func(g *jen.Group) {
			for j := range s.rows {
				g.Add(sums[j]).Op("+=").Float32().Call(id("v").Op("*").Add(views[j]).Index(id("i")))
			}
		})
		g.Op("*").Id("z").Op("=").Index(n(s.rows)).Float32().Values(sums...)
	}).Line()
}

// addKernel writes the sum of scaled rows.
func addKernel(f *jen.File, s size) {
	name := addName(s.rows, s.width)
	var scales, views []jen.Code
	for j := range s.rows {
		scales = append(scales, id(fmt.Sprintf("c%d", j)))
		views = append(views, id(fmt.Sprintf("x%d", j)))
	}
	what := fmt.Sprintf("c0·x to sum, for x [%d]", s.width)
	if s.rows > 1 {
		what = fmt.Sprintf("c0·x[0] + … + c%d·x[%d] to sum, for x [%d, %d]", s.rows-1, s.rows-1, s.rows, s.width)
	}
	doc(fileDoc{f}, fmt.Sprintf("%s adds %s.", name, what))
	f.Func().Id(name).Params(
		id("sum").Add(array(s.width)), id("x").Index().Float32(), jen.List(scales...).Float32(),
	).BlockFunc(func(g *jen.Group) {
		for j := range s.rows {
			at := id("x")
			if j > 0 {
				at = id("x").Index(n(j * s.width).Op(":"))
			}
			g.Add(define(fmt.Sprintf("x%d", j), asArray(s.width, at)))
		}
		g.For(id("i").Op(":=").Range().Id("sum")).BlockFunc(func(g *jen.Group) {
			value := id("sum").Index(id("i"))
			for j := range s.rows {
				value = value.Op("+").Float32().Call(jen.Add(scales[j]).Op("*").Add(views[j]).Index(id("i")))
			}
			g.Id("sum").Index(id("i")).Op("=").Add(value)
		})
	}).Line()
}
