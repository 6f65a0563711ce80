package spec

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
)

// Reference returns the reference of the language in Markdown, from the
// grammar and the tables. The bytes are the same each time.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(`# The language

This page is generated from the tables of the compiler; ` + "`go test ./spec -update`" + ` writes it anew.

A spec is one YAML mapping. Unknown keys, values of the wrong kind and shapes
that do not fit are errors. Numbers are decimal and stand without quotes;
anchors, aliases, tags and merge keys are not used.

An entry of a table is written as its name (` + "`relu`" + `), as a mapping of its name
to its settings (` + "`elu: {alpha: 0.5}`" + `), or to its main setting alone
(` + "`elu: 0.5`" + `); the main setting is the one in bold.

`)
	writeKeys(&b, "Keys", "", grammar())
	for _, f := range grammar() {
		if f.sub != nil {
			writeKeys(&b, "Keys of `"+f.name+"`", strings.ToUpper(f.doc[:1])+f.doc[1:]+".", f.sub)
		}
	}
	writeEntries(&b, "Layers", "An item of `layers` is a linear layer or an activation.", nil,
		[]*op.Entry{linear}, func(*op.Entry) []string { return nil })
	writeEntries(&b, "Activations", "z is the pre-activation. A gated unit takes its inputs in pairs, value and gate, and halves the width.",
		[]string{"formula", "source"}, op.Activations, func(a *op.Activation) []string { return []string{formula(a.Formula), a.Source} })
	writeEntries(&b, "Losses", "z is a raw output, y its target; the loss is the mean over the rows, and over the outputs where each has its own target.",
		[]string{"formula", "targets", "source"}, op.Losses,
		func(l *op.Loss) []string { return []string{formula(l.Formula), string(l.Metrics), l.Source} })
	writeEntries(&b, "Outputs", "Applied to raw outputs z by predict and eval, never in training.",
		[]string{"formula", "suits"}, op.Outputs, func(o *op.Output) []string {
			var suits []string
			for _, m := range o.Metrics {
				suits = append(suits, string(m))
			}
			return []string{formula(o.Formula), strings.Join(suits, ", ")}
		})
	writeEntries(&b, "Optimizers", "w is a parameter, g its gradient.",
		[]string{"formula", "source"}, op.Optimizers, func(o *op.Optimizer) []string { return []string{formula(o.Formula), o.Source} })
	writeEntries(&b, "Schedules", "`progress` runs from 0 to 1 over the steps behind the warm-up.",
		[]string{"formula"}, op.Schedules, func(s *op.Schedule) []string { return []string{formula(s.Formula)} })
	writeEntries(&b, "Initial weights", "U is uniform, N normal; the gain is that of the activation that follows. Biases start at 0 unless it says otherwise.",
		[]string{"formula"}, op.Inits, func(i *op.Init) []string { return []string{formula(i.Formula)} })
	writeEntries(&b, "Precisions", precisionText,
		[]string{"operands", "bytes", "fraction", "unit roundoff", "needs"}, op.Precisions, func(p *op.Precision) []string {
			needs := "any device"
			if p.Major > 0 {
				needs = fmt.Sprintf("a GPU of compute capability %d.%d", p.Major, p.Minor)
			}
			return []string{p.Format, fmt.Sprint(p.Bytes), fmt.Sprintf("%d bits", p.Mantissa), fmt.Sprintf("2^-%d", p.Mantissa+1), needs}
		})
	same := func(*op.Entry) []string { return nil }
	writeEntries(&b, "Scaling", "", nil, ScaleKinds, same)
	writeEntries(&b, "Missing values", "", nil, MissingKinds, same)
	writeCodes(&b)
	return []byte(b.String())
}

// precisionText argues for the default and says what stays as it is.
const precisionText = `How a GPU computes matrix products. In each of them parameters, optimizer states,
sums, the loss and whatever is computed element by element are float32: operands alone
are rounded. The default is fp32, as it is PyTorch's: the results are then those of the
CPU, and what else goes wrong is not blamed on rounding. ` + "`precision: bf16`" + ` is one word,
and the trainer's ` + "`--precision`" + ` needs not even that. A CPU computes in fp32 and says so;
[precision.md](precision.md) tells what is rounded where.`

func formula(s string) string { return "`" + s + "`" }

// row writes one row of a table.
func row(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}

func header(b *strings.Builder, cells ...string) {
	row(b, cells...)
	b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
}

func title(b *strings.Builder, name, doc string) {
	fmt.Fprintf(b, "## %s\n\n", name)
	if doc != "" {
		fmt.Fprintf(b, "%s\n\n", doc)
	}
}

func writeKeys(b *strings.Builder, name, doc string, s section) {
	title(b, name, doc)
	header(b, "key", "value", "default", "meaning")
	for _, f := range s {
		initial := ""
		switch {
		case f.required:
			initial = "required"
		case f.initial != nil:
			initial = formula(flowOf(f.initial))
		}
		row(b, formula(f.name), f.expects(), initial, f.doc)
	}
	b.WriteString("\n")
}

// flowOf prints a default as a spec would write it.
func flowOf(v any) string {
	if o, ok := v.(object); ok {
		return fmt.Sprintf("{%s: %s}", o[0].key, flowOf(o[0].value))
	}
	return fmt.Sprint(v)
}

// writeEntries writes a table of the language; cells gives the columns that
// the rows of this table have beyond those of all.
func writeEntries[R op.Row](b *strings.Builder, name, doc string, columns []string, table []R, cells func(R) []string) {
	title(b, name, doc)
	header(b, append([]string{"name", "settings"}, append(columns, "meaning")...)...)
	for _, r := range table {
		e := r.Base()
		row(b, append([]string{formula(e.Name), settingsCell(e)}, append(cells(r), e.Doc)...)...)
		for _, a := range e.Aliases {
			row(b, append([]string{formula(a.Name), ""}, append(make([]string, len(columns)), aliasOf(e, a))...)...)
		}
	}
	b.WriteString("\n")
}

func settingsCell(e *op.Entry) string {
	var parts []string
	for _, s := range e.Settings {
		name := formula(s.Name)
		if s.Name == e.Main {
			name = "**" + name + "**"
		}
		initial := ""
		if !s.Required() {
			v, err := json.Marshal(s.Default)
			if err != nil {
				panic(err) // a number, a boolean or a string
			}
			initial = "; default " + strings.Trim(string(v), `"`)
		}
		parts = append(parts, fmt.Sprintf("%s: %s; %s%s", name, s.Doc, rangeOf(s), initial))
	}
	return strings.Join(parts, "<br>")
}

func aliasOf(e *op.Entry, a op.Alias) string {
	out := "Another name of " + formula(e.Name)
	for _, s := range e.Settings {
		if v, ok := a.Preset[s.Name]; ok {
			out += fmt.Sprintf(", with `%s: %v`", s.Name, v)
		}
	}
	return out + "."
}

func writeCodes(b *strings.Builder) {
	title(b, "Errors and warnings", "`dnngen explain CODE` says more of each.")
	header(b, "code", "meaning")
	for _, c := range Codes() {
		row(b, c.ID, c.Title)
	}
}
