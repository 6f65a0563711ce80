// Package nettest makes valid networks for the tests of the compiler's other
// packages: layer by layer with a Builder, or drawn from a seed; and the
// parameters and the data to run them with.
package nettest

import (
	"fmt"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// Builder assembles a network. Its methods return it, for chains. What is not
// asked for is the first row of its table with that row's defaults.
type Builder struct {
	net   spec.Network
	width int
}

// New begins a network of the given number of features.
func New(name string, input int) *Builder {
	b := &Builder{width: input}
	b.net.Name, b.net.File, b.net.Input = name, name+".yaml", input
	b.net.Data.Scale.Kind, b.net.Data.Missing.Kind = "none", "error"
	b.Loss(op.Losses[0], nil).Output(op.Outputs[0])
	b.Batch(4).Epochs(2).Seed(1)
	return b.Optimizer(op.Optimizers[0], nil).Schedule(op.Schedules[0], nil).Init(op.Inits[0]).Precision(op.Precisions[0])
}

// Linear adds a linear layer of the given width.
func (b *Builder) Linear(out int, bias bool) *Builder {
	text := fmt.Sprintf("linear: %d", out)
	if !bias {
		text = fmt.Sprintf("linear: {out: %d, bias: false}", out)
	}
	return b.add(spec.Layer{Name: "linear", In: b.width, Out: out, Bias: bias, Text: text})
}

// Activation adds an activation; set overrides defaults. A gated unit needs an
// even number of columns.
func (b *Builder) Activation(row *op.Activation, set op.Values) *Builder {
	out := b.width
	if row.Gated {
		if out%2 != 0 {
			panic(fmt.Sprintf("nettest: %s over %d columns", row.Name, out))
		}
		out /= 2
	}
	set = filled(&row.Entry, set)
	return b.add(spec.Layer{
		Name: row.Name, In: b.width, Out: out, Activation: row, Set: set, Text: entryText(&row.Entry, set),
	})
}

func (b *Builder) add(l spec.Layer) *Builder {
	// Lines are those of the YAML text that Network writes.
	l.Line = 4 + len(b.net.Layers)
	b.net.Layers = append(b.net.Layers, l)
	b.width = l.Out
	return b
}

// Width returns the width of the last layer.
func (b *Builder) Width() int { return b.width }

// Loss sets the loss.
func (b *Builder) Loss(row *op.Loss, set op.Values) *Builder {
	b.net.Loss, b.net.LossSet = row, filled(&row.Entry, set)
	return b
}

// Output sets the output transformation.
func (b *Builder) Output(row *op.Output) *Builder {
	b.net.Transform = row
	return b
}

// Batch sets the rows of a step; 0 is the full set.
func (b *Builder) Batch(rows int) *Builder {
	b.net.Train.Batch = rows
	return b
}

// Epochs sets the length of the training.
func (b *Builder) Epochs(n int) *Builder {
	b.net.Train.Epochs = n
	return b
}

// Seed sets the training's seed.
func (b *Builder) Seed(seed uint64) *Builder {
	b.net.Train.Seed = seed
	return b
}

// Optimizer sets the optimizer; a required setting that set lacks is 0.05.
func (b *Builder) Optimizer(row *op.Optimizer, set op.Values) *Builder {
	b.net.Train.Optimizer, b.net.Train.OptimizerSet = row, filled(&row.Entry, set)
	return b
}

// Schedule sets the learning-rate schedule; a required setting that set lacks
// is 1.
func (b *Builder) Schedule(row *op.Schedule, set op.Values) *Builder {
	b.net.Train.Schedule, b.net.Train.ScheduleSet = row, filled(&row.Entry, set)
	return b
}

// Init sets the initial distribution.
func (b *Builder) Init(row *op.Init) *Builder {
	b.net.Train.Init = row
	return b
}

// Precision sets what matrix products are computed in on a GPU.
func (b *Builder) Precision(row *op.Precision) *Builder {
	b.net.Train.Precision = row
	return b
}

// Network returns the network, with its text in YAML.
func (b *Builder) Network() *spec.Network {
	net := b.net
	net.Output = b.width
	net.Text = text(&net)
	return &net
}

// filled returns the settings of an entry: those of set, then the defaults.
func filled(e *op.Entry, set op.Values) op.Values {
	v := e.Defaults()
	for _, s := range e.Settings {
		if s.Required() {
			v[s.Name] = 0.05
			if s.Kind == op.Count {
				v[s.Name] = 1.0
			}
		}
	}
	for name, value := range set {
		if _, ok := e.Setting(name); !ok {
			panic(fmt.Sprintf("nettest: %s has no setting %q", e.Name, name))
		}
		v[name] = value
	}
	return v
}
