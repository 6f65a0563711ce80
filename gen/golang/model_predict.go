package golang

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// predictionField is a field of the emitted type Prediction.
type predictionField struct {
	name    string
	kind    code
	comment string
}

// answers reports whether a prediction names one class: of several, or one of
// the two of a single binary output.
func (e *emitter) answers() bool {
	return e.p.Loss.Classes() || e.p.Settings.Metrics == "binary" && e.p.Output == 1
}

// transformed returns the name of the field of the transformed outputs, or ""
// where a prediction has none: an index is the field Class, and a classifier's
// outputs that nothing transforms are the field Raw.
func (e *emitter) transformed() string {
	t := e.p.Transform
	plain := t.Value != nil && t.Value.Op == expr.Var
	switch {
	case t.Rowwise == ir.Argmax, plain && e.answers():
		return ""
	case e.p.Settings.Probabilities:
		return "Probs"
	}
	return "Output"
}

func (e *emitter) predictionFields() []predictionField {
	outputs := func() code { return jen.Index(id("Outputs")).Float32() }
	var list []predictionField
	if e.answers() {
		class := "1 where Raw is above 0, which is a probability above one half, else 0"
		if e.p.Loss.Classes() {
			class = "the index of the largest of Raw, the first of equals"
		}
		list = append(list,
			predictionField{"Class", jen.Int(), class + "; -1 where Raw is NaN"},
			predictionField{"Label", jen.String(), "the name of the class, where the training rows named it"})
	}
	if name := e.transformed(); name != "" {
		text := e.p.Settings.Output + " of Raw"
		switch {
		case name == "Probs" && e.p.Loss.Classes():
			text += ": the probability of each class"
		case name == "Probs":
			text += ": the probability of 1"
		}
		list = append(list, predictionField{name, outputs(), text})
	}
	return append(list, predictionField{"Raw", outputs(), "the raw outputs"})
}

func (e *emitter) predictionType(f *jen.File) {
	e.text(f, `Prediction is what the network says of a row. All of its numbers are NaN where the
		row holds a number that is not finite, or a missing one that nothing fills.`)
	f.Type().Id("Prediction").StructFunc(func(g *jen.Group) {
		for _, field := range e.predictionFields() {
			g.Id(field.name).Add(field.kind).Comment("// " + field.comment)
		}
	}).Line()
}

// transformedArg is where the runtime writes the transformed outputs.
func (e *emitter) transformedArg(of code) code {
	if name := e.transformed(); name != "" {
		return of.Dot(name).Index(jen.Op(":"))
	}
	return jen.Nil()
}

// decide writes the call that names the class of the prediction p.
func (e *emitter) decide(g *jen.Group) {
	if e.answers() {
		g.Id("m").Dot("decide").Call(jen.Op("&").Id("p"))
	}
}

func (e *emitter) predictFuncs(f *jen.File) {
	form := "x holds its features as the data has them."
	if e.categorical() {
		form = "x is the row as the network reads it"
		if e.named() {
			form += ": PredictRow takes it as the data has it"
		}
		form += "."
	}
	e.text(f, "Predict runs the network on one row. "+form+" It does not allocate.")
	method(f, "Predict").Params(id("x").Op("*").Index(id("Inputs")).Float32()).Id("Prediction").BlockFunc(func(g *jen.Group) {
		g.Var().Id("p").Id("Prediction")
		g.Add(core()).Dot("Predict").Call(id("x").Index(jen.Op(":")), id("p").Dot("Raw").Index(jen.Op(":")), e.transformedArg(id("p")))
		e.decide(g)
		g.Return(id("p"))
	}).Line()
	e.predictBatchFunc(f)
}

func (e *emitter) predictBatchFunc(f *jen.File) {
	name := e.transformed()
	made := func() code { return jen.Make(floats(), jen.Len(id("x")).Op("*").Id("Outputs")) }
	e.text(f, `PredictBatch runs the network on many rows. What it says of a row is, to the last bit,
		what Predict says of it.`)
	method(f, "PredictBatch").Params(id("x").Add(e.inputRows())).Index().Id("Prediction").BlockFunc(func(g *jen.Group) {
		g.Id("raw").Op(":=").Add(made())
		out := jen.Nil()
		if name != "" {
			g.Id("out").Op(":=").Add(made())
			out = id("out")
		}
		g.Add(core()).Dot("PredictRows").Call(id("inputs").Call(id("x")), id("raw"), out, jen.Len(id("x")))
		g.Id("predictions").Op(":=").Make(jen.Index().Id("Prediction"), jen.Len(id("x")))
		g.For(id("i").Op(":=").Range().Id("predictions")).BlockFunc(func(g *jen.Group) {
			g.Id("p").Op(":=").Op("&").Id("predictions").Index(id("i"))
			g.Copy(id("p").Dot("Raw").Index(jen.Op(":")), id("raw").Index(id("i").Op("*").Id("Outputs").Op(":")))
			if name != "" {
				g.Copy(id("p").Dot(name).Index(jen.Op(":")), id("out").Index(id("i").Op("*").Id("Outputs").Op(":")))
			}
			if e.answers() {
				g.Id("m").Dot("decide").Call(id("p"))
			}
		})
		g.Return(id("predictions"))
	}).Line()
}

// decideFunc writes the methods that name classes.
func (e *emitter) decideFunc(f *jen.File) {
	rule := jen.Qual(modelPath, "Positive").Call(id("p").Dot("Raw").Index(n(0)))
	if e.p.Loss.Classes() {
		rule = jen.Qual(modelPath, "Largest").Call(id("p").Dot("Raw").Index(jen.Op(":")))
	}
	e.text(f, "decide fills in the class by the raw outputs.")
	method(f, "decide").Params(id("p").Op("*").Id("Prediction")).Block(
		id("p").Dot("Class").Op("=").Add(rule),
		id("p").Dot("Label").Op("=").Id("m").Dot("Label").Call(id("p").Dot("Class")),
	).Line()
	e.text(f, `Label returns the name of a class, as the training rows have it, or "" where the model
		knows none.`)
	method(f, "Label").Params(id("class").Int()).String().Block(
		jen.Return(core().Dot("Label").Call(id("class"))),
	).Line()
}

// rowFuncs writes what takes a Row.
func (e *emitter) rowFuncs(f *jen.File) {
	cells := func() code { return id("cells").Op(":=").Id("r").Dot("cells").Call() }
	fails := "It fails with a *data.Error where a value is missing and nothing fills it, or too large"
	if e.categorical() {
		fails = `It fails with a *data.Error where a category is one that no training row has, or a
			value is missing and nothing fills it, and with model.ErrUnprepared where the model was
			neither trained by Train nor loaded from a file that has the categories`
	}
	e.text(f, fmt.Sprintf("PredictRow runs the network on one row of the data. %s.", fails))
	method(f, "PredictRow").Params(id("r").Op("*").Id("Row")).Params(id("Prediction"), jen.Error()).BlockFunc(func(g *jen.Group) {
		g.Var().Id("p").Id("Prediction")
		g.Add(cells())
		g.If(
			jen.Err().Op(":=").Add(core()).Dot("PredictCells").Call(
				id("cells").Index(jen.Op(":")), id("p").Dot("Raw").Index(jen.Op(":")), e.transformedArg(id("p"))),
			jen.Err().Op("!=").Nil(),
		).Block(jen.Return(id("Prediction").Values(), jen.Err()))
		e.decide(g)
		g.Return(id("p"), jen.Nil())
	}).Line()
	if !e.categorical() {
		return
	}
	e.text(f, "Encode writes what the network reads of a row of the data to x, as Step, Predict and PredictBatch take it. It fails where PredictRow fails.")
	method(f, "Encode").Params(id("r").Op("*").Id("Row"), id("x").Op("*").Index(id("Inputs")).Float32()).Error().Block(
		cells(),
		jen.Return(core().Dot("Encode").Call(id("cells").Index(jen.Op(":")), id("x").Index(jen.Op(":")))),
	).Line()
}
