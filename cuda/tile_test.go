package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
)

// Shapes that fill no tile, with more than one tile of the largest.
const (
	tileRows, tileCols, tileInner = 150, 137, 35
	tileParts, tileRowsOfPart     = 3, 64
)

// Where a tile test's matrices lie.
const (
	tileA   = 0
	tileB   = tileA + 8192
	tileOut = tileB + 8192
	tileSum = tileOut + 32768
	tileDW  = tileSum + 2048
	tileDB  = tileDW + 32768
	tileAll = tileDB + 2048
)

// TestTiles multiplies with every tile size, those too that a plan takes for
// large networks alone: a*b^T with sums of columns, and a^T*b in parts of rows.
func TestTiles(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	fmt.Fprintf(&text, `struct Keep {
    float *m;
    static constexpr int STRIDE = 1, WIDTH = %d, SUM = DNN_UNIT_SUM;
    DNN_METHOD float unit(int row, int unit, const float *acc) const { return m[%d + row * %d + unit] = acc[0]; }
};
`, tileCols, tileOut, tileCols)
	type tile struct{ m, n int }
	var tiles []tile
	var kernels []string
	for _, m := range []int{1, 2, 4, 8} {
		for _, n := range []int{1, 2, 4, 8} {
			if m != n && m != 4 && n != 4 {
				continue // what differs is seen in these
			}
			tiles = append(tiles, tile{m, n})
			kernels = append(kernels, fmt.Sprintf("product%d_%d", m, n), fmt.Sprintf("gradient%d_%d", m, n))
			fmt.Fprintf(&text, `DNN_KERNEL(product%[1]d_%[2]d, 256, 1) {
    const DnnRowMajor<%[3]d> a = {m + %[4]d}, b = {m + %[5]d};
    const Keep keep = {m};
    dnn_linear<%[1]d, %[2]d>(dnn_block(), a, b, %[6]d, %[7]d, %[3]d, keep, m + %[8]d);
}
`, m, n, tileInner, tileA, tileB, tileRows, tileCols, tileSum)
			fmt.Fprintf(&text, `DNN_KERNEL(gradient%[1]d_%[2]d, 256, 1) {
    dnn_weight_gradient<%[1]d, %[2]d, %[3]d, %[4]d, true>(dnn_block(), m + %[5]d, m + %[6]d, %[7]d, %[8]d, true, m + %[9]d, m + %[10]d);
}
`, m, n, tileCols, tileInner, tileOut, tileA, tileRows, tileRowsOfPart, tileDW, tileDB)
		}
	}
	prog := emulator.Compile(t, emulator.Options{}, text.String(), kernels)
	r := rand.New(rand.NewPCG(1, 2))
	a, b := make([]float32, tileRows*tileInner), make([]float32, tileCols*tileInner)
	for _, list := range [][]float32{a, b} {
		for i := range list {
			list[i] = float32(r.IntN(9) - 4) // sums of such products are exact
		}
	}
	out, dw, db := reference(a, b)
	ceil := func(n, d int) int { return (n + d - 1) / d }
	for i, size := range tiles {
		t.Run(fmt.Sprintf("%dx%d", size.m, size.n), func(t *testing.T) {
			d := prog.StartArena(t, tileAll)
			d.Schedule = i % 4
			d.Write(tileA, a)
			d.Write(tileB, b)
			tall := ceil(tileRows, 16*size.m)
			slabs := 4 * 16 * (16*size.m + 16*size.n + 8)
			d.Launch([]*plan.Launch{
				{Name: kernels[2*i], Grid: [3]int{tall, ceil(tileCols, 16*size.n), 1}, Shared: slabs},
				{Name: kernels[2*i+1], Grid: [3]int{ceil(tileInner, 16*size.n), ceil(tileCols, 16*size.m), tileParts}, Shared: slabs},
			})
			expect(t, d, "product", tileOut, 1, out)
			expect(t, d, "sums of columns", tileSum, tall, db)
			expect(t, d, "gradient", tileDW, tileParts, dw)
			expect(t, d, "sums of the gradient", tileDB, tileParts, db)
		})
	}
}

// reference returns out = a*b^T, dw = out^T*a and db, the sums of out's columns.
func reference(a, b []float32) (out, dw, db []float64) {
	out, dw, db = make([]float64, tileRows*tileCols), make([]float64, tileCols*tileInner), make([]float64, tileCols)
	for r := range tileRows {
		for c := range tileCols {
			v := 0.0
			for k := range tileInner {
				v += float64(a[r*tileInner+k]) * float64(b[c*tileInner+k])
			}
			out[r*tileCols+c] = v
			db[c] += v
			for k := range tileInner {
				dw[c*tileInner+k] += v * float64(a[r*tileInner+k])
			}
		}
	}
	return out, dw, db
}

// expect reads parts and compares their sum.
func expect(t *testing.T, d *emulator.Device, what string, at, parts int, want []float64) {
	t.Helper()
	got := make([]float32, parts*len(want))
	d.Read(at, got)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		sum := 0.0
		for p := range parts {
			sum += float64(got[p*len(want)+i])
		}
		if math.Abs(sum-w) > 1e-6*math.Abs(w) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, sum, w)
		}
	}
}
