package kernel

import (
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/expr"
)

// Which lines a product fetches for writing: results do not show it. Tiles have
// 14 rows; panels of acc, and of the map's buffers, 28.
func TestFetchForWriting(t *testing.T) {
	const rows, height = 28, 14
	panel := rows * lineBytes
	var next []int // the next tile's rows, of two panels
	for p := range 2 {
		for r := range height {
			next = append(next, p*panel+(height+r)*lineBytes)
		}
	}
	view := func(buffer int) View { return View{Buffer: buffer, Stride: 1} }
	relu := func(in, out int) *Map {
		return &Map{
			In:      []In{{"z", View{Buffer: Accumulator, Stride: 1}}, {"d", view(in)}},
			Out:     []Out{{view(out), expr.Prod(expr.V("z"), expr.V("d"))}},
			Buffers: []string{"a", "b"}, Rows: rows,
		}
	}
	for _, test := range []struct {
		name string
		k    Product
		want []int // displacements: of two panels, from a row that a register counts
	}{
		{"a row for each block", Product{Depth: 256, Store: true}, []int{0, panel}},
		{"a row for each group of steps", Product{Depth: 64, Store: true}, []int{0, panel}},
		{"all rows of the next tile", Product{Depth: 16, Store: true}, next},
		{"of one core", Product{Depth: 64, Store: true, Private: true}, nil},
		{"sums of an earlier block", Product{Depth: 64, Store: true, Resume: true}, nil},
		{"a map's output", Product{Depth: 64, Map: relu(0, 1)}, []int{0, panel}},
		{"a map's output in place", Product{Depth: 64, Map: relu(0, 0)}, []int{0, panel}},
		{"a map's output of one core", Product{Depth: 64, Map: relu(0, 1), Private: true}, nil},
		{"sums of an earlier block and a map's output", Product{Depth: 64, Store: true, Resume: true, Map: relu(0, 1)}, []int{0, panel}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := test.k
			k.Name, k.Doc, k.PanelDepth, k.Rows, k.Panels = "product", "is tested.", k.Depth, rows, 2
			k.Splits = map[vec.ISA]Split{vec.AVX512: SplitRows(rows, MaxRows(vec.AVX512))}
			if got := fetched(t, &k); !slices.Equal(got, test.want) {
				t.Errorf("fetched for writing: %d, want %d", got, test.want)
			}
		})
	}
}

// The way back through a layer of one output fetches four rows, of each tensor that it
// writes, four groups of four rows ahead.
func TestFetchForWritingBack(t *testing.T) {
	rows := []int{16 * lineBytes, 17 * lineBytes, 18 * lineBytes, 19 * lineBytes}
	both := slices.Sorted(slices.Values(append(rows, rows...)))
	for _, test := range []struct {
		name string
		k    DotGradient
		want []int
	}{
		{"a gradient by inputs", DotGradient{Input: true, Store: true}, rows},
		{"over the inputs", DotGradient{Input: true, Map: timesInputs}, rows},
		{"both", DotGradient{Input: true, Store: true, Map: timesInputs}, both},
		{"both of one core", DotGradient{Input: true, Store: true, Map: timesInputs, Private: true}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := test.k
			k.Name, k.Inputs, k.Rows = "back", 32, 129
			if got := fetched(t, &k); !slices.Equal(got, test.want) {
				t.Errorf("fetched for writing: %d, want %d", got, test.want)
			}
		})
	}
}

// fetched lists the displacements of the lines that a kernel fetches for writing.
func fetched(t *testing.T, k Kernel) (list []int) {
	t.Helper()
	e := vec.New(vec.AVX512, "consts")
	Emit(e, k)
	files, err := e.Compile("a test", "main")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`// PREFETCHW (\d*)\(`).FindAllSubmatch(files.Asm, -1) {
		disp, _ := strconv.Atoi(string(m[1])) // no number stands for 0
		list = append(list, disp)
	}
	slices.Sort(list)
	return list
}
