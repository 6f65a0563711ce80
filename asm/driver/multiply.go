package driver

import (
	"fmt"
	"slices"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
)

// multiply writes the body of a product.
func (e *emitter) multiply(g *jen.Group, s *plan.Multiply) {
	if len(s.Blocks) > 1 {
		e.multiplyBlocks(g, s)
		return
	}
	g.Comment(fmt.Sprintf("// %s of %d columns by tiles of rows.", groupsOf(s.Groups), s.Panels*kernel.Lanes))
	// A worker transposes the weights of a group when it comes to it; a tiled
	// plan does so once a step.
	block := &s.Blocks[0]
	transpose := block.Transpose
	turn := transpose != nil && !e.Tiled
	if turn {
		g.Id("t").Op(":=").Add(slab(s))
		if s.Groups > 1 && !s.Whole {
			g.Id("turned").Op(":=").Lit(-1).Comment("// the group whose transposed weights are in t")
		}
	}
	c := calls{how: s.Sharing, groups: s.Groups, name: "tile", most: s.Most, whole: s.Whole}
	if turn && s.Groups == 1 {
		e.transposeCall(g, transpose, nil, at(id("t"), n(0)))
	}
	c.write(g, func(g *jen.Group, group, tile, count code) {
		if turn && s.Groups > 1 && s.Whole {
			e.transposeCall(g, transpose, group, at(id("t"), n(0)))
		} else if turn && s.Groups > 1 {
			g.If(id("g").Op("!=").Id("turned")).BlockFunc(func(g *jen.Group) {
				e.transposeCall(g, transpose, group, at(id("t"), n(0)))
				g.Id("turned").Op("=").Id("g")
			})
		}
		e.choose(g, "f", s.Groups, block.Kernel, block.Last, append(e.multiplyArgs(s, block, nil, group), tile, count))
	})
}

// groupsOf says how many groups there are.
func groupsOf(n int) string {
	if n == 1 {
		return "One group"
	}
	return fmt.Sprintf("%d groups", n)
}

// choose calls the kernel of a whole group or, for the last of several, that
// of fewer panels. name is a variable for the kernel.
func (e *emitter) choose(g *jen.Group, name string, groups int, k, last kernel.Kernel, args []jen.Code) {
	if isNil(last) {
		g.Add(call(k, args...))
		return
	}
	if groups == 1 {
		g.Add(call(last, args...))
		return
	}
	g.Id(name).Op(":=").Add(own("k").Dot(k.FuncName()))
	g.If(id("g").Op("==").Lit(groups - 1)).Block(id(name).Op("=").Add(own("k").Dot(last.FuncName())))
	g.Id(name).Call(args...)
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

// source is the pointer to a layer's input.
func source(t *plan.Tensor) code { return sourceAt(t, nil, 0) }

// sourceAt is the pointer to a layer's input from a column on: from, or first
// where that is nil.
func sourceAt(t *plan.Tensor, from code, first int) code {
	name, column := t.Name, t.Rows
	if t.Flat {
		name, column = "batch", 1
	}
	return at(inBatch(name), offset(nil, from, first, column))
}

// offset is index plus by times from, or times first where from is nil.
func offset(index, from code, first, by int) code {
	switch {
	case from == nil && index == nil:
		return n(first * by)
	case from == nil:
		return plus(index.Clone(), first*by)
	case index == nil:
		return times(from, by)
	}
	return times(from, by).Op("+").Add(index.Clone())
}

// multiplyArgs are those of a block's kernel without its tiles. from is the
// column of Src that the block begins with; nil stands for block.First.
func (e *emitter) multiplyArgs(s *plan.Multiply, block *plan.Block, from, group code) []jen.Code {
	k := block.Kernel
	args := []jen.Code{sourceAt(s.Src, from, block.First)}
	switch t := block.Transpose; {
	case t == nil:
		panels := code(nil)
		if group != nil {
			panels = times(group, s.Panels*s.Weight.InPad*kernel.Lanes)
		}
		args = append(args, at(own(field(s.Weight)), offset(panels, from, block.First, kernel.Lanes)))
	case e.Tiled:
		args = append(args, at(own("slab"), plus(times(group, t.Size), t.Offset)))
	default:
		args = append(args, at(id("t"), n(0)))
	}
	if k.Bias {
		args = append(args, at(own(field(s.Bias)), times(group, s.Panels*kernel.Lanes)))
	}
	if k.Resume || k.Store {
		args = append(args, sums(s, group))
	}
	if k.Map == nil {
		return args
	}
	if s.Learned != nil {
		args = append(args, learned(s.Learned, k.Map, times(group, s.Panels/k.Map.Width()*kernel.Lanes)))
	}
	for _, v := range s.Buffers {
		args = append(args, at(inBatch(v.Tensor.Name), times(group, v.Step*v.Tensor.Rows*kernel.Lanes)))
	}
	return args
}

// sums is the pointer to the sums of a group, the product itself or that of some
// blocks of the depth.
func sums(s *plan.Multiply, group code) code {
	switch {
	case s.Acc != nil:
		return at(inBatch(s.Acc.Name), times(group, s.Panels*s.Acc.Rows*kernel.Lanes))
	case s.Sums != nil:
		return at(inBatch(s.Sums.Name), n(0))
	}
	return at(id("sums"), n(0))
}

// learned is the pointer to a learned parameter for a group of units.
func learned(q *plan.Param, m *kernel.Map, group code) code {
	if m.Param == kernel.OneParam {
		return at(own(field(q)), n(0))
	}
	return at(own(field(q)), group)
}

func (e *emitter) transposeCall(g *jen.Group, t *plan.Transpose, group, to code) {
	e.choose(g, "turn", t.Groups, t.Kernel, t.Last, transposeArgs(t, nil, group, to))
}

// transposeArgs are those that transpose a group of inputs from an output on:
// from, or t.First where that is nil.
func transposeArgs(t *plan.Transpose, from, group, to code) []jen.Code {
	inputs := code(nil)
	if group != nil {
		inputs = times(group, t.Kernel.Lines*kernel.Lanes*kernel.Lanes)
	}
	return []jen.Code{to, at(own(field(t.Weight)), offset(inputs, from, t.First, t.Weight.InPad))}
}

func (e *emitter) transposeFunc(f *jen.File, t *plan.Transpose) {
	doc(f, fmt.Sprintf("%s makes the transposed weights of %s, in which its inputs run over the lanes.", t.Name, t.Weight.Name))
	method(f, t.Name).Params(id("worker").Int()).BlockFunc(func(g *jen.Group) {
		each(g, plan.Shared, "g", n(t.Groups), func(g *jen.Group) {
			e.transposeCall(g, t, id("g"), at(own("slab"), plus(times(id("g"), t.Size), t.Offset)))
		})
	}).Line()
}

// dot writes the body of a linear layer of one output.
func (e *emitter) dot(g *jen.Group, s *plan.Dot) {
	g.Comment("// The lanes run over the inputs.")
	rowCalls(g, s.Sharing, s.MostRow, func(g *jen.Group, row, count code) {
		args := []jen.Code{at(inBatch(s.Src.Name), times(row, kernel.Lanes)), at(own(field(s.Weight)), n(0))}
		if s.Bias != nil {
			args = append(args, at(own(field(s.Bias)), n(0)))
		}
		g.Add(call(s.Kernel, append(args, at(inBatch(s.Z.Name), row.Clone()), count)...))
	})
	if !e.denseMaps() || !slices.Contains(e.Tensors, s.Z) {
		return
	}
	// Maps walk vectors of 16 rows, and sums over them must not meet what is not
	// a number: their gradient is zero there, but zero times NaN is NaN.
	clearing := jen.Clear(inBatch(s.Z.Name).Index(inBatch("rows").Op(":").Add(linesOf(inBatch("rows"))).Op("*").Lit(kernel.Lanes)))
	g.Comment("// An earlier batch may have left anything behind the last row.")
	if s.Sharing == plan.Unshared {
		g.Add(clearing)
	} else {
		g.If(id("worker").Op("==").Lit(0)).Block(clearing)
	}
}

// denseMaps reports whether activations follow the network's one output.
func (e *emitter) denseMaps() bool {
	return slices.ContainsFunc(e.Forward, func(s plan.Step) bool {
		a, ok := s.(*plan.Apply)
		return ok && a.Dense
	})
}
