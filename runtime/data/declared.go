package data

import (
	"fmt"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Declared returns the preparation that n declares, as far as it is known
// without training rows: features are numbers, divided by the spec's constant
// divisor and filled by its constant where it has them. lacks names what would
// have to be fitted, such as the categories; rows must then come prepared, and
// the preparation leaves them as they are. It is empty where nothing is missing.
func Declared(n *engine.Network) (p *Prep, lacks string) {
	divisor := 1.0
	switch n.Data.Scale.Kind {
	case "divide":
		divisor = n.Data.Scale.Factor
	case "standardize", "minmax":
		lacks = fmt.Sprintf("the fitted scale (%s)", n.Data.Scale.Kind)
	}
	if len(n.Data.Categorical) > 0 {
		divisor, lacks = 1, "the categories"
	}
	p = &Prep{Version: prepVersion, Inputs: n.Inputs, Outputs: n.Outputs, Columns: n.Inputs}
	for i := range n.Inputs {
		f := Feature{Column: i, Divisor: divisor}
		if lacks == "" && len(n.Data.Features) == n.Inputs {
			f.Name = n.Data.Features[i]
		}
		if lacks == "" && n.Data.Missing.Kind == "const" {
			f.Fill = &n.Data.Missing.Value
		}
		p.Features = append(p.Features, f)
	}
	p.Target = Target{Column: -1, Kind: valueTarget}
	switch {
	case n.Classes:
		p.Target.Kind = classTarget
	case n.Metrics == "binary":
		p.Target.Kind = unitTarget
	}
	return p, lacks
}
