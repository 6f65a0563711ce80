package golang

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// Import paths of what only the public file of an emitted package links.
const (
	dataPath   = runtimePath + "/data"
	loopPath   = runtimePath + "/loop"
	metricPath = runtimePath + "/metric"
)

// modelFile holds what an importing program uses: the package's documentation,
// its sizes and the typed model. What needs no types of the network's sizes is
// left to the package runtime/model.
func (e *emitter) modelFile() *jen.File {
	f := e.file()
	for _, own := range []string{dataPath, loopPath, metricPath} {
		f.ImportName(own, path.Base(own))
	}
	for _, line := range e.packageDoc() {
		f.PackageComment("// " + ir.OneLine(line))
	}
	e.sizes(f)
	e.modelTypes(f)
	e.optionFuncs(f)
	e.makeFuncs(f)
	e.stepFuncs(f)
	e.predictionType(f)
	e.predictFuncs(f)
	if e.named() {
		e.rowType(f)
		e.rowFuncs(f)
	}
	if e.answers() {
		e.decideFunc(f)
	}
	e.dataFuncs(f)
	e.trainFuncs(f)
	e.keepFuncs(f)
	e.viewFuncs(f)
	return f
}

// sizes writes the constants that the types are made of.
func (e *emitter) sizes(f *jen.File) {
	outputs := "raw outputs of a row"
	if e.p.Loss.Classes() {
		outputs += ", one for each class"
	}
	doc(fileDoc{f}, "Sizes of the network.")
	f.Const().DefsFunc(func(g *jen.Group) {
		g.Id("Inputs").Op("=").Lit(e.p.Input).Comment("// numbers that the network reads of a row")
		g.Id("Outputs").Op("=").Lit(e.p.Output).Comment("// " + outputs)
		if !e.p.Full {
			g.Id("Batch").Op("=").Lit(e.p.Batch).Comment("// rows of a training step")
		}
	}).Line()
}

// modelTypes writes Model and the names of the runtime's types that callers
// need.
func (e *emitter) modelTypes(f *jen.File) {
	e.text(f, `Model is the network with its parameters, on one device. It holds threads and
		memory until Close. All methods may be called by many goroutines at once: predictions
		run side by side, and between the steps of a training.`)
	f.Type().Id("Model").Struct(id("model").Op("*").Qual(modelPath, "Model")).Line()
	f.Type().DefsFunc(func(g *jen.Group) {
		for _, t := range []struct{ name, from, what string }{
			{"Option", modelPath + ".Option", "Option is a choice made by New, Load or Train."},
			{"Data", dataPath + ".Table", "Data is rows with their targets: see Open, Examples and Split."},
			{"TrainOptions", modelPath + ".TrainOptions", "TrainOptions are what may differ between two trainings; the zero value trains as the spec says."},
			{"Step", loopPath + ".Step", "Step tells TrainOptions.OnStep of one update."},
			{"Epoch", modelPath + ".Epoch", "Epoch tells TrainOptions.OnEpoch of one pass over the rows."},
			{"Report", modelPath + ".Report", "Report tells of a whole training."},
			{"Metrics", metricPath + ".Report", "Metrics tell how well predictions agree with targets."},
		} {
			if t.name == "Data" && !e.examples() {
				t.what = "Data is rows with their targets: see Open and Split."
			}
			from, name := path.Split(t.from)
			base, name := splitLast(name)
			g.Comment("// " + t.what)
			g.Id(t.name).Op("=").Qual(from+base, name)
		}
	}).Line()
}

// splitLast cuts "model.Option" at its dot.
func splitLast(s string) (base, name string) {
	ext := path.Ext(s)
	return s[:len(s)-len(ext)], ext[1:]
}

// optionFuncs writes the options.
func (e *emitter) optionFuncs(f *jen.File) {
	s := e.p.Settings
	option := func(name, param string, kind code, text string) {
		e.text(f, text)
		f.Func().Id(name).Params(id(param).Add(kind)).Id("Option").Block(
			jen.Return(jen.Qual(modelPath, name).Call(id(param))),
		).Line()
	}
	option("WithSeed", "seed", jen.Uint64(), fmt.Sprintf(
		`WithSeed sets the seed of the initial parameters and of the shuffles. Without it,
		Load takes the model file's, where it has one; all others take the spec's, %d.`, s.Seed))
	option("WithDevice", "name", jen.String(),
		`WithDevice chooses what the model runs on: "auto" (the default: the best that is
		here), "cpu", "cpu:avx512", "cpu:avx2", "cpu:go", "cuda" or "cuda:N".`)
	var names []string
	for _, p := range e.p.Precisions {
		names = append(names, strconv.Quote(p.Name))
	}
	option("WithPrecision", "name", jen.String(), fmt.Sprintf(
		`WithPrecision chooses what matrix products are computed in on a GPU: %s; the spec says
		%q. A CPU computes in %s: see Model.Precision.`, strings.Join(names, ", "), s.Precision, names[0]))
	option("WithThreads", "n", jen.Int(),
		`WithThreads bounds the threads of a training step; 0, the default, takes as many as
		the machine offers. The number does not change any result.`)
	option("WithLearningRate", "lr", jen.Float64(), fmt.Sprintf(
		"WithLearningRate sets the learning rate; the spec says %v.", s.LR))
	if e.usesMomentum() {
		option("WithMomentum", "momentum", jen.Float64(), fmt.Sprintf(
			"WithMomentum sets the momentum, from 0 to below 1; the spec says %v.", s.Momentum))
	}
}

// usesMomentum reports whether the optimizer's rule reads the momentum.
func (e *emitter) usesMomentum() bool {
	nodes := append([]*expr.Node{e.p.Rule.W}, e.p.Rule.Next...)
	for _, s := range e.p.Rule.Scalars {
		nodes = append(nodes, s.Expr)
	}
	return slices.ContainsFunc(nodes, func(n *expr.Node) bool { return expr.Uses(n, ir.VarMomentum) })
}

// makeFuncs writes New and Load.
func (e *emitter) makeFuncs(f *jen.File) {
	wrapped := func(name string, args ...jen.Code) []jen.Code {
		return []jen.Code{
			jen.List(id("m"), jen.Err()).Op(":=").Qual(modelPath, name).Call(append([]jen.Code{id("Network").Call()}, args...)...),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Return(jen.Op("&").Id("Model").Values(id("m")), jen.Nil()),
		}
	}
	results := func() code { return jen.Params(jen.Op("*").Id("Model"), jen.Error()) }
	options := func() code { return id("opts").Op("...").Id("Option") }
	e.text(f, `New makes a model with fresh parameters, drawn from the seed. It fails where an
		option makes no sense, with a *device.Unknown where a name means no device or precision, and with
		a *device.Absent where the device is not here or has no such precision.`)
	f.Func().Id("New").Params(options()).Add(results()).Block(wrapped("New", id("opts").Op("..."))...).Line()
	e.text(f, `Load makes a model from a safetensors file of a file system, such as an embed.FS or
		os.DirFS("."): one that Save, the trainer or PyTorch wrote. It fails where New
		fails, where the file cannot be read, with a *safetensors.Error where it is damaged, and
		with a *modelfile.Misfit where its parameters are not those of this network, or not finite.`)
	f.Func().Id("Load").Params(id("fsys").Qual("io/fs", "FS"), id("name").String(), options()).Add(results()).
		Block(wrapped("Load", id("fsys"), id("name"), id("opts").Op("..."))...).Line()
}

// method starts a method of Model.
func method(f *jen.File, name string) code {
	return f.Func().Params(id("m").Op("*").Id("Model")).Id(name)
}

// core is the untyped model.
func core() code { return id("m").Dot("model") }

// keepFuncs writes Save, Device, Precision and Close.
func (e *emitter) keepFuncs(f *jen.File) {
	e.text(f, `Save replaces the file name by the parameters, as safetensors under PyTorch's names
		and layouts, with what Load needs to prepare rows. Whatever happens, the file is the old
		one or the new one, whole. It fails where the file cannot be written, and
		with a *modelfile.BadParameter where a parameter is not finite. The optimizer's state is not saved.`)
	method(f, "Save").Params(id("name").String()).Error().Block(jen.Return(core().Dot("Save").Call(id("name")))).Line()
	e.text(f, `Device returns the name of the device that the model runs on, such as "cpu:go".`)
	method(f, "Device").Params().String().Block(jen.Return(core().Dot("Device").Call())).Line()
	e.text(f, `Precision returns what the model computes matrix products in, such as "`+e.p.Precisions[0].Name+`".`)
	method(f, "Precision").Params().String().Block(jen.Return(core().Dot("Precision").Call())).Line()
	e.text(f, `Close returns threads and memory. It waits for calls under way; one that comes later
		panics. Closing twice is no error.`)
	method(f, "Close").Params().Block(core().Dot("Close").Call()).Line()
}

// viewFuncs writes the functions that view arrays of rows as one slice.
func (e *emitter) viewFuncs(f *jen.File) {
	view := func(name, param, width, what string) {
		e.text(f, fmt.Sprintf("%s views %s as the one slice that they are in memory.", name, what))
		f.Func().Id(name).Params(id(param).Index().Index(id(width)).Float32()).Index().Float32().Block(
			jen.Return(jen.Qual("unsafe", "Slice").Call(
				jen.Parens(jen.Op("*").Float32()).Call(jen.Qual("unsafe", "Pointer").Call(jen.Qual("unsafe", "SliceData").Call(id(param)))),
				jen.Len(id(param)).Op("*").Id(width),
			)),
		).Line()
	}
	view("inputs", "x", "Inputs", "rows of inputs")
	if !e.p.Loss.Classes() {
		view("values", "y", "Outputs", "rows of target values")
	}
}
