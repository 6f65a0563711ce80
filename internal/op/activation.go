package op

import (
	"math"

	"github.com/dnngen/dnngen/internal/expr"
)

// Family groups activations by the initial weights that suit them.
type Family string

// The families.
const (
	Rectifying      Family = "rectifying"       // passes positive values: Kaiming (He et al. 2015)
	SelfNormalizing Family = "self-normalizing" // LeCun normal (Klambauer et al. 2017)
	Saturating      Family = "saturating"       // bounded on both sides: Xavier (Glorot and Bengio 2010)
	Linear          Family = "linear"           // no bend: Xavier
)

// Activation is one row of the table of activations.
type Activation struct {
	Entry
	// Formula is the definition for readers, with z the pre-activation; gated
	// units have v and g, the even and the odd columns of z.
	Formula string
	Source  string // where the definition comes from
	// Gated units take two inputs, value and gate, and halve the width.
	Gated   bool
	Learned []Learned
	Value   func(a Inputs) *expr.Node
	Family  Family
	// Gain is torch.nn.init.calculate_gain's factor; nil for 1.
	Gain func(v Values) float64
	// KeepsSign tells that value <= 0 exactly where z <= 0, whatever the
	// settings allow, so that the sign of z can be read off the value.
	KeepsSign func(v Values) bool
	// Transforms names the loss-side transformation that this activation is
	// equal to, if any: a loss that already contains it warns of the double.
	Transforms string
	// NonNegative tells that the value is never below 0.
	NonNegative bool
}

// Learned is a parameter of an activation.
type Learned struct {
	Setting string // the setting that gives its initial value
	Param   string // its name under the layer's index, as in PyTorch
	// Active reports whether the settings make it a parameter; otherwise it is
	// the constant that Setting gives.
	Active func(v Values) bool
	// PerChannel reports whether there is one value a column; otherwise one a layer.
	PerChannel func(v Values) bool
}

// Inputs are what an activation's formula reads.
type Inputs struct {
	Z      *expr.Node // pre-activation, or the value column of a gated unit
	Gate   *expr.Node // the gate column of a gated unit
	Values Values
	params map[string]*expr.Node
}

// P returns a setting: a constant, or a variable where it is learned.
func (a Inputs) P(setting string) *expr.Node {
	if p, ok := a.params[setting]; ok {
		return p
	}
	return c(a.Values.Num(setting))
}

// Names of the variables in an activation's expression.
const (
	VarZ     = "z" // pre-activation, or the value column of a gated unit
	VarGate  = "g" // gate column of a gated unit
	VarParam = "p" // the learned parameter
	VarValue = "a" // the activation's own value, where backward reads it instead of z
)

// Param returns the learned parameter under these settings, nil if there is none.
func (a *Activation) Param(v Values) *Learned {
	for i, l := range a.Learned {
		if l.Active(v) {
			return &a.Learned[i]
		}
	}
	return nil
}

// Expr returns the activation's value over VarZ, VarGate and VarParam.
func (a *Activation) Expr(v Values) *expr.Node {
	in := Inputs{Z: expr.V(VarZ), Gate: expr.V(VarGate), Values: v, params: map[string]*expr.Node{}}
	if l := a.Param(v); l != nil {
		in.params[l.Setting] = expr.V(VarParam)
	}
	return a.Value(in)
}

// GainOf returns the gain of the activation under its settings.
func (a *Activation) GainOf(v Values) float64 {
	if a.Gain == nil {
		return 1
	}
	return a.Gain(v)
}

// SignKept reports whether the sign of z can be read off the value.
func (a *Activation) SignKept(v Values) bool {
	return a.KeepsSign != nil && a.KeepsSign(v)
}

func always(Values) bool { return true }
func never(Values) bool  { return false }

func constant(x float64) func(Values) float64 { return func(Values) float64 { return x } }

// leakyGain is √(2 / (1 + slope²)), He et al. 2015, equation 14.
func leakyGain(v Values) float64 {
	slope := v.Num("alpha")
	return math.Sqrt(2 / (1 + slope*slope))
}

// Constants of Klambauer et al. 2017, "Self-Normalizing Neural Networks",
// in the digits that PyTorch uses.
const (
	seluAlpha = 1.6732632423543772848170429916717
	seluScale = 1.0507009873554804934193349852946
)

// Activations is the table of activations.
var Activations = []*Activation{
	{
		Entry:   Entry{Name: "relu", Doc: "Rectified linear unit: negative values become 0."},
		Formula: "max(z, 0)", Source: "torch.nn.ReLU; slope 0 at z = 0",
		Value:  func(a Inputs) *expr.Node { return pick(a.Z, c(0), a.Z) },
		Family: Rectifying, Gain: constant(math.Sqrt2), KeepsSign: always, NonNegative: true,
	},
	{
		Entry: Entry{
			Name: "leaky_relu", Doc: "Rectifier with a small slope below 0, which cannot die.",
			Settings: []Setting{{Name: "alpha", Kind: Number, Default: 0.01, Min: 0, Max: 1e6, Doc: "slope below 0"}}, Main: "alpha",
		},
		Formula: "z if z > 0 else alpha*z", Source: "torch.nn.LeakyReLU (its negative_slope is alpha)",
		Value:  func(a Inputs) *expr.Node { return pick(a.Z, mul(a.P("alpha"), a.Z), a.Z) },
		Family: Rectifying, Gain: leakyGain, KeepsSign: always,
	},
	{
		Entry: Entry{
			Name: "prelu", Doc: "Rectifier whose slope below 0 is learned.",
			Settings: []Setting{
				{Name: "alpha", Kind: Number, Default: 0.25, Min: -1e6, Max: 1e6, Doc: "initial slope below 0"},
				{Name: "per", Kind: Choice, Default: "layer", Choices: []string{"layer", "channel"}, Doc: "one slope a layer, or one a channel"},
			}, Main: "alpha",
		},
		Formula: "z if z > 0 else w*z, w learned", Source: "torch.nn.PReLU; He et al. 2015",
		Learned: []Learned{{
			Setting: "alpha", Param: "weight", Active: always,
			PerChannel: func(v Values) bool { return v.Text("per") == "channel" },
		}},
		Value:  func(a Inputs) *expr.Node { return pick(a.Z, mul(a.P("alpha"), a.Z), a.Z) },
		Family: Rectifying, Gain: leakyGain,
	},
	{
		Entry: Entry{
			Name: "elu", Doc: "Exponential linear unit: smooth, and bounded below by -alpha.",
			Settings: []Setting{{Name: "alpha", Kind: Number, Default: 1.0, Min: 0, Max: 1e6, Open: true, Doc: "bound below"}}, Main: "alpha",
		},
		Formula: "z if z > 0 else alpha*(exp(z) - 1)", Source: "torch.nn.ELU; Clevert et al. 2016",
		Value:  func(a Inputs) *expr.Node { return pick(a.Z, mul(a.P("alpha"), expm1(a.Z)), a.Z) },
		Family: Rectifying, Gain: constant(math.Sqrt2), KeepsSign: always,
	},
	{
		Entry:   Entry{Name: "selu", Doc: "Scaled ELU: keeps mean 0 and variance 1 with LeCun normal weights."},
		Formula: "1.0507*(z if z > 0 else 1.6733*(exp(z) - 1))", Source: "torch.nn.SELU; Klambauer et al. 2017",
		Value: func(a Inputs) *expr.Node {
			return pick(a.Z, mul(c(seluScale*seluAlpha), expm1(a.Z)), mul(c(seluScale), a.Z))
		},
		Family: SelfNormalizing, Gain: constant(0.75), KeepsSign: always,
	},
	{
		Entry:   Entry{Name: "sigmoid", Doc: "Logistic function: squashes to (0, 1), saturates on both sides."},
		Formula: "1/(1 + exp(-z))", Source: "torch.nn.Sigmoid",
		Value:  func(a Inputs) *expr.Node { return sigmoid(a.Z) },
		Family: Saturating, Transforms: "sigmoid", NonNegative: true,
	},
	{
		Entry:   Entry{Name: "tanh", Doc: "Hyperbolic tangent: squashes to (-1, 1), saturates on both sides."},
		Formula: "(exp(z) - exp(-z))/(exp(z) + exp(-z)) = 2*sigmoid(2z) - 1", Source: "torch.nn.Tanh",
		Value:  func(a Inputs) *expr.Node { return tanh(a.Z) },
		Family: Saturating, Gain: constant(5.0 / 3), KeepsSign: always,
	},
	{
		Entry: Entry{
			Name: "swish", Doc: "Self-gated unit; beta may be learned.",
			Aliases: []Alias{{Name: "silu"}},
			Settings: []Setting{
				{Name: "beta", Kind: Number, Default: 1.0, Min: -1e6, Max: 1e6, Doc: "steepness of the gate, or its initial value"},
				{Name: "learn", Kind: Flag, Default: false, Doc: "makes beta a parameter"},
			}, Main: "beta",
		},
		Formula: "z*sigmoid(beta*z)", Source: "torch.nn.SiLU for beta = 1; Ramachandran et al. 2017",
		Learned: []Learned{{
			Setting: "beta", Param: "beta", PerChannel: never,
			Active: func(v Values) bool { return v.Flag("learn") },
		}},
		Value:  func(a Inputs) *expr.Node { return mul(a.Z, sigmoid(mul(a.P("beta"), a.Z))) },
		Family: Rectifying, Gain: constant(math.Sqrt2),
	},
	{
		Entry: Entry{
			Name: "swiglu", Doc: "Gated linear unit; takes interleaved value and gate columns and halves the width.",
			Aliases: []Alias{{Name: "glu", Preset: Values{"gate": "sigmoid"}}},
			Settings: []Setting{
				{Name: "gate", Kind: Choice, Default: "swish", Choices: []string{"swish", "sigmoid"}, Doc: "what the gate column passes through"},
			}, Main: "gate",
		},
		Formula: "z[0::2] * gate(z[1::2]), gate(g) = g*sigmoid(g) or sigmoid(g)",
		Source:  "Shazeer 2020, \"GLU Variants Improve Transformer\"; Dauphin et al. 2017", Gated: true,
		Value: func(a Inputs) *expr.Node {
			if a.Values.Text("gate") == "sigmoid" {
				return mul(a.Z, sigmoid(a.Gate))
			}
			return mul(a.Z, mul(a.Gate, sigmoid(a.Gate)))
		},
		Family: Rectifying,
	},
	{
		Entry:   Entry{Name: "softplus", Doc: "Smooth rectifier, always positive."},
		Formula: "log(1 + exp(z))", Source: "torch.nn.Softplus with beta 1",
		Value:  func(a Inputs) *expr.Node { return softplus(a.Z) },
		Family: Rectifying, Gain: constant(math.Sqrt2), NonNegative: true,
	},
	{
		Entry:   Entry{Name: "gelu", Doc: "Gaussian error linear unit, exact form by erf."},
		Formula: "z*(1 + erf(z/sqrt(2)))/2", Source: "torch.nn.GELU(approximate='none'); Hendrycks and Gimpel 2016",
		Value: func(a Inputs) *expr.Node {
			return mul(mul(c(0.5), a.Z), add(c(1), erf(mul(c(1/math.Sqrt2), a.Z))))
		},
		Family: Rectifying, Gain: constant(math.Sqrt2),
	},
	{
		Entry:   Entry{Name: "mish", Doc: "Smooth self-gated unit."},
		Formula: "z*tanh(softplus(z))", Source: "torch.nn.Mish; Misra 2019",
		Value:  func(a Inputs) *expr.Node { return mul(a.Z, tanh(softplus(a.Z))) },
		Family: Rectifying, Gain: constant(math.Sqrt2),
	},
	{
		Entry:   Entry{Name: "identity", Doc: "Passes its input on."},
		Formula: "z", Source: "torch.nn.Identity",
		Value:  func(a Inputs) *expr.Node { return a.Z },
		Family: Linear, KeepsSign: always,
	},
}
