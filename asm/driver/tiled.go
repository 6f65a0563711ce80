package driver

import (
	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/plan"
)

// tiledStep writes Step of a plan whose workers each take tiles of rows
// through all layers.
func (e *emitter) tiledStep(f *jen.File) {
	e.stepMethod(f, func(g *jen.Group) {
		g.List(own("x"), own("y"), own("rows"), own("scale")).Op("=").List(id("x"), id("y"), id("rows"), e.scale())
		g.Add(own("pool").Dot("Run").Call(own("work")))
		g.Return(e.mean())
	})
	doc(f, "tiles is the number of tiles of the step, shards the number of gradients it makes.")
	method(f, "tiles").Params().Params(jen.List(id("tiles"), id("shards")).Int()).Block(
		id("tiles").Op("=").Parens(own("rows").Op("+").Id("vectorRows").Op("-").Lit(1)).Op("/").Id("vectorRows"),
		jen.Return(id("tiles"), jen.Qual(poolPath, "Tapered").Call(id("tiles"))),
	).Line()
	doc(f, "doWork is what each worker does in a step: the gradients of some shards, and then its",
		"part of their sum and of the update.")
	method(f, "doWork").Params(id("worker").Int()).BlockFunc(func(g *jen.Group) {
		for _, t := range e.Transposes {
			g.Add(own(t.Name)).Call(id("worker"))
		}
		if len(e.Transposes) > 0 {
			g.Add(wait())
		}
		g.List(id("_"), id("shards")).Op(":=").Add(own("tiles")).Call()
		each(g, plan.InTurn, "i", id("shards"), func(g *jen.Group) {
			g.Add(own("losses").Index(id("i")).Op("=").Add(own("shard")).Call(jen.Op("&").Add(own("batches")).Index(id("worker")), id("i")))
		})
		g.Add(wait())
		e.addLosses(g, "=", id("shards"))
		g.Add(own("update")).Call(id("shards"), id("worker"))
		e.padding(g)
	}).Line()
	e.shardFunc(f)
}

// shardFunc takes the tiles of a shard forward and back.
func (e *emitter) shardFunc(f *jen.File) {
	doc(f, "shard takes its tiles through all layers and back, one after the other, and adds up",
		"their gradients. It returns the sum of their losses.")
	method(f, "shard").Params(id("b").Op("*").Id("vectorBatch"), id("shard").Int()).Params(id("sum").Float64()).BlockFunc(func(g *jen.Group) {
		do := func(g *jen.Group, name string) { g.Add(own(name)).Call(id("b")) }
		g.List(id("tiles"), id("_")).Op(":=").Add(own("tiles")).Call()
		g.List(id("lo"), id("hi")).Op(":=").Qual(poolPath, "Taper").Call(id("tiles"), id("shard"))
		g.Id("b").Dot("grads").Op("=").Add(own("grads")).Index(id("shard").Op("*").Id("vectorGrads").Op(":").Parens(id("shard").Op("+").Lit(1)).Op("*").Id("vectorGrads"))
		e.clearSums(g, inBatch("grads"))
		g.List(inBatch("scale"), inBatch("more")).Op("=").List(own("scale"), n(0))
		g.For(id("tile").Op(":=").Id("lo"), id("tile").Op("<").Id("hi"), id("tile").Op("++")).BlockFunc(func(g *jen.Group) {
			g.Id("first").Op(":=").Id("tile").Op("*").Id("vectorRows")
			g.Id("last").Op(":=").Min(id("first").Op("+").Id("vectorRows"), own("rows"))
			g.List(inBatch("batch"), inBatch("rows"), inBatch("tiles")).Op("=").List(
				own("x").Index(times(id("first"), e.Program.Input).Op(":")), id("last").Op("-").Id("first"),
				own("k").Dot("train").Dot("cover").Call(id("last").Op("-").Id("first")))
			e.copyShort(g, id("vectorRows"))
			e.targetRows(g, own("y"), id("first"), id("last"))
			if !e.Tensors[0].Flat {
				do(g, "pack")
			}
			for _, s := range e.Forward {
				do(g, s.StepName())
			}
			g.Id("sum").Op("+=").Add(own("loss")).Call(id("b"))
			for _, phase := range e.Backward {
				for _, s := range phase {
					do(g, s.StepName())
				}
			}
			g.Id("b").Dot("more").Op("=").Lit(1)
		})
		e.fold(g, inBatch("grads"))
		g.Return(id("sum"))
	}).Line()
}
