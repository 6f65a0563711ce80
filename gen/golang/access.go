package golang

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/ir"
)

// inferFunc writes Infer and the buffers that it borrows.
func (e *emitter) inferFunc(f *jen.File) {
	d := fileDoc{f}
	doc(d, "inference holds the buffers of one call of Infer.")
	f.Type().Id("inference").Struct(id("arena").Index(n(inferRows * e.p.InferWidth)).Float32())
	doc(d, fmt.Sprintf("Infer computes raw outputs raw [rows, %d] from x [rows, %d]. Many goroutines may call it,", e.p.Output, e.p.Input),
		"while none calls Step or Write.")
	f.Func().Params(id("e").Op("*").Id("portable")).Id("Infer").Params(
		jen.List(id("x"), id("raw")).Index().Float32(), id("rows").Int(),
	).BlockFunc(func(g *jen.Group) {
		g.Id("b").Op(":=").Id("e").Dot("infers").Dot("Get").Call().Assert(jen.Op("*").Id("inference"))
		g.Defer().Id("e").Dot("infers").Dot("Put").Call(id("b"))
		for _, v := range e.p.InferBuffers {
			g.Id(v.Name).Op(":=").Id("b").Dot("arena").Index(n(v.Column * inferRows).Op(":").Lit((v.Column + v.Width) * inferRows))
		}
		g.For(id("lo").Op(":=").Lit(0), id("lo").Op("<").Id("rows"), id("lo").Op("+=").Id("inferRows")).BlockFunc(func(g *jen.Group) {
			g.Id("n").Op(":=").Min(id("inferRows"), id("rows").Op("-").Id("lo"))
			for i, s := range e.p.Infer {
				var args []jen.Code
				for _, b := range buffersOf(s) {
					if b == e.p.X {
						args = append(args, from(id("x"), id("lo"), e.p.Input))
						continue
					}
					args = append(args, id(b.Name))
				}
				g.Id("e").Dot(fmt.Sprintf("%s%d", e.inferName(i), layerOf(s))).Call(append(args, id("n"))...)
			}
			raw := e.p.InferRaw
			g.Copy(from(id("raw"), id("lo"), raw.Width), id(raw.Name).Index(jen.Op(":").Add(times(id("n"), raw.Width))))
		})
	}).Line()
}

// accessFuncs writes Read, Write, Runs and Close.
func (e *emitter) accessFuncs(f *jen.File) {
	d := fileDoc{f}
	method := func(name string) code { return f.Func().Params(id("e").Op("*").Id("portable")).Id(name) }
	access := func(name, slice string, do func(part, slice code) code) {
		part := id("e").Dot("slots").Index(id("slot")).Index(id("i")).Index(id("first").Op(":").Id("first").Op("+").Len(id(slice)))
		method(name).Params(jen.List(id("slot"), id("i"), id("first")).Int(), id(slice).Index().Float32()).Block(do(part, id(slice))).Line()
	}
	doc(d, "Read copies elements of tensor i of a slot: 0 for the parameter, then the optimizer's", "states.")
	access("Read", "dst", func(part, dst code) code { return jen.Copy(dst, part) })
	doc(d, "Write sets elements of tensor i of a slot.")
	access("Write", "src", func(part, src code) code { return jen.Copy(part, src) })
	doc(d, "Runs implements engine.Sharing.")
	method("Runs").Params().Params(jen.List(id("alone"), id("all")).Int64()).Block(jen.Return(id("e").Dot("pool").Dot("Runs").Call())).Line()
	doc(d, "Close ends the workers.")
	method("Close").Params().Block(id("e").Dot("pool").Dot("Close").Call()).Line()
	doc(d, "TraceRows is the number of rows that Trace and Gradients take at once.")
	method("TraceRows").Params().Int().Block(jen.Return(n(e.p.Batch))).Line()
}

// traceFunc writes Trace: the forward pass, one layer after the other.
func (e *emitter) traceFunc(f *jen.File) {
	doc(fileDoc{f}, fmt.Sprintf("Trace runs the forward pass on x [rows, %d] and hands f what each layer gave.", e.p.Input))
	f.Func().Params(id("e").Op("*").Id("portable")).Id("Trace").Params(
		id("x").Index().Float32(), id("rows").Int(),
		id("f").Func().Params(id("layer").Int(), id("values").Index().Float32(), id("width").Int()),
	).BlockFunc(func(g *jen.Group) {
		g.Id("e").Dot("x").Op("=").Id("x")
		for _, s := range e.p.Forward {
			e.callAll(g, fmt.Sprintf("forward%d", layerOf(s)), s)
			for _, b := range distinct(ir.Writes(s)) {
				if b.Role == ir.Preact || b.Role == ir.Activation {
					g.Id("f").Call(n(b.Layer), id("e").Dot(b.Name).Index(jen.Op(":").Add(times(id("rows"), b.Width))), n(b.Width))
				}
			}
		}
	}).Line()
}

// callAll writes the call of a step's function on all rows.
func (e *emitter) callAll(g *jen.Group, name string, s ir.Step, more ...jen.Code) {
	var args []jen.Code
	for _, b := range buffersOf(s) {
		args = append(args, id("e").Dot(b.Name))
	}
	args = append(args, id("rows"))
	g.Id("e").Dot(name).Call(append(args, more...)...)
}

// gradientsFunc writes Gradients: forward and backward without an update.
func (e *emitter) gradientsFunc(f *jen.File) {
	doc(fileDoc{f},
		fmt.Sprintf("Gradients returns the mean loss of x [rows, %d] and hands f the gradient of each parameter,", e.p.Input),
		"without an update.")
	f.Func().Params(id("e").Op("*").Id("portable")).Id("Gradients").Params(
		id("x").Index().Float32(), id("y").Qual(enginePath, "Target"), id("rows").Int(),
		id("f").Func().Params(id("param").Int(), id("grad").Index().Float32()),
	).Float64().BlockFunc(func(g *jen.Group) {
		l := e.p.Loss
		g.Id("e").Dot("x").Op("=").Id("x")
		for _, s := range e.p.Forward {
			e.callAll(g, fmt.Sprintf("forward%d", layerOf(s)), s)
		}
		g.Id("losses").Op(":=").Float64().Call(times(id("rows"), e.lossWidth()))
		g.Id("sum").Op(":=").Id("lossAndGradient").Call(
			id("e").Dot(l.Raw.Name), id("e").Dot(l.Grad.Name), id("y"), id("rows"),
			jen.Float32().Call(n(1).Op("/").Id("losses")),
		)
		for _, s := range e.p.Backward {
			e.gradientOf(g, s)
		}
		g.Return(id("sum").Op("/").Id("losses"))
	}).Line()
}

func (e *emitter) gradientOf(g *jen.Group, s ir.Step) {
	if w, ok := s.(*ir.GradWeight); ok {
		in, out := w.W.Shape[1], w.W.Shape[0]
		g.BlockFunc(func(g *jen.Group) {
			g.Id("weight").Op(":=").Make(floats(), n(in*out))
			if w.Bias != nil {
				g.Id("bias").Op(":=").Make(floats(), n(out))
			}
			g.For(id("o").Op(":=").Range().Lit(out)).BlockFunc(func(g *jen.Group) {
				call := id(fmt.Sprintf("gradRow%d", w.Layer)).Call(
					asArray(in, from(id("weight"), id("o"), in)), e.bufferArg(w.DZ), e.bufferArg(w.X), id("rows"), id("o"))
				if w.Bias != nil {
					g.Id("bias").Index(id("o")).Op("=").Add(call)
				} else {
					g.Add(call)
				}
			})
			g.Id("f").Call(n(w.W.Index), id("weight"))
			if w.Bias != nil {
				g.Id("f").Call(n(w.Bias.Index), id("bias"))
			}
		})
		return
	}
	m := ir.FusedMap(s)
	summed := m != nil && len(m.Sum) > 0
	var more []jen.Code
	if summed {
		more = append(more, id("e").Dot("sums").Index(n(0)).Index(n(e.sumsAt(m)).Op(":")))
	}
	name := fmt.Sprintf("backward%d", layerOf(s))
	if in, ok := s.(*ir.GradInput); ok {
		name = fmt.Sprintf("gradInput%d", layerOf(s))
		if in.Out == nil {
			more = append(more, id("e").Dot("scratch").Index(n(0)))
		}
	}
	e.callAll(g, name, s, more...)
	if !summed {
		return
	}
	g.BlockFunc(func(g *jen.Group) {
		g.Id("learned").Op(":=").Make(floats(), n(m.Param.Size()))
		g.For(id("k").Op(":=").Range().Id("learned")).Block(
			id("learned").Index(id("k")).Op("=").Float32().Call(id("e").Dot("sums").Index(n(0)).Index(offset(id("k"), e.sumsAt(m)))),
		)
		g.Id("f").Call(n(m.Param.Index), id("learned"))
	})
}
