package driver

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/plan"
)

// batchOf is the type of the rows on their way through an inference.
func batchOf(i *plan.Inference) string {
	if i.Rows == 1 {
		return "vectorRow"
	}
	return "vectorInference"
}

func upper(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// inferFunc writes Infer and the buffers that it borrows.
func (e *emitter) inferFunc(f *jen.File) {
	e.inferBatch(f, e.Infer, "rows on their way to the raw outputs.")
	e.inferBatch(f, e.InferRow, "a single row on its way to the raw outputs.")
	doc(f, fmt.Sprintf("Infer computes raw outputs raw [rows, %d] from x [rows, %d]. Many goroutines may call", e.Program.Output, e.Program.Input),
		"it, while none calls Step or Write.")
	method(f, "Infer").Params(jen.List(id("x"), id("raw")).Add(floats()), id("rows").Int()).BlockFunc(func(g *jen.Group) {
		g.List(id("_"), id("_")).Op("=").List(
			id("x").Index(jen.Op(":").Add(times(id("rows"), e.Program.Input))),
			id("raw").Index(jen.Op(":").Add(times(id("rows"), e.Program.Output))))
		g.If(id("rows").Op("<=").Lit(singly)).BlockFunc(func(g *jen.Group) {
			g.Comment("// So few rows are faster one by one than as a tile; their bits are the same.")
			e.inferLoop(g, e.InferRow, func(g *jen.Group) {})
			g.Return()
		})
		e.inferLoop(g, e.Infer, func(g *jen.Group) {
			g.Id("b").Dot("rows").Op("=").Min(id("vectorInferRows"), id("rows").Op("-").Id("lo"))
			g.Id("b").Dot("tiles").Op("=").Add(own("k")).Dot("infer").Dot("cover").Call(inBatch("rows"))
		})
	}).Line()
}

// singly is the number of rows up to which inference takes one after the other.
const singly = 2

// inferBatch writes the type of an inference's rows and its constructor.
func (e *emitter) inferBatch(f *jen.File, i *plan.Inference, what string) {
	name := batchOf(i)
	doc(f, name+" is "+what)
	f.Type().Id(name).StructFunc(func(g *jen.Group) {
		g.List(id("rows"), id("tiles")).Int()
		if i.Tensors[0].Flat {
			g.Id("batch").Add(floats()).Comment(fmt.Sprintf("// [rows, %d] as given", e.Program.Input))
		}
		for _, t := range i.Held() {
			g.Id(t.Name).Add(floats()).Comment("// " + shapeOf(t))
		}
	})
	f.Func().Id("new" + upper(name)).Params().Op("*").Id(name).BlockFunc(func(g *jen.Group) {
		g.Id("memory").Op(":=").Qual(arenaPath, "Aligned").Call(n(i.Size))
		g.Return(jen.Op("&").Id(name).Values(jen.DictFunc(func(d jen.Dict) {
			if i.Rows == 1 {
				d[id("rows")], d[id("tiles")] = n(1), n(1)
			}
			for _, t := range i.Held() {
				d[id(t.Name)] = id("memory").Index(n(t.Offset).Op(":").Lit(t.Offset + t.Size()))
			}
		})))
	}).Line()
}

// inferLoop writes the loop over the rows, as many at a time as the inference
// takes; set sets how many those are.
func (e *emitter) inferLoop(g *jen.Group, i *plan.Inference, set func(g *jen.Group)) {
	g.Id("b").Op(":=").Add(own(i.Name)).Dot("Get").Call().Assert(jen.Op("*").Id(batchOf(i)))
	g.Defer().Add(own(i.Name)).Dot("Put").Call(id("b"))
	next := id("lo").Op("+=").Id("vectorInferRows")
	if i.Rows == 1 {
		next = id("lo").Op("++")
	}
	g.For(id("lo").Op(":=").Lit(0), id("lo").Op("<").Id("rows"), next).BlockFunc(func(g *jen.Group) {
		set(g)
		x, raw := i.Tensors[0], i.Raw
		if x.Flat {
			g.Add(inBatch("batch")).Op("=").Id("x").Index(times(id("lo"), e.Program.Input).Op(":"))
			if i.Rows > 1 {
				e.copyShort(g, id("vectorInferRows"))
			}
		} else if x.Layout.Pairs > 0 {
			g.Id("batch").Op(":=").Id("x").Index(times(id("lo"), e.Program.Input).Op(":"))
			g.Add(e.packPairs(x, id("batch"), inBatch("rows")))
		} else {
			g.Add(call(i.Pack, at(inBatch(x.Name), n(0)), at(id("x"), times(id("lo"), e.Program.Input)), inBatch("rows")))
		}
		for _, s := range i.Steps {
			g.Add(own(s.StepName())).Call(id("b"))
		}
		if raw.Layout.Dense {
			g.Copy(id("raw").Index(id("lo").Op(":")), inBatch(raw.Name).Index(jen.Op(":").Add(inBatch("rows"))))
			return
		}
		g.Add(call(i.Unpack, at(inBatch(raw.Name), n(0)), at(id("raw"), times(id("lo"), e.Program.Output)), inBatch("rows")))
	})
}

// copyShort copies rows that are read in place, where they are fewer than the
// kernels' tiles have.
func (e *emitter) copyShort(g *jen.Group, full code) {
	if !e.Tensors[0].Flat {
		return
	}
	g.If(inBatch("rows").Op("<").Add(full)).Block(
		jen.Comment("// Kernels read whole tiles of rows: there are as many in the copy."),
		jen.Copy(inBatch("x"), inBatch("batch").Index(jen.Op(":").Add(times(inBatch("rows"), e.Program.Input)))),
		inBatch("batch").Op("=").Add(inBatch("x")),
	)
}

// accessFuncs writes Read, Write, Runs and Close.
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
	doc(f, "Read copies elements of tensor i of a slot: 0 for the parameter, then the optimizer's",
		"states.")
	method(f, "Read").Params(jen.List(id("slot"), id("i"), id("first")).Int(), id("dst").Add(floats())).Block(
		id("vectorParams").Index(id("i")).Dot("Unpack").Call(id("dst"), own("slots").Index(id("slot")), id("first")),
	).Line()
	doc(f, "Write sets elements of tensor i of a slot.")
	method(f, "Write").Params(jen.List(id("slot"), id("i"), id("first")).Int(), id("src").Add(floats())).Block(
		id("vectorParams").Index(id("i")).Dot("Pack").Call(own("slots").Index(id("slot")), id("first"), id("src")),
	).Line()
	doc(f, "Runs implements engine.Sharing.")
	method(f, "Runs").Params().Params(jen.List(id("alone"), id("all")).Int64()).Block(jen.Return(own("pool").Dot("Runs").Call())).Line()
	doc(f, "Close ends the workers and returns the memory.")
	method(f, "Close").Params().Block(
		own("pool").Dot("Close").Call(),
		jen.Comment("// There is nothing to be done about memory that cannot be returned."),
		id("_").Op("=").Add(own("memory")).Dot("Close").Call(),
	).Line()
}
