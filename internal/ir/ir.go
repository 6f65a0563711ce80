// Package ir is the program that a network is lowered to: tensors of known
// width, and the steps that compute a forward pass, a loss, a backward pass
// and an update from them. Every backend emits the same Program; ir/eval runs
// it in float64 and is the reference that all of them are compared with.
package ir

import "github.com/dnngen/dnngen/internal/expr"

// File is one emitted file. Emitters return files; they write none.
type File struct {
	Path    string // slash-separated, relative to the output directory
	Content []byte
}

// Program is a network in the form that backends emit.
//
// Forward, Loss, Backward and Updates in this order are one training step.
// A buffer is a matrix [rows, Width]; rows is at most Batch.
type Program struct {
	Name   string // the spec's name
	Source string // base name of the spec's file
	Text   string // the spec's text
	Layers []Layer

	Input  int // features of a row
	Output int // width of the raw outputs
	Batch  int // rows that the training buffers hold
	// Full tells that a step takes a training set of any size (gradient
	// descent): it is walked in chunks of Batch rows, the gradients are
	// accumulated, and Updates follow the last chunk.
	Full bool

	Params  []*Param
	Buffers []*Buffer

	X   *Buffer // the batch [rows, Input]
	Raw *Buffer // the raw outputs [rows, Output], of Forward and of Infer

	Forward  []Step
	Loss     *Loss
	Backward []Step
	Updates  []*Update // parameters whose update no other step does

	// Infer computes Raw from X alone; it has its own buffers.
	Infer        []Step
	InferBuffers []*Buffer
	InferRaw     *Buffer

	// ArenaWidth and InferWidth are the sums of widths that the memory plan
	// needs: a training step takes ArenaWidth·Batch float32, X excluded.
	ArenaWidth int
	InferWidth int

	Rule      Rule
	Schedule  *expr.Node // learning rate over the variables of op's schedules
	Transform Transform
	Settings  Settings
	// Precisions are those of the language; every device computes in the first.
	Precisions []Precision
}

// Precision is a way of computing matrix products: their operands are rounded
// to it, sums are float32.
type Precision struct {
	Name     string  // as the spec writes it
	Bytes    int     // of an operand in memory
	Roundoff float64 // unit roundoff of an operand
	Scaled   bool    // the loss's gradient needs a scale to stay in range
	// Major and Minor are the least compute capability; 0 for any device.
	Major, Minor int
}

// Settings are the values of the spec that no kernel reads but that the
// emitted network tells of itself.
type Settings struct {
	Loss, Metrics, Output, Optimizer string
	// Schedule is the learning rate's formula, for comments.
	Schedule string
	// Probabilities tells that the output transformation gives probabilities:
	// it is the one that the loss contains.
	Probabilities bool
	Epochs        int
	Seed          uint64
	Precision     string // of matrix products on a GPU: a name of Program.Precisions
	LR, Momentum  float64
	Data          Data
}

// Data is the spec's data section, carried through to the emitted network.
type Data struct {
	Train, Test, Target   string
	Features, Categorical []string
	ScaleKind             string
	ScaleFactor           float64
	MissingKind           string
	MissingValue          float64
}

// Layer is one item of the spec's layers, for comments and messages.
type Layer struct {
	Name    string // "linear", "relu", as the spec writes it
	In, Out int
	Line    int    // of the spec
	Text    string // the item as the spec has it, on one line
	Formula string // definition of an activation, for comments
	Linear  bool
}

// Param is a learned tensor.
type Param struct {
	Name  string // "0.weight", as torch.nn.Sequential names it
	Index int    // in Program.Params
	Layer int
	Shape []int // [out, in] for weights, [out] for biases, [1] or [width] for activations
	Init  Init
}

// Size returns the number of elements.
func (p *Param) Size() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Init is the distribution of a parameter's initial values: "uniform" on
// [-Scale, Scale), "normal" with deviation Scale, or "constant" Scale.
type Init struct {
	Kind  string
	Scale float64
}

// Role tells what a buffer holds.
type Role string

// The roles of buffers.
const (
	Input      Role = "input"      // x
	Preact     Role = "preact"     // z, output of a linear layer
	Activation Role = "activation" // a, output of an activation
	Slope      Role = "slope"      // s, derivative of an activation at z, saved for backward
	Gradient   Role = "gradient"   // gradient of the loss by another buffer
)

// Buffer is a matrix [rows, Width] of one training step or one inference.
type Buffer struct {
	Name  string // "z0", "a1", "s1", "dz0": the letter tells the role, the number the layer
	Role  Role
	Layer int
	Width int
	// Column places the buffer in the arena, once memory is planned: its values
	// stand at [Column·rows, (Column+Width)·rows). -1 for X.
	Column int
}

// View selects columns of a buffer: unit j of a Map stands in column
// Offset + Stride·j. A nil Buffer is the accumulator of the step that the Map
// is fused into.
type View struct {
	Buffer *Buffer
	Offset int
	Stride int
}

// Step is one operation of a program: *Linear, *Map, *GradInput or
// *GradWeight.
type Step interface{ isStep() }

func (*Linear) isStep()     {}
func (*Map) isStep()        {}
func (*GradInput) isStep()  {}
func (*GradWeight) isStep() {}

// Linear computes z [rows, out] = X·Wᵀ + Bias, applies Map to z where there
// is one, and stores z itself where Out is set.
type Linear struct {
	Layer int
	X     *Buffer // [rows, in]
	W     *Param  // [out, in]
	Bias  *Param  // [out]; nil without
	Out   *Buffer // [rows, out]; nil where only Map reads z
	Map   *Map    // fused; its accumulator is z
}

// Map computes element-wise expressions for each row and each unit j < Width.
type Map struct {
	Layer int
	Width int
	In    []In
	Param *Param // learned parameter, read as variable VarParam; nil without
	Out   []Out
	Sum   []Sum
	// Of is the forward map that a backward map undoes; nil in forward.
	Of *Map
	// KeepsSign tells that Out[0] <= 0 exactly where In[0] <= 0.
	KeepsSign bool
}

// In binds a variable of a Map's expressions to a view.
type In struct {
	Var  string
	View View
}

// Out stores an expression's value in a view.
type Out struct {
	View View
	Expr *expr.Node
}

// Sum adds an expression's values, over all rows, to the gradient of a learned
// parameter: unit by unit where it has one value a column, over all units
// where it has one.
type Sum struct {
	Param *Param
	Expr  *expr.Node
}

// PerChannel reports whether the map's parameter has one value a unit.
func (m *Map) PerChannel() bool { return m.Param != nil && m.Param.Shape[0] == m.Width && m.Width > 1 }

// Names of the variables in a Map's expressions.
const (
	VarZ     = "z" // input: pre-activation, or value column of a gated unit
	VarGate  = "g" // gate column of a gated unit
	VarParam = "p" // learned parameter
	VarValue = "a" // the activation's own value
	VarSlope = "s" // saved derivative; VarGateSlope is that by the gate
	VarD     = "d" // gradient by the activation's value
	VarY     = "y" // target of an element-wise loss

	VarGateSlope = "t"
)

// RowOp is an operation on a whole row of logits.
type RowOp string

// The row operations.
const (
	SoftmaxCrossEntropy RowOp = "softmax_cross_entropy"
	Softmax             RowOp = "softmax"
	Argmax              RowOp = "argmax"
	Indicator           RowOp = "indicator"
)

// Loss computes the mean loss of Raw against the targets, and its gradient by
// Raw, in one pass. Element-wise losses take the mean over rows and outputs,
// row-wise ones over rows.
type Loss struct {
	Raw  *Buffer // [rows, out]
	Grad *Buffer // [rows, out]
	// Value and Slope are the loss of one output over VarZ and VarY and its
	// derivative; nil for a row-wise loss.
	Value, Slope *expr.Node
	Rowwise      RowOp
}

// Classes reports whether targets are class indices.
func (l *Loss) Classes() bool { return l.Rowwise != "" }

// GradInput computes dX [rows, in] = DZ·W, applies Map to it where there is
// one (the derivative of the activation below), and stores dX itself where Out
// is set.
type GradInput struct {
	Layer int
	DZ    *Buffer // [rows, out]
	W     *Param  // [out, in]
	Out   *Buffer // [rows, in]; nil where only Map reads it
	Map   *Map    // fused; its accumulator is dX
}

// GradWeight computes the gradients of W and Bias: dW [out, in] = DZᵀ·X and
// db [out] = column sums of DZ. With Update set the new parameters are made at
// once and the gradients are not kept; otherwise they are accumulated.
type GradWeight struct {
	Layer  int
	DZ     *Buffer // [rows, out]
	X      *Buffer // [rows, in]
	W      *Param
	Bias   *Param // nil without
	Update bool
}

// Update applies the rule to one parameter from its accumulated gradient.
type Update struct{ Param *Param }

// Rule is the optimizer's update of one element. W and Next read the variables
// w, g, lr, momentum, the states and the scalars.
type Rule struct {
	States []string
	W      *expr.Node
	Next   []*expr.Node // new value of each state
	// Scalars are computed once a step in float64, in order, from t (the
	// update's number, from 1), lr, momentum and the scalars before.
	Scalars []Scalar
}

// Scalar is a number that is computed once a step.
type Scalar struct {
	Name string
	Expr *expr.Node
}

// Names of the variables in a Rule's expressions.
const (
	VarW        = "w"
	VarG        = "g"
	VarLR       = "lr"
	VarMomentum = "momentum"
	VarT        = "t"
)

// Transform is the output transformation of predict and eval.
type Transform struct {
	Value   *expr.Node // over VarZ; nil for a row-wise one
	Rowwise RowOp
	Width   int // of a transformed row
}
