package spec

import (
	"errors"
	"fmt"
	"io/fs"

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

// reportUnusable reports training rows that are here, and cannot be trained on.
func (r *reader) reportUnusable(err error) {
	r.reportData("the training rows cannot be used", err, Problem{
		Code: codeData, Expected: "rows that the network can be trained on", Hint: "mend the data, or what the spec says of it under `data:`",
	})
}

// checkData compares the network with the training rows.
func (r *reader) checkData(o Options) {
	n := r.net
	if o.Count == nil || n.Data.Train == "" {
		return
	}
	have, err := o.Count(n.Data, n.Train.Seed)
	if errors.Is(err, fs.ErrNotExist) {
		r.reportData("the network is not compared with the training rows", err, Problem{
			Code: warnNoRows, Expected: "rows that are here", Hint: "mend the name, or check again where the rows are",
		})
		return
	}
	if err != nil {
		r.reportUnusable(err)
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
	r.checkTargets(have)
	if o.Fit == nil || r.failed() {
		return
	}
	if err := o.Fit(n); err != nil {
		r.reportUnusable(err)
	}
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
		at, decides := r.lastLinear()
		if decides {
			p.Hint = fmt.Sprintf("write `%s: %d`", linear.Name, classes)
		}
		r.report(at, p)
	case n.Loss.Metrics == op.Binary && n.Output == 1 && classes > 2:
		r.report(r.where("loss"), Problem{
			Code: codeDataClasses, Message: fmt.Sprintf("%s with one output tells two classes apart, but the training rows are of %d", n.Loss.Name, classes),
			Found: n.Loss.Name, Expected: "a loss that compares classes",
			Hint: classesHint(),
		})
	}
}

// checkTargets checks that a row has the targets that the loss compares.
func (r *reader) checkTargets(have Counts) {
	n, want := r.net, r.net.Output
	if n.Loss.Rowwise != "" {
		want = 1
	}
	if have.Targets == 0 || have.Targets == want {
		return
	}
	if n.Loss.Rowwise != "" {
		r.report(r.where("data.train"), Problem{
			Code: codeDataTargets, Message: fmt.Sprintf("%s takes one target a row, but the training rows have %d each", n.Loss.Name, have.Targets),
			Expected: "the number or the name of a row's class", Hint: "give the class in one column, not a column for each class",
		})
		return
	}
	p := Problem{
		Code: codeDataTargets, Message: fmt.Sprintf("the network has %s, but the training rows have %s each", wording.Count(want, "output"), wording.Count(have.Targets, "target")),
		Found: fmt.Sprint(want), Expected: fmt.Sprintf("%d, an output for each target", have.Targets),
		Hint: "give the last layer an output for each target",
	}
	at, decides := r.lastLinear()
	if decides {
		p.Hint = fmt.Sprintf("write `%s: %d`", linear.Name, have.Targets)
	}
	switch binary := n.Loss.Metrics == op.Binary; {
	case binary && have.Classes > 2: // one output would not do
		p.Hint = classesHint()
	case binary && have.Classes == n.Output:
		p.Hint += fmt.Sprintf(", or `loss: %s`, which compares an output for each class", rowwiseLoss())
	case have.Targets == 1:
		p.Hint += ", or give several targets as y of an .npz file"
	}
	r.report(at, p)
}

// classesHint tells what to write where a loss of two classes meets more of them.
func classesHint() string {
	return fmt.Sprintf("write `loss: %s`, and give the last layer an output for each class", rowwiseLoss())
}

// lastLinear returns the place of the last linear layer, or of the first layer
// where there is none, and whether it alone decides the number of outputs.
func (r *reader) lastLinear() (at span, decides bool) {
	layers := r.net.Layers
	last := len(layers) - 1
	for last > 0 && layers[last].Activation != nil {
		last--
	}
	l := layers[last]
	return r.layers[last].at, l.Activation == nil && l.Out == r.net.Output
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
