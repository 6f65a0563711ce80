package loop

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

func TestInferInPieces(t *testing.T) {
	o := testnet.Options{Inputs: 2, Outputs: 3, Batch: 1}
	n, e := testnet.New(o), testnet.Engine(o)
	Init(n, e, 1)
	for _, count := range []int{0, 1, inferRows - 1, inferRows, 2*inferRows + 3} {
		set := rows(n, count)
		want := make([]float32, 3*count)
		e.Infer(set.X, want, count)
		got, err := Infer(t.Context(), n, e, set.X, count)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d rows: other outputs, error %v", count, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Infer(ctx, n, e, rows(n, 1).X, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
