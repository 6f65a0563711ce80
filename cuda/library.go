package cuda

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/ir"
)

// This file emits what stands around a product that a library makes.

// library writes one of the kernels.
func (s *source) library(l *plan.Launch) {
	switch w := l.Work.(type) {
	case *plan.Epilogue:
		s.comment("what %s does with its product, where a library has made that", w.Of)
		s.open(l.Name)
		s.line("const %s epilogue = {m};", typeName(w.Of))
		call := fmt.Sprintf("dnn_epilogue<%d, %d>", w.TM, w.TN)
		if s.Tensor() {
			call = fmt.Sprintf("dnn_tensor_epilogue<%s, %d, %d>", s.policy(), w.Tile.Rows, w.Tile.Cols)
		}
		s.line("%s(dnn_block(), %s, %s, %d, epilogue, %s);", call, at(s.Scratch.Offset), s.rows(), w.Cols, s.partial(w.Sum))
		s.productLoss(w.Of, w.Product, "dnn_block()")
	case *plan.Tail:
		s.comment("%s and %s, behind the rows of a short batch", w.Step.DZ.Name, w.Step.X.Name)
		s.open(l.Name)
		for _, b := range []*ir.Buffer{w.Step.DZ, w.Step.X} {
			offset, words := s.Rows(b)
			s.line("dnn_clear_tail<%d, %d>(%s, %s);", s.Program.Batch, words, at(offset), s.rows())
		}
	case *plan.ColumnSums:
		t := w.Work.Step
		s.comment("d%s, where a library makes d%s", t.Bias.Name, t.W.Name)
		s.open(l.Name)
		from := fmt.Sprintf("DnnRows<%d> dz = {%s}", t.DZ.Width, at(s.Buffer(t.DZ, false)))
		if s.Tensor() {
			p, lead := s.operands(t.DZ, false)
			from = fmt.Sprintf("DnnOperand<%s, %d> dz = {%s}", s.policy(), lead, p)
		}
		s.line("const %s;", from)
		s.line("dnn_column_sums<%d>(dz, %s, %d, %s, %s);", t.W.Shape[0], s.rows(), w.Work.Rows, at(s.Params[t.Bias.Index].Grad), s.bad())
	case *plan.Finite:
		t := w.Work.Step
		s.comment("whether d%s is finite, where a library makes it", t.W.Name)
		s.open(l.Name)
		s.line("dnn_note_infinite(%s, %d, %s);", at(s.Params[t.W.Index].Grad), t.W.Size(), s.bad())
	}
	s.line("}")
}

// libraries writes the products that a library may make.
func libraries(pl *plan.Plan) code {
	list := jen.Index().Qual(hostPath, "Library").ValuesFunc(func(g *jen.Group) {
		for _, l := range pl.Libraries {
			g.Line().Values(jen.Dict{
				id("Launch"): jen.Lit(l.Launch),
				id("Rows"):   jen.Lit(l.Rows), id("Cols"): jen.Lit(l.Cols), id("Inner"): jen.Lit(l.Inner),
				id("Left"): operand(l.Left), id("Right"): operand(l.Right), id("To"): operand(l.To),
				id("Before"): launches(l.Before), id("After"): launches(l.After),
				id("Reads"): values(l.Reads), id("Writes"): values(l.Writes),
			})
		}
		g.Line()
	})
	return jen.Op("&").Qual(hostPath, "Libraries").Values(jen.Dict{
		id("Roundoff"): jen.Lit(pl.Precision.Roundoff), id("Scratch"): hostRegion(pl.Scratch), id("Products"): list,
	})
}

func operand(o plan.Operand) code {
	return jen.Qual(hostPath, "Matrix").Values(jen.Dict{id("Offset"): jen.Lit(o.Offset), id("Lead"): jen.Lit(o.Lead), id("Turned"): jen.Lit(o.Turned)})
}

func values(list []plan.Values) code {
	return jen.Index().Qual(hostPath, "Values").ValuesFunc(func(g *jen.Group) {
		for _, v := range list {
			g.Values(jen.Dict{
				id("Offset"): jen.Lit(v.Offset), id("Rows"): jen.Lit(v.Rows), id("Cols"): jen.Lit(v.Cols), id("Lead"): jen.Lit(v.Lead),
				id("Operand"): jen.Lit(v.Operand), id("Parts"): jen.Lit(v.Parts),
			})
		}
	})
}
