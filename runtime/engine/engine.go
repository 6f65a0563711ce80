// Package engine is the seam between an emitted network and the code that
// drives it: what a compiled network tells of itself (Network), what can run
// it (Device), and the running thing (Engine).
//
// It holds types, and hardly more. The training loop, the trainer's command line and the
// emitted packages all import it; it imports none of them.
package engine

import "strings"

// Target holds what the rows of a batch should have produced. Exactly one of
// the two slices is set: Class for losses over class indices, Value for all
// others.
type Target struct {
	Class []int32   // [rows], each in [0, outputs)
	Value []float32 // [rows, outputs], row-major
}

// Rows returns the target of rows lo to hi of a batch with the given number
// of outputs.
func (t Target) Rows(lo, hi, outputs int) Target {
	if t.Class != nil {
		return Target{Class: t.Class[lo:hi]}
	}
	return Target{Value: t.Value[lo*outputs : hi*outputs]}
}

// Hyper holds the hyper-parameters that may change from step to step. All
// others are constants of the emitted code.
type Hyper struct {
	LR       float32 // learning rate of this step, after the schedule
	Momentum float32 // ignored by optimizers without momentum
	Step     int64   // number of this update, counted from 1 (Adam's t)
}

// Engine trains and runs one network on one device. Shapes are those of the
// Network it was made for; a slice that is too short is a programming error
// and panics. An Engine is used by one goroutine at a time, except Infer.
type Engine interface {
	// Step makes one forward pass, one backward pass and one update on rows
	// examples x [rows, inputs], and returns the mean loss before the update.
	// rows is 1 to Network.Batch, or any positive number where Batch is 0
	// (gradient descent on the full set). Step does not allocate.
	//
	// Where the loss is NaN or infinite, Step returns it and leaves the
	// parameters and the optimizer's state as they were.
	Step(x []float32, y Target, rows int, h Hyper) float64

	// Infer computes raw outputs raw [rows, outputs] from x [rows, inputs], for
	// any number of rows, without the output transformation. The bits of a row
	// do not depend on the other rows. Many goroutines may call Infer, while
	// none calls Step or Write.
	Infer(x, raw []float32, rows int)

	// Read copies the elements of tensor i of the given slot from first on to
	// dst, as many as it holds, in the layout of Network.Params[i].Shape,
	// row-major. Slot 0 is the parameter itself, slot 1+k the optimizer's state
	// Network.States[k]. Write is its inverse.
	Read(slot, i, first int, dst []float32)
	Write(slot, i, first int, src []float32)

	// Close returns threads and memory. The Engine is not used afterwards.
	Close()
}

// Tracer is implemented by engines that can show their inner values; the
// portable engine does. It serves to name the layer and the row where a
// number went bad, and to diagnose dead and saturated units.
type Tracer interface {
	// Trace runs the forward pass on rows examples (at most TraceRows) and
	// calls f with the values [rows, width] that each layer gave, in order.
	Trace(x []float32, rows int, f func(layer int, values []float32, width int))
	TraceRows() int
	// Gradients runs the forward and the backward pass without an update on
	// rows examples (at most TraceRows) and returns the mean loss; f receives
	// the gradient of each parameter tensor, shaped as the parameter.
	Gradients(x []float32, y Target, rows int, f func(param int, grad []float32)) float64
}

// Sharing is implemented by engines that share their steps among threads where that
// is faster.
type Sharing interface {
	// Runs counts the runs so far, of which a step takes one or, on the full set, one
	// for each chunk and one for the update; and those of them that one of several
	// threads made alone. An engine of one thread may count none.
	Runs() (alone, all int64)
}

// Noted is implemented by engines that have something to tell of how they were
// made.
type Noted interface {
	// Notes are lines for people.
	Notes() []string
}

// FP32 names the precision that every device computes in.
const FP32 = "fp32"

// Precision is a way of computing matrix products: their operands are rounded
// to it. Sums, parameters, optimizer states and losses are float32 in each.
type Precision struct {
	Name     string
	Roundoff float64 // unit roundoff of an operand
}

// Define is the line that makes the CUDA source of an emitted package one of a
// precision; empty for FP32.
func Define(precision string) string {
	if precision == "" || precision == FP32 {
		return ""
	}
	return "#define DNN_" + strings.ToUpper(precision) + "\n"
}

// Options are the choices made when an Engine is made.
type Options struct {
	Threads   int    // 0: as many as the machine offers and a step is worth; 1 starts no goroutine
	Precision string // of matrix products, one that the device computes in; empty: FP32
}

// Device is one way of running a network.
type Device struct {
	Name string // "cpu:avx512", "cpu:avx2", "cpu:go", "cuda:0"
	// Missing says why the device cannot be used here; nil where it can.
	Missing func() error
	// Lacks says why the device cannot compute in a precision; nil where it can.
	// A device without the function computes in FP32 alone.
	Lacks func(precision string) error
	New   func(Options) (Engine, error)
	// Threads is how many threads of the host an engine shares a step among that is
	// made with so many in its Options. A device without the function takes none but
	// its caller's.
	Threads func(asked int) int
	// Products says by what the device makes matrix products in a precision, as far
	// as that is known before an engine is made; empty where there is nothing to
	// say. A device without the function has one way.
	Products func(precision string) string
	// Memory is how many bytes an engine takes, in a precision, of memory that the
	// device has for itself. A device without the function works in the host's.
	Memory func(precision string) int64
}

// ThreadsOf is Threads, also of a device without the function.
func (d *Device) ThreadsOf(asked int) int {
	if d.Threads == nil {
		return 1
	}
	return d.Threads(asked)
}

// Param describes one learned tensor, under its torch.nn.Sequential name.
type Param struct {
	Name  string // "0.weight"
	Layer int    // index into Network.Layers
	Shape []int  // [out, in] for the weight of a linear layer
	Init  Init
}

// Size returns the number of elements.
func (p Param) Size() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Init is the distribution that a parameter is drawn from.
type Init struct {
	Kind  string // "uniform" on [-Scale, Scale), "normal" with deviation Scale, "constant" Scale
	Scale float64
}

// Layer describes one item of the spec's layers, for summaries and messages.
type Layer struct {
	Name string // as the spec has it: "linear", "relu"
	In   int
	Out  int
	Line int // of the spec
}

// Moment is a point of a training, for learning-rate schedules.
type Moment struct {
	Step          int64 // updates made before this one
	Epoch         int   // counted from 0
	StepsPerEpoch int64
	Epochs        int
}

// Scale declares how features are scaled before they reach the network.
type Scale struct {
	Kind   string  // "none", "standardize", "minmax", "divide"
	Factor float64 // of "divide"
}

// Missing declares what happens to rows with missing values.
type Missing struct {
	Kind  string  // "error", "drop", "mean", "median", "const"
	Value float64 // of "const"
}

// Data is the spec's data section, compiled in.
type Data struct {
	Train, Test string // sources; Test may be a share of Train such as "20%"; both may be empty
	Target      string // column name; empty: the last column
	Features    []string
	Categorical []string
	Scale       Scale
	Missing     Missing
}

// Network is what a compiled network tells of itself.
type Network struct {
	Name    string
	Spec    string // the spec's text
	Inputs  int
	Outputs int // width of the raw outputs
	Batch   int // rows of a full step; 0: the whole training set (gradient descent)
	Layers  []Layer
	Params  []Param
	States  []string // optimizer state kept for each parameter: "momentum_buffer", "exp_avg", …

	Loss    string // the loss's name in the spec
	Metrics string // metric family of the loss: "regression", "binary", "classes"
	Classes bool   // targets are class indices
	Output  string // the output transformation's name in the spec
	// OutputWidth is the width of a transformed row: 1 for argmax.
	OutputWidth int
	// Transform writes the output transformation of raw [rows, Outputs] to
	// out [rows, OutputWidth].
	Transform func(raw, out []float32, rows int)
	// LossOf returns the mean loss of raw [rows, Outputs].
	LossOf func(raw []float32, y Target, rows int) float64

	Epochs    int
	Seed      uint64
	LR        float64
	Momentum  float64
	Optimizer string // name in the spec
	Precision string // of matrix products where the device has it; empty: FP32
	// Precisions are those of the language, FP32 first.
	Precisions []Precision
	// Schedule returns the learning rate of a step.
	Schedule func(lr float64, at Moment) float64

	Data    Data
	Devices []Device // best first; the last is the portable one
}
