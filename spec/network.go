// Package spec turns the YAML text of a network spec into a validated Network:
// it parses with positions, fills defaults, checks names, types, ranges and
// shapes, and prints the JSON Schema. It computes no mathematics.
package spec

import "github.com/dnngen/dnngen/internal/op"

// Network is a valid spec: defaults filled in, shapes known, every name
// resolved to its row of the tables.
type Network struct {
	Name   string
	File   string // base name of the spec's file, for headers and messages
	Text   string // the spec, without a byte order mark, every line ended by LF
	Input  int    // features per example
	Layers []Layer
	Output int // width of the raw outputs

	Loss      *op.Loss
	LossSet   op.Values
	Transform *op.Output
	Train     Train
	Data      Data
}

// Layer is one item of `layers`: a linear layer where Activation is nil.
type Layer struct {
	Name    string // as written in the spec: "linear", "relu", "silu"
	In, Out int    // widths
	Bias    bool   // of a linear layer

	Activation *op.Activation
	Set        op.Values // the activation's settings

	Line int    // of the item in the spec
	Text string // the item in flow style, safe in a one-line comment: "leaky_relu: {alpha: 0.05}"
}

// Train is the `train` section.
type Train struct {
	Batch        int // rows of a step; 0 is `full`, gradient descent on the whole set
	AutoMemory   int // GiB that `auto` has chosen Batch for; 0 where the spec names it
	Epochs       int
	Optimizer    *op.Optimizer
	OptimizerSet op.Values
	Schedule     *op.Schedule
	ScheduleSet  op.Values
	Init         *op.Init
	Seed         uint64
	Precision    *op.Precision // of matrix products on a GPU
}

// Precisions lists the names of all precisions, that of the spec first.
func (t *Train) Precisions() []string {
	names := []string{t.Precision.Name}
	for _, p := range op.Precisions {
		if p != t.Precision {
			names = append(names, p.Name)
		}
	}
	return names
}

// Data is the `data` section.
type Data struct {
	Train, Test string // sources; a Test such as "20%" is a share of Train
	Target      string // column; empty: the last one
	Features    []string
	Categorical []string
	Scale       Scale
	Missing     Missing
}

// Scale says how features are scaled; Kind is one of ScaleKinds.
type Scale struct {
	Kind   string
	Factor float64 // of "divide"
}

// Missing says what happens to missing values; Kind is one of MissingKinds.
type Missing struct {
	Kind  string
	Value float64 // of "const"
}
