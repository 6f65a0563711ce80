package cuda_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
)

// Where a fetch test's parts lie: the rows end where the arena ends.
const (
	fetchFeed  = 0
	fetchStep  = 64
	fetchX     = 128
	fetchY     = 4096
	fetchTable = 6144
	fetchOrder = 7168
	fetchRing  = 7680
	fetchData  = 8192

	fetchWords  = 7 // of a step: an odd number, so that entries are filled up
	fetchEntry  = 6 + fetchWords + 1
	fetchRows   = 53 // of the data
	fetchLosses = 7800
)

// entry is one entry of the table.
type entry struct {
	X, Y, Row int64
	Words     [fetchWords + 1]uint32
}

// TestFetch gathers batches of many widths: in an order and as the rows lie, of
// full and short passes, up to the last row of the data, and under the address
// sanitizer, which the arena's end is guarded by. Then it lets a loss halt it.
func TestFetch(t *testing.T) {
	t.Parallel()
	widths := [][2]int{{1, 1}, {2, 3}, {3, 4}, {4, 1}, {8, 5}, {33, 2}, {36, 12}}
	var text strings.Builder
	var kernels []string
	for _, w := range widths {
		name := fmt.Sprintf("fetch%d_%d", w[0], w[1])
		kernels = append(kernels, name)
		fmt.Fprintf(&text, "DNN_KERNEL(%s, 256, 1) { dnn_fetch<%d, %d, %d>(m, (const DnnFeed *)(m + %d), m + %d, m + %d, m + %d); }\n",
			name, w[0], w[1], fetchWords, fetchFeed, fetchX, fetchY, fetchStep)
	}
	kernels = append(kernels, "advance")
	fmt.Fprintf(&text, "DNN_KERNEL(advance, 256, 1) { dnn_advance(m, (DnnFeed *)(m + %d), (const double *)(m + %d)); }\n", fetchFeed, fetchLosses)
	prog := emulator.Compile(t, emulator.Options{Sanitize: true}, text.String(), kernels)
	for i, w := range widths {
		in, out := w[0], w[1]
		t.Run(kernels[i], func(t *testing.T) {
			yAt := fetchData
			xAt := (yAt + fetchRows*out + 3) / 4 * 4 // a multiple of 4: such rows are moved in pieces of 16 bytes
			d := prog.StartArena(t, xAt+fetchRows*in)
			x, y, order := make([]float32, fetchRows*in), make([]float32, fetchRows*out), make([]int32, fetchRows)
			for k := range x {
				x[k] = float32(k + 1)
			}
			for k := range y {
				y[k] = -float32(k + 1)
			}
			for k, r := range rand.New(rand.NewPCG(3, uint64(i))).Perm(fetchRows) {
				order[k] = int32(r)
			}
			d.Write(xAt, x)
			d.Write(yAt, y)
			d.Write(fetchOrder, order)
			const full = 24
			passes := [][2]int{{0, full}, {full, full}, {2 * full, fetchRows - 2*full}, {fetchRows - 1, 1}}
			var table []entry
			for k, p := range passes {
				e := entry{X: int64(xAt), Y: int64(yAt), Row: int64(p[0])}
				e.Words[0], e.Words[fetchWords-1] = uint32(p[1]), uint32(100+k)
				table = append(table, e)
			}
			d.Write(fetchTable, table)
			for _, shuffled := range []bool{false, true} {
				head := struct {
					Table, Order, Losses           int64
					Entry, Passes, Halted, NotUsed int32
				}{Table: fetchTable, Losses: fetchRing, Passes: 2}
				if shuffled {
					head.Order = fetchOrder
				}
				d.Write(fetchFeed, head)
				for k, p := range passes {
					blank := make([]float32, fetchY-fetchX)
					d.Write(fetchX, blank)
					d.Write(fetchY, blank[:fetchTable-fetchY])
					d.Schedule = k
					d.Write(fetchLosses, float64(k))
					d.Launch([]*plan.Launch{{Name: kernels[i], Grid: [3]int{1 + k%2, 1, 1}}, {Name: "advance", Grid: [3]int{1, 1, 1}}})
					row := func(r int) int {
						if shuffled {
							return int(order[p[0]+r])
						}
						return p[0] + r
					}
					checkFetched(t, d, "x", fetchX, in, p[1], func(r, c int) float32 { return x[row(r)*in+c] })
					checkFetched(t, d, "y", fetchY, out, p[1], func(r, c int) float32 { return y[row(r)*out+c] })
					words := make([]uint32, fetchWords)
					d.Read(fetchStep, words)
					if words[0] != uint32(p[1]) || words[fetchWords-1] != uint32(100+k) {
						t.Errorf("pass %d: the step's words are %v", k, words)
					}
				}
				losses := make([]float64, 2)
				d.Read(fetchRing, losses)
				if losses[0] != 1 || losses[1] != 3 {
					t.Errorf("the steps' losses are %v, want those of their last passes, 1 and 3", losses)
				}
			}
			if err := d.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("halt", func(t *testing.T) { checkHalt(t, prog, kernels[0]) })
}

// checkFetched compares a batch, and wants what follows it untouched.
func checkFetched(t *testing.T, d *emulator.Device, what string, at, width, rows int, want func(r, c int) float32) {
	t.Helper()
	got := make([]float32, (rows+1)*width)
	d.Read(at, got)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	for k, v := range got {
		w := float32(0)
		if k/width < rows {
			w = want(k/width, k%width)
		}
		if v != w {
			t.Fatalf("%s, row %d of %d, column %d is %g, want %g", what, k/width, rows, k%width, v, w)
		}
	}
}

// checkHalt makes the first of three steps' loss infinite: its batch stays, and
// nothing more is noted.
func checkHalt(t *testing.T, prog *emulator.Program, fetch string) {
	d := prog.StartArena(t, fetchData+8)
	d.Write(fetchData, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	d.Write(fetchTable, []entry{
		{X: fetchData, Y: fetchData, Words: [fetchWords + 1]uint32{2}},
		{X: fetchData, Y: fetchData, Row: 2, Words: [fetchWords + 1]uint32{1}},
		{X: fetchData, Y: fetchData, Row: 4, Words: [fetchWords + 1]uint32{1}},
	})
	d.Write(fetchFeed, []int64{fetchTable, 0, fetchRing, 1 << 32, 0})
	d.Write(fetchRing, []float64{-1, -1, -1})
	for i, loss := range []uint64{0x3ff0000000000000, 0x7ff0000000000000, 0x3ff0000000000000} { // 1, infinity, 1
		d.Write(fetchLosses, loss)
		d.Launch([]*plan.Launch{{Name: fetch, Grid: [3]int{1, 1, 1}}, {Name: "advance", Grid: [3]int{1, 1, 1}}})
		x, rows := float32(0), uint32(0)
		d.Read(fetchX, &x)
		d.Read(fetchStep, &rows)
		if want := []float32{1, 3, 3}[i]; x != want || rows != uint32([]int{2, 1, 1}[i]) {
			t.Errorf("step %d has %d rows from %g on, want them from %g on", i, rows, x, want)
		}
	}
	losses := make([]float64, 3)
	d.Read(fetchRing, losses)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(losses) != "[1 +Inf -1]" {
		t.Errorf("the losses are %v", losses)
	}
}
