package driver

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
)

// packCall is the number of rows that one call copies: those that it takes
// from panel to panel at once.
const packCall = 16

// stepsFile holds a function for each step of the plan. Where the workers share
// a step, each calls its function and makes the calls that fall to it.
func (e *emitter) stepsFile() *jen.File {
	f := e.file(Constraint)
	if !e.Tensors[0].Flat {
		e.packFunc(f)
	}
	for _, s := range e.Forward {
		e.step(f, s, "vectorBatch")
	}
	e.lossFunc(f)
	for _, phase := range e.Backward {
		for _, s := range phase {
			e.step(f, s, "vectorBatch")
		}
	}
	if e.Tiled {
		for _, t := range e.Transposes {
			e.transposeFunc(f, t)
		}
	}
	if e.Update != nil {
		e.updateFunc(f)
	}
	for _, i := range []*plan.Inference{e.Infer, e.InferRow} {
		for _, s := range i.Steps {
			e.step(f, s, batchOf(i))
		}
	}
	return f
}

func (e *emitter) step(f *jen.File, s plan.Step, batch string) {
	e.describeStep(f, s)
	e.part(f, s.StepName(), batch, s.How(), func(g *jen.Group) {
		switch s := s.(type) {
		case *plan.Multiply:
			e.multiply(g, s)
		case *plan.Apply:
			e.apply(g, s)
		case *plan.WeightGrad:
			e.weightGrad(g, s)
		case *plan.Dot:
			e.dot(g, s)
		case *plan.DotGrad:
			e.dotGrad(g, s)
		case *plan.RankOne:
			e.rankOne(g, s)
		}
	})
}

// part writes a function that makes a worker's part of a step on a batch.
func (e *emitter) part(f *jen.File, name, batch string, how plan.Sharing, body func(g *jen.Group)) {
	params := []jen.Code{id("b").Op("*").Id(batch)}
	if how != plan.Unshared {
		params = append(params, id("worker").Int())
	}
	method(f, name).Params(params...).BlockFunc(body).Line()
}

// each writes the loop over those of n things that fall to a worker; without a
// name nothing is called by it.
func each(g *jen.Group, how plan.Sharing, name string, n code, body func(g *jen.Group)) {
	over := n
	switch how {
	case plan.Shared:
		over = own("pool").Dot("Share").Call(id("worker"), n)
	case plan.Claimed:
		over = own("pool").Dot("Claim").Call(id("worker"), n)
	case plan.InTurn:
		over = own("pool").Dot("InTurn").Call(id("worker"), n)
	}
	if name == "" {
		g.For(jen.Range().Add(over)).BlockFunc(body)
		return
	}
	g.For(define(name, jen.Range().Add(over))).BlockFunc(body)
}

// calls are the kernel calls of a step: each takes some of the parts of one of
// several groups.
type calls struct {
	how    plan.Sharing
	groups int
	name   string // of the first part of a call: "tile", "block"
	parts  int    // of a group; 0 for as many as the batch has tiles
	most   int    // parts of a call
	whole  bool   // a call takes all parts of a group
}

// write writes the loop over the calls. body is given the group, nil for the
// only one, the first part of a call and their number.
func (c calls) write(g *jen.Group, body func(g *jen.Group, group, first, count code)) {
	parts := inBatch("tiles")
	if c.parts > 0 {
		parts = n(c.parts)
	}
	if c.whole {
		switch {
		case c.groups > 1:
			each(g, c.how, "g", n(c.groups), func(g *jen.Group) { body(g, id("g"), n(0), parts) })
		case c.how == plan.Unshared:
			body(g, nil, n(0), parts)
		default:
			each(g, c.how, "", n(1), func(g *jen.Group) { body(g, nil, n(0), parts) })
		}
		return
	}
	// perGroup is the number of calls of a group, total that of all.
	perGroup, total := n((c.parts+c.most-1)/c.most), n(c.groups*((c.parts+c.most-1)/c.most))
	if c.parts == 0 {
		perGroup = parts.Clone()
		if c.most > 1 {
			g.Id("calls").Op(":=").Parens(parts.Clone().Op("+").Lit(c.most - 1)).Op("/").Lit(c.most)
			perGroup = id("calls")
		}
		total = perGroup.Clone()
		if c.groups > 1 {
			total = n(c.groups).Op("*").Add(perGroup.Clone())
		}
	}
	if c.groups == 1 && c.most == 1 {
		each(g, c.how, c.name, total, func(g *jen.Group) { body(g, nil, id(c.name), n(1)) })
		return
	}
	each(g, c.how, "i", total, func(g *jen.Group) {
		group, call := code(nil), id("i")
		if c.groups > 1 {
			group = id("g")
			call = id("i").Op("%").Add(perGroup.Clone())
			g.List(id("g"), id(c.name)).Op(":=").List(id("i").Op("/").Add(perGroup.Clone()), times(call, c.most))
		} else {
			g.Id(c.name).Op(":=").Add(times(call, c.most))
		}
		if c.most == 1 {
			body(g, group, id(c.name), n(1))
			return
		}
		if c.parts > 0 && c.parts%c.most == 0 {
			body(g, group, id(c.name), n(c.most))
			return
		}
		g.Id("n").Op(":=").Min(n(c.most), parts.Clone().Op("-").Id(c.name))
		body(g, group, id(c.name), id("n"))
	})
}

func (e *emitter) packFunc(f *jen.File) {
	x := e.Tensors[0]
	doc(f, fmt.Sprintf("pack copies the batch, rows of %d, to %s.", e.Program.Input, shapeOf(x)))
	e.part(f, "pack", "vectorBatch", e.PackSharing, func(g *jen.Group) {
		if x.Layout.Pairs > 0 {
			e.onlyOne(g, e.PackSharing)
			g.Add(e.packPairs(x, inBatch("batch"), inBatch("rows")))
			return
		}
		rowCalls(g, e.PackSharing, packCall, func(g *jen.Group, row, count code) {
			g.Add(call(e.Pack, at(inBatch(x.Name), times(row, kernel.Lanes)), at(inBatch("batch"), times(row, e.Program.Input)), count))
		})
	})
}

// onlyOne ends the function of all workers but the first.
func (e *emitter) onlyOne(g *jen.Group, how plan.Sharing) {
	if how != plan.Unshared {
		g.If(id("worker").Op("!=").Lit(0)).Block(jen.Return())
	}
}

// rowCalls writes the loop over calls that take up to most rows each.
func rowCalls(g *jen.Group, how plan.Sharing, most int, body func(g *jen.Group, row, count code)) {
	each(g, how, "i", jen.Parens(inBatch("rows").Op("+").Lit(most-1)).Op("/").Lit(most), func(g *jen.Group) {
		g.Id("row").Op(":=").Id("i").Op("*").Lit(most)
		body(g, id("row"), jen.Min(n(most), inBatch("rows").Op("-").Id("row")))
	})
}

// linesOf is the number of vectors of 16 that hold so many rows of one column.
func linesOf(rows code) code {
	return jen.Parens(rows.Op("+").Lit(kernel.Lanes - 1)).Op("/").Lit(kernel.Lanes)
}

// packPairs copies rows whose columns are gated at once.
func (e *emitter) packPairs(x *plan.Tensor, from, rows code) code {
	return jen.Qual(simdPath, "Layout").Values(jen.Dict{id("Width"): n(x.Layout.Width), id("Pairs"): n(x.Layout.Pairs)}).
		Dot("Block").Call(inBatch(x.Name), from, rows, n(x.Rows))
}

func (e *emitter) apply(g *jen.Group, s *plan.Apply) {
	if s.Dense {
		e.onlyOne(g, s.Sharing)
		g.Comment("// One column: the lanes run over the rows.")
		g.Add(call(s.Kernel, append(e.applyArgs(s, nil), linesOf(inBatch("rows")))...))
		return
	}
	c := calls{how: s.Sharing, groups: s.Panels, parts: 1, whole: true}
	c.write(g, func(g *jen.Group, panel, _, _ code) {
		g.Add(call(s.Kernel, append(e.applyArgs(s, panel), inBatch("rows"))...))
	})
}

// applyArgs are a map's pointers at a panel of units; nil is the only panel.
func (e *emitter) applyArgs(s *plan.Apply, panel code) []jen.Code {
	var args []jen.Code
	if s.Learned != nil {
		args = append(args, learned(s.Learned, s.Kernel.Map, times(panel, kernel.Lanes)))
	}
	for _, v := range s.Buffers {
		args = append(args, at(inBatch(v.Tensor.Name), times(panel, v.Step*v.Tensor.Rows*kernel.Lanes)))
	}
	if s.Sum == nil {
		return args
	}
	place := s.Sum.Grad
	if s.Sum.Panels > 0 {
		place = s.Sum.Parts
	}
	if panel == nil {
		return append(args, at(inBatch("grads"), n(place)))
	}
	return append(args, at(inBatch("grads"), plus(times(panel, kernel.Lanes), place)))
}

func (e *emitter) updateFunc(f *jen.File) {
	doc(f, "update updates the parameters whose gradients are kept, from the sum of so many shards.")
	method(f, "update").Params(jen.List(id("shards"), id("worker")).Int()).BlockFunc(func(g *jen.Group) {
		for _, r := range e.Runs {
			most := min(r.Vectors, e.UpdateMost)
			each(g, plan.Claimed, "i", n((r.Vectors+most-1)/most), func(g *jen.Group) {
				g.Id("first").Op(":=").Add(times(id("i"), most))
				count := n(most)
				if r.Vectors%most != 0 {
					count = jen.Min(n(most), n(r.Vectors).Op("-").Id("first"))
				}
				var args []jen.Code
				for slot := range 1 + len(e.Rule.States) {
					args = append(args, at(own("slots").Index(n(slot)), plus(times(id("first"), kernel.Lanes), r.Param)))
				}
				args = append(args, at(own("scalars"), n(0)), at(own("grads"), plus(times(id("first"), kernel.Lanes), r.Grad)), id("shards"), count)
				g.Add(call(e.Update, args...))
			})
		}
	}).Line()
}

func (e *emitter) lossFunc(f *jen.File) {
	l := e.Loss
	doc(f, fmt.Sprintf("loss computes %s, and its gradient %s:", e.Program.Settings.Loss, l.DZ.Name), "")
	doc(f, lossFormula(l.Source)...)
	width := l.Z.Layout.Width
	target, per := "value", width
	if l.Source.Classes() {
		target, per = "class", 1
	}
	args := func(first, rows code) []jen.Code {
		return []jen.Code{
			at(inBatch(l.Z.Name), times(first, l.Z.RowStep())), at(inBatch(l.DZ.Name), times(first, l.DZ.RowStep())),
			at(inBatch(target), times(first, per)), rows, inBatch("scale"),
		}
	}
	if e.Tiled {
		doc(f, "", "It returns the sum over the rows.")
		method(f, "loss").Params(id("b").Op("*").Id("vectorBatch")).Float64().Block(
			jen.Return(call(l.Kernel, args(n(0), inBatch("rows"))...)),
		).Line()
		return
	}
	doc(f, "", "The sum over the rows of each call is kept by itself.")
	e.part(f, "loss", "vectorBatch", l.Sharing, func(g *jen.Group) {
		rowCalls(g, l.Sharing, l.CallRows(), func(g *jen.Group, row, count code) {
			g.Add(own("losses")).Index(id("i")).Op("=").Add(call(l.Kernel, args(row, count)...))
		})
	})
}
