package driver

import (
	"fmt"

	"github.com/dave/jennifer/jen"
)

// inferFunc writes Infer and the buffers that it borrows.
func (e *emitter) inferFunc(f *jen.File) {
	doc(f, "vectorInference holds the buffers of one call of Infer.")
	f.Type().Id("vectorInference").StructFunc(func(g *jen.Group) {
		g.List(id("rows"), id("tiles")).Int()
		for _, t := range e.Infers {
			g.Id(t.Name).Add(floats()).Comment("// " + shapeOf(t))
		}
	})
	f.Func().Id("newVectorInference").Params().Op("*").Id("vectorInference").BlockFunc(func(g *jen.Group) {
		g.Id("memory").Op(":=").Qual(arenaPath, "Aligned").Call(n(e.InferSize))
		g.Return(jen.Op("&").Id("vectorInference").Values(jen.DictFunc(func(d jen.Dict) {
			for _, t := range e.Infers {
				d[id(t.Name)] = id("memory").Index(n(t.Offset).Op(":").Lit(t.Offset + t.Size()))
			}
		})))
	}).Line()
	doc(f, fmt.Sprintf("Infer computes raw outputs raw [rows, %d] from x [rows, %d]. Many goroutines may call", e.Program.Output, e.Program.Input),
		"it, while none calls Step or Write.")
	method(f, "Infer").Params(jen.List(id("x"), id("raw")).Add(floats()), id("rows").Int()).BlockFunc(func(g *jen.Group) {
		g.List(id("_"), id("_")).Op("=").List(
			id("x").Index(jen.Op(":").Add(times(id("rows"), e.Program.Input))),
			id("raw").Index(jen.Op(":").Add(times(id("rows"), e.Program.Output))))
		g.Id("b").Op(":=").Add(own("infers")).Dot("Get").Call().Assert(jen.Op("*").Id("vectorInference"))
		g.Defer().Add(own("infers")).Dot("Put").Call(id("b"))
		g.For(id("lo").Op(":=").Lit(0), id("lo").Op("<").Id("rows"), id("lo").Op("+=").Id("vectorInferRows")).BlockFunc(func(g *jen.Group) {
			g.Id("b").Dot("rows").Op("=").Min(id("vectorInferRows"), id("rows").Op("-").Id("lo"))
			g.Id("b").Dot("tiles").Op("=").Add(own("k")).Dot("infer").Dot("cover").Call(inBatch("rows"))
			x, raw := e.Infers[0], e.RawOut
			if x.Layout.Pairs > 0 {
				g.Id("batch").Op(":=").Id("x").Index(times(id("lo"), e.Program.Input).Op(":"))
				g.Add(e.packPairs(x, id("batch"), inBatch("rows")))
			} else {
				g.Add(call(e.InferPack, at(inBatch(x.Name), n(0)), at(id("x"), times(id("lo"), e.Program.Input)), inBatch("rows")))
			}
			for _, s := range e.Infer {
				g.Add(own(s.StepName())).Call(id("b"), n(0), n(1))
			}
			if raw.Layout.Dense {
				g.Copy(id("raw").Index(id("lo").Op(":")), inBatch(raw.Name).Index(jen.Op(":").Add(inBatch("rows"))))
				return
			}
			g.Add(call(e.Unpack, at(inBatch(raw.Name), n(0)), at(id("raw"), times(id("lo"), e.Program.Output)), inBatch("rows")))
		})
	}).Line()
}

// accessFuncs writes Read, Write and Close.
func (e *emitter) accessFuncs(f *jen.File) {
	doc(f, "vectorParams says where each parameter lies in a slot.")
	f.Var().Id("vectorParams").Op("=").Index(n(len(e.Params))).Qual(simdPath, "Tensor").ValuesFunc(func(g *jen.Group) {
		for _, q := range e.Params {
			in := 1
			if q.Matrix {
				in = q.In
			}
			layout := jen.Qual(simdPath, "Layout").Values(jen.Dict{id("Width"): n(q.Layout.Width), id("Pairs"): n(q.Layout.Pairs)})
			g.Line().Values(jen.Dict{
				id("Layout"): layout, id("In"): n(in), id("InPad"): n(q.InPad), id("Offset"): n(q.Offset),
			})
		}
		g.Line()
	}).Line()
	doc(f, "Read copies tensor i of a slot: 0 for the parameter, then the optimizer's states.")
	method(f, "Read").Params(jen.List(id("slot"), id("i")).Int(), id("dst").Add(floats())).Block(
		id("vectorParams").Index(id("i")).Dot("Unpack").Call(id("dst"), own("slots").Index(id("slot"))),
	).Line()
	doc(f, "Write sets tensor i of a slot.")
	method(f, "Write").Params(jen.List(id("slot"), id("i")).Int(), id("src").Add(floats())).Block(
		id("vectorParams").Index(id("i")).Dot("Pack").Call(own("slots").Index(id("slot")), id("src")),
	).Line()
	doc(f, "Close ends the workers and returns the memory.")
	method(f, "Close").Params().Block(
		own("pool").Dot("Close").Call(),
		jen.Comment("// There is nothing to be done about memory that cannot be returned."),
		id("_").Op("=").Add(own("memory")).Dot("Close").Call(),
	).Line()
}
