package golang

import (
	"fmt"
	"slices"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// backwardFile holds the steps of the backward pass and the update.
func (e *emitter) backwardFile() *jen.File {
	f := e.file()
	for _, s := range e.p.Backward {
		switch s := s.(type) {
		case *ir.GradInput:
			e.gradInput(f, s)
		case *ir.Map:
			e.backwardMap(f, s)
		case *ir.GradWeight:
			e.gradWeight(f, s)
		}
	}
	e.updateFunc(f)
	e.scalarsFunc(f)
	return f
}

// sumsParam is the parameter through which a step returns its share of a
// learned parameter's gradient.
func sumsParam(m *ir.Map) []jen.Code {
	if m == nil || len(m.Sum) == 0 {
		return nil
	}
	return []jen.Code{id("sums").Index().Float64()}
}

// gradInput writes dx = dz·w row by row, with the derivative of the activation
// below applied while the row is at hand.
func (e *emitter) gradInput(f *jen.File, s *ir.GradInput) {
	in, out := s.W.Shape[1], s.W.Shape[0]
	name := fmt.Sprintf("gradInput%d", s.Layer)
	what := fmt.Sprintf("d [rows, %d] = %s·%s", in, shape(s.DZ), field(s.W))
	lines := []string{fmt.Sprintf("%s computes %s, and", name, what)}
	if s.Map != nil {
		lines = append(lines, mapDoc(s.Map)+".", "", e.origin(s.Layer), e.origin(s.Map.Layer))
	} else {
		lines = []string{fmt.Sprintf("%s computes %s = %s·%s.", name, shape(s.Out), shape(s.DZ), field(s.W)), "", e.origin(s.Layer)}
	}
	doc(fileDoc{f}, lines...)
	more := sumsParam(s.Map)
	if s.Out == nil {
		more = append(more, id("scratch").Index().Float32())
	}
	f.Func().Params(id("p").Op("*").Id("parameters")).Id(name).Params(params(s, more...)...).BlockFunc(func(g *jen.Group) {
		product := func(g *jen.Group) {
			g.Add(define("dz", row(s.DZ.Name, id("r"), out)))
			if s.Out != nil {
				g.Add(define("acc", row(s.Out.Name, id("r"), in)))
			} else {
				g.Add(define("acc", asArray(in, id("scratch"))))
			}
			g.Clear(id("acc").Index(jen.Op(":")))
			target := id("acc")
			w := id("p").Dot(field(s.W))
			full := out / addRows * addRows
			several := func(g *jen.Group) {
				args := []jen.Code{target.Clone(), from(w.Clone(), id("o"), in)}
				for k := range addRows {
					args = append(args, id("dz").Index(plus("o", k)))
				}
				g.Id(addName(addRows, in)).Call(args...)
			}
			switch full {
			case 0:
			case addRows:
				g.Const().Id("o").Op("=").Lit(0)
				several(g)
			default:
				g.Add(stride("o", full, addRows)).BlockFunc(several)
			}
			for o := full; o < out; o++ {
				g.Id(addName(1, in)).Call(target.Clone(), w.Clone().Index(n(o*in).Op(":")), id("dz").Index(n(o)))
			}
		}
		if s.Map == nil {
			g.For(id("r").Op(":=").Range().Id("rows")).BlockFunc(product)
			return
		}
		e.mapStep(g, s.Map, product)
	}).Line()
}

func plus(name string, k int) code {
	if k == 0 {
		return id(name)
	}
	return id(name).Op("+").Lit(k)
}

func (e *emitter) backwardMap(f *jen.File, s *ir.Map) {
	name := fmt.Sprintf("backward%d", s.Layer)
	doc(fileDoc{f}, fmt.Sprintf("%s computes %s.", name, mapDoc(s)), "", e.origin(s.Layer))
	f.Func().Params(id("p").Op("*").Id("parameters")).Id(name).Params(params(s, sumsParam(s)...)...).
		BlockFunc(func(g *jen.Group) { e.mapStep(g, s, nil) }).Line()
}

// gradWeight writes two functions: the gradient of one row of a weight, and
// the loop over rows that updates (or accumulates) each as soon as it is made.
func (e *emitter) gradWeight(f *jen.File, s *ir.GradWeight) {
	in, out := s.W.Shape[1], s.W.Shape[0]
	name := fmt.Sprintf("gradRow%d", s.Layer)
	lines := []string{fmt.Sprintf("%s adds row o of d%s %s = %sᵀ·%s, over all rows of the batch, to g.", name, field(s.W), dims(s.W), s.DZ.Name, s.X.Name)}
	var result []jen.Code
	if s.Bias != nil {
		lines = append(lines, fmt.Sprintf("It returns the sum of column o of %s, the gradient of the bias.", s.DZ.Name))
		result = append(result, id("bias").Float32())
	}
	doc(fileDoc{f}, append(lines, "", e.origin(s.Layer))...)
	f.Func().Id(name).Params(
		id("g").Add(array(in)), id(s.DZ.Name).Op(",").Id(s.X.Name).Index().Float32(), jen.List(id("rows"), id("o")).Int(),
	).Params(result...).BlockFunc(func(g *jen.Group) {
		dz := func(k int) code {
			r := id("r")
			if k > 0 {
				r = jen.Parens(id("r").Op("+").Lit(k))
			}
			if out == 1 {
				return id(s.DZ.Name).Index(plus("r", k))
			}
			return id(s.DZ.Name).Index(r.Op("*").Lit(out).Op("+").Id("o"))
		}
		g.Id("r").Op(":=").Lit(0)
		g.For(jen.Empty(), id("r").Op("+").Lit(addRows).Op("<=").Id("rows"), id("r").Op("+=").Lit(addRows)).BlockFunc(func(g *jen.Group) {
			var names, values []jen.Code
			for k := range addRows {
				names = append(names, id(fmt.Sprintf("d%d", k)))
				values = append(values, dz(k))
			}
			g.List(names...).Op(":=").List(values...)
			g.Id(addName(addRows, in)).Call(append([]jen.Code{id("g"), from(id(s.X.Name), id("r"), in)}, names...)...)
			if s.Bias != nil {
				g.Id("bias").Op("+=").Parens(id("d0").Op("+").Id("d1")).Op("+").Parens(id("d2").Op("+").Id("d3"))
			}
		})
		g.For(jen.Empty(), id("r").Op("<").Id("rows"), id("r").Op("++")).BlockFunc(func(g *jen.Group) {
			g.Add(define("d", dz(0)))
			g.Id(addName(1, in)).Call(id("g"), from(id(s.X.Name), id("r"), in), id("d"))
			if s.Bias != nil {
				g.Id("bias").Op("+=").Id("d")
			}
		})
		if s.Bias != nil {
			g.Return(id("bias"))
		}
	}).Line()
	e.gradWeightLoop(f, s)
}

func (e *emitter) gradWeightLoop(f *jen.File, s *ir.GradWeight) {
	in := s.W.Shape[1]
	name := fmt.Sprintf("gradWeight%d", s.Layer)
	verb := "updates"
	if !s.Update {
		verb = "accumulates the gradients of"
	}
	whose := ""
	if s.Bias != nil {
		whose = " and their biases"
	}
	doc(fileDoc{f}, fmt.Sprintf("%s %s a worker's rows of %s %s%s.", name, verb, field(s.W), dims(s.W), whose))
	f.Func().Params(id("e").Op("*").Id("portable")).Id(name).Params(jen.List(id("worker"), id("threads")).Int()).BlockFunc(func(g *jen.Group) {
		g.List(id("lo"), id("hi")).Op(":=").Id("share").Call(n(s.W.Shape[0]), id("worker"), id("threads"))
		if s.Update {
			g.Add(define("g", asArray(in, id("e").Dot("scratch").Index(id("worker")))))
		}
		g.For(id("o").Op(":=").Id("lo"), id("o").Op("<").Id("hi"), id("o").Op("++")).BlockFunc(func(g *jen.Group) {
			call := func(target code) code {
				return id(fmt.Sprintf("gradRow%d", s.Layer)).Call(target, e.bufferArg(s.DZ), e.bufferArg(s.X), id("e").Dot("rows"), id("o"))
			}
			assign := func(c code) code {
				if s.Bias == nil {
					return c
				}
				return define("bias", c)
			}
			if s.Update {
				g.Clear(id("g").Index(jen.Op(":")))
				g.Add(assign(call(id("g"))))
				g.Id("e").Dot("update").Call(n(s.W.Index), times(id("o"), in), id("g").Index(jen.Op(":")))
				if s.Bias != nil {
					g.Id("e").Dot("update").Call(n(s.Bias.Index), id("o"), jen.Index().Float32().Values(id("bias")))
				}
				return
			}
			grad := id("e").Dot("grads").Index(n(s.W.Index))
			g.Add(assign(call(asArray(in, from(grad, id("o"), in)))))
			if s.Bias != nil {
				g.Id("e").Dot("grads").Index(n(s.Bias.Index)).Index(id("o")).Op("+=").Id("bias")
			}
		})
	}).Line()
}

// bufferArg is a buffer as the engine holds it.
func (e *emitter) bufferArg(b *ir.Buffer) code { return id("e").Dot(b.Name) }

// updateFunc writes the optimizer's rule over a range of one tensor.
func (e *emitter) updateFunc(f *jen.File) {
	r := e.p.Rule
	lines := []string{fmt.Sprintf("update applies %s to the elements of tensor i from at on, whose gradient is g:", e.p.Settings.Optimizer), ""}
	for _, s := range r.Scalars {
		lines = append(lines, fmt.Sprintf("\t%s = %s  // once a step", s.Name, s.Expr))
	}
	for i, s := range r.States {
		lines = append(lines, fmt.Sprintf("\t%s = %s", s, r.Next[i]))
	}
	lines = append(lines, fmt.Sprintf("\tw = %s", r.W))
	doc(fileDoc{f}, lines...)
	f.Func().Params(id("e").Op("*").Id("portable")).Id("update").Params(
		jen.List(id("i"), id("at")).Int(), id("g").Index().Float32(),
	).BlockFunc(func(g *jen.Group) {
		tensor := func(slot int) code {
			return id("e").Dot("slots").Index(n(slot)).Index(id("i")).Index(id("at").Op(":")).Index(jen.Op(":").Len(id("g")))
		}
		g.Add(define("w", tensor(0)))
		for k, s := range r.States {
			g.Add(define(stateName(s), tensor(k+1)))
		}
		bind := map[string]code{}
		for _, v := range e.uniform() {
			g.Add(define(v, id("e").Dot(v)))
			bind[v] = id(v)
		}
		g.For(id("k").Op(":=").Range().Id("g")).BlockFunc(func(g *jen.Group) {
			bind[ir.VarW], bind[ir.VarG] = id("w").Index(id("k")), id("g").Index(id("k"))
			for _, s := range r.States {
				bind[s] = id(stateName(s)).Index(id("k"))
			}
			roots := append([]*expr.Node{r.W}, r.Next...)
			values := lower(g, kernelArith, bind, roots...)
			// The new weight reads old states, and is stored first.
			g.Id("w").Index(id("k")).Op("=").Add(values[0])
			for i, s := range r.States {
				g.Id(stateName(s)).Index(id("k")).Op("=").Add(values[i+1])
			}
		})
	}).Line()
}

// stateName is a state's name in emitted code: "expAvg" for "exp_avg".
func stateName(s string) string { return camel(s, false) }

// uniform lists what an update reads that is equal for all elements.
func (e *emitter) uniform() []string {
	r := e.p.Rule
	element := map[string]bool{ir.VarW: true, ir.VarG: true}
	for _, s := range r.States {
		element[s] = true
	}
	var list []string
	for _, v := range expr.Vars(append([]*expr.Node{r.W}, r.Next...)...) {
		if !element[v] {
			list = append(list, v)
		}
	}
	return list
}

// scalarsFunc writes what is computed once a step, in float64.
func (e *emitter) scalarsFunc(f *jen.File) {
	r := e.p.Rule
	doc(fileDoc{f}, "setScalars computes what all elements of an update share.")
	f.Func().Params(id("e").Op("*").Id("portable")).Id("setScalars").Params(id("h").Qual(enginePath, "Hyper")).BlockFunc(func(g *jen.Group) {
		source := map[string]code{
			ir.VarLR: id("h").Dot("LR"), ir.VarMomentum: id("h").Dot("Momentum"), ir.VarT: id("h").Dot("Step"),
		}
		// A scalar may read those before it.
		roots := make([]*expr.Node, len(r.Scalars))
		for i, s := range r.Scalars {
			roots[i] = s.Expr
			for j, earlier := range r.Scalars[:i] {
				roots[i] = expr.Replace(roots[i], expr.V(earlier.Name), roots[j])
			}
		}
		bind := map[string]code{}
		for _, v := range expr.Vars(roots...) {
			g.Add(define(v, jen.Float64().Call(source[v].Clone())))
			bind[v] = id(v)
		}
		values := lower(g, hostArith, bind, roots...)
		for _, v := range e.uniform() {
			if from, ok := source[v]; ok {
				g.Id("e").Dot(v).Op("=").Add(from.Clone())
				continue
			}
			i := slices.IndexFunc(r.Scalars, func(s ir.Scalar) bool { return s.Name == v })
			g.Id("e").Dot(v).Op("=").Float32().Call(values[i])
		}
	}).Line()
}
