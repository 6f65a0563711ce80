package spec

import (
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/wording"
)

// warn reports what is valid and trains badly. It judges by the attributes of
// the rows alone.
func (r *reader) warn() {
	last := r.lastActivation()
	r.warnLast(last)
	r.warnSaturating(last)
	r.warnInit()
	r.warnLinear()
	r.warnWarmup()
	if !suits(r.net.Transform, r.net.Loss) {
		r.report(r.where("output"), r.unsuited(warnOutput, "does not suit"))
	}
}

// lastActivation returns the index of the activation that shapes the raw
// outputs; -1 where a linear layer does.
func (r *reader) lastActivation() int {
	for i := len(r.net.Layers) - 1; i >= 0; i-- {
		switch a := r.net.Layers[i].Activation; {
		case a == nil:
			return -1
		case a.Family != op.Linear:
			return i
		}
	}
	return -1
}

// warnLast warns of an activation between the last linear layer and the loss.
func (r *reader) warnLast(last int) {
	if last < 0 {
		return
	}
	l, loss := r.net.Layers[last], r.net.Loss
	p := Problem{Found: l.Name, Expected: "a linear layer last", Hint: "delete this layer"}
	if i := slices.IndexFunc(op.Outputs, func(o *op.Output) bool { return !o.Discrete && o.Name == l.Name && suits(o, loss) }); i >= 0 {
		p.Hint = fmt.Sprintf("delete this layer; `output: %s` applies it to predictions", op.Outputs[i].Name)
	}
	switch a := l.Activation; {
	case a.Transforms != "" && a.Transforms == loss.Contains:
		p.Code = warnTwice
		p.Message = fmt.Sprintf("the loss %s applies %s itself, after this layer does", loss.Name, loss.Contains)
	case a.NonNegative && loss.Unbounded:
		p.Code = warnNonNegative
		p.Message = fmt.Sprintf("%s as last layer never gives less than 0, but targets of %s may be any number", l.Name, loss.Name)
	case a.NonNegative && loss.Contains != "":
		p.Code = warnNonNegative
		p.Message = fmt.Sprintf("%s as last layer never gives a logit below 0, but %s reads both signs", l.Name, loss.Name)
	case a.Family == op.Saturating:
		p.Code = warnBounded
		p.Message = fmt.Sprintf("%s as last layer bounds the raw outputs, but %s reads any number", l.Name, loss.Name)
	default:
		return
	}
	r.report(r.layers[last].at, p)
}

// warnSaturating warns once for each saturating activation in hidden layers.
func (r *reader) warnSaturating(last int) {
	places := map[*op.Activation][]int{}
	var order []*op.Activation
	for i, l := range r.net.Layers {
		if a := l.Activation; a != nil && a.Family == op.Saturating && i != last {
			if places[a] == nil {
				order = append(order, a)
			}
			places[a] = append(places[a], i)
		}
	}
	rectifier := op.Activations[slices.IndexFunc(op.Activations, func(a *op.Activation) bool { return a.Family == op.Rectifying })]
	for _, a := range order {
		where := "a hidden layer"
		if n := len(places[a]); n > 1 {
			where = fmt.Sprintf("%d hidden layers", n)
		}
		r.report(r.layers[places[a][0]].at, Problem{
			Code: warnSaturates, Message: fmt.Sprintf("%s saturates in %s", a.Name, where),
			Found: a.Name, Expected: "an activation that keeps a slope",
			Hint: fmt.Sprintf("a rectifier such as %s passes gradients on", rectifier.Name),
		})
	}
}

// warnInit warns of initial weights that do not serve the network.
func (r *reader) warnInit() {
	init := r.net.Train.Init
	var auto *op.Init // picks by family
	for _, row := range op.Inits {
		if row.ByFamily != nil {
			auto = row
		}
	}
	for i, l := range r.net.Layers {
		if l.Activation == nil || l.Activation.Family != op.SelfNormalizing {
			continue
		}
		if want := auto.For(op.SelfNormalizing); init.For(op.SelfNormalizing) != want {
			r.report(r.where("train.init"), Problem{
				Code: warnSelfNormal, Message: fmt.Sprintf("%s in line %d keeps its variance only with %s weights", l.Name, r.net.Layers[i].Line, want.Name),
				Found: init.Name, Expected: want.Name, Hint: fmt.Sprintf("write `init: %s` or `init: %s`", auto.Name, want.Name),
			})
			break
		}
	}
	linears := 0
	for _, l := range r.net.Layers {
		if l.Activation == nil {
			linears++
		}
	}
	if init.Scale != nil && init.Scale.IsConst(0) && linears > 1 {
		r.report(r.where("train.init"), Problem{
			Code: warnEqual, Message: fmt.Sprintf("with `init: %s` the units of a layer start equal and stay equal", init.Name),
			Found: init.Name, Expected: "weights drawn at random", Hint: fmt.Sprintf("write `init: %s`", auto.Name),
		})
	}
}

// warnLinear warns of linear layers that are missing or add nothing.
func (r *reader) warnLinear() {
	previous := -1 // a linear layer with no bend behind it yet
	found := false
	for i, l := range r.net.Layers {
		switch {
		case l.Activation == nil:
			found = true
			if previous >= 0 {
				r.report(r.layers[i].at, Problem{
					Code: warnCollapse, Message: fmt.Sprintf("two linear layers without an activation between them are one (the other is in line %d)", r.net.Layers[previous].Line),
					Expected: "an activation between them", Hint: "put an activation between them, or delete one of the two",
				})
			}
			previous = i
		case l.Activation.Family != op.Linear:
			previous = -1
		}
	}
	if !found {
		r.report(r.layers[0].at, Problem{
			Code: warnNoLinear, Message: "the network has no linear layer", Expected: "a linear layer",
			Hint: fmt.Sprintf("add `- %s: 10`: activations alone have next to nothing to learn", linear.Name),
		})
	}
}

// warnWarmup warns of a warm-up that leaves nothing of the schedule behind it.
func (r *reader) warnWarmup() {
	t := r.net.Train
	if warmup := t.Schedule.Warmup(t.ScheduleSet); warmup > 0 && warmup >= float64(t.Epochs) {
		r.report(r.where("train.schedule"), Problem{
			Code: warnWarmup, Message: fmt.Sprintf("`warmup_epochs` is %s, and the training has %s", digits(warmup), wording.Count(t.Epochs, "epoch")),
			Found: digits(warmup), Expected: "a warm-up shorter than the training", Hint: "shorten the warm-up, or train for more epochs",
		})
	}
}
