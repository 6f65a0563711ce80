package op

import "github.com/dnngen/dnngen/internal/expr"

// Loss is one row of the table of losses. Every loss is computed from raw
// outputs, in a form that is finite for logits of ±1e4, and is a mean: over
// rows and outputs for element-wise losses, over rows for row-wise ones.
type Loss struct {
	Entry
	Formula string
	Source  string
	// Value is the loss of one output z against its target y; nil for a
	// row-wise loss.
	Value func(z, y *expr.Node, v Values) *expr.Node
	// Rowwise is the loss of a whole row of logits against a class index;
	// empty for element-wise losses.
	Rowwise Rowwise
	// Metrics is the family of metrics that eval reports.
	Metrics Metrics
	// Contains names the output transformation that the loss applies itself.
	Contains string
	// Unbounded tells that targets may be any real number, so that a last
	// layer that never goes below 0 deserves a warning.
	Unbounded bool
}

// Metrics is a family of metrics.
type Metrics string

// The metric families; the runtime knows them by these names.
const (
	Regression Metrics = "regression"
	Binary     Metrics = "binary"
	Classes    Metrics = "classes"
)

// Rowwise names an operation on a whole row of logits.
type Rowwise string

// The row-wise operations, which emitters implement by hand.
const (
	SoftmaxCrossEntropy Rowwise = "softmax_cross_entropy" // logsumexp(z) - z[y]
	Softmax             Rowwise = "softmax"               // exp(z - logsumexp(z))
	Argmax              Rowwise = "argmax"                // index of the first largest
	Indicator           Rowwise = "indicator"             // 1 at the first largest, 0 elsewhere
)

// VarY names the target in a loss's expression; the raw output is VarZ.
const VarY = "y"

// Expr returns the loss of one element over VarZ and VarY, and its derivative
// by VarZ; nil for a row-wise loss.
func (l *Loss) Expr(v Values) (value, slope *expr.Node) {
	if l.Value == nil {
		return nil, nil
	}
	value = l.Value(expr.V(VarZ), expr.V(VarY), v)
	return value, expr.Derive(value, VarZ)
}

// Losses is the table of losses.
var Losses = []*Loss{
	{
		Entry:   Entry{Name: "l1", Doc: "Mean absolute error."},
		Formula: "|z - y|", Source: "torch.nn.L1Loss; slope 0 at z = y",
		Value:   func(z, y *expr.Node, _ Values) *expr.Node { return abs(sub(z, y)) },
		Metrics: Regression, Unbounded: true,
	},
	{
		Entry:   Entry{Name: "mse", Aliases: []Alias{{Name: "l2"}}, Doc: "Mean squared error."},
		Formula: "(z - y)^2", Source: "torch.nn.MSELoss",
		Value: func(z, y *expr.Node, _ Values) *expr.Node {
			r := sub(z, y)
			return mul(r, r)
		},
		Metrics: Regression, Unbounded: true,
	},
	{
		Entry: Entry{
			Name: "huber", Doc: "Squared near 0, linear beyond delta.",
			Settings: []Setting{{Name: "delta", Kind: Number, Default: 1.0, Min: 0, Max: 1e6, Open: true, Doc: "where the square ends"}}, Main: "delta",
		},
		Formula: "(z - y)^2/2 if |z - y| <= delta else delta*(|z - y| - delta/2)", Source: "torch.nn.HuberLoss",
		Value: func(z, y *expr.Node, v Values) *expr.Node {
			r, delta := sub(z, y), c(v.Num("delta"))
			square := mul(c(0.5), mul(r, r))
			line := mul(delta, sub(abs(r), mul(c(0.5), delta)))
			return pick(sub(abs(r), delta), square, line)
		},
		Metrics: Regression, Unbounded: true,
	},
	{
		Entry:   Entry{Name: "bce_with_logits", Doc: "Binary cross-entropy from logits; p is never formed."},
		Formula: "softplus(z) - z*y", Source: "torch.nn.BCEWithLogitsLoss",
		// softplus(z) - zy is max(z,0) - zy + log(1 + exp(-|z|)); its slope is sigmoid(z) - y.
		Value:   func(z, y *expr.Node, _ Values) *expr.Node { return sub(softplus(z), mul(z, y)) },
		Metrics: Binary, Contains: "sigmoid",
	},
	{
		Entry:   Entry{Name: "cross_entropy", Doc: "Cross-entropy of class indices from logits; p is never formed."},
		Formula: "log(sum exp(z)) - z[y]", Source: "torch.nn.CrossEntropyLoss",
		Rowwise: SoftmaxCrossEntropy,
		Metrics: Classes, Contains: "softmax",
	},
}
