package op

import "github.com/dnngen/dnngen/internal/expr"

// Output is one row of the table of output transformations, which predict and
// eval apply to raw outputs and training never does.
type Output struct {
	Entry
	Formula string
	// Value transforms one raw output; nil for a row-wise transformation.
	Value   func(z *expr.Node) *expr.Node
	Rowwise Rowwise
	// Single tells that a row becomes one number.
	Single bool
	// Discrete tells that the transformation has no useful derivative.
	Discrete bool
	// Metrics lists the metric families whose losses it suits.
	Metrics []Metrics
}

// Width returns the width of a transformed row of out raw outputs.
func (o *Output) Width(out int) int {
	if o.Single {
		return 1
	}
	return out
}

// Expr returns the transformation of one element over VarZ; nil for a row-wise one.
func (o *Output) Expr() *expr.Node {
	if o.Value == nil {
		return nil
	}
	return o.Value(expr.V(VarZ))
}

// Outputs is the table of output transformations.
var Outputs = []*Output{
	{
		Entry:   Entry{Name: "identity", Doc: "The raw outputs."},
		Formula: "z", Value: func(z *expr.Node) *expr.Node { return z },
		Metrics: []Metrics{Regression, Binary, Classes},
	},
	{
		Entry:   Entry{Name: "relu", Doc: "Cuts negative predictions to 0."},
		Formula: "max(z, 0)", Value: func(z *expr.Node) *expr.Node { return pick(z, c(0), z) },
		Metrics: []Metrics{Regression},
	},
	{
		Entry:   Entry{Name: "softplus", Doc: "Makes predictions positive."},
		Formula: "log(1 + exp(z))", Value: softplus,
		Metrics: []Metrics{Regression},
	},
	{
		Entry:   Entry{Name: "threshold", Doc: "Decides a binary class from the sign of the logit."},
		Formula: "1 if z > 0 else 0", Value: func(z *expr.Node) *expr.Node { return pick(z, c(0), c(1)) },
		Discrete: true, Metrics: []Metrics{Binary},
	},
	{
		Entry:   Entry{Name: "sigmoid", Doc: "Probability of the positive class."},
		Formula: "1/(1 + exp(-z))", Value: sigmoid,
		Metrics: []Metrics{Binary},
	},
	{
		Entry:   Entry{Name: "argmax", Doc: "Index of the largest logit, the first of equals."},
		Formula: "argmax(z)", Rowwise: Argmax, Single: true,
		Discrete: true, Metrics: []Metrics{Classes},
	},
	{
		Entry:   Entry{Name: "indicator", Doc: "One-hot vector of the largest logit."},
		Formula: "1 at argmax(z), 0 elsewhere", Rowwise: Indicator,
		Discrete: true, Metrics: []Metrics{Classes},
	},
	{
		Entry:   Entry{Name: "softmax", Doc: "Probabilities of the classes."},
		Formula: "exp(z)/sum exp(z)", Rowwise: Softmax,
		Metrics: []Metrics{Classes},
	},
}
