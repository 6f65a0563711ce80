package trainer

import (
	"flag"
	"fmt"
	"strings"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/metric"
)

var evalCommand = &command{
	name:  "eval",
	short: "measure a model on rows with targets",
	args:  "--model FILE [--data SRC] [OPTION]...",
	long: `Prints the loss and the metrics that fit it: accuracy, log loss and confusion
matrix of classifiers, AUC of binary ones, MAE, RMSE and R² of regression.
Classification is measured on the raw outputs; regression on the transformed
ones, which are what predict gives.`,
	examples: []string{
		"eval --model runs/digits/001/model.safetensors",
		"eval --model runs/digits/001 --data rows.csv --json",
	},
	define: func(a *app, fs *flag.FlagSet) func() error {
		e := &evalFlags{}
		fs.StringVar(&e.model, "model", "", "the trained parameters in `FILE`: safetensors, a checkpoint or a run directory")
		fs.StringVar(&e.data, "data", "", "measure on the rows of `SRC`; without it on the spec's test rows")
		fs.BoolVar(&e.json, "json", false, "print one JSON object")
		e.define(a.net, fs)
		return func() error { return a.eval(e) }
	},
}

type evalFlags struct {
	deviceFlags
	model, data string
	json        bool
}

// evaluation is what eval prints as JSON.
type evaluation struct {
	Event string `json:"event"` // "eval"
	Model string `json:"model"`
	Data  string `json:"data"`
	metric.Report
}

func (a *app) eval(f *evalFlags) error {
	m, err := a.model(f.model)
	if err != nil {
		return err
	}
	defer m.Close()
	seed := a.net.Seed
	if m.Seed != nil {
		seed = *m.Seed
	}
	table, err := a.testRows(f.data, seed)
	if err != nil {
		return err
	}
	set, raw, err := f.infer(a, m, func(p *data.Prep) (*data.Set, error) { return p.Apply(table) })
	if err != nil {
		return err
	}
	report := metric.Of(a.net, raw, set)
	if f.json {
		return a.stdout.object(evaluation{"eval", f.model, table.Source(), report})
	}
	a.stdout.table(report)
	return nil
}

// testRows opens the rows to measure on: src, or else the spec's test rows,
// which may be a share split off by the seed of the training.
func (a *app) testRows(src string, seed uint64) (*data.Table, error) {
	if src == "" {
		src = a.net.Data.Test
	}
	share, ok := data.Share(src)
	switch {
	case src == "":
		return nil, usage("--data SRC is needed: the spec has no test rows")
	case !ok && strings.HasSuffix(src, "%"):
		return nil, notShare("--data", src)
	case !ok:
		return a.open(src)
	case a.net.Data.Train == "":
		return nil, usage("--data SRC is needed: the spec has no training rows to take %s of", src)
	}
	t, err := a.open(a.net.Data.Train)
	if err != nil {
		return nil, err
	}
	_, test := data.Split(t, share, seed)
	return test, nil
}

// table prints a report for a person.
func (o *output) table(r metric.Report) {
	o.printf("%-10s %d\n", "rows", r.Rows)
	for _, v := range r.Numbers() {
		text := fmt.Sprintf("%.6g", v.Value)
		if v.Value != v.Value {
			text = "not defined for these rows"
		} else if v.Name == "accuracy" {
			text = fmt.Sprintf("%.2f %%", 100*v.Value)
		}
		o.printf("%-10s %s\n", v.Name, text)
	}
	if r.Confusion != nil {
		o.confusion(r)
	}
}

// confusionMost is the widest confusion matrix that is printed; JSON has it
// whatever its size.
const confusionMost = 20

func (o *output) confusion(r metric.Report) {
	n := len(r.Confusion)
	if n > confusionMost {
		o.printf("confusion  %d classes; --json prints the matrix\n", n)
		return
	}
	names := make([]string, n)
	width := 3
	for i := range names {
		names[i] = fmt.Sprint(i)
		if i < len(r.Labels) {
			names[i] = r.Labels[i]
		}
		width = max(width, len([]rune(names[i])))
		for _, c := range r.Confusion[i] {
			width = max(width, len(fmt.Sprint(c)))
		}
	}
	right := func(s string) string { return strings.Repeat(" ", width-len([]rune(s))) + s }
	o.printf("confusion  a row for each true class, a column for each answer\n%s", strings.Repeat(" ", width+2))
	for _, name := range names {
		o.printf(" %s", right(name))
	}
	o.printf("\n")
	for i, row := range r.Confusion {
		o.printf("  %s", right(names[i]))
		for _, c := range row {
			o.printf(" %s", right(fmt.Sprint(c)))
		}
		o.printf("\n")
	}
}
