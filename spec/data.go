package spec

import (
	"errors"
	"fmt"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/wording"
)

// reportData completes a problem by what is wrong with the training rows, whose
// hint goes first.
func (r *reader) reportData(what string, err error, p Problem) {
	said := err.Error()
	var split interface{ Split() (what, hint string) }
	if errors.As(err, &split) {
		var hint string
		if said, hint = split.Split(); hint != "" {
			p.Hint = foreign(hint)
		}
	}
	p.Message = what + ": " + foreign(said)
	p.cause = err
	r.report(r.where("data.train"), p)
}

// checkData compares the network with the training rows.
func (r *reader) checkData(o Options) {
	n := r.net
	if o.Count == nil || n.Data.Train == "" {
		return
	}
	have, err := o.Count(n.Data, n.Train.Seed)
	if err != nil {
		r.reportData("the training rows cannot be used", err, Problem{
			Code: codeData, Expected: "rows that the network can be trained on", Hint: "mend the data, or what the spec says of it under `data:`",
		})
		return
	}
	if have.Inputs > 0 && have.Inputs != n.Input {
		r.report(r.where("input", "data.train"), Problem{
			Code: codeDataInputs, Message: fmt.Sprintf("the network takes %s, but the training rows make %d", wording.Count(n.Input, "input"), have.Inputs),
			Found: fmt.Sprint(n.Input), Expected: fmt.Sprint(have.Inputs),
			Hint: fmt.Sprintf("write `input: %d`, or choose columns by `data: features:`", have.Inputs),
		})
	}
	r.checkClasses(have.Classes)
}

// checkClasses checks that the network can tell the classes of its data apart.
func (r *reader) checkClasses(classes int) {
	n := r.net
	switch {
	case n.Loss.Rowwise != "" && classes > n.Output:
		p := Problem{
			Code: codeDataClasses, Message: fmt.Sprintf("the network has %s, but the training rows are of %s", wording.Count(n.Output, "output"), wording.Count(classes, "class")),
			Found: fmt.Sprint(n.Output), Expected: fmt.Sprintf("%d, an output for each class", classes),
			Hint: "make the last layer wider",
		}
		last := len(n.Layers) - 1
		for last > 0 && n.Layers[last].Activation != nil {
			last--
		}
		if l := n.Layers[last]; l.Activation == nil && l.Out == n.Output {
			p.Hint = fmt.Sprintf("write `%s: %d`", linear.Name, classes)
		}
		r.report(r.layers[last].at, p)
	case n.Loss.Metrics == op.Binary && n.Output == 1 && classes > 2:
		r.report(r.where("loss"), Problem{
			Code: codeDataClasses, Message: fmt.Sprintf("%s with one output tells two classes apart, but the training rows are of %d", n.Loss.Name, classes),
			Found: n.Loss.Name, Expected: "a loss that compares classes",
			Hint: fmt.Sprintf("write `loss: %s`, and give the last layer an output for each class", rowwiseLoss()),
		})
	}
}

// rowwiseLoss returns the name of the loss that compares classes.
func rowwiseLoss() string {
	for _, l := range op.Losses {
		if l.Rowwise != "" {
			return l.Name
		}
	}
	return ""
}
