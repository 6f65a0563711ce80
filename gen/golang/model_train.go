package golang

import (
	"fmt"

	"github.com/dave/jennifer/jen"
)

// targetType is the type of the target of one row.
func (e *emitter) targetType() code {
	if e.p.Loss.Classes() {
		return jen.Int32()
	}
	return jen.Index(id("Outputs")).Float32()
}

// targetOf makes an engine's target of a slice of targets.
func (e *emitter) targetOf(slice code) code {
	if e.p.Loss.Classes() {
		return jen.Qual(enginePath, "Target").Values(id("Class").Op(":").Add(slice))
	}
	return jen.Qual(enginePath, "Target").Values(id("Value").Op(":").Id("values").Call(slice))
}

// targetText says what the targets of a batch are.
func (e *emitter) targetText() string {
	switch {
	case e.p.Loss.Classes():
		return "the class of each row, from 0 to Outputs-1"
	case e.p.Settings.Metrics == "binary":
		return "Outputs values from 0 to 1 for each row"
	}
	return "Outputs values for each row"
}

func (e *emitter) inputRows() code { return jen.Index().Index(id("Inputs")).Float32() }

// stepFuncs writes the training steps.
func (e *emitter) stepFuncs(f *jen.File) {
	bad := "where a number is not finite"
	if e.p.Loss.Classes() {
		bad += " or a class is out of range"
	}
	step := func(head, allocates string) string {
		return fmt.Sprintf(`%s with the targets y, %s. It returns the mean loss (%s) before the update;
			%s it returns NaN and changes nothing. It does not allocate%s. The learning rate is that
			of the options and of SetLearningRate, without a schedule.`,
			head, e.targetText(), e.p.Settings.Loss, bad, allocates)
	}
	untyped := func(x, y, rows code) code {
		return jen.Return(core().Dot("Step").Call(id("inputs").Call(x), e.targetOf(y), rows))
	}
	slices := func(name string) {
		method(f, name).Params(id("x").Add(e.inputRows()), id("y").Index().Add(e.targetType())).Float64().Block(
			untyped(id("x"), id("y"), jen.Len(id("x"))),
		).Line()
	}
	if e.p.Full {
		e.text(f, step("Step trains all rows x at once, one or more,", ", except where the rows are more than ever before"),
			"It panics where x and y have different lengths, or none.")
		slices("Step")
	} else {
		e.text(f, step("Step trains the batch x", ""))
		method(f, "Step").Params(
			id("x").Op("*").Index(id("Batch")).Index(id("Inputs")).Float32(),
			id("y").Op("*").Index(id("Batch")).Add(e.targetType()),
		).Float64().Block(
			untyped(id("x").Index(jen.Op(":")), id("y").Index(jen.Op(":")), id("Batch")),
		).Line()
		e.text(f, `StepRows is Step for a batch of 1 to Batch rows, such as the last one of an epoch,
			with a mean of its own. It panics where x and y have different lengths, or none, or more
			than Batch.`)
		slices("StepRows")
	}
	e.text(f, `SetLearningRate sets the learning rate of the steps and trainings to come. It fails,
		and changes nothing, where lr is not a positive number.`)
	method(f, "SetLearningRate").Params(id("lr").Float64()).Error().Block(
		jen.Return(core().Dot("SetLearningRate").Call(id("lr"))),
	).Line()
}

// examples reports whether rows in memory can be made Data: their form is known
// unless they have categories in columns that the spec does not name.
func (e *emitter) examples() bool { return e.named() || !e.categorical() }

// dataFuncs writes Open, Examples and Split.
func (e *emitter) dataFuncs(f *jen.File) {
	e.text(f, `Open reads rows with their targets from a source: builtin:NAME, FILE.csv,
		FILE.csv?label=COLUMN, FILE.npz with x and y, or two IDX files IMAGES,LABELS. The
		error is a *data.Error, which says where and what is wrong.`)
	result := func() code { return jen.Params(jen.Op("*").Id("Data"), jen.Error()) }
	f.Func().Id("Open").Params(id("source").String()).Add(result()).Block(
		jen.Return(jen.Qual(dataPath, "Open").Call(id("source"), jen.Qual(dataPath, "Options").Values())),
	).Line()
	if e.examples() {
		e.examplesFunc(f, result())
	}
	e.text(f, `Split takes a share of the rows, from 0 to 1, away for testing. Which rows these are
		depends on the seed and on the number of rows alone.`)
	f.Func().Id("Split").Params(
		id("d").Op("*").Id("Data"), id("share").Float64(), id("seed").Uint64(),
	).Params(jen.List(id("train"), id("test")).Op("*").Id("Data")).Block(
		jen.Return(jen.Qual(dataPath, "Split").Call(id("d"), id("share"), id("seed"))),
	).Line()
}

func (e *emitter) examplesFunc(f *jen.File, result code) {
	labelled := e.p.Loss.Classes() || e.p.Settings.Metrics == "binary" && e.p.Output == 1
	text := fmt.Sprintf("Examples makes Data of rows in memory, as the data has them, with their targets y, %s.", e.targetText())
	if labelled {
		text += " labels name the classes 0, 1, …; none are needed."
	}
	e.text(f, text+" It fails where the lengths differ.")
	var labels, names []jen.Code
	if labelled {
		labels, names = []jen.Code{id("labels").Op("...").String()}, []jen.Code{id("labels").Op("...")}
	}
	targets := []jen.Code{e.targetOf(id("y")), id("Outputs")}
	y := id("y").Index().Add(e.targetType())
	if !e.named() {
		f.Func().Id("Examples").Params(append([]jen.Code{id("x").Add(e.inputRows()), y}, labels...)...).Add(result).Block(
			jen.Return(jen.Qual(dataPath, "FromNumbers").Call(append(append([]jen.Code{
				id("inputs").Call(id("x")), id("Inputs"),
			}, targets...), names...)...)),
		).Line()
		return
	}
	f.Func().Id("Examples").Params(append([]jen.Code{id("rows").Index().Id("Row"), y}, labels...)...).Add(result).Block(
		id("cells").Op(":=").Make(jen.Index().Index().Qual(dataPath, "Cell"), jen.Len(id("rows"))),
		jen.For(id("i").Op(":=").Range().Id("rows")).Block(
			id("row").Op(":=").Id("rows").Index(id("i")).Dot("cells").Call(),
			id("cells").Index(id("i")).Op("=").Id("row").Index(jen.Op(":")),
		),
		jen.Return(jen.Qual(dataPath, "FromCells").Call(append(append([]jen.Code{
			id("Network").Call().Dot("Data").Dot("Features"), id("cells"),
		}, targets...), names...)...)),
	).Line()
}

// trainFuncs writes the whole trainings and the measurement.
func (e *emitter) trainFuncs(f *jen.File) {
	context := func() code { return id("ctx").Qual("context", "Context") }
	rows := func() code { return jen.List(id("train"), id("test")).Op("*").Id("Data") }
	o := func() code { return id("o").Id("TrainOptions") }
	e.text(f, `Train makes a model and trains it on the rows of train, which the model learns to
		prepare as the spec says; test, which may be nil, is measured after each epoch. The model
		is nil where the training could not begin. Otherwise it holds the parameters after the
		last step that was made, or with KeepBest those of the best epoch, also where the error is
		not nil: that of ctx, that of TrainOptions.OnEpoch, or a *loop.NonFinite, which says where
		a loss was not finite. What is wrong with rows is a *data.Error.`)
	f.Func().Id("Train").Params(context(), rows(), o(), id("opts").Op("...").Id("Option")).
		Params(jen.Op("*").Id("Model"), id("Report"), jen.Error()).Block(
		jen.List(id("m"), id("report"), jen.Err()).Op(":=").Qual(modelPath, "Train").Call(
			id("ctx"), id("Network").Call(), id("train"), id("test"), id("o"), id("opts").Op("..."),
		),
		jen.If(id("m").Op("==").Nil()).Block(jen.Return(jen.Nil(), id("report"), jen.Err())),
		jen.Return(jen.Op("&").Id("Model").Values(id("m")), id("report"), jen.Err()),
	).Line()
	e.text(f, `Train goes on with the parameters that the model has, and prepares rows as it did
		before; a model that knows no preparation yet learns it from train. Predictions may go on
		meanwhile. The errors are those of the function Train.`)
	method(f, "Train").Params(context(), rows(), o()).Params(id("Report"), jen.Error()).Block(
		jen.Return(core().Dot("Train").Call(id("ctx"), id("train"), id("test"), id("o"))),
	).Line()
	e.text(f, `Evaluate measures the model on rows with their targets. It fails with a *data.Error
		where they do not fit the network, and with the error of ctx.`)
	method(f, "Evaluate").Params(context(), id("d").Op("*").Id("Data")).Params(id("Metrics"), jen.Error()).Block(
		jen.Return(core().Dot("Evaluate").Call(id("ctx"), id("d"))),
	).Line()
}
