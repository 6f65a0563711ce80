package driver

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
)

// multiplyBlocks writes the body of a product whose depth is cut into blocks.
func (e *emitter) multiplyBlocks(g *jen.Group, s *plan.Multiply) {
	size := s.Blocks[1].First
	g.Comment(fmt.Sprintf("// %s of %d columns. All tiles of rows go through one block of %d of the depth after",
		groupsOf(s.Groups), s.Panels*kernel.Lanes, size))
	g.Comment("// the other: so much of the matrix stays in the second cache.")
	scratch := slab(s)
	if t := s.Blocks[0].Transpose; t != nil {
		g.Id("t").Op(":=").Add(scratch)
		scratch = id("t").Index(n(t.Size).Op(":"))
	}
	if s.Sums == nil {
		g.Id("sums").Op(":=").Add(scratch)
	}
	pieces(g, s, func(g *jen.Group, group, first, end code) {
		kernels := blockKernels(g, s)
		for i := 0; i < len(s.Blocks); {
			block, same := &s.Blocks[i], 1
			for i+same < len(s.Blocks) && s.Blocks[i+same].Kernel == block.Kernel {
				same++
			}
			i += same
			if same == 1 {
				e.blockCalls(g, s, block, kernels, nil, group, first, end)
				continue
			}
			from := []jen.Code{define("from", n(block.First)), id("from").Op("<").Lit(block.First + same*size), id("from").Op("+=").Lit(size)}
			g.For(from...).BlockFunc(func(g *jen.Group) { e.blockCalls(g, s, block, kernels, id("from"), group, first, end) })
		}
	})
}

// pieces writes the loop over pieces of groups. body is given the group, nil for
// the only one, the first tile of the piece and the one behind its last.
func pieces(g *jen.Group, s *plan.Multiply, body func(g *jen.Group, group, first, end code)) {
	if s.Pieces == 1 {
		if s.Groups == 1 {
			body(g, nil, n(0), inBatch("tiles"))
			return
		}
		each(g, s.Sharing, "g", n(s.Groups), func(g *jen.Group) { body(g, id("g"), n(0), inBatch("tiles")) })
		return
	}
	each(g, s.Sharing, "i", n(s.Groups*s.Pieces), func(g *jen.Group) {
		group, piece := code(nil), id("i")
		if s.Groups > 1 {
			g.Id("g").Op(":=").Id("i").Op("/").Lit(s.Pieces)
			group, piece = id("g"), id("i").Op("%").Lit(s.Pieces)
		}
		g.List(id("first"), id("end")).Op(":=").Qual(poolPath, "Part").Call(inBatch("tiles"), piece, n(s.Pieces))
		if s.Blocks[0].Transpose != nil {
			g.If(id("first").Op("==").Id("end")).Block(
				jen.Comment("A short batch has fewer tiles than pieces: no weights to transpose for this one."),
				jen.Continue(),
			)
		}
		body(g, group, id("first"), id("end"))
	})
}

// blockKernels returns what the kernels of the blocks are called by. Where the
// last group has others, it writes variables for those of the group at hand.
func blockKernels(g *jen.Group, s *plan.Multiply) map[kernel.Kernel]code {
	callees := map[kernel.Kernel]code{}
	var names, whole, last []jen.Code
	add := func(name string, k, l kernel.Kernel) {
		if callees[k] != nil {
			return
		}
		callees[k] = own("k").Dot(k.FuncName())
		if !isNil(l) {
			names, whole, last = append(names, id(name)), append(whole, callees[k]), append(last, own("k").Dot(l.FuncName()))
			callees[k] = id(name)
		}
	}
	for i, b := range s.Blocks {
		turn, multiply := "turn", "middle"
		switch i {
		case 0:
			multiply = "begin"
		case len(s.Blocks) - 1:
			turn, multiply = "turnRest", "finish"
		}
		if b.Transpose != nil {
			add(turn, b.Transpose.Kernel, b.Transpose.Last)
		}
		add(multiply, b.Kernel, b.Last)
	}
	if names != nil {
		g.List(names...).Op(":=").List(whole...)
		g.If(id("g").Op("==").Lit(s.Groups - 1)).Block(jen.List(names...).Op("=").List(last...))
	}
	return callees
}

// blockCalls writes the calls that take the tiles of a piece through a block of
// the depth, which begins at from; nil stands for block.First.
func (e *emitter) blockCalls(g *jen.Group, s *plan.Multiply, block *plan.Block, kernels map[kernel.Kernel]code, from, group, first, end code) {
	if t := block.Transpose; t != nil {
		g.Add(kernels[t.Kernel].Clone()).Call(transposeArgs(t, from, group, at(id("t"), n(0)))...)
	}
	loop := []jen.Code{define("tile", first.Clone()), id("tile").Op("<").Add(end.Clone()), id("tile").Op("+=").Lit(s.Most)}
	count := jen.Min(n(s.Most), end.Clone().Op("-").Id("tile"))
	if s.Most == 1 {
		loop[2], count = id("tile").Op("++"), n(1)
	}
	g.For(loop...).BlockFunc(func(g *jen.Group) {
		g.Add(kernels[block.Kernel].Clone()).Call(append(e.multiplyArgs(s, block, from, group), id("tile"), count)...)
	})
}

// slab is the scratch memory of the worker that makes a step.
func slab(s *plan.Multiply) code {
	if s.Sharing == plan.Unshared {
		return own("slabs").Index(n(0))
	}
	return own("slabs").Index(id("worker"))
}
