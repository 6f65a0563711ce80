package testnet

import (
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/gather"
)

// Ahead makes an engine one that makes up to Most steps at a call: an
// engine.Runner.
type Ahead struct {
	engine.Engine
	Net  *engine.Network
	Most int

	Stepped int // steps made by Step
	Held    int // rows
	Orders  int // calls of Order

	rows, batch gather.Rows
	order       []int32
}

// Step makes one step.
func (a *Ahead) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	a.Stepped++
	return a.Engine.Step(x, y, rows, h)
}

// Hold keeps the rows.
func (a *Ahead) Hold(x []float32, y engine.Target, rows int) bool {
	n := a.Net
	a.rows, a.Held = gather.Rows{Inputs: n.Inputs, Outputs: n.Outputs, X: x, Y: y}, rows
	a.batch = gather.Rows{Inputs: n.Inputs, Outputs: n.Outputs, X: make([]float32, rows*n.Inputs)}
	if n.Classes {
		a.batch.Y.Class = make([]int32, rows)
	} else {
		a.batch.Y.Value = make([]float32, rows*n.Outputs)
	}
	return true
}

// Order sets the order.
func (a *Ahead) Order(rows []int32) {
	a.order = rows
	a.Orders++
}

// Run makes steps.
func (a *Ahead) Run(steps []engine.Planned, losses []float64) int {
	for i, p := range steps[:min(len(steps), a.Most)] {
		rows := p.Hi - p.Lo
		if a.order != nil {
			a.rows.Batch(&a.batch, a.order[p.Lo:p.Hi])
		} else {
			a.rows.Copy(&a.batch, p.Lo, p.Hi)
		}
		losses[i] = a.Engine.Step(a.batch.X[:rows*a.Net.Inputs], a.batch.Y.Rows(0, rows, a.Net.Outputs), rows, p.Hyper)
		if math.IsNaN(losses[i]) || math.IsInf(losses[i], 0) {
			return i + 1
		}
	}
	return min(len(steps), a.Most)
}

// AheadDevice returns a device of the network that New(o) describes, whose
// engine makes up to most steps at a call.
func AheadDevice(name string, o Options, most int) engine.Device {
	return engine.Device{
		Name:    name,
		Missing: func() error { return nil },
		New: func(engine.Options) (engine.Engine, error) {
			return &Ahead{Engine: Engine(o), Net: New(o), Most: most}, nil
		},
	}
}
