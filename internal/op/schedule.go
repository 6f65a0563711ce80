package op

import (
	"math"

	"github.com/dnngen/dnngen/internal/expr"
)

// Schedule is one row of the table of learning-rate schedules.
type Schedule struct {
	Entry
	Formula string
	// Rate returns the learning rate over the Var… names below.
	Rate func(v Values) *expr.Node
}

// Names of the variables in a schedule's expression: VarLR is the base
// learning rate.
const (
	VarStep          = "step"            // updates made so far
	VarEpoch         = "epoch"           // epochs finished so far
	VarStepsPerEpoch = "steps_per_epoch" // updates in an epoch
	VarEpochs        = "epochs"          // epochs in the training
)

var warmupEpochs = Setting{Name: "warmup_epochs", Kind: Number, Default: 0.0, Min: 0, Max: 1e6, Doc: "epochs over which the rate climbs to lr, step by step"}

// Warmup is the number of epochs over which the rate climbs to lr.
func (s *Schedule) Warmup(v Values) float64 {
	if _, has := s.Setting(warmupEpochs.Name); !has {
		return 0
	}
	return v.Num(warmupEpochs.Name)
}

// warm puts a linear warm-up before rate, a function of the progress from 0
// to 1 of the steps that follow it.
func warm(v Values, rate func(progress *expr.Node) *expr.Node) *expr.Node {
	step := expr.V(VarStep)
	perEpoch := expr.V(VarStepsPerEpoch)
	total := mul(expr.V(VarEpochs), perEpoch)
	epochs := v.Num(warmupEpochs.Name)
	if epochs == 0 {
		return rate(div(step, total))
	}
	warmup := mul(c(epochs), perEpoch)
	next := add(step, c(1))
	// A warm-up as long as the training leaves no step for the rest; one that
	// ends inside a step leaves that step at the beginning of the rest.
	rest, done := sub(total, warmup), sub(step, warmup)
	progress := pick(rest, c(1), pick(done, c(0), div(done, rest)))
	return pick(sub(next, warmup), mul(expr.V(VarLR), div(next, warmup)), rate(progress))
}

// Schedules is the table of learning-rate schedules.
var Schedules = []*Schedule{
	{
		Entry:   Entry{Name: "constant", Doc: "The same learning rate throughout."},
		Formula: "lr", Rate: func(Values) *expr.Node { return expr.V(VarLR) },
	},
	{
		Entry: Entry{
			Name: "step", Doc: "Multiplies the rate by gamma every so many epochs.",
			Settings: []Setting{
				{Name: "every", Kind: Count, Min: 1, Max: 1e6, Doc: "epochs between two drops"},
				{Name: "gamma", Kind: Number, Default: 0.1, Min: 0, Max: 1e3, Open: true, Doc: "factor of a drop"},
			}, Main: "every",
		},
		Formula: "lr*gamma^floor(epoch/every)",
		Rate: func(v Values) *expr.Node {
			drops := expr.V(VarEpoch) // a whole number, which needs no rounding
			if every := v.Num("every"); every != 1 {
				drops = expr.Fn(expr.Floor, div(drops, c(every)))
			}
			return mul(expr.V(VarLR), exp(mul(c(math.Log(v.Num("gamma"))), drops)))
		},
	},
	{
		Entry: Entry{
			Name: "cosine", Doc: "Falls along half a cosine wave, step by step.",
			Settings: []Setting{
				warmupEpochs,
				{Name: "min", Kind: Number, Default: 0.0, Min: 0, Max: 1e6, Doc: "rate at the end"},
			},
		},
		Formula: "min + (lr - min)*(1 + cos(pi*progress))/2",
		Rate: func(v Values) *expr.Node {
			return warm(v, func(progress *expr.Node) *expr.Node {
				low := c(v.Num("min"))
				wave := expr.Fn(expr.Cos, mul(c(math.Pi), progress))
				return add(low, mul(sub(expr.V(VarLR), low), mul(c(0.5), add(c(1), wave))))
			})
		},
	},
	{
		Entry:   Entry{Name: "linear", Doc: "Falls to 0 along a line, step by step.", Settings: []Setting{warmupEpochs}},
		Formula: "lr*(1 - progress)",
		Rate: func(v Values) *expr.Node {
			return warm(v, func(progress *expr.Node) *expr.Node {
				return mul(expr.V(VarLR), sub(c(1), progress))
			})
		},
	},
}
