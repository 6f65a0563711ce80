package plan_test

import "testing"

// What workers share lies apart from what follows; what one worker walks by itself
// does not.
func TestGaps(t *testing.T) {
	for _, test := range []struct {
		name, layers, batch string
		gap                 int // behind the first activations
	}{
		{"claimed", "[{linear: 256}, relu, {linear: 256}, relu, {linear: 3}]", "256", 16*256*16 + 512},
		{"shared", "[{linear: 64}, relu, {linear: 64}, relu, {linear: 3}]", "200", 16*200*16 + 512},
		{"of one output", "[{linear: 64}, gelu, {linear: 64}, relu, {linear: 1}]", "200", 16*200*16 + 512},
		{"tiled", "[{linear: 64}, relu, {linear: 64}, relu, {linear: 3}]", "1024", 0},
		{"alone", "[{linear: 8}, relu, {linear: 3}]", "32", 0},
	} {
		p := planned(t, 64, test.layers, test.batch)
		end := 0
		for _, tensor := range p.Tensors {
			if tensor.Gap != 0 && (tensor.Over != nil || tensor.Layout.Dense || tensor.Flat) {
				t.Errorf("%s: a gap behind %s", test.name, tensor.Name)
			}
			if tensor.Over != nil {
				continue
			}
			if tensor.Offset != end {
				t.Errorf("%s: %s begins at %d, want %d", test.name, tensor.Name, tensor.Offset, end)
			}
			end = tensor.Offset + tensor.Size() + tensor.Gap
			if tensor.Name == "a1" && tensor.Gap != test.gap {
				t.Errorf("%s: a gap of %d behind a1, want %d", test.name, tensor.Gap, test.gap)
			}
		}
		if end != p.TensorSize {
			t.Errorf("%s: tensors end at %d of %d", test.name, end, p.TensorSize)
		}
		for _, tensor := range append(p.Infer.Tensors, p.InferRow.Tensors...) {
			if tensor.Gap != 0 {
				t.Errorf("%s: a gap behind %s, which one worker infers with", test.name, tensor.Name)
			}
		}
	}
}

// The gradient that goes back from a single output is written over the inputs of its
// layer, if it is as wide and nothing reads them afterwards.
func TestInPlace(t *testing.T) {
	for _, test := range []struct {
		name, layers string
		grad, over   string // "" for a gradient with a place of its own
	}{
		{"of one output", "[{linear: 40}, relu, {linear: 30}, relu, {linear: 1}]", "dz2", "a3"},
		{"of two outputs", "[{linear: 40}, relu, {linear: 30}, relu, {linear: 2}]", "dz2", ""},
		{"further down", "[{linear: 40}, relu, {linear: 30}, relu, {linear: 1}]", "dz0", ""},
		{"over slopes", "[{linear: 40}, relu, {linear: 30}, gelu, {linear: 1}]", "dz2", "s3"},
		{"over gated slopes", "[{linear: 40}, relu, {linear: 30}, swiglu, {linear: 1}]", "dz2", "s3"},
		{"of two activations", "[{linear: 40}, relu, {linear: 30}, tanh, relu, {linear: 1}]", "da3", "a4"},
	} {
		p := planned(t, 64, test.layers, "100")
		found := false
		for _, tensor := range p.Tensors {
			if tensor.Name != test.grad {
				continue
			}
			found = true
			over := ""
			if tensor.Over != nil {
				over = tensor.Over.Name
			}
			if over != test.over {
				t.Errorf("%s: %s lies over %q, want %q", test.name, test.grad, over, test.over)
			}
		}
		if !found {
			t.Errorf("%s: there is no %s", test.name, test.grad)
		}
	}
}
