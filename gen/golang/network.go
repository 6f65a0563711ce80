package golang

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// networkFile holds what the network tells of itself.
func (e *emitter) networkFile() *jen.File {
	f := e.file()
	d := fileDoc{f}
	doc(d, fmt.Sprintf("Network describes the network of %s to the runtime.", e.p.Source))
	f.Func().Id("Network").Params().Op("*").Qual(enginePath, "Network").Block(
		jen.Return(jen.Op("&").Qual(enginePath, "Network").Add(e.networkFields())),
	).Line()
	e.devicesFunc(f)
	e.scheduleFunc(f)
	doc(d, fmt.Sprintf("specText is %s as it was compiled.", e.p.Source))
	f.Const().Id("specText").Op("=").Add(textLines(e.p.Text))
	return f
}

// textLines is a string constant, a line of source for each line of text.
func textLines(text string) code {
	lines := strings.SplitAfter(text, "\n")
	if last := len(lines) - 1; last > 0 && lines[last] == "" {
		lines = lines[:last]
	}
	c := jen.Empty()
	for i, line := range lines {
		if i > 0 {
			c = c.Op("+").Line()
		}
		c = c.Lit(line)
	}
	return c
}

// multi is how a composite literal is written with an element a line.
var multi = jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}

// fields is a composite literal's body in a fixed order, a field a line; a field
// whose value is nil is left out.
func fields(pairs ...any) code {
	return jen.CustomFunc(multi, func(g *jen.Group) {
		for i := 0; i < len(pairs); i += 2 {
			if value := pairs[i+1].(code); value != nil {
				g.Id(pairs[i].(string)).Op(":").Add(value)
			}
		}
	})
}

func (e *emitter) networkFields() code {
	s, batch := e.p.Settings, e.p.Batch
	if e.p.Full {
		batch = 0
	}
	return fields(
		"Name", jen.Lit(e.p.Name), "Spec", id("specText"),
		"Inputs", n(e.p.Input), "Outputs", n(e.p.Output), "Batch", n(batch),
		"Layers", e.layerList(), "Params", e.paramList(), "States", texts(e.p.Rule.States),
		"Loss", jen.Lit(s.Loss), "Metrics", jen.Lit(s.Metrics), "Classes", jen.Lit(e.p.Loss.Classes()),
		"Output", jen.Lit(s.Output), "OutputWidth", n(e.p.Transform.Width),
		"Transform", id("transform"), "LossOf", id("lossOf"),
		"Epochs", n(s.Epochs), "Seed", jen.Lit(int(s.Seed)), "LR", jen.Lit(s.LR), "Momentum", jen.Lit(s.Momentum),
		"Optimizer", jen.Lit(s.Optimizer), "Precision", jen.Lit(s.Precision), "Precisions", e.precisionList(),
		"Schedule", id("schedule"),
		"Data", e.data(), "Devices", id("devices").Call(),
	)
}

// text is a string for fields; an empty one is left out.
func text(s string) code {
	if s == "" {
		return nil
	}
	return jen.Lit(s)
}

// texts is a list of strings for fields; an empty one is left out.
func texts(list []string) code {
	if len(list) == 0 {
		return nil
	}
	var lits []jen.Code
	for _, s := range list {
		lits = append(lits, jen.Lit(s))
	}
	return jen.Index().String().Values(lits...)
}

func (e *emitter) layerList() code {
	return jen.Index().Qual(enginePath, "Layer").CustomFunc(multi, func(g *jen.Group) {
		for _, l := range e.p.Layers {
			g.Values(
				jen.Id("Name").Op(":").Lit(l.Name), jen.Id("In").Op(":").Lit(l.In),
				jen.Id("Out").Op(":").Lit(l.Out), jen.Id("Line").Op(":").Lit(l.Line),
			)
		}
	})
}

func (e *emitter) paramList() code {
	return jen.Index().Qual(enginePath, "Param").CustomFunc(multi, func(g *jen.Group) {
		for _, q := range e.p.Params {
			var shape []jen.Code
			for _, d := range q.Shape {
				shape = append(shape, n(d))
			}
			g.Values(
				jen.Id("Name").Op(":").Lit(q.Name), jen.Id("Layer").Op(":").Lit(q.Layer),
				jen.Id("Shape").Op(":").Index().Int().Values(shape...),
				jen.Id("Init").Op(":").Qual(enginePath, "Init").Values(
					jen.Id("Kind").Op(":").Lit(q.Init.Kind), jen.Id("Scale").Op(":").Lit(q.Init.Scale),
				),
			)
		}
	})
}

func (e *emitter) precisionList() code {
	return jen.Index().Qual(enginePath, "Precision").CustomFunc(multi, func(g *jen.Group) {
		for _, p := range e.p.Precisions {
			g.Values(jen.Id("Name").Op(":").Lit(p.Name), jen.Id("Roundoff").Op(":").Lit(p.Roundoff))
		}
	})
}

func (e *emitter) data() code {
	d := e.p.Settings.Data
	return jen.Qual(enginePath, "Data").Add(fields(
		"Train", text(d.Train), "Test", text(d.Test), "Target", text(d.Target),
		"Features", texts(d.Features), "Categorical", texts(d.Categorical),
		"Scale", kind("Scale", d.ScaleKind, "Factor", d.ScaleFactor),
		"Missing", kind("Missing", d.MissingKind, "Value", d.MissingValue),
	))
}

// kind is a value of a type of the engine: its Kind, and the number that some
// kinds have in a field of the given name.
func kind(typeName, name, field string, number float64) code {
	values := []jen.Code{jen.Id("Kind").Op(":").Lit(name)}
	if number != 0 {
		values = append(values, jen.Id(field).Op(":").Lit(number))
	}
	return jen.Qual(enginePath, typeName).Values(values...)
}

func (e *emitter) devicesFunc(f *jen.File) {
	doc(fileDoc{f}, "devices lists what the network can run on, the best first.")
	f.Func().Id("devices").Params().Index().Qual(enginePath, "Device").BlockFunc(func(g *jen.Group) {
		g.Var().Id("list").Index().Qual(enginePath, "Device")
		for _, name := range e.o.Devices {
			g.Id("list").Op("=").Append(id("list"), id(name).Call().Op("..."))
		}
		g.Return(jen.Append(id("list"), jen.Qual(enginePath, "Device").Add(fields(
			"Name", jen.Lit("cpu:go"),
			"Missing", jen.Func().Params().Error().Block(jen.Return(jen.Nil())),
			"Threads", id("portableThreads"),
			"New", id("newPortable"),
		))))
	}).Line()
}

// scheduleFunc writes the learning rate's schedule.
func (e *emitter) scheduleFunc(f *jen.File) {
	doc(fileDoc{f}, "schedule returns the learning rate of a step:", "", "\t"+e.p.Settings.Schedule)
	f.Func().Id("schedule").Params(id("lr").Float64(), id("at").Qual(enginePath, "Moment")).Float64().BlockFunc(func(g *jen.Group) {
		source := map[string]string{"step": "Step", "epoch": "Epoch", "steps_per_epoch": "StepsPerEpoch", "epochs": "Epochs"}
		bind := map[string]code{ir.VarLR: id("lr")}
		for _, v := range expr.Vars(e.p.Schedule) {
			if name, ok := source[v]; ok {
				g.Add(define(camel(v, false), jen.Float64().Call(id("at").Dot(name))))
				bind[v] = id(camel(v, false))
			}
		}
		values := lower(g, hostArith, bind, e.p.Schedule)
		g.Return(values[0])
	}).Line()
}
