package driver

import (
	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/plan"
)

// layeredStep writes Step and doWork of a plan whose workers share each step.
func (e *emitter) layeredStep(f *jen.File) {
	e.stepMethod(f, func(g *jen.Group) {
		if e.Whole != nil {
			e.wholeStep(g)
		}
		g.Id("b").Op(":=").Op("&").Id("e").Dot("batch")
		g.Id("b").Dot("scale").Op("=").Add(e.scale())
		if !e.Keep {
			g.List(inBatch("batch"), inBatch("rows"), inBatch("tiles")).Op("=").List(id("x"), id("rows"), own("k").Dot("train").Dot("cover").Call(id("rows")))
			e.copyShort(g, id("vectorRows"))
			e.targetRows(g, id("y"), nil, id("rows"))
			g.Add(own("pool").Dot("Run").Call(own("work")))
			g.Return(e.mean())
			return
		}
		g.Add(own("total")).Op("=").Lit(0)
		g.Id("b").Dot("more").Op("=").Lit(0)
		g.For(id("lo").Op(":=").Lit(0), id("lo").Op("<").Id("rows"), id("lo").Op("+=").Id("vectorRows")).BlockFunc(func(g *jen.Group) {
			g.Id("hi").Op(":=").Min(id("lo").Op("+").Id("vectorRows"), id("rows"))
			g.List(inBatch("batch"), inBatch("rows"), inBatch("tiles")).Op("=").List(
				id("x").Index(times(id("lo"), e.Program.Input).Op(":")), id("hi").Op("-").Id("lo"),
				own("k").Dot("train").Dot("cover").Call(id("hi").Op("-").Id("lo")))
			e.copyShort(g, id("vectorRows"))
			e.targetRows(g, id("y"), id("lo"), id("hi"))
			g.Add(own("pool").Dot("Run").Call(own("work")))
			g.Id("b").Dot("more").Op("=").Lit(1)
		})
		g.If(finite(own("total"))).Block(own("pool").Dot("Run").Call(own("finish")))
		g.Return(e.mean())
	})
	e.layeredWork(f)
	if e.Keep {
		doc(f, "doFinish updates the parameters once the gradients of all rows are there.")
		method(f, "doFinish").Params(id("worker").Int()).BlockFunc(func(g *jen.Group) {
			e.finishSums(g)
			g.Add(own("update")).Call(n(1), id("worker"))
			e.padding(g)
		}).Line()
	}
}

// wholeStep writes the call of the function that makes a full step.
func (e *emitter) wholeStep(g *jen.Group) {
	target := "Value"
	if e.Loss.Source.Classes() {
		target = "Class"
	}
	g.If(id("rows").Op("==").Id("vectorRows")).Block(
		jen.Comment("// A full batch is small enough for one function."),
		own("total").Op("=").Add(call(e.Whole, at(own("slots").Index(n(0)), n(0)), at(id("x"), n(0)), at(id("y").Dot(target), n(0)), e.scale())),
		jen.Return(e.mean()),
	)
}

// finishSums adds up partial sums before the update reads them.
func (e *emitter) finishSums(g *jen.Group) {
	if partial, _ := e.sums(); len(partial) > 0 {
		g.If(id("worker").Op("==").Lit(0)).BlockFunc(func(g *jen.Group) { e.fold(g, own("grads")) })
		g.Add(wait())
	}
}

// addLosses adds up the losses of so many calls or shards, and ends the step
// where the sum is not finite.
func (e *emitter) addLosses(g *jen.Group, op string, count code) {
	g.Comment("// Every worker adds up the same losses in the same order.")
	g.Id("total").Op(":=").Lit(0.0)
	g.For(jen.List(id("_"), id("sum")).Op(":=").Range().Add(own("losses")).Index(jen.Op(":").Add(count))).Block(
		id("total").Op("+=").Id("sum"),
	)
	g.If(id("worker").Op("==").Lit(0)).Block(own("total").Op(op).Id("total"))
	g.If(notFinite(id("total"))).Block(jen.Return())
}

// padding keeps the zeros of the padding, where the rule does not.
func (e *emitter) padding(g *jen.Group) {
	if !e.ClearPadding {
		return
	}
	g.Add(wait())
	g.If(id("worker").Op("==").Lit(0)).Block(
		jen.Comment("// The update makes something of zeros; padding stays zero."),
		jen.For(jen.List(id("_"), id("slot")).Op(":=").Range().Add(own("slots"))).Block(
			jen.For(jen.List(id("_"), id("t")).Op(":=").Range().Id("vectorParams")).Block(
				id("t").Dot("ClearPadding").Call(id("slot")),
			),
		),
	)
}

func (e *emitter) layeredWork(f *jen.File) {
	doc(f, "doWork is what each worker does in a step: its part of one layer after the other,",
		"waiting for the others wherever it needs what they made.")
	method(f, "doWork").Params(id("worker").Int()).BlockFunc(func(g *jen.Group) {
		g.Id("b").Op(":=").Op("&").Add(own("batch"))
		do := func(name string, how plan.Sharing) {
			args := []jen.Code{id("b")}
			if how != plan.Unshared {
				args = append(args, id("worker"))
			}
			g.Add(own(name)).Call(args...)
		}
		if _, added := e.sums(); len(added) > 0 {
			clearing := func(g *jen.Group) { e.clearSums(g, own("grads")) }
			if e.Keep {
				g.If(id("worker").Op("==").Lit(0).Op("&&").Add(inBatch("more")).Op("==").Lit(0)).BlockFunc(clearing)
			} else {
				g.If(id("worker").Op("==").Lit(0)).BlockFunc(clearing)
			}
		}
		if !e.Tensors[0].Flat {
			do("pack", e.PackSharing)
			g.Add(wait())
		}
		for _, s := range e.Forward {
			do(s.StepName(), s.How())
			g.Add(wait())
		}
		do("loss", e.Loss.Sharing)
		g.Add(wait())
		op := "="
		if e.Keep {
			op = "+="
		}
		e.addLosses(g, op, jen.Parens(inBatch("rows").Op("+").Lit(e.Loss.CallRows()-1)).Op("/").Lit(e.Loss.CallRows()))
		for i, phase := range e.Backward {
			for _, s := range phase {
				do(s.StepName(), s.How())
			}
			if i < len(e.Backward)-1 || !e.Keep && len(e.Runs) > 0 {
				g.Add(wait())
			}
		}
		if e.Keep {
			return
		}
		if len(e.Runs) > 0 {
			e.finishSums(g)
			g.Add(own("update")).Call(n(1), id("worker"))
		}
		e.padding(g)
	}).Line()
}
