package golang

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// lossFunc writes lossAndGradient: one pass over raw outputs makes the loss
// and its gradient.
func (e *emitter) lossFunc(f *jen.File) {
	l := e.p.Loss
	lines := []string{
		fmt.Sprintf("lossAndGradient returns the sum of the losses of raw [rows, %d], and writes scale", l.Raw.Width),
		fmt.Sprintf("times its gradient to grad [rows, %d]:", l.Grad.Width),
		"",
	}
	if l.Classes() {
		lines = append(lines,
			fmt.Sprintf("\t%s = log(sum exp(z)) - z[y] of each row", e.p.Settings.Loss),
			"\tslope = exp(z)/sum exp(z) - (1 at y)")
	} else {
		lines = append(lines, fmt.Sprintf("\t%s = %s", e.p.Settings.Loss, l.Value), fmt.Sprintf("\tslope = %s", l.Slope))
	}
	doc(fileDoc{f}, lines...)
	f.Func().Id("lossAndGradient").Params(
		jen.List(id("raw"), id("grad")).Index().Float32(), id("y").Qual(enginePath, "Target"),
		id("rows").Int(), id("scale").Float32(),
	).Params(id("sum").Float64()).BlockFunc(func(g *jen.Group) {
		if l.Classes() {
			e.crossEntropy(g, true)
		} else {
			e.elementLoss(g, true)
		}
		g.Return(id("sum"))
	}).Line()
}

// meanLossFunc writes lossOf, which eval uses on raw outputs alone.
func (e *emitter) meanLossFunc(f *jen.File) {
	doc(fileDoc{f}, fmt.Sprintf("lossOf returns the mean loss of raw [rows, %d].", e.p.Output))
	f.Func().Id("lossOf").Params(
		id("raw").Index().Float32(), id("y").Qual(enginePath, "Target"), id("rows").Int(),
	).Float64().BlockFunc(func(g *jen.Group) {
		g.Id("sum").Op(":=").Lit(0.0)
		if e.p.Loss.Classes() {
			e.crossEntropy(g, false)
		} else {
			e.elementLoss(g, false)
		}
		g.Return(id("sum").Op("/").Float64().Call(times(id("rows"), e.lossWidth())))
	}).Line()
}

// lossWidth is the number of losses in a row: the mean is over all of them.
func (e *emitter) lossWidth() int {
	if e.p.Loss.Classes() {
		return 1
	}
	return e.p.Output
}

func (e *emitter) elementLoss(g *jen.Group, gradient bool) {
	l := e.p.Loss
	all := times(id("rows"), e.p.Output)
	g.Add(define("values", id("y").Dot("Value").Index(jen.Op(":").Add(all.Clone()))))
	g.Id("raw").Op("=").Id("raw").Index(jen.Op(":").Len(id("values")))
	if gradient {
		g.Id("grad").Op("=").Id("grad").Index(jen.Op(":").Len(id("values")))
	}
	g.For(jen.List(id("i"), id("y")).Op(":=").Range().Id("values")).BlockFunc(func(g *jen.Group) {
		g.Add(define("z", id("raw").Index(id("i"))))
		bind := map[string]code{ir.VarZ: id("z"), ir.VarY: id("y")}
		if !gradient {
			values := lower(g, kernelArith, bind, l.Value)
			g.Id("sum").Op("+=").Float64().Call(values[0])
			return
		}
		values := lower(g, kernelArith, bind, l.Value, l.Slope)
		g.Id("sum").Op("+=").Float64().Call(values[0])
		slope := values[1]
		if l.Slope.Op == expr.Add || l.Slope.Op == expr.Sub {
			slope = jen.Parens(slope)
		}
		g.Id("grad").Index(id("i")).Op("=").Add(slope).Op("*").Id("scale")
	})
}

// crossEntropy writes softmax and cross-entropy in one pass over a row: with
// m = max z, the loss is m + log(sum exp(z - m)) - z[y], and its gradient
// softmax(z) - onehot(y). Nothing overflows, whatever the logits.
func (e *emitter) crossEntropy(g *jen.Group, gradient bool) {
	out := e.p.Output
	g.For(jen.List(id("r"), id("class")).Op(":=").Range().Id("y").Dot("Class").Index(jen.Op(":").Id("rows"))).BlockFunc(func(g *jen.Group) {
		g.Add(define("z", row("raw", id("r"), out)))
		if gradient {
			g.Add(define("d", row("grad", id("r"), out)))
		}
		e.largest(g)
		g.Var().Id("total").Float64()
		index := "_"
		if gradient {
			index = "j"
		}
		g.For(jen.List(id(index), id("v")).Op(":=").Range().Id("z")).BlockFunc(func(g *jen.Group) {
			g.Add(define("e", jen.Qual("math", "Exp").Call(jen.Float64().Call(id("v").Op("-").Id("top")))))
			g.Id("total").Op("+=").Id("e")
			if gradient {
				g.Id("d").Index(id("j")).Op("=").Float32().Call(id("e"))
			}
		})
		if gradient {
			g.Add(define("share", jen.Float32().Call(jen.Float64().Call(id("scale")).Op("/").Id("total"))))
			g.For(id("j").Op(":=").Range().Id("d")).Block(id("d").Index(id("j")).Op("*=").Id("share"))
			g.Id("d").Index(id("class")).Op("-=").Id("scale")
		}
		g.Id("sum").Op("+=").Float64().Call(id("top")).Op("-").Float64().Call(id("z").Index(id("class"))).
			Op("+").Qual("math", "Log").Call(id("total"))
	})
}

// largest writes top, the largest of the row z.
func (e *emitter) largest(g *jen.Group) {
	g.Add(define("top", id("z").Index(n(0))))
	g.For(jen.List(id("_"), id("v")).Op(":=").Range().Id("z").Index(n(1).Op(":"))).Block(
		id("top").Op("=").Max(id("top"), id("v")),
	)
}

// transformFunc writes the output transformation.
func (e *emitter) transformFunc(f *jen.File) {
	t := e.p.Transform
	doc(fileDoc{f}, fmt.Sprintf("transform writes the output transformation %s of raw [rows, %d] to out [rows, %d].",
		e.p.Settings.Output, e.p.Output, t.Width))
	f.Func().Id("transform").Params(jen.List(id("raw"), id("out")).Index().Float32(), id("rows").Int()).BlockFunc(func(g *jen.Group) {
		if t.Value != nil {
			g.Id("out").Op("=").Id("out").Index(jen.Op(":").Add(times(id("rows"), e.p.Output)))
			g.For(jen.List(id("i"), id("z")).Op(":=").Range().Id("raw").Index(jen.Op(":").Len(id("out")))).BlockFunc(func(g *jen.Group) {
				values := lower(g, kernelArith, map[string]code{ir.VarZ: id("z")}, t.Value)
				g.Id("out").Index(id("i")).Op("=").Add(values[0])
			})
			return
		}
		g.For(id("r").Op(":=").Range().Id("rows")).BlockFunc(func(g *jen.Group) {
			g.Add(define("z", row("raw", id("r"), e.p.Output)))
			switch t.Rowwise {
			case ir.Softmax:
				e.softmax(g)
			case ir.Argmax:
				e.winner(g)
				g.Id("out").Index(id("r")).Op("=").Float32().Call(id("best"))
			case ir.Indicator:
				e.winner(g)
				g.Add(define("hot", row("out", id("r"), e.p.Output)))
				g.Clear(id("hot").Index(jen.Op(":")))
				g.Id("hot").Index(id("best")).Op("=").Lit(1)
			default:
				panic(fmt.Sprintf("golang: unknown row operation %q", t.Rowwise))
			}
		})
	}).Line()
}

// winner writes best, the index of the first of the largest.
func (e *emitter) winner(g *jen.Group) {
	g.List(id("best"), id("top")).Op(":=").List(n(0), id("z").Index(n(0)))
	g.For(jen.List(id("j"), id("v")).Op(":=").Range().Id("z")).Block(
		jen.If(id("v").Op(">").Id("top")).Block(jen.List(id("best"), id("top")).Op("=").List(id("j"), id("v"))),
	)
}

func (e *emitter) softmax(g *jen.Group) {
	g.Add(define("p", row("out", id("r"), e.p.Output)))
	e.largest(g)
	g.Var().Id("total").Float64()
	g.For(jen.List(id("j"), id("v")).Op(":=").Range().Id("z")).Block(
		define("e", jen.Qual("math", "Exp").Call(jen.Float64().Call(id("v").Op("-").Id("top")))),
		id("total").Op("+=").Id("e"),
		id("p").Index(id("j")).Op("=").Float32().Call(id("e")),
	)
	g.For(id("j").Op(":=").Range().Id("p")).Block(
		id("p").Index(id("j")).Op("=").Float32().Call(jen.Float64().Call(id("p").Index(id("j"))).Op("/").Id("total")),
	)
}
