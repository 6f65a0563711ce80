package op

import "github.com/dnngen/dnngen/internal/expr"

// Init is one row of the table of initial distributions of linear layers.
type Init struct {
	Entry
	Formula string
	// Shape is the distribution: "uniform" on [-scale, scale), "normal" with
	// deviation scale, or "constant" scale.
	Shape string
	// Scale is over VarFanIn, VarFanOut and VarGain.
	Scale *expr.Node
	// Bias is the bound of the bias's uniform distribution; nil for 0.
	Bias *expr.Node
	// ByFamily picks another row by the activation that follows; Shape and
	// Scale are then unused.
	ByFamily map[Family]string
}

// Names of the variables in an initial distribution's scale.
const (
	VarFanIn  = "fan_in"
	VarFanOut = "fan_out"
	VarGain   = "gain" // of the activation that follows
)

// For returns the row to use before an activation of the given family.
func (i *Init) For(f Family) *Init {
	if i.ByFamily == nil {
		return i
	}
	return must(Inits, i.ByFamily[f])
}

var (
	fanIn  = expr.V(VarFanIn)
	fanOut = expr.V(VarFanOut)
	gain   = expr.V(VarGain)
)

// Inits is the table of initial distributions.
var Inits = []*Init{
	{
		Entry:   Entry{Name: "auto", Doc: "By the activation that follows: Kaiming for rectifiers, LeCun for self-normalizing ones, Xavier otherwise."},
		Formula: "kaiming_normal, lecun_normal or xavier_uniform",
		ByFamily: map[Family]string{
			Rectifying: "kaiming_normal", SelfNormalizing: "lecun_normal",
			Saturating: "xavier_uniform", Linear: "xavier_uniform",
		},
	},
	{
		Entry:   Entry{Name: "torch", Doc: "The default of torch.nn.Linear, for weights and biases."},
		Formula: "U(-1/sqrt(fan_in), 1/sqrt(fan_in))",
		Shape:   "uniform", Scale: div(c(1), sqrt(fanIn)), Bias: div(c(1), sqrt(fanIn)),
	},
	{
		Entry:   Entry{Name: "kaiming_uniform", Doc: "He et al. 2015, uniform."},
		Formula: "U(-gain*sqrt(3/fan_in), +)",
		Shape:   "uniform", Scale: mul(gain, sqrt(div(c(3), fanIn))),
	},
	{
		Entry:   Entry{Name: "kaiming_normal", Doc: "He et al. 2015, normal."},
		Formula: "N(0, gain/sqrt(fan_in))",
		Shape:   "normal", Scale: div(gain, sqrt(fanIn)),
	},
	{
		Entry:   Entry{Name: "xavier_uniform", Doc: "Glorot and Bengio 2010, uniform."},
		Formula: "U(-gain*sqrt(6/(fan_in + fan_out)), +)",
		Shape:   "uniform", Scale: mul(gain, sqrt(div(c(6), add(fanIn, fanOut)))),
	},
	{
		Entry:   Entry{Name: "xavier_normal", Doc: "Glorot and Bengio 2010, normal."},
		Formula: "N(0, gain*sqrt(2/(fan_in + fan_out)))",
		Shape:   "normal", Scale: mul(gain, sqrt(div(c(2), add(fanIn, fanOut)))),
	},
	{
		Entry:   Entry{Name: "lecun_normal", Doc: "LeCun et al. 1998, normal."},
		Formula: "N(0, 1/sqrt(fan_in))",
		Shape:   "normal", Scale: div(c(1), sqrt(fanIn)),
	},
	{
		Entry:   Entry{Name: "zeros", Doc: "All weights 0: the units of a layer stay equal, which shows why one does not do this."},
		Formula: "0",
		Shape:   "constant", Scale: c(0),
	},
}
