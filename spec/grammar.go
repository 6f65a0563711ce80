package spec

import (
	"math"

	"github.com/dnngen/dnngen/internal/op"
)

// defaultRate is the learning rate where the spec names no optimizer.
const defaultRate = 0.01

// grammar returns the whole language: every key of a spec, what may stand
// there, and what holds where it is left out. Reading, did-you-mean, the JSON
// Schema and the reference follow from it.
func grammar() section {
	return section{
		need("name", "name of the network: the emitted package and its binary bear it", nameForm{},
			func(n *Network, v string) { n.Name = v }),
		maybe("input", "features of an example; left out, it follows from the data", whole{1, maxWidth},
			func(n *Network, v uint64) { n.Input = int(v) }),
		need("layers", "the network, as torch.nn.Sequential: one item, one index", layersForm{},
			func(n *Network, v []Layer) { n.Layers = v }),
		need("loss", "what training minimises, from raw outputs", choose(losses, op.Losses),
			func(n *Network, v picked[*op.Loss]) { n.Loss, n.LossSet = v.row, v.set }),
		with("output", "what predict and eval apply to raw outputs; training never does", choose(outputs, op.Outputs),
			func(n *Network, v picked[*op.Output]) { n.Transform = v.row }, first(op.Outputs)),
		group("train", "how the network is trained", section{
			with("batch", "rows of a step: 1 for single examples, full for gradient descent on the whole set, auto for "+autoDoc, batchForm{},
				func(n *Network, v batch) { n.Train.Batch, n.Train.AutoMemory = v.rows, v.memory }, batch{rows: 32}),
			with("epochs", "passes over the training data", whole{1, maxEpochs},
				func(n *Network, v uint64) { n.Train.Epochs = int(v) }, 10),
			with("optimizer", "the update rule", choose(optimizers, op.Optimizers),
				func(n *Network, v picked[*op.Optimizer]) { n.Train.Optimizer, n.Train.OptimizerSet = v.row, v.set },
				firstWith(op.Optimizers, defaultRate)),
			with("schedule", "how the learning rate changes", choose(schedules, op.Schedules),
				func(n *Network, v picked[*op.Schedule]) { n.Train.Schedule, n.Train.ScheduleSet = v.row, v.set },
				first(op.Schedules)),
			with("init", "how initial weights are drawn", choose(inits, op.Inits),
				func(n *Network, v picked[*op.Init]) { n.Train.Init = v.row }, first(op.Inits)),
			with("seed", "of initial weights, shuffling and splits", whole{0, math.MaxUint64},
				func(n *Network, v uint64) { n.Train.Seed = v }, 1),
			with("precision", "how a GPU computes matrix products; a CPU computes them in "+op.Precisions[0].Name, choose(precisions, op.Precisions),
				func(n *Network, v picked[*op.Precision]) { n.Train.Precision = v.row }, first(op.Precisions)),
		}),
		group("data", "the data and its preparation, which is fitted on the training rows alone", section{
			maybe("train", "source of the training rows", textForm{"a source such as rows.csv"},
				func(n *Network, v string) { n.Data.Train = v }),
			maybe("test", "source of the test rows, or a share of the training rows such as 20%", testForm{},
				func(n *Network, v string) { n.Data.Test = v }),
			maybe("target", "column to predict; left out, the last one", textForm{"a column's name"},
				func(n *Network, v string) { n.Data.Target = v }),
			maybe("features", "columns to predict from; left out, all others", columnsForm{},
				func(n *Network, v []string) { n.Data.Features = v }),
			maybe("categorical", "columns of text, which become one-hot", columnsForm{},
				func(n *Network, v []string) { n.Data.Categorical = v }),
			with("scale", "how features are scaled", choose(scales, ScaleKinds),
				func(n *Network, v picked[*op.Entry]) { n.Data.Scale = Scale{v.row.Name, mainValue(v)} },
				first(ScaleKinds)),
			with("missing", "what happens to rows with missing values", choose(missings, MissingKinds),
				func(n *Network, v picked[*op.Entry]) { n.Data.Missing = Missing{v.row.Name, mainValue(v)} },
				first(MissingKinds)),
		}),
	}
}

// ScaleKinds is the table of feature scalings.
var ScaleKinds = []*op.Entry{
	{Name: "none", Doc: "Features as they are."},
	{Name: "standardize", Doc: "Mean 0 and standard deviation 1."},
	{Name: "minmax", Doc: "From 0 to 1."},
	{
		Name: "divide", Doc: "Divided by a number.", Main: "by",
		Settings: []op.Setting{{Name: "by", Kind: op.Number, Min: 0, Open: true, Max: 1e30, Doc: "the divisor"}},
	},
}

// MissingKinds is the table of what can be done about missing values.
var MissingKinds = []*op.Entry{
	{Name: "error", Doc: "Stops and names the row."},
	{Name: "drop", Doc: "Leaves the row out."},
	{Name: "mean", Doc: "The column's mean over the training rows."},
	{Name: "median", Doc: "The column's median over the training rows."},
	{
		Name: "const", Doc: "A fixed number.", Main: "value",
		Settings: []op.Setting{{Name: "value", Kind: op.Number, Min: -1e30, Max: 1e30, Doc: "the number"}},
	},
}
