package driver

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/internal/ir"
)

// This file writes the comments of a step's functions: what the layers are as
// the spec names them, the formulas with their shapes, and the spec's lines.

// equation is a formula and the shapes of its two sides.
type equation struct{ formula, shapes string }

// describe writes a function's comment. does is what it does to its layers,
// "forward0 is".
func (e *emitter) describe(f *jen.File, does string, layers []int, equations []equation) {
	var texts []string
	source := e.Program.Source
	for i, l := range layers {
		layer := e.Program.Layers[l]
		texts = append(texts, layer.Text)
		if i == 0 {
			source += fmt.Sprintf(":%d", layer.Line)
		} else {
			source += fmt.Sprintf(", %d", layer.Line)
		}
	}
	lines := []string{fmt.Sprintf("%s %s:", does, strings.Join(texts, ", then ")), ""}
	width := 0
	for _, q := range equations {
		width = max(width, len([]rune(q.formula)))
	}
	for _, q := range equations {
		pad := strings.Repeat(" ", width-len([]rune(q.formula)))
		lines = append(lines, fmt.Sprintf("\t%s%s   %s", q.formula, pad, q.shapes))
	}
	doc(f, append(lines, "\t"+source)...)
}

// linearEquation is the product of a linear layer.
func linearEquation(s *ir.Linear) equation {
	name, out, in := "z", s.W.Shape[0], s.W.Shape[1]
	if s.Out != nil {
		name = s.Out.Name
	}
	formula := fmt.Sprintf("%s = %s·%sᵀ", name, s.X.Name, ident(s.W))
	if s.Bias != nil {
		formula += " + " + ident(s.Bias)
	}
	return equation{formula, fmt.Sprintf("[rows, %d] = [rows, %d]·[%d, %d]", out, in, in, out)}
}

// inputEquation is the product of a gradient by inputs.
func inputEquation(s *ir.GradInput) equation {
	name, out, in := "d", s.W.Shape[0], s.W.Shape[1]
	if s.Out != nil {
		name = s.Out.Name
	}
	return equation{
		fmt.Sprintf("%s = %s·%s", name, s.DZ.Name, ident(s.W)),
		fmt.Sprintf("[rows, %d] = [rows, %d]·[%d, %d]", in, out, out, in),
	}
}

// weightEquations are the gradients of a weight and its bias.
func weightEquations(s *ir.GradWeight) []equation {
	out, in := s.W.Shape[0], s.W.Shape[1]
	list := []equation{{
		fmt.Sprintf("d%s = %sᵀ·%s", ident(s.W), s.DZ.Name, s.X.Name),
		fmt.Sprintf("[%d, %d] = [%d, rows]·[rows, %d]", out, in, out, in),
	}}
	if s.Bias != nil {
		list = append(list, equation{
			fmt.Sprintf("d%s = sum of %s over the rows", ident(s.Bias), s.DZ.Name), fmt.Sprintf("[%d]", out),
		})
	}
	return list
}

// mapEquations are what an element-wise step stores and adds up.
func mapEquations(m *ir.Map) []equation {
	var with []string
	for _, in := range m.In {
		if name := viewName(in.View); in.View.Buffer != nil && name != in.Var {
			with = append(with, in.Var+" = "+name)
		} else if name != "" {
			with = append(with, in.Var+" = "+in.Var+name)
		}
	}
	if m.Param != nil {
		with = append(with, ir.VarParam+" = "+ident(m.Param))
	}
	note := ""
	if len(with) > 0 {
		note = " with " + strings.Join(with, ", ")
	}
	var list []equation
	for _, out := range m.Out {
		list = append(list, equation{
			fmt.Sprintf("%s = %s", viewName(out.View), out.Expr), fmt.Sprintf("[rows, %d]%s", m.Width, note),
		})
	}
	for _, sum := range m.Sum {
		list = append(list, equation{fmt.Sprintf("d%s += %s", ident(sum.Param), sum.Expr), fmt.Sprintf("over all rows%s", note)})
	}
	return list
}

// viewName names the columns of a view: "z4[1::2]"; of the sums at hand only
// which they are.
func viewName(v ir.View) string {
	name := ""
	if v.Buffer != nil {
		name = v.Buffer.Name
	}
	if v.Stride == 1 && v.Offset == 0 {
		return name
	}
	return fmt.Sprintf("%s[%d::%d]", name, v.Offset, v.Stride)
}

// lossFormula is what the loss of a row, and its gradient, are.
func lossFormula(l *ir.Loss) []string {
	if l.Rowwise != "" {
		return []string{"\tloss = log(sum of exp(z)) - z[y] of each row", fmt.Sprintf("\t%s = scale*(exp(z)/sum of exp(z) - (1 at y))", l.Grad.Name)}
	}
	return []string{fmt.Sprintf("\tloss = %s of each output", l.Value), fmt.Sprintf("\t%s = scale*(%s)", l.Grad.Name, l.Slope)}
}

// layersOf lists a step's layer and that of its map.
func layersOf(layer int, m *ir.Map) []int {
	if m == nil {
		return []int{layer}
	}
	return []int{layer, m.Layer}
}

// describeStep writes the comment of a step of the plan.
func (e *emitter) describeStep(f *jen.File, s plan.Step) {
	name := s.StepName()
	product := func(source ir.Step) (layers []int, list []equation) {
		switch q := source.(type) {
		case *ir.Linear:
			layers, list = layersOf(q.Layer, q.Map), []equation{linearEquation(q)}
		case *ir.GradInput:
			layers, list = layersOf(q.Layer, q.Map), []equation{inputEquation(q)}
		}
		if m := ir.FusedMap(source); m != nil {
			list = append(list, mapEquations(m)...)
		}
		return layers, list
	}
	onePass := func(weight *ir.GradWeight, input *ir.GradInput) {
		layers, list := []int{weight.Layer}, weightEquations(weight)
		does := e.gradVerb()
		if input != nil {
			var back []equation
			layers, back = product(input)
			list = append(back, list...)
			does += " and goes back through"
		}
		e.describe(f, name+does, layers, list)
	}
	switch s := s.(type) {
	case *plan.Multiply:
		does := " is"
		if _, back := s.Source.(*ir.GradInput); back {
			does = " goes back through"
		}
		layers, list := product(s.Source)
		e.describe(f, name+does, layers, list)
	case *plan.Dot:
		e.describe(f, name+" is", []int{s.Source.Layer}, []equation{linearEquation(s.Source)})
	case *plan.Apply:
		does := " is"
		if strings.HasPrefix(name, "backward") {
			does = " goes back through"
		}
		e.describe(f, name+does, []int{s.Source.Layer}, mapEquations(s.Source))
	case *plan.WeightGrad:
		e.describe(f, name+e.gradVerb(), []int{s.Source.Layer}, weightEquations(s.Source))
	case *plan.DotGrad:
		onePass(s.Source, s.Input)
	case *plan.RankOne:
		onePass(s.Source, s.Input)
	}
}

// gradVerb is what a step does that makes the gradients of a layer.
func (e *emitter) gradVerb() string {
	if e.Keep {
		return " adds up the gradients of"
	}
	return " updates"
}
