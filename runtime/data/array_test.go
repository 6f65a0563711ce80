package data_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/npy"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

func TestArrayErrors(t *testing.T) {
	one := floats([]int{1, 1}, 1)
	for name, c := range map[string]struct {
		members []any
		want    string
	}{
		"no x":     {[]any{"a", one, "b", one}, `train.npz: there is no array x; the arrays are "a", "b"; hint: save it by numpy.savez(file, x=…, y=…)`},
		"rows":     {[]any{"x", floats([]int{2, 1}, 1, 2), "y", one}, `train.npz: x has 2 rows, but y has 1`},
		"a scalar": {[]any{"x", floats([]int{}, 1)}, `train.npz: x is a single number; hint: the shape needs to be [rows, columns]`},
		"no width": {[]any{"x", floats([]int{3, 0})}, `train.npz: x has rows of the impossible shape [0]`},
	} {
		_, err := openNPZ(t, c.members...)
		wantError(t, name, err, c.want)
	}
	_, err := data.Open("train.npz", data.Options{FS: disk(t, map[string]string{"train.npz": "PK"})})
	wantError(t, "no archive", err, `train.npz: not an .npz archive: zip: not a valid zip file`)
}

func TestFeaturesThatAreNotFinite(t *testing.T) {
	y := floats([]int{2}, 0, 1)
	for name, c := range map[string]struct {
		table *data.Table
		want  string
	}{
		"NaN": {mustNPZ(t, "x", floats([]int{2, 2}, 1, 2, 3, nan), "y", y),
			`train.npz: x[1,1] is missing; hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`},
		"infinite": {mustNPZ(t, "x", floats([]int{2, 2}, 1, 2, -inf, 3), "y", y), `train.npz: x[1,0] is infinite`},
	} {
		_, err := mustFit(t, c.table, regression(2, 1, engine.Data{})).Apply(c.table)
		wantError(t, name, err, c.want)
	}
	// NaN is what a missing value is in an array.
	table := mustNPZ(t, "x", floats([]int{2, 2}, 1, 2, 3, nan), "y", y)
	s := prepared(t, table, regression(2, 1, engine.Data{Missing: engine.Missing{Kind: "drop"}}))
	if s.Rows != 1 || !slices.Equal(s.X, []float32{1, 2}) {
		t.Errorf("dropping left %v", s.X)
	}
	table = mustNPZ(t, "x", floats([]int{2, 1}, 1, 2), "y", floats([]int{2, 2}, 1, 2, 3, nan))
	s = prepared(t, table, regression(1, 2, engine.Data{Missing: engine.Missing{Kind: "drop"}}))
	if s.Rows != 1 || !slices.Equal(s.Target.Value, []float32{1, 2}) {
		t.Errorf("dropping by the target left %v", s.Target)
	}
}

// Columns of an array are called by their number.
func TestColumnsOfArrays(t *testing.T) {
	table := mustNPZ(t, "x", floats([]int{2, 3}, 1, 2, 5, 3, 4, 6), "y", floats([]int{2}, 0, 1))
	s := prepared(t, table, regression(3, 1, engine.Data{Features: []string{"2", "0"}, Categorical: []string{"2"}}))
	if want := []float32{1, 0, 1, 0, 1, 3}; !slices.Equal(s.X, want) {
		t.Errorf("got %v, want %v", s.X, want)
	}
}

func TestNPY(t *testing.T) {
	var b bytes.Buffer
	if err := npy.Encode(&b, ints([]int{2, 2}, 1, 2, 3, 4)); err != nil {
		t.Fatal(err)
	}
	p := mustFit(t, mustCSV(t, "1,2,3\n"), regression(2, 1, engine.Data{}))
	files := map[string]string{"x.npy": b.String(), "long.npy": b.String() + "!", "short.npy": b.String()[:b.Len()-1]}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []data.Options{{FS: disk(t, files)}, {Dir: dir}} {
		table, err := data.Open("x.npy", o)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := p.Rows(table); err != nil || !slices.Equal(s.X, []float32{1, 2, 3, 4}) {
			t.Errorf("got %v, %v", s, err)
		}
		_, err = data.Open("long.npy", o)
		wantError(t, "long", err, `long.npy: there are bytes after the last element`)
		_, err = data.Open("short.npy", o)
		wantError(t, "short", err, `short.npy: the file ends inside its elements`)
	}
}

// A file of the machine is read in place, with what other arrays it has left
// alone.
func TestNPZOfTheMachine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "train.npz")
	text := npz(t, "x", floats([]int{1, 2}, 1, 2), "y", ints([]int{1}, 1), "other", ints([]int{1}, 1))
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	table, err := data.Open(name, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := prepared(t, table, classes(2, 2, engine.Data{})); !slices.Equal(s.X, []float32{1, 2}) || s.Target.Class[0] != 1 {
		t.Errorf("got %v", s)
	}
	if _, err := data.Open("train.npz?label=a", data.Options{}); err == nil || !strings.Contains(err.Error(), "chooses a column of CSV") {
		t.Errorf("a label: %v", err)
	}
}

// idx makes an IDX file of bytes.
func idx(shape []uint32, elements ...byte) string {
	b := []byte{0, 0, 8, byte(len(shape))}
	for _, d := range shape {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return string(append(b, elements...))
}

func TestIDX(t *testing.T) {
	images, labels := idx([]uint32{2, 2, 1}, 0, 255, 128, 1), idx([]uint32{2}, 3, 0)
	files := disk(t, map[string]string{
		"images.idx.gz": zipped(t, images), "labels.idx.gz": zipped(t, labels),
		"images-idx3-ubyte": images, "labels-idx1-ubyte": labels,
	})
	for _, src := range []string{"images.idx.gz,labels.idx.gz", "images-idx3-ubyte,labels-idx1-ubyte", "images-idx3-ubyte,labels.idx.gz"} {
		table, err := data.Open(src, data.Options{FS: files})
		if err != nil {
			t.Fatal(err)
		}
		s := prepared(t, table, classes(2, 4, scaled("divide", 255)))
		if !slices.Equal(s.X, []float32{0, 1, 128.0 / 255, 1.0 / 255}) || !slices.Equal(s.Target.Class, []int32{3, 0}) {
			t.Errorf("%s: %v", src, s)
		}
		p := mustFit(t, table, classes(2, 4, engine.Data{}))
		alone, err := data.Open(strings.Split(src, ",")[0], data.Options{FS: files})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := p.Rows(alone); err != nil || !slices.Equal(s.X, []float32{0, 255, 128, 1}) {
			t.Errorf("images alone: %v, %v", s, err)
		}
	}
}

func TestIDXErrors(t *testing.T) {
	images, labels := idx([]uint32{2, 2, 1}, 0, 255, 128, 1), idx([]uint32{2}, 3, 0)
	for name, c := range map[string]struct{ images, labels, want string }{
		"swapped":      {labels, images, "i.idx,l.idx: the second file does not hold labels; hint: the images come first, then the labels"},
		"rows":         {images, idx([]uint32{3}, 1, 2, 3), "i.idx,l.idx: there are 2 images, but 3 labels"},
		"empty":        {"", labels, "i.idx: ends too early; hint: the file is cut off"},
		"no IDX":       {"P5 2 2 255\n", labels, "i.idx: not an IDX file; hint: images and labels of the MNIST kind start with two zero bytes"},
		"floats":       {"\x00\x00\x0d\x01\x00\x00\x00\x01", labels, "i.idx: the IDX type 0x0d is not bytes (0x08); hint: save other arrays as .npz"},
		"dimensions":   {"\x00\x00\x08\x05", labels, "i.idx: an IDX array of 5 dimensions; 1 to 4 are read"},
		"header cut":   {images[:13], labels, "i.idx: ends too early; hint: the file is cut off"},
		"cut":          {images[:19], labels, "i.idx: the shape [2 2 1] means 4 bytes, but there are 3; hint: the file is cut off"},
		"longer":       {images + "!", labels, "i.idx: the shape [2 2 1] means 4 bytes, but there are more; hint: the file is damaged"},
		"huge":         {idx([]uint32{1 << 31, 1}), labels, "i.idx: an IDX dimension of 2147483648"},
		"wraps":        {idx([]uint32{1 << 30, 1 << 30, 1 << 30}), labels, "i.idx: x has rows of the impossible shape [1073741824 1073741824]"},
		"claims":       {idx([]uint32{1 << 30, 1 << 30}, 1), labels, "i.idx: the shape [1073741824 1073741824] means 1152921504606846976 bytes, but there are 1; hint: the file is cut off"},
		"packed bomb":  {zipped(t, idx([]uint32{2}, make([]byte, 1<<20)...)), labels, "i.idx: the shape [2] means 2 bytes, but there are more; hint: the file is damaged"},
		"packed claim": {zipped(t, idx([]uint32{1 << 30, 1 << 30}, 1)), labels, "i.idx: the shape [1073741824 1073741824] means 1152921504606846976 bytes, but there are 1; hint: the file is cut off"},
		"no width":     {idx([]uint32{5, 0}), labels, "i.idx: x has rows of the impossible shape [0]"},
	} {
		var before, after runtime.MemStats
		files := disk(t, map[string]string{"i.idx": c.images, "l.idx": c.labels})
		runtime.ReadMemStats(&before)
		_, err := data.Open("i.idx,l.idx", data.Options{FS: files})
		runtime.ReadMemStats(&after)
		wantError(t, name, err, c.want)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%s: reading took %d bytes", name, got)
		}
	}
	// A file of the machine tells its size, so that a claim is seen at once.
	dir := t.TempDir()
	for name, text := range map[string]string{"i.idx": idx([]uint32{1 << 30, 1 << 30}, 1), "l.idx": labels} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	_, err := data.Open("i.idx,l.idx", data.Options{Dir: dir})
	wantError(t, "claims", err, "i.idx: the shape [1073741824 1073741824] is more than the file's 13 bytes; hint: the file is cut off")
}
