package op

import "github.com/dnngen/dnngen/internal/expr"

// Optimizer is one row of the table of optimizers: PyTorch's update rules,
// element by element.
type Optimizer struct {
	Entry
	Formula string
	Source  string
	// States lists the state kept for each parameter, 0 at the start, by
	// PyTorch's names.
	States func(v Values) []string
	// Scalars are computed once a step in float64 from VarT and are read by
	// Update under their names.
	Scalars func(v Values) []Scalar
	// Update returns the new parameter and the new states.
	Update func(u Old, v Values) New
	// Momentum tells that the setting of that name may be overridden at run
	// time; Update then reads it as VarMomentum.
	Momentum bool
}

// Scalar is a number that is computed once a step.
type Scalar struct {
	Name string
	Expr *expr.Node // over VarT
}

// Old holds what an update reads.
type Old struct {
	W, G   *expr.Node // parameter and gradient
	LR     *expr.Node // learning rate of this step
	States map[string]*expr.Node
}

// New holds what an update writes.
type New struct {
	W      *expr.Node
	States map[string]*expr.Node
}

// Names of the variables in an update's expressions; states and scalars go
// under their own names.
const (
	VarW        = "w"        // parameter
	VarG        = "g"        // gradient
	VarLR       = "lr"       // learning rate of this step
	VarMomentum = "momentum" // momentum of this step
	VarT        = "t"        // number of this update, from 1
)

// Rule returns the update's expressions under the settings.
func (o *Optimizer) Rule(v Values) (states []string, w *expr.Node, next []*expr.Node, scalars []Scalar) {
	states = o.States(v)
	old := Old{W: expr.V(VarW), G: expr.V(VarG), LR: expr.V(VarLR), States: map[string]*expr.Node{}}
	for _, s := range states {
		old.States[s] = expr.V(s)
	}
	update := o.Update(old, v)
	for _, s := range states {
		next = append(next, update.States[s])
	}
	if o.Scalars != nil {
		scalars = o.Scalars(v)
	}
	return states, update.W, next, scalars
}

var (
	learningRate = Setting{Name: "lr", Kind: Number, Min: 0, Max: 1e6, Open: true, Doc: "learning rate"}
	weightDecay  = Setting{Name: "weight_decay", Kind: Number, Default: 0.0, Min: 0, Max: 1e6, Doc: "added to the gradient as weight_decay*w"}
	// decoupledDecay has AdamW's own default in PyTorch.
	decoupledDecay = Setting{Name: "weight_decay", Kind: Number, Default: 0.01, Min: 0, Max: 1e6, Doc: "shrinks w by lr*weight_decay before the update"}
	adamSettings   = []Setting{
		{Name: "beta1", Kind: Number, Default: 0.9, Min: 0, Max: 0.999999, Doc: "decay of the mean gradient"},
		{Name: "beta2", Kind: Number, Default: 0.999, Min: 0, Max: 0.99999999, Doc: "decay of the mean squared gradient"},
		{Name: "eps", Kind: Number, Default: 1e-8, Min: 0, Max: 1, Doc: "added to the denominator"},
	}
)

// StateMomentum is sgd's momentum buffer.
const StateMomentum = "momentum_buffer"

func adamStates(Values) []string { return []string{"exp_avg", "exp_avg_sq"} }

// adamScalars are the bias corrections of Kingma and Ba 2015, section 3:
// 1 - beta1^t, and the root of 1 - beta2^t, with beta^t as exp(t log beta).
func adamScalars(v Values) []Scalar {
	correction := func(beta float64) *expr.Node {
		if beta == 0 {
			return c(1)
		}
		return sub(c(1), exp(mul(expr.V(VarT), expr.Fn(expr.Log, c(beta)))))
	}
	return []Scalar{
		{"correction1", correction(v.Num("beta1"))},
		{"correction2", sqrt(correction(v.Num("beta2")))},
	}
}

// adamStep is the update that adam and adamw share, for a gradient g and a
// parameter w that carry their decay already.
func adamStep(u Old, w, g *expr.Node, v Values) New {
	beta1, beta2 := v.Num("beta1"), v.Num("beta2")
	m := add(mul(c(beta1), u.States["exp_avg"]), mul(c(1-beta1), g))
	s := add(mul(c(beta2), u.States["exp_avg_sq"]), mul(c(1-beta2), mul(g, g)))
	denominator := add(div(sqrt(s), expr.V("correction2")), c(v.Num("eps")))
	w = sub(w, div(mul(div(u.LR, expr.V("correction1")), m), denominator))
	return New{W: w, States: map[string]*expr.Node{"exp_avg": m, "exp_avg_sq": s}}
}

// Optimizers is the table of optimizers.
var Optimizers = []*Optimizer{
	{
		Entry: Entry{
			Name: "sgd", Doc: "Gradient descent with optional momentum.",
			Settings: []Setting{
				learningRate,
				{Name: "momentum", Kind: Number, Default: 0.0, Min: 0, Max: 0.999999, Doc: "share of the last step that is kept"},
				{Name: "nesterov", Kind: Flag, Default: false, Needs: "momentum", Doc: "looks one step of momentum ahead; needs momentum"},
				weightDecay,
			}, Main: "lr",
		},
		Formula: "b = g + momentum*b; w = w - lr*b", Source: "torch.optim.SGD with dampening 0",
		Momentum: true,
		States: func(v Values) []string {
			if v.Num("momentum") == 0 {
				return nil
			}
			return []string{StateMomentum}
		},
		Update: func(u Old, v Values) New {
			g := add(u.G, mul(c(v.Num("weight_decay")), u.W))
			old, ok := u.States[StateMomentum]
			if !ok {
				return New{W: sub(u.W, mul(u.LR, g))}
			}
			mu := expr.V(VarMomentum)
			// A buffer of zeros gives b = g at the first step, as PyTorch's.
			b := add(g, mul(mu, old))
			step := b
			if v.Flag("nesterov") {
				step = add(g, mul(mu, b))
			}
			return New{W: sub(u.W, mul(u.LR, step)), States: map[string]*expr.Node{StateMomentum: b}}
		},
	},
	{
		Entry: Entry{
			Name: "adam", Doc: "Adam: step sizes adapted to each parameter.",
			Settings: append([]Setting{learningRate}, append(adamSettings, weightDecay)...), Main: "lr",
		},
		Formula: "m = beta1*m + (1-beta1)*g; s = beta2*s + (1-beta2)*g^2; w = w - lr/(1-beta1^t) * m/(sqrt(s)/sqrt(1-beta2^t) + eps)",
		Source:  "torch.optim.Adam; Kingma and Ba 2015",
		States:  adamStates, Scalars: adamScalars,
		Update: func(u Old, v Values) New {
			return adamStep(u, u.W, add(u.G, mul(c(v.Num("weight_decay")), u.W)), v)
		},
	},
	{
		Entry: Entry{
			Name: "adamw", Doc: "Adam with weight decay apart from the gradient.",
			Settings: append([]Setting{learningRate}, append(adamSettings, decoupledDecay)...), Main: "lr",
		},
		Formula: "w = w - lr*weight_decay*w, then as Adam",
		Source:  "torch.optim.AdamW; Loshchilov and Hutter 2019",
		States:  adamStates, Scalars: adamScalars,
		Update: func(u Old, v Values) New {
			w := sub(u.W, mul(mul(u.LR, c(v.Num("weight_decay"))), u.W))
			return adamStep(u, w, u.G, v)
		},
	},
}
