package driver

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/internal/ir"
)

// packCall is the number of rows that one call copies at most.
const packCall = 64

// stepsFile holds a function for each step of the plan. Each makes part number
// part of parts of its step.
func (e *emitter) stepsFile() *jen.File {
	f := e.file(Constraint)
	e.packFunc(f)
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

// part starts a function that makes part of a step on a batch.
func (e *emitter) part(f *jen.File, name, batch string, body func(g *jen.Group)) {
	method(f, name).Params(id("b").Op("*").Id(batch), jen.List(id("part"), id("parts")).Int()).BlockFunc(body).Line()
}

func (e *emitter) packFunc(f *jen.File) {
	x := e.Tensors[0]
	doc(f, fmt.Sprintf("pack copies the batch, rows of %d, to %s.", e.Program.Input, shapeOf(x)))
	e.part(f, "pack", "vectorBatch", func(g *jen.Group) {
		if x.Layout.Pairs > 0 {
			g.If(id("part").Op("==").Lit(0)).Block(e.packPairs(x, inBatch("batch"), inBatch("rows")))
			return
		}
		g.Add(share(inBatch("rows")))
		g.For(id("lo").Op("<").Id("hi")).Block(
			define("n", jen.Min(id("hi").Op("-").Id("lo"), n(packCall))),
			call(e.Pack, at(inBatch(x.Name), times(id("lo"), kernel.Lanes)), at(inBatch("batch"), times(id("lo"), e.Program.Input)), id("n")),
			id("lo").Op("+=").Id("n"),
		)
	})
}

// packPairs copies rows whose columns are gated at once.
func (e *emitter) packPairs(x *plan.Tensor, from, rows code) code {
	return jen.Qual(simdPath, "Layout").Values(jen.Dict{id("Width"): n(x.Layout.Width), id("Pairs"): n(x.Layout.Pairs)}).
		Dot("Block").Call(inBatch(x.Name), from, rows, n(x.Rows))
}

func (e *emitter) step(f *jen.File, s plan.Step, batch string) {
	switch s := s.(type) {
	case *plan.Multiply:
		e.multiply(f, s, batch)
	case *plan.Apply:
		e.apply(f, s, batch)
	case *plan.WeightGrad:
		e.weightGrad(f, s)
	case *plan.Dot:
		e.dot(f, s, batch)
	case *plan.DotGrad:
		e.dotGrad(f, s)
	case *plan.RankOne:
		e.rankOne(f, s)
	}
}

// formula is what a step computes, for its comment.
func (e *emitter) formula(s ir.Step, layer int) []string {
	return []string{ir.StepString(s), fmt.Sprintf("layer %d, line %d: %s", layer, e.Program.Layers[layer].Line, e.Program.Layers[layer].Text)}
}

func (e *emitter) multiply(f *jen.File, s *plan.Multiply, batch string) {
	k := s.Kernel
	layer := s.Weight.Layer
	lines := e.formula(s.Source, layer)
	doc(f, fmt.Sprintf("%s: %s,", s.Name, lines[0]),
		fmt.Sprintf("[rows, %d]·[%d, %d]. %s", k.Depth, k.Depth, columns(s), lines[1]))
	e.part(f, s.Name, batch, func(g *jen.Group) {
		g.Comment(fmt.Sprintf("// %d groups of %d columns by tiles of rows", s.Groups, k.Panels*kernel.Lanes))
		g.Add(share(times(inBatch("tiles"), s.Groups)))
		if s.Transpose != nil && !e.Tiled {
			g.Id("t").Op(":=").Id("e").Dot("slabs").Index(id("part"))
			g.Id("turned").Op(":=").Lit(-1).Comment("// the group whose transposed weights are in t")
		}
		g.For(id("lo").Op("<").Id("hi")).BlockFunc(func(g *jen.Group) {
			g.List(id("g"), id("tile")).Op(":=").List(id("lo").Op("/").Add(inBatch("tiles")), id("lo").Op("%").Add(inBatch("tiles")))
			limit := jen.Min(id("hi").Op("-").Id("lo"), inBatch("tiles").Op("-").Id("tile"), n(s.Most))
			g.Id("n").Op(":=").Add(limit)
			if s.Transpose != nil && !e.Tiled {
				g.If(id("g").Op("!=").Id("turned")).BlockFunc(func(g *jen.Group) {
					e.transposeCall(g, s.Transpose, at(id("t"), n(0)))
					g.Id("turned").Op("=").Id("g")
				})
			}
			args := e.multiplyArgs(s)
			e.choose(g, s.Groups, k, s.Last, args)
			g.Id("lo").Op("+=").Id("n")
		})
	})
}

func columns(s *plan.Multiply) int {
	if _, back := s.Source.(*ir.GradInput); back {
		return s.Weight.Shape[1]
	}
	return s.Weight.Shape[0]
}

// choose calls the kernel of a whole group or, for the last group, that of
// fewer panels.
func (e *emitter) choose(g *jen.Group, groups int, k, last kernel.Kernel, args []jen.Code) {
	if isNil(last) {
		g.Add(call(k, args...))
		return
	}
	if groups == 1 {
		g.Add(call(last, args...))
		return
	}
	g.Id("f").Op(":=").Add(own("k").Dot(k.FuncName()))
	g.If(id("g").Op("==").Lit(groups - 1)).Block(id("f").Op("=").Add(own("k").Dot(last.FuncName())))
	g.Id("f").Call(args...)
}

func isNil(k kernel.Kernel) bool {
	switch k := k.(type) {
	case *kernel.Product:
		return k == nil
	case *kernel.Gradient:
		return k == nil
	case *kernel.BiasGradient:
		return k == nil
	case *kernel.Transpose:
		return k == nil
	}
	return k == nil
}

func (e *emitter) multiplyArgs(s *plan.Multiply) []jen.Code {
	k, g := s.Kernel, id("g")
	args := []jen.Code{at(inBatch(s.Src.Name), n(0))}
	switch {
	case s.Transpose == nil:
		args = append(args, at(own(field(s.Weight)), times(g, k.Panels*s.Weight.InPad*kernel.Lanes)))
	case e.Tiled:
		args = append(args, at(own("slab"), plus(times(g, s.Transpose.Size), s.Transpose.Offset)))
	default:
		args = append(args, at(id("t"), n(0)))
	}
	if s.Bias != nil {
		args = append(args, at(own(field(s.Bias)), times(g, k.Panels*kernel.Lanes)))
	}
	if s.Acc != nil {
		args = append(args, at(inBatch(s.Acc.Name), times(g, k.Panels*s.Acc.Rows*kernel.Lanes)))
	}
	if s.Learned != nil {
		args = append(args, learned(s.Learned, k.Map, times(g, k.Panels/k.Map.Width()*kernel.Lanes)))
	}
	for _, v := range s.Buffers {
		args = append(args, at(inBatch(v.Tensor.Name), times(g, v.Step*v.Tensor.Rows*kernel.Lanes)))
	}
	return append(args, id("tile"), id("n"))
}

// learned is the pointer to a learned parameter for a group of units.
func learned(q *plan.Param, m *kernel.Map, group code) code {
	if m.Param == kernel.OneParam {
		return at(own(field(q)), n(0))
	}
	return at(own(field(q)), group)
}

func (e *emitter) transposeCall(g *jen.Group, t *plan.Transpose, to code) {
	w := at(own(field(t.Weight)), times(id("g"), t.Kernel.Lines*kernel.Lanes*kernel.Lanes))
	e.choose(g, t.Groups, t.Kernel, t.Last, []jen.Code{to, w})
}

func (e *emitter) transposeFunc(f *jen.File, t *plan.Transpose) {
	doc(f, fmt.Sprintf("%s makes the transposed weights of %s, in which its inputs run over the lanes.", t.Name, t.Weight.Name))
	method(f, t.Name).Params(jen.List(id("part"), id("parts")).Int()).BlockFunc(func(g *jen.Group) {
		g.Add(share(n(t.Groups)))
		g.For(id("g").Op(":=").Id("lo"), id("g").Op("<").Id("hi"), id("g").Op("++")).BlockFunc(func(g *jen.Group) {
			e.transposeCall(g, t, at(own("slab"), plus(times(id("g"), t.Size), t.Offset)))
		})
	}).Line()
}

func (e *emitter) apply(f *jen.File, s *plan.Apply, batch string) {
	lines := e.formula(s.Source, s.Source.Layer)
	doc(f, fmt.Sprintf("%s: %s.", s.Name, lines[0]), lines[1])
	e.part(f, s.Name, batch, func(g *jen.Group) {
		if s.Dense {
			g.If(id("part").Op("!=").Lit(0)).Block(jen.Return())
			g.Comment("// One column: the lanes run over the rows.")
			g.Add(call(s.Kernel, append(e.applyArgs(s, nil), jen.Parens(inBatch("rows").Op("+").Lit(kernel.Lanes-1)).Op("/").Lit(kernel.Lanes))...))
			return
		}
		if s.Sum != nil && s.Sum.Sum {
			g.Comment("// One sum for all panels: one worker makes it.")
			g.If(id("part").Op("!=").Lit(0)).Block(jen.Return())
			g.List(id("lo"), id("hi")).Op(":=").List(n(0), n(s.Panels))
		} else {
			g.Add(share(n(s.Panels)))
		}
		g.For(id("p").Op(":=").Id("lo"), id("p").Op("<").Id("hi"), id("p").Op("++")).BlockFunc(func(g *jen.Group) {
			g.Add(call(s.Kernel, append(e.applyArgs(s, id("p")), inBatch("rows"))...))
		})
	})
}

// applyArgs are a map's pointers at a panel of units; nil is the only panel.
func (e *emitter) applyArgs(s *plan.Apply, panel code) []jen.Code {
	offset := func(by int) code {
		if panel == nil {
			return n(0)
		}
		return times(panel, by)
	}
	var args []jen.Code
	if s.Learned != nil {
		args = append(args, learned(s.Learned, s.Kernel.Map, offset(kernel.Lanes)))
	}
	for _, v := range s.Buffers {
		args = append(args, at(inBatch(v.Tensor.Name), offset(v.Step*v.Tensor.Rows*kernel.Lanes)))
	}
	if s.Sum == nil {
		return args
	}
	place := n(s.Sum.Grad)
	if !s.Sum.Sum {
		place = plus(offset(kernel.Lanes), s.Sum.Grad)
	}
	return append(args, at(inBatch("grads"), place))
}

func (e *emitter) weightGrad(f *jen.File, s *plan.WeightGrad) {
	lines := e.formula(s.Source, s.Source.Layer)
	k := s.Kernel
	doc(f, fmt.Sprintf("%s: %s,", s.Name, lines[0]),
		fmt.Sprintf("[%d, rows]·[rows, %d]. %s", s.Weight.In, s.Weight.Shape[0], lines[1]))
	e.part(f, s.Name, "vectorBatch", func(g *jen.Group) {
		g.Comment(fmt.Sprintf("// %d groups of %d outputs by %d blocks of 16 inputs", s.Groups, k.Panels*kernel.Lanes, s.Blocks))
		g.Add(share(n(s.Groups * s.Blocks)))
		g.For(id("lo").Op("<").Id("hi")).BlockFunc(func(g *jen.Group) {
			if s.Blocks == 1 {
				g.List(id("g"), id("block")).Op(":=").List(id("lo"), n(0))
			} else {
				g.List(id("g"), id("block")).Op(":=").List(id("lo").Op("/").Lit(s.Blocks), id("lo").Op("%").Lit(s.Blocks))
			}
			g.Id("n").Op(":=").Min(id("hi").Op("-").Id("lo"), n(s.Blocks).Op("-").Id("block"), n(s.Most))
			args := e.target(s.Weight, times(id("g"), k.Panels*s.Weight.InPad*kernel.Lanes))
			args = append(args, at(inBatch(s.X.Name), n(0)), at(inBatch(s.DZ.Name), times(id("g"), k.Panels*s.DZ.Rows*kernel.Lanes)),
				inBatch("rows"), id("block"), id("n"))
			e.choose(g, s.Groups, k, s.Last, e.more(args))
			g.Id("lo").Op("+=").Id("n")
		})
		if s.Bias != nil {
			e.biasGrad(g, s.Groups, s.Bias, s.BiasLast, s.BiasOf, s.DZ)
		}
	})
}

// biasGrad writes the loop over the groups of a bias.
func (e *emitter) biasGrad(g *jen.Group, groups int, k, last *kernel.BiasGradient, bias *plan.Param, dz *plan.Tensor) {
	g.List(id("lo"), id("hi")).Op("=").Qual(simdPath, "Share").Call(n(groups), id("part"), id("parts"))
	g.For(id("g").Op(":=").Id("lo"), id("g").Op("<").Id("hi"), id("g").Op("++")).BlockFunc(func(g *jen.Group) {
		args := e.target(bias, times(id("g"), k.Panels*kernel.Lanes))
		args = append(args, at(inBatch(dz.Name), times(id("g"), k.Panels*dz.Rows*kernel.Lanes)), inBatch("rows"))
		e.choose(g, groups, k, last, e.more(args))
	})
}

func (e *emitter) dot(f *jen.File, s *plan.Dot, batch string) {
	lines := e.formula(s.Source, s.Source.Layer)
	doc(f, fmt.Sprintf("%s: %s,", s.Name, lines[0]), fmt.Sprintf("[rows, %d]·[%d, 1]. %s", s.Kernel.Inputs, s.Kernel.Inputs, lines[1]))
	e.part(f, s.Name, batch, func(g *jen.Group) {
		g.Comment("// by 16 rows")
		g.Add(share(jen.Parens(inBatch("rows").Op("+").Lit(kernel.Lanes - 1)).Op("/").Lit(kernel.Lanes)))
		g.Id("end").Op(":=").Min(id("hi").Op("*").Lit(kernel.Lanes), inBatch("rows"))
		g.For(id("row").Op(":=").Id("lo").Op("*").Lit(kernel.Lanes), id("row").Op("<").Id("end"), id("row").Op("+=").Lit(s.MostRow)).BlockFunc(func(g *jen.Group) {
			args := []jen.Code{at(inBatch(s.Src.Name), times(id("row"), kernel.Lanes)), at(own(field(s.Weight)), n(0))}
			if s.Bias != nil {
				args = append(args, at(own(field(s.Bias)), n(0)))
			}
			args = append(args, at(inBatch(s.Z.Name), id("row")), jen.Min(id("end").Op("-").Id("row"), n(s.MostRow)))
			g.Add(call(s.Kernel, args...))
		})
	})
}

func (e *emitter) dotGrad(f *jen.File, s *plan.DotGrad) {
	lines := e.formula(s.Source, s.Source.Layer)
	doc(f, fmt.Sprintf("%s: %s,", s.Name, lines[0]), fmt.Sprintf("[%d, rows]·[rows, 1]. %s", s.Kernel.Inputs, lines[1]))
	e.part(f, s.Name, "vectorBatch", func(g *jen.Group) {
		e.blockLoop(g, s.Blocks, s.Most, func(g *jen.Group) {
			args := e.target(s.Weight, n(0))
			args = append(args, at(inBatch(s.X.Name), n(0)), at(inBatch(s.DZ.Name), n(0)), inBatch("rows"), id("lo"), id("n"))
			g.Add(call(s.Kernel, e.more(args)...))
		})
		if s.Bias == nil {
			return
		}
		g.If(id("part").Op("==").Lit(0)).BlockFunc(func(g *jen.Group) {
			args := append(e.target(s.BiasOf, n(0)), at(inBatch(s.DZ.Name), n(0)), inBatch("rows"))
			g.Add(call(s.Bias, e.more(args)...))
		})
	})
}

// blockLoop walks this part's blocks of 16 inputs, n from lo on at a time.
func (e *emitter) blockLoop(g *jen.Group, blocks, most int, body func(g *jen.Group)) {
	g.Comment(fmt.Sprintf("// %d blocks of 16 inputs", blocks))
	g.Add(share(n(blocks)))
	g.For(id("lo").Op("<").Id("hi")).BlockFunc(func(g *jen.Group) {
		g.Id("n").Op(":=").Min(id("hi").Op("-").Id("lo"), n(most))
		body(g)
		g.Id("lo").Op("+=").Id("n")
	})
}

func (e *emitter) rankOne(f *jen.File, s *plan.RankOne) {
	lines := e.formula(s.Source, s.Source.Layer)
	doc(f, fmt.Sprintf("%s: %s, for one row.", s.Name, lines[0]))
	if s.Input != nil {
		doc(f, "At the same time: "+ir.StepString(s.Input)+".")
	}
	doc(f, lines[1])
	e.part(f, s.Name, "vectorBatch", func(g *jen.Group) {
		e.blockLoop(g, s.Blocks, s.Most, func(g *jen.Group) {
			args := append(e.target(s.Weight, n(0)), at(inBatch(s.X.Name), n(0)), at(inBatch(s.DZ.Name), n(0)))
			if s.D != nil {
				args = append(args, at(inBatch(s.D.Name), n(0)))
			}
			if s.Learned != nil {
				args = append(args, learned(s.Learned, s.Kernel.Map, n(0)))
			}
			for _, v := range s.Buffers {
				args = append(args, at(inBatch(v.Tensor.Name), n(0)))
			}
			g.Add(call(s.Kernel, append(args, id("lo"), id("n"))...))
		})
		if s.Bias != nil {
			e.biasGrad(g, s.Groups, s.Bias, s.BiasLast, s.BiasOf, s.DZ)
		}
	})
}

// target are the pointers of an update at an offset within a parameter, or the
// one to its gradient where gradients are kept.
func (e *emitter) target(q *plan.Param, offset code) []jen.Code {
	if e.Keep {
		return []jen.Code{at(inBatch("grads"), plus(offset, q.Grad))}
	}
	args := []jen.Code{at(own(field(q)), offset)}
	for _, state := range e.Rule.States {
		args = append(args, at(own(stateField(q, state)), offset.Clone()))
	}
	return append(args, at(own("scalars"), n(0)))
}

// more appends whether to add to a kept gradient.
func (e *emitter) more(args []jen.Code) []jen.Code {
	if e.Keep {
		args = append(args, inBatch("more"))
	}
	return args
}

// updateCall is the number of vectors of 16 that one call updates at most.
const updateCall = 1024

func (e *emitter) updateFunc(f *jen.File) {
	doc(f, "update updates the parameters whose gradients are kept, from the sum of so many shards.")
	method(f, "update").Params(jen.List(id("shards"), id("part"), id("parts")).Int()).BlockFunc(func(g *jen.Group) {
		for i, r := range e.Runs {
			op := ":="
			if i > 0 {
				op = "="
			}
			g.List(id("lo"), id("hi")).Op(op).Qual(simdPath, "Share").Call(n(r.Vectors), id("part"), id("parts"))
			g.For(id("lo").Op("<").Id("hi")).BlockFunc(func(g *jen.Group) {
				g.Id("n").Op(":=").Min(id("hi").Op("-").Id("lo"), n(updateCall))
				var args []jen.Code
				for slot := range 1 + len(e.Rule.States) {
					args = append(args, at(own("slots").Index(n(slot)), plus(times(id("lo"), kernel.Lanes), r.Param)))
				}
				args = append(args, at(own("scalars"), n(0)), at(own("grads"), plus(times(id("lo"), kernel.Lanes), r.Grad)), id("shards"), id("n"))
				g.Add(call(e.Update, args...))
				g.Id("lo").Op("+=").Id("n")
			})
		}
	}).Line()
}

func (e *emitter) lossFunc(f *jen.File) {
	l := e.Loss
	doc(f, fmt.Sprintf("loss: %s.", l.Source))
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
		method(f, "loss").Params(id("b").Op("*").Id("vectorBatch")).Float64().Block(
			jen.Return(call(l.Kernel, args(n(0), inBatch("rows"))...)),
		).Line()
		return
	}
	doc(f, "Every call's sum is kept by itself.")
	e.part(f, "loss", "vectorBatch", func(g *jen.Group) {
		rows := e.Loss.CallRows()
		g.Add(share(jen.Parens(inBatch("rows").Op("+").Lit(rows - 1)).Op("/").Lit(rows)))
		g.For(id("i").Op(":=").Id("lo"), id("i").Op("<").Id("hi"), id("i").Op("++")).BlockFunc(func(g *jen.Group) {
			g.Id("row").Op(":=").Id("i").Op("*").Lit(rows)
			g.Add(own("losses")).Index(id("i")).Op("=").Add(call(l.Kernel, args(id("row"), jen.Min(inBatch("rows").Op("-").Id("row"), n(rows)))...))
		})
	})
}
