package golang

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// lanes is how many outputs of a linear layer are computed side by side: eight
// sums keep two adders of latency four busy.
const lanes = 8

// forwardFile holds the steps of the forward pass, of training and, where they
// differ, of inference, the loss and the output transformation.
func (e *emitter) forwardFile() *jen.File {
	f := e.file()
	for _, s := range e.p.Forward {
		e.forwardStep(f, "forward", s)
	}
	for i, s := range e.p.Infer {
		if e.inferName(i) == "infer" {
			e.forwardStep(f, "infer", s)
		}
	}
	e.lossFunc(f)
	e.meanLossFunc(f)
	e.transformFunc(f)
	return f
}

// inferName tells which function does step i of inference: that of training
// where both store the same, else one of its own.
func (e *emitter) inferName(i int) string {
	if ir.StepString(e.p.Infer[i]) == ir.StepString(e.p.Forward[i]) {
		return "forward"
	}
	return "infer"
}

func layerOf(s ir.Step) int {
	switch s := s.(type) {
	case *ir.Linear:
		return s.Layer
	case *ir.Map:
		return s.Layer
	case *ir.GradInput:
		return s.Layer
	case *ir.GradWeight:
		return s.Layer
	}
	panic(fmt.Sprintf("golang: unknown step %T", s))
}

// buffersOf lists the distinct buffers that a step reads and writes, in that
// order: the parameters of its function.
func buffersOf(s ir.Step) []*ir.Buffer {
	return distinct(append(ir.Reads(s), ir.Writes(s)...))
}

// params declares a step's function's parameters: its buffers, then rows.
func params(s ir.Step, more ...jen.Code) []jen.Code {
	var names []jen.Code
	for _, b := range buffersOf(s) {
		names = append(names, id(b.Name))
	}
	list := []jen.Code{jen.List(names...).Index().Float32(), id("rows").Int()}
	return append(list, more...)
}

func (e *emitter) forwardStep(f *jen.File, prefix string, s ir.Step) {
	name := fmt.Sprintf("%s%d", prefix, layerOf(s))
	receiver := jen.Params(id("p").Op("*").Id("parameters"))
	switch s := s.(type) {
	case *ir.Linear:
		doc(fileDoc{f}, e.linearDoc(name, s)...)
		f.Func().Add(receiver).Id(name).Params(params(s)...).BlockFunc(func(g *jen.Group) { e.linear(g, s) })
	case *ir.Map:
		doc(fileDoc{f}, append([]string{
			fmt.Sprintf("%s computes %s.", name, mapDoc(s)), "",
		}, e.origin(s.Layer))...)
		f.Func().Add(receiver).Id(name).Params(params(s)...).BlockFunc(func(g *jen.Group) { e.mapStep(g, s, nil) })
	}
	f.Line()
}

func (e *emitter) linearDoc(name string, s *ir.Linear) []string {
	z := fmt.Sprintf("%s·%sᵀ", shape(s.X), field(s.W))
	if s.Bias != nil {
		z += " + " + field(s.Bias)
	}
	what := fmt.Sprintf("z [rows, %d] = %s", s.W.Shape[0], z)
	if s.Out != nil {
		what = fmt.Sprintf("%s = %s", shape(s.Out), z)
	}
	lines := []string{fmt.Sprintf("%s computes %s", name, what)}
	if s.Map != nil {
		lines[0] += ", and"
		lines = append(lines, mapDoc(s.Map)+".", "", e.origin(s.Layer), e.origin(s.Map.Layer))
	} else {
		lines[0] += "."
		lines = append(lines, "", e.origin(s.Layer))
	}
	return lines
}

// mapDoc says what a map stores: "a1 [rows, 128] = z <= 0 ? 0 : z".
func mapDoc(m *ir.Map) string {
	var parts []string
	for _, out := range m.Out {
		name := shape(out.View.Buffer)
		if out.View.Stride != 1 {
			name = fmt.Sprintf("%s[%d::%d]", name, out.View.Offset, out.View.Stride)
		}
		parts = append(parts, fmt.Sprintf("%s = %s", name, out.Expr))
	}
	for _, sum := range m.Sum {
		parts = append(parts, fmt.Sprintf("d%s += %s", field(sum.Param), sum.Expr))
	}
	return strings.Join(parts, ", ")
}

// linear writes z = x·wᵀ + b row by row, eight outputs at a time, with the
// activation applied while they are at hand.
func (e *emitter) linear(g *jen.Group, s *ir.Linear) {
	in, out := s.W.Shape[1], s.W.Shape[0]
	g.For(id("r").Op(":=").Range().Id("rows")).BlockFunc(func(g *jen.Group) {
		g.Add(define("in", row(s.X.Name, id("r"), in)))
		for _, b := range distinct(ir.Writes(s)) {
			g.Add(define(b.Name+"Row", from(id(b.Name), id("r"), b.Width).Index(jen.Op(":").Lit(b.Width))))
		}
		once := func(at, wide int) func(*jen.Group) {
			return func(g *jen.Group) {
				g.Const().Id("o").Op("=").Lit(at)
				e.outputs(g, s, id("o"), wide)
			}
		}
		full := out / lanes * lanes
		switch {
		case out <= lanes:
			once(0, out)(g)
			return
		case full == lanes:
			g.BlockFunc(once(0, lanes))
		default:
			g.Add(stride("o", full, lanes)).BlockFunc(func(g *jen.Group) { e.outputs(g, s, id("o"), lanes) })
		}
		if rest := out - full; rest > 0 {
			g.BlockFunc(once(full, rest))
		}
	})
}

// outputs computes wide outputs from o on.
func (e *emitter) outputs(g *jen.Group, s *ir.Linear, o code, wide int) {
	in := s.W.Shape[1]
	g.Var().Id("acc").Index(n(wide)).Float32()
	g.Id(dotName(wide, in)).Call(jen.Op("&").Id("acc"), id("in"), from(id("p").Dot(field(s.W)), o.Clone(), in))
	if s.Bias != nil {
		g.Add(define("bias", asArray(wide, id("p").Dot(field(s.Bias)).Index(o.Clone().Op(":")))))
		g.For(id("k").Op(":=").Range().Id("acc")).Block(id("acc").Index(id("k")).Op("+=").Id("bias").Index(id("k")))
	}
	if s.Out != nil {
		g.Copy(id(s.Out.Name+"Row").Index(o.Clone().Op(":")), id("acc").Index(jen.Op(":")))
	}
	if s.Map == nil {
		return
	}
	// A gated unit reads two outputs.
	per := wide * s.Map.Width / s.W.Shape[0]
	scale := s.W.Shape[0] / s.Map.Width
	for _, b := range distinct(ir.Writes(s.Map)) {
		width := per * b.Width / s.Map.Width
		at := o.Clone()
		if scale > 1 && b.Width == s.Map.Width {
			at = o.Clone().Op("/").Lit(scale)
		}
		g.Add(define(b.Name, block(b.Name+"Row", at, width)))
	}
	channelBase := o.Clone()
	if scale > 1 {
		channelBase = o.Clone().Op("/").Lit(scale)
	}
	if s.Map.Param != nil {
		e.viewParam(g, s.Map, id("p").Dot(field(s.Map.Param)).Index(channelBase.Op(":")), per)
	}
	g.For(id("k").Op(":=").Range().Lit(per)).BlockFunc(func(g *jen.Group) {
		bind := map[string]code{}
		for _, in := range s.Map.In {
			bind[in.Var] = id("acc").Index(column(in.View, id("k")))
		}
		bind[ir.VarParam] = paramAt(s.Map, id("k"))
		e.store(g, s.Map, bind, id("k"))
	})
}

// distinct drops repetitions.
func distinct(buffers []*ir.Buffer) []*ir.Buffer {
	var list []*ir.Buffer
	for _, b := range buffers {
		if !slices.Contains(list, b) {
			list = append(list, b)
		}
	}
	return list
}

// column is the column of unit k in a view.
func column(v ir.View, k code) code {
	if v.Stride == 1 && v.Offset == 0 {
		return k
	}
	c := k.Clone().Op("*").Lit(v.Stride)
	if v.Offset > 0 {
		c = c.Op("+").Lit(v.Offset)
	}
	return c
}

// viewParam writes a variable for a map's learned parameter, outside of the loop
// over so many units, so that no index is checked inside: "param" is the only
// one, "params" are those of the units, from is where they begin.
func (e *emitter) viewParam(g *jen.Group, m *ir.Map, from code, units int) {
	switch {
	case !slices.Contains(expr.Vars(rootsOf(m)...), ir.VarParam):
	case m.PerChannel():
		g.Add(define("params", asArray(units, from)))
	default:
		g.Add(define("param", id("p").Dot(field(m.Param)).Index(n(0))))
	}
}

// paramAt is a map's learned parameter for a unit, after viewParam.
func paramAt(m *ir.Map, unit code) code {
	if m.Param != nil && m.PerChannel() {
		return id("params").Index(unit)
	}
	return id("param")
}

// rootsOf are all that a map computes.
func rootsOf(m *ir.Map) (roots []*expr.Node) {
	for _, out := range m.Out {
		roots = append(roots, out.Expr)
	}
	for _, sum := range m.Sum {
		roots = append(roots, sum.Expr)
	}
	return roots
}

// store computes a map's outputs for unit k and stores them in the arrays
// named after their buffers; sums are added to "sum" variables.
func (e *emitter) store(g *jen.Group, m *ir.Map, bind map[string]code, k code) {
	roots := rootsOf(m)
	// A variable that stands in memory and is read more than once is loaded once.
	for _, name := range expr.Vars(roots...) {
		if b, ok := bind[name]; ok {
			local := name
			if name == ir.VarParam {
				if !m.PerChannel() {
					continue // it is one already
				}
				local = "param" // p is the receiver
			}
			g.Add(define(local, b))
			bind[name] = id(local)
		}
	}
	values := lower(g, kernelArith, bind, roots...)
	for i, out := range m.Out {
		g.Id(out.View.Buffer.Name).Index(column(out.View, k.Clone())).Op("=").Add(values[i])
	}
	for i := range m.Sum {
		target := id("sum")
		if m.PerChannel() {
			target = id("total").Index(k.Clone())
		}
		g.Add(target.Op("+=").Float64().Call(values[len(m.Out)+i]))
	}
}

// mapStep writes a map that stands alone, or (acc set) the part of a step that
// follows its accumulator's row.
func (e *emitter) mapStep(g *jen.Group, m *ir.Map, acc func(g *jen.Group)) {
	if len(m.Sum) > 0 {
		if m.PerChannel() {
			g.Add(define("total", jen.Parens(jen.Op("*").Index(n(m.Width)).Float64()).Call(id("sums"))))
			g.Clear(id("total").Index(jen.Op(":")))
		} else {
			g.Var().Id("sum").Float64()
		}
	}
	g.For(id("r").Op(":=").Range().Id("rows")).BlockFunc(func(g *jen.Group) {
		if acc != nil {
			acc(g)
		}
		e.mapRow(g, m)
	})
	if len(m.Sum) > 0 && !m.PerChannel() {
		g.Id("sums").Index(n(0)).Op("=").Id("sum")
	}
}

// mapRow writes a map for row r. Buffers are shadowed by their rows.
func (e *emitter) mapRow(g *jen.Group, m *ir.Map) {
	for _, b := range buffersOf(m) {
		g.Add(define(b.Name, row(b.Name, id("r"), b.Width)))
	}
	if m.Param != nil {
		e.viewParam(g, m, id("p").Dot(field(m.Param)), m.Width)
	}
	g.For(id("j").Op(":=").Range().Lit(m.Width)).BlockFunc(func(g *jen.Group) {
		bind := map[string]code{}
		for _, in := range m.In {
			name := "acc"
			if in.View.Buffer != nil {
				name = in.View.Buffer.Name
			}
			bind[in.Var] = id(name).Index(column(in.View, id("j")))
		}
		bind[ir.VarParam] = paramAt(m, id("j"))
		e.store(g, m, bind, id("j"))
	})
}
