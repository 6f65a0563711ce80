package driver

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/runtime/wording"
)

// blocks are the calls over blocks of 16 inputs of each group.
func blocks(how plan.Sharing, groups, blocks, most int) calls {
	return calls{how: how, groups: groups, name: "block", parts: blocks, most: most, whole: most >= blocks}
}

// weightGrad writes the body of the gradients of a weight and its bias.
func (e *emitter) weightGrad(g *jen.Group, s *plan.WeightGrad) {
	k := s.Kernel
	g.Comment(fmt.Sprintf("// %s of %d outputs by %s of 16 inputs.", groupsOf(s.Groups), k.Panels*kernel.Lanes, wording.Count(s.Blocks, "block")))
	c := blocks(s.Sharing, s.Groups, s.Blocks, s.Most)
	c.write(g, func(g *jen.Group, group, block, count code) {
		dz := at(inBatch(s.DZ.Name), times(group, k.Panels*s.DZ.Rows*kernel.Lanes))
		args := e.target(s.Weight, times(group, k.Panels*s.Weight.InPad*kernel.Lanes))
		if k.Bias {
			args = append(args, e.elements(s.BiasOf, times(group, k.Panels*kernel.Lanes))...)
		}
		args = append(args, source(s.X), dz, inBatch("rows"), block, count)
		e.choose(g, "f", s.Groups, k, s.Last, e.more(args))
	})
}

// firstOf writes what only the first call of a group does.
func (c calls) firstOf(g *jen.Group, body func(g *jen.Group)) {
	if c.whole {
		body(g)
		return
	}
	g.If(id(c.name).Op("==").Lit(0)).BlockFunc(body)
}

// dotGrad writes the body of the way back through a layer of one output.
func (e *emitter) dotGrad(g *jen.Group, s *plan.DotGrad) {
	g.Comment(fmt.Sprintf("// %s of 16 inputs.", wording.Count(s.Blocks, "block")))
	c := blocks(s.Sharing, 1, s.Blocks, s.Most)
	c.write(g, func(g *jen.Group, _, block, count code) {
		args := e.target(s.Weight, n(0))
		if e.Keep && s.Input != nil {
			args = append(args, at(own(field(s.Weight)), n(0)))
		}
		args = append(args, at(inBatch(s.X.Name), n(0)), at(inBatch(s.DZ.Name), n(0)))
		args = append(args, inputs(s.D, s.Kernel.Map, s.Learned, s.Buffers)...)
		args = append(args, inBatch("rows"), block, count)
		g.Add(call(s.Kernel, e.more(args)...))
		if s.Bias == nil {
			return
		}
		c.firstOf(g, func(g *jen.Group) {
			args := append(e.target(s.BiasOf, n(0)), at(inBatch(s.DZ.Name), n(0)), inBatch("rows"))
			g.Add(call(s.Bias, e.more(args)...))
		})
	})
}

// rankOne writes the body of the way back through a layer on one row.
func (e *emitter) rankOne(g *jen.Group, s *plan.RankOne) {
	g.Comment(fmt.Sprintf("// %s of 16 inputs.", wording.Count(s.Blocks, "block")))
	c := blocks(s.Sharing, 1, s.Blocks, s.Most)
	c.write(g, func(g *jen.Group, _, block, count code) {
		args := append(e.target(s.Weight, n(0)), source(s.X), at(inBatch(s.DZ.Name), n(0)))
		args = append(args, inputs(s.D, s.Kernel.Map, s.Learned, s.Buffers)...)
		g.Add(call(s.Kernel, append(args, block, count)...))
		if s.Bias == nil {
			return
		}
		c.firstOf(g, func(g *jen.Group) {
			bias := calls{groups: s.Groups, parts: 1, whole: true}
			bias.write(g, func(g *jen.Group, group, _, _ code) {
				args := e.target(s.BiasOf, times(group, s.Bias.Panels*kernel.Lanes))
				args = append(args, at(inBatch(s.DZ.Name), times(group, s.Bias.Panels*s.DZ.Rows*kernel.Lanes)), inBatch("rows"))
				e.choose(g, "bias", s.Groups, s.Bias, s.BiasLast, e.more(args))
			})
		})
	})
}

// inputs are the pointers of a gradient by inputs that is made beside another,
// and of its map.
func inputs(d *plan.Tensor, m *kernel.Map, of *plan.Param, buffers []plan.Buffer) []jen.Code {
	var args []jen.Code
	if d != nil {
		args = append(args, at(inBatch(d.Name), n(0)))
	}
	if of != nil {
		args = append(args, learned(of, m, n(0)))
	}
	for _, v := range buffers {
		args = append(args, at(inBatch(v.Tensor.Name), n(0)))
	}
	return args
}

// target are the pointers of an update at an offset within a parameter, or the
// one to its gradient where gradients are kept.
func (e *emitter) target(q *plan.Param, offset code) []jen.Code {
	args := e.elements(q, offset)
	if !e.Keep {
		args = append(args, at(own("scalars"), n(0)))
	}
	return args
}

// elements are those of them that point to elements: to a parameter and its
// states.
func (e *emitter) elements(q *plan.Param, offset code) []jen.Code {
	if e.Keep {
		return []jen.Code{at(inBatch("grads"), plus(offset, q.Grad))}
	}
	args := []jen.Code{at(own(field(q)), offset)}
	for _, state := range e.Rule.States {
		args = append(args, at(own(stateField(q, state)), offset.Clone()))
	}
	return args
}

// more appends whether to add to a kept gradient.
func (e *emitter) more(args []jen.Code) []jen.Code {
	if e.Keep {
		args = append(args, inBatch("more"))
	}
	return args
}
