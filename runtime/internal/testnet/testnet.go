// Package testnet holds small networks written by hand, so that the packages
// that drive an emitted network can be tested without the compiler.
//
// A testnet behaves as an emitted network promises to: its engine trains,
// refuses a non-finite loss, allocates nothing in a step, and can be traced.
package testnet

import (
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Options choose the network inputs -> hidden -> outputs.
type Options struct {
	Name       string // "tiny" if empty
	Inputs     int
	Hidden     int    // 0: a single linear layer
	Activation string // after the hidden layer: "tanh" (default) or "relu"
	Outputs    int
	Batch      int
	Loss       string  // "mse" (default), "bce_with_logits", "cross_entropy"
	Output     string  // "identity" (default), "argmax", "softmax"
	Momentum   float64 // 0: plain SGD without a state
	Epochs     int     // 3 if 0
	LR         float64 // 0.1 if 0
	Data       engine.Data

	// Front are devices placed before the portable one.
	Front []engine.Device
	// Plant, where set, changes each gradient that Gradients reports and Step
	// applies: a planted fault of the backward pass.
	Plant func(param int, grad []float32)
}

// New returns the network. Its last device, "cpu:go", is the only one unless
// Options.Front names others.
func New(o Options) *engine.Network {
	fill(&o)
	n := &engine.Network{
		Name: o.Name, Inputs: o.Inputs, Outputs: o.Outputs, Batch: o.Batch,
		Loss: o.Loss, Output: o.Output, OutputWidth: o.Outputs,
		Epochs: o.Epochs, Seed: 1, LR: o.LR, Momentum: o.Momentum, Optimizer: "sgd",
		Schedule: func(lr float64, at engine.Moment) float64 {
			return lr * math.Pow(0.99, float64(at.Step)/float64(at.StepsPerEpoch))
		},
		Data: o.Data,
	}
	n.Spec = fmt.Sprintf("name: %s\ninput: %d # hidden %d %s, outputs %d, batch %d, momentum %v\nloss: %s\n",
		o.Name, o.Inputs, o.Hidden, o.Activation, o.Outputs, o.Batch, o.Momentum > 0, o.Loss)
	if o.Momentum > 0 {
		n.States = []string{"momentum"}
	}
	switch o.Loss {
	case "cross_entropy":
		n.Metrics, n.Classes = "classes", true
	case "bce_with_logits":
		n.Metrics = "binary"
	default:
		n.Metrics = "regression"
	}
	describe(n, o)
	n.LossOf = func(raw []float32, y engine.Target, rows int) float64 {
		return loss(o.Loss, raw, y, nil, rows, o.Outputs)
	}
	n.Transform = transform(o)
	if o.Output == "argmax" {
		n.OutputWidth = 1
	}
	portable := engine.Device{
		Name:    "cpu:go",
		Missing: func() error { return nil },
		New:     func(engine.Options) (engine.Engine, error) { return newNet(o), nil },
	}
	n.Devices = append(append([]engine.Device{}, o.Front...), portable)
	return n
}

// Engine returns a portable engine of the network that New(o) describes.
func Engine(o Options) engine.Engine {
	fill(&o)
	return newNet(o)
}

func fill(o *Options) {
	if o.Name == "" {
		o.Name = "tiny"
	}
	if o.Activation == "" {
		o.Activation = "tanh"
	}
	if o.Loss == "" {
		o.Loss = "mse"
	}
	if o.Output == "" {
		o.Output = "identity"
	}
	if o.Epochs == 0 {
		o.Epochs = 3
	}
	if o.LR == 0 {
		o.LR = 0.1
	}
	if o.Data.Scale.Kind == "" {
		o.Data.Scale.Kind = "none"
	}
	if o.Data.Missing.Kind == "" {
		o.Data.Missing.Kind = "error"
	}
}

func describe(n *engine.Network, o Options) {
	in := o.Inputs
	if o.Hidden > 0 {
		n.Layers = append(n.Layers,
			engine.Layer{Name: "linear", In: in, Out: o.Hidden, Line: 3},
			engine.Layer{Name: o.Activation, In: o.Hidden, Out: o.Hidden, Line: 4})
		n.Params = append(n.Params, linear(0, in, o.Hidden)...)
		in = o.Hidden
	}
	last := len(n.Layers)
	n.Layers = append(n.Layers, engine.Layer{Name: "linear", In: in, Out: o.Outputs, Line: 3 + last})
	n.Params = append(n.Params, linear(last, in, o.Outputs)...)
}

func linear(layer, in, out int) []engine.Param {
	return []engine.Param{
		{Name: fmt.Sprintf("%d.weight", layer), Layer: layer, Shape: []int{out, in},
			Init: engine.Init{Kind: "uniform", Scale: math.Sqrt(3 / float64(in))}},
		{Name: fmt.Sprintf("%d.bias", layer), Layer: layer, Shape: []int{out},
			Init: engine.Init{Kind: "normal", Scale: 0.1}},
	}
}

func transform(o Options) func(raw, out []float32, rows int) {
	w := o.Outputs
	return func(raw, out []float32, rows int) {
		for r := range rows {
			z := raw[r*w : (r+1)*w]
			switch o.Output {
			case "argmax":
				best := 0
				for k, v := range z {
					if v > z[best] {
						best = k
					}
				}
				out[r] = float32(best)
			case "softmax":
				lse := logSumExp(z)
				for k, v := range z {
					out[r*w+k] = float32(math.Exp(float64(v) - lse))
				}
			default:
				copy(out[r*w:(r+1)*w], z)
			}
		}
	}
}
