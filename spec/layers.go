package spec

import (
	"fmt"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
)

// linear is the layer that all others stand between.
var linear = &op.Entry{
	Name: "linear", Doc: "Fully connected layer: y = W x + b, with W [out, in].", Main: "out",
	Settings: []op.Setting{
		{Name: "out", Kind: op.Count, Min: 1, Max: maxWidth, Doc: "outputs"},
		{Name: "bias", Kind: op.Flag, Default: true, Doc: "whether there is a bias b [out]"},
	},
}

// layersForm is the list of layers.
type layersForm struct{}

func (layersForm) expects() string { return "a list of linear layers and activations" }

func (layersForm) schema() any {
	return object{
		{"type", "array"}, {"minItems", 1}, {"maxItems", maxLayers}, {"items", ref(layerKinds)},
	}
}

func (f layersForm) read(r *reader, key string, n *node) ([]Layer, bool) {
	if n.kind != list {
		r.wrongType(n, code(key), f.expects(), "put each layer on a line of its own, behind a dash")
		return nil, false
	}
	if len(n.items) == 0 || len(n.items) > maxLayers {
		p := Problem{
			Code: codeLayers, Message: fmt.Sprintf("the network has %d layers", len(n.items)),
			Found: fmt.Sprint(len(n.items)), Expected: fmt.Sprintf("1 to %d layers", maxLayers),
			Hint: "leave layers out",
		}
		if len(n.items) == 0 {
			p.Hint = fmt.Sprintf("begin with a layer such as `- %s: 64`", linear.Name)
		}
		r.report(n.at, p)
		return nil, false
	}
	var layers []Layer
	for _, item := range n.items {
		l := Layer{Line: item.at.line}
		if name, set, ok := r.entry(item, layerKinds, "an item of `layers`"); ok {
			l.Name, l.Text = name, layerText(item)
			if name == linear.Name {
				l.Out, l.Bias = int(set.Num("out")), set.Flag("bias")
			} else {
				l.Activation, _, _ = op.Find(op.Activations, name)
				l.Set = set
			}
		}
		layers = append(layers, l)
		r.layers = append(r.layers, item)
	}
	return layers, true
}

// layerText prints an item of `layers` in flow style, without the braces of
// the mapping that it is. The item was read without an error, so that it holds
// names, numbers and booleans alone.
func layerText(item *node) string {
	if item.kind != mapping {
		return item.flow()
	}
	return strings.TrimSuffix(strings.TrimPrefix(item.flow(), "{"), "}")
}
