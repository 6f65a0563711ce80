package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/dnngen/dnngen/runtime/wording"
)

// keysOfInput are the keys that the number of features follows from, as reader.meant
// has them. An unknown key that is like no other may be any of them.
var keysOfInput = []string{"input", "data", "data.train", "data.features", "", "data."}

// inferInput finds the number of features where the spec does not give it: by
// its columns, or from the data.
func (r *reader) inferInput(root *node, o Options) {
	if r.at["input"] != nil {
		return
	}
	d := r.net.Data
	if len(d.Features) > 0 && len(d.Categorical) == 0 {
		r.net.Input = len(d.Features)
		return
	}
	p := Problem{
		Code: codeInput, Message: "the number of features is not known",
		Expected: "the key `input`, or data to count them in",
		Hint:     "write `input: 64`, with the number of features of an example",
	}
	switch {
	case slices.ContainsFunc(keysOfInput, func(key string) bool { return r.meant[key] }):
		return // the unknown key is what is wrong
	case o.Infer == nil || d.Train == "":
	case r.failed():
		return // the data section may be what is wrong
	default:
		inputs, err := o.Infer(d, r.net.Train.Seed)
		if err == nil && inputs >= 1 && inputs <= maxWidth {
			r.net.Input = inputs
			return
		}
		if err == nil {
			err = fmt.Errorf("the data has %s", wording.Count(inputs, "feature"))
		} else if !errors.Is(err, fs.ErrNotExist) { // to give "input" would not mend them
			r.reportUnusable(err)
			return
		}
		r.reportData("the number of features cannot be read from the data", err, p)
		return
	}
	r.report(root.at, p)
}

// checkColumns checks what the data section says of columns.
func (r *reader) checkColumns() {
	d := r.net.Data
	if len(d.Features) > 0 && r.at["data.categorical"] != nil {
		for i, c := range d.Categorical {
			if slices.Contains(d.Features, c) {
				continue
			}
			p := Problem{
				Code: codeNotAFeature, Message: fmt.Sprintf("the categorical column %s is not among the features", quote(c)),
				Found: quote(c), Expected: "a column of `features`", Hint: "add it to `features`, or take it out here",
			}
			if guess := wording.Nearest(c, d.Features); guess != "" {
				p.Message += didYouMean(visible(guess))
				p.Hint = "write the column as `features` does"
			}
			r.report(r.at["data.categorical"].items[i].at, p)
		}
	}
	for _, columns := range []struct {
		key   string
		names []string
	}{{"data.features", d.Features}, {"data.categorical", d.Categorical}} {
		if i := slices.Index(columns.names, d.Target); d.Target != "" && i >= 0 {
			r.report(r.at[columns.key].items[i].at, Problem{
				Code: codeTargetFeature, Message: fmt.Sprintf("the target %s is among the features", quote(d.Target)),
				Found: quote(d.Target), Expected: "columns other than the target",
				Hint: "take it out here: a network that is shown the answer learns nothing",
			})
		}
	}
	features, input := len(d.Features), r.net.Input
	if features == 0 || input == 0 || input == features || input > features && len(d.Categorical) > 0 {
		return
	}
	r.report(r.where("input"), Problem{
		Code: codeInputColumns, Message: fmt.Sprintf("`input` is %d, but `features` names %s", input, wording.Count(features, "column")),
		Found: fmt.Sprint(input), Expected: fmt.Sprint(features),
		Hint: "delete `input`: it follows from the columns",
	})
}

// shapes gives every layer its widths, and checks sizes.
func (r *reader) shapes() {
	n := r.net
	width := n.Input // 0 where an error made it unknown
	var params, activations int64
	rows := int64(max(n.Train.Batch, 1))
	for i := range n.Layers {
		l, at := &n.Layers[i], r.layers[i].at
		l.In = width
		switch {
		case l.Name == "": // not read
			l.Out = 0
		case l.Activation == nil:
			params += r.linearSize(l, at)
		case l.Activation.Gated:
			if width%2 != 0 {
				r.report(at, Problem{
					Code: codeOddWidth, Message: fmt.Sprintf("%s pairs its inputs, but gets %d", l.Name, width),
					Found: fmt.Sprint(width), Expected: "an even width", Hint: r.evenHint(i, width),
				})
				width = 0
			}
			l.Out = width / 2
		default:
			l.Out = width
		}
		params += int64(learned(*l))
		if _, ok := product(rows, int64(l.Out), maxTensor); !ok {
			r.report(at, Problem{
				Code: codeTensor, Message: fmt.Sprintf("a batch of %s of width %d is too large", wording.Count(rows, "row"), l.Out),
				Expected: fmt.Sprintf("at most %d elements", int64(maxTensor)), Hint: "make the batch or the layer smaller",
			})
			return
		}
		activations += rows * int64(l.Out)
		width = l.Out
	}
	n.Output = width
	r.checkTotals(params, activations)
	if n.Train.AutoMemory > 0 && !r.failed() {
		r.autoBatch()
	}
}

// linearSize returns the parameters of a linear layer.
func (r *reader) linearSize(l *Layer, at span) int64 {
	size, ok := product(int64(l.In), int64(l.Out), maxTensor)
	if !ok {
		r.report(at, Problem{
			Code: codeTensor, Message: fmt.Sprintf("a weight of %d × %d is too large", l.Out, l.In),
			Expected: fmt.Sprintf("at most %d elements", int64(maxTensor)), Hint: "make the layer or the one before it narrower",
		})
	}
	if l.Bias {
		size += int64(l.Out)
	}
	return size
}

// learned returns the parameters of an activation.
func learned(l Layer) int {
	if l.Activation == nil {
		return 0
	}
	switch p := l.Activation.Param(l.Set); {
	case p == nil:
		return 0
	case p.PerChannel(l.Set):
		return l.In
	}
	return 1
}

// evenHint says which number to change before a gated layer.
func (r *reader) evenHint(layer, width int) string {
	for i := layer - 1; i >= 0; i-- {
		if l := r.net.Layers[i]; l.Activation == nil {
			return fmt.Sprintf("give the %s layer in line %d an even width, such as %d", linear.Name, l.Line, 2*l.Out)
		}
	}
	return fmt.Sprintf("put a %s layer of even width before it", linear.Name)
}

func (r *reader) checkTotals(params, activations int64) {
	if params > maxParams {
		r.report(r.where("layers"), Problem{
			Code: codeTotal, Message: fmt.Sprintf("the network has %d parameters", params),
			Expected: fmt.Sprintf("at most %d", int64(maxParams)), Hint: "make the layers narrower, or fewer",
		})
	}
	if activations > maxActivations {
		r.report(r.where("train.batch", "layers"), Problem{
			Code: codeTotal, Message: fmt.Sprintf("the layers give %d numbers for a batch", activations),
			Expected: fmt.Sprintf("at most %d", int64(maxActivations)), Hint: "make the batch smaller, or the layers narrower",
		})
	}
}
