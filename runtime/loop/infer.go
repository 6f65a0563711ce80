package loop

import (
	"context"

	"github.com/dnngen/dnngen/runtime/engine"
)

// inferRows is the number of rows between two looks at the context: many
// enough to feed all threads, few enough to react to Ctrl-C.
const inferRows = 4096

// Infer computes the raw outputs [rows, Outputs] of x [rows, Inputs]. It ends
// early, with the context's error, where ctx is cancelled.
func Infer(ctx context.Context, n *engine.Network, e engine.Engine, x []float32, rows int) ([]float32, error) {
	raw := make([]float32, rows*n.Outputs)
	for lo := 0; lo < rows; lo += inferRows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hi := min(lo+inferRows, rows)
		e.Infer(x[lo*n.Inputs:hi*n.Inputs], raw[lo*n.Outputs:hi*n.Outputs], hi-lo)
	}
	return raw, nil
}
