package golang

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/ir"
)

// lineWidth is where comments are broken, without their slashes.
const lineWidth = 84

// text writes a comment: a paragraph, broken into lines, whatever white space
// stands between its words.
func (e *emitter) text(f *jen.File, paragraphs ...string) {
	for i, p := range paragraphs {
		if i > 0 {
			f.Comment("//")
		}
		doc(fileDoc{f}, wrap(p)...)
	}
}

// wrap breaks a paragraph into lines.
func wrap(paragraph string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(paragraph) {
		if line != "" && len(line)+1+len(word) > lineWidth {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// packageDoc is the package's documentation: what the network is, how to use
// it, and what rows are.
func (e *emitter) packageDoc() []string {
	s := e.p.Settings
	lines := append([]string{fmt.Sprintf("Package %s trains and runs the network of %s:", e.name, e.p.Source), ""}, e.layerTable()...)
	steps := "the whole training set (gradient descent)"
	switch {
	case !e.p.Full && e.p.Batch == 1:
		steps = "one row"
	case !e.p.Full:
		steps = fmt.Sprintf("%d rows", e.p.Batch)
	}
	paragraph := func(text string) { lines = append(append(lines, ""), wrap(text)...) }
	paragraph(fmt.Sprintf("A training step minimizes %s over %s by %s. Predictions have the output transformation %s.",
		s.Loss, steps, s.Optimizer, s.Output))
	paragraph("A Model is made by New, Load or Train:")
	lines = append(lines, "")
	lines = append(lines, e.usage()...)
	for _, p := range e.rowsDoc() {
		paragraph(p)
	}
	return lines
}

// layerTable shows the layers as preformatted text.
func (e *emitter) layerTable() []string {
	width := 0
	for _, l := range e.p.Layers {
		width = max(width, len([]rune(ir.OneLine(l.Text))))
	}
	var lines []string
	for i, l := range e.p.Layers {
		text := ir.OneLine(l.Text)
		pad := strings.Repeat(" ", width-len([]rune(text)))
		lines = append(lines, fmt.Sprintf("\t%d  %s%s  [%d] -> [%d]", i, text, pad, l.In, l.Out))
	}
	return lines
}

// usage shows the way from data to a prediction.
func (e *emitter) usage() []string {
	source := "train.csv"
	if e.p.Settings.Data.Train != "" {
		source = e.p.Settings.Data.Train
	}
	predict := "\tp := m.Predict(&x)"
	if e.categorical() && e.named() {
		predict = "\tp, err := m.PredictRow(&row)"
	}
	var parts []string
	for _, field := range e.predictionFields() {
		parts = append(parts, "p."+field.name)
	}
	return []string{
		fmt.Sprintf("\ttrain, err := %s.Open(%q)", e.name, source),
		"\t…",
		fmt.Sprintf("\tm, report, err := %s.Train(ctx, train, nil, %s.TrainOptions{})", e.name, e.name),
		"\t…",
		"\tdefer m.Close()",
		predict + " // " + strings.Join(parts, ", "),
	}
}

// rowsDoc says in which form rows are given.
func (e *emitter) rowsDoc() []string {
	d := e.p.Settings.Data
	missing := ""
	switch d.MissingKind {
	case "mean", "median":
		missing = fmt.Sprintf(" NaN stands for a missing number, which the %s of the training rows fills.", d.MissingKind)
	case "const":
		missing = fmt.Sprintf(" NaN stands for a missing number, which %v fills.", d.MissingValue)
	}
	if e.categorical() {
		raw := "Data comes from Open."
		if e.named() {
			raw = "A Row, and Data, hold features as the data has them. A model that comes from Train, or from a file with its preparation, prepares them as its training rows were." + strings.ReplaceAll(missing, "NaN", "NaN, or \"\" for a category,")
		}
		return []string{raw, "Arrays of Inputs numbers are rows as the network reads them: a 1 for the category that a row is of, 0 for the others, and scaled numbers, in the order of the features."}
	}
	switch d.ScaleKind {
	case "divide":
		return []string{fmt.Sprintf("Rows are given as the data has them: the model divides them by %v before the network reads them.", d.ScaleFactor) + missing}
	case "standardize", "minmax":
		return []string{fmt.Sprintf("Rows are given as the data has them. A model that comes from Train, or from a file with its preparation, scales them (%s) as its training rows were. Any other model does not know that scale, and takes rows as the network reads them.", d.ScaleKind) + missing}
	}
	if missing != "" {
		return []string{"Rows are given as the data has them." + missing}
	}
	return nil
}
