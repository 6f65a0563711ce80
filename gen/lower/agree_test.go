package lower_test

import (
	"slices"
	"testing"

	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/op"
)

// TestRowOperationsAgree: the tables and the program name the operations on
// whole rows apart, because neither may import the other.
func TestRowOperationsAgree(t *testing.T) {
	known := []string{string(ir.SoftmaxCrossEntropy), string(ir.Softmax), string(ir.Argmax), string(ir.Indicator)}
	var used []string
	for _, row := range op.Losses {
		used = append(used, string(row.Rowwise))
	}
	for _, row := range op.Outputs {
		used = append(used, string(row.Rowwise))
	}
	for _, name := range used {
		if name != "" && !slices.Contains(known, name) {
			t.Errorf("the tables use %q, which a program does not have", name)
		}
	}
	for _, name := range known {
		if !slices.Contains(used, name) {
			t.Errorf("a program has %q, which no row of the tables uses", name)
		}
	}
}
