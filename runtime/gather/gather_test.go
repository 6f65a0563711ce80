package gather

import (
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
)

// TestBatch copies rows of several widths, and looks at what lies behind them.
func TestBatch(t *testing.T) {
	order := []int32{5, 0, 6, 5}
	const rows = 7
	for _, width := range []int{1, 2, 8, 9, 33} {
		for _, classes := range []bool{false, true} {
			from := &Rows{Inputs: width, Outputs: 3, X: make([]float32, rows*width)}
			to := &Rows{Inputs: width, Outputs: 3, X: make([]float32, (len(order)+1)*width)}
			for i := range from.X {
				from.X[i] = float32(i + 1)
			}
			if classes {
				from.Y, to.Y = engine.Target{Class: make([]int32, rows)}, engine.Target{Class: make([]int32, len(order)+1)}
			} else {
				from.Y, to.Y = engine.Target{Value: make([]float32, 3*rows)}, engine.Target{Value: make([]float32, 3*(len(order)+1))}
			}
			for r := range rows {
				if classes {
					from.Y.Class[r] = int32(r + 1)
					continue
				}
				for k := range 3 {
					from.Y.Value[3*r+k] = float32(10*r + k + 1)
				}
			}
			from.Batch(to, order)
			check(t, to, width, classes, order)
			from.Copy(to, 2, 6)
			check(t, to, width, classes, []int32{2, 3, 4, 5})
		}
	}
}

// check looks at the rows of a batch, and at the one behind it, which is empty.
func check(t *testing.T, to *Rows, width int, classes bool, order []int32) {
	t.Helper()
	for i, r := range append(order, -1) { // the row behind stays empty
		for k := range width {
			want := float32(int(r)*width + k + 1)
			if r < 0 {
				want = 0
			}
			if got := to.X[i*width+k]; got != want {
				t.Fatalf("width %d, row %d, column %d: %g, want %g", width, i, k, got, want)
			}
		}
		switch {
		case classes && to.Y.Class[i] != r+1:
			t.Errorf("row %d has class %d, want %d", i, to.Y.Class[i], r+1)
		case !classes && r >= 0 && to.Y.Value[3*i+2] != float32(10*r+3):
			t.Errorf("row %d has target %g", i, to.Y.Value[3*i+2])
		case !classes && r < 0 && to.Y.Value[3*i+2] != 0:
			t.Errorf("a target was written behind the batch")
		}
	}
}
