package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
)

// checkOutputs checks the loss and the output transformation against the
// network's outputs and each other.
func (r *reader) checkOutputs() {
	n := r.net
	if n.Loss == nil || n.Transform == nil {
		return
	}
	if n.Loss.Rowwise != "" && n.Output == 1 {
		r.report(r.where("loss"), Problem{
			Code: codeOneOutput, Message: fmt.Sprintf("%s compares classes, but the network has one output", n.Loss.Name),
			Found: "1 output", Expected: "an output for each class, 2 or more",
			Hint: fmt.Sprintf("for two classes by one output write `loss: %s`; for more give the last layer an output for each",
				strings.Join(lossesOf(op.Binary), " or ")),
		})
	}
	if n.Transform.Discrete && !suits(n.Transform, n.Loss) {
		r.report(r.where("output"), r.unsuited(codeOutput, "means nothing after"))
	}
}

func suits(t *op.Output, l *op.Loss) bool { return slices.Contains(t.Metrics, l.Metrics) }

// unsuited describes an output transformation that does not fit the loss.
func (r *reader) unsuited(code, what string) Problem {
	l, t := r.net.Loss, r.net.Transform
	var fitting []string
	for _, o := range op.Outputs {
		if suits(o, l) {
			fitting = append(fitting, o.Name)
		}
	}
	return Problem{
		Code: code, Message: fmt.Sprintf("the output %s %s the loss %s", t.Name, what, l.Name),
		Found: t.Name, Expected: oneOf(fitting, "or"), Hint: "choose from " + strings.Join(fitting, ", "),
	}
}

// lossesOf lists the losses of a metric family.
func lossesOf(m op.Metrics) []string {
	var names []string
	for _, l := range op.Losses {
		if l.Metrics == m {
			names = append(names, l.Name)
		}
	}
	return names
}
