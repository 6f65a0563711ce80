package npy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/npy"
)

// array puts a header of version 1 before some bytes of elements.
func array(header string, data ...byte) []byte {
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	return append(append(b, header...), data...)
}

func encode(t testing.TB, a *npy.Array) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := npy.Encode(&b, a); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(b []byte) (*npy.Array, error) {
	return npy.Decode(bytes.NewReader(b), int64(len(b)))
}

func openZip(t testing.TB, name string) *npy.Zip {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := npy.OpenZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// NumPy wrote the numbers −6 to 5 in each of its types, quarters of them where
// the type is floating point, 0 to 11 where it has no sign.
func TestReadsWhatNumPyWrites(t *testing.T) {
	z := openZip(t, "testdata/kinds.npz")
	var ints, naturals, above []int64
	var quarters, floats, cube []float32
	for i := range 12 {
		v := int64(i - 6)
		ints = append(ints, v)
		naturals = append(naturals, int64(i))
		quarters = append(quarters, float32(v)/4)
		floats = append(floats, float32(v))
		above = append(above, map[bool]int64{true: 1}[v > 0])
	}
	for i := range 24 {
		cube = append(cube, float32(i))
	}
	matrix := []int{3, 4}
	want := map[string]*npy.Array{
		"f2": {Shape: matrix, Float: quarters}, "f4": {Shape: matrix, Float: quarters},
		"f8": {Shape: matrix, Float: quarters}, "f4_big": {Shape: matrix, Float: quarters},
		"i1": {Shape: matrix, Int: ints}, "i2": {Shape: matrix, Int: ints},
		"i4": {Shape: matrix, Int: ints}, "i8": {Shape: matrix, Int: ints}, "i8_big": {Shape: matrix, Int: ints},
		"u1": {Shape: matrix, Int: naturals}, "u2": {Shape: matrix, Int: naturals},
		"u4": {Shape: matrix, Int: naturals}, "u8": {Shape: matrix, Int: naturals},
		"b1":      {Shape: matrix, Int: above},
		"fortran": {Shape: matrix, Float: floats},
		"cube":    {Shape: []int{2, 3, 4}, Float: cube},
		"scalar":  {Shape: []int{}, Float: []float32{2.5}},
		"empty":   {Shape: []int{0, 3}, Float: []float32{}},
		"row":     {Shape: []int{3}, Int: []int64{0, 1, 2}},
	}
	got := map[string]*npy.Array{}
	for _, name := range z.Names() {
		a, err := z.Array(name)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = a
		f, err := z.Floats(name)
		if err != nil {
			t.Fatal(err)
		}
		if f.Len() != a.Len() || f.Int != nil {
			t.Errorf("%s as float32 has %d elements, not %d", name, f.Len(), a.Len())
		}
		for i, v := range a.Int {
			if f.Float[i] != float32(v) {
				t.Errorf("%s as float32 has %v for %d", name, f.Float[i], v)
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReadsPackedArchives(t *testing.T) {
	z := openZip(t, "testdata/packed.npz")
	x, err := z.Array("x")
	if err != nil || !slices.Equal(x.Shape, []int{200, 30}) || slices.ContainsFunc(x.Float, func(v float32) bool { return v != 0 }) {
		t.Errorf("x: %v", err)
	}
	y, err := z.Array("y")
	if err != nil || y.Int[199] != 199 {
		t.Errorf("y: %v", err)
	}
}

func TestRefusesWhatIsNoNumber(t *testing.T) {
	z := openZip(t, "testdata/refused.npz")
	for name, want := range map[string]string{
		"text": `array "text": the header has the type "<U1"`, "objects": `type "|O"`, "complex": `type "<c8"`,
		"record": "describes records", "huge": "does not fit", "none": "no array",
	} {
		if _, err := z.Array(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	long := make([]float32, 300_001) // several pieces
	for i := range long {
		long[i] = float32(i)
	}
	for _, a := range []*npy.Array{
		{Shape: []int{2, 2}, Float: []float32{1, float32(math.Inf(-1)), 1e-45, -0.5}},
		{Shape: []int{3}, Int: []int64{math.MinInt64, 0, math.MaxInt64}},
		{Shape: []int{}, Float: []float32{3}},
		{Shape: []int{0}, Int: []int64{}},
		{Shape: []int{4, 0, 2}, Float: []float32{}},
		{Shape: []int{len(long)}, Float: long},
	} {
		b := encode(t, a)
		if start := bytes.IndexByte(b, '\n') + 1; start%64 != 0 {
			t.Errorf("shape %v: the elements start at %d", a.Shape, start)
		}
		got, err := decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, got); d != "" {
			t.Error(d)
		}
	}
}

func TestEncodeBytes(t *testing.T) {
	got := encode(t, &npy.Array{Shape: []int{2}, Float: []float32{1, 2}})
	text := "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
	want := array(text+strings.Repeat(" ", 117-len(text))+"\n", 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, a := range map[string]*npy.Array{
		"both":      {Shape: []int{1}, Float: []float32{1}, Int: []int64{1}},
		"short":     {Shape: []int{2}, Float: []float32{1}},
		"negative":  {Shape: []int{-1}},
		"dimension": {Shape: slices.Repeat([]int{1}, 65), Int: []int64{1}},
	} {
		if err := npy.Encode(io.Discard, a); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := npy.EncodeZip(io.Discard, []string{"a"}, []*npy.Array{a}); err == nil {
			t.Errorf("%s: no error in an archive", name)
		}
	}
}

const vector = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"

var bad = map[string]struct {
	b    []byte
	want string
}{
	"empty":            {nil, "ends inside its first eight bytes"},
	"other":            {[]byte("PK\x03\x04 and more"), "not an .npy file"},
	"version":          {[]byte("\x93NUMPY\x09\x00"), "version 9.0"},
	"no length":        {[]byte("\x93NUMPY\x01\x00\x01"), "length of its header"},
	"no long length":   {[]byte("\x93NUMPY\x02\x00\x01"), "length of its header"},
	"1 GB header":      {binary.LittleEndian.AppendUint32([]byte("\x93NUMPY\x02\x00"), 1<<30), "longer than"},
	"header cut":       {array(vector)[:30], "ends inside its header"},
	"elements cut":     {array(vector, 0, 0, 0), "ends inside its elements"},
	"no dictionary":    {array("import os"), `lacks "{"`},
	"call":             {array("{'descr': os.system('x')}"), "lacks a string"},
	"key twice":        {array("{'descr': '<f4', 'descr': '<f4', 'shape': ()}"), "twice"},
	"unknown key":      {array("{'a': 1}"), "unknown key"},
	"key missing":      {array("{'descr': '<f4', 'shape': ()}"), "lacks one of"},
	"goes on":          {array(vector+"x", 0, 0, 0, 0), "goes on"},
	"no comma":         {array("{'descr': '<f4' 'shape': ()}"), `lacks "}"`},
	"open string":      {array("{'descr"), "does not end"},
	"escape":           {array(`{'\x64escr': '<f4'}`), "an escape"},
	"boolean":          {array("{'fortran_order': 1}"), "lacks True or False"},
	"shape is a list":  {array("{'shape': [1]}"), `lacks "("`},
	"negative":         {array("{'shape': (-1,)}"), "lacks a dimension"},
	"2^63":             {array("{'shape': (9223372036854775808,)}"), "lacks a dimension"},
	"wraps":            {array("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }"), "more than the"},
	"wraps with sizes": {array("{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693953,), }"), "more than the"},
	"many dimensions":  {array("{'shape': (" + strings.Repeat("1,", 65) + ")}"), "more than 64"},
	"no dtype":         {array("{'descr': 4}"), "lacks a string"},
	"byte order":       {array("{'descr': '|f4'}"), "has the type"},
	"size":             {array("{'descr': '<f9'}"), "has the type"},
	"records":          {array("{'descr': [('a', '<f4')]}"), "records"},
	"boolean of 2":     {array("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", 2), "a boolean has the byte 2"},
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range bad {
		_, err := decode(c.b)
		var e *npy.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	b := encode(t, &npy.Array{Shape: []int{3, 4}, Float: make([]float32, 12)})
	for n := range b {
		if _, err := decode(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes make an array", n, len(b))
		}
		// The same from a pipe, whose length nobody knows.
		if _, err := npy.Decode(bytes.NewReader(b[:n]), math.MaxInt64); err == nil {
			t.Fatalf("a pipe of %d bytes makes an array", n)
		}
	}
}

func TestVersions2And3(t *testing.T) {
	for _, version := range []byte{2, 3} {
		b := append([]byte("\x93NUMPY"), version, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(vector)))
		b = append(append(b, vector...), 0, 0, 0x80, 0x3f)
		if a, err := decode(b); err != nil || a.Float[0] != 1 {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// A header that claims much, before few bytes, costs little.
func TestDecodeMemory(t *testing.T) {
	b := array("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000), }", make([]byte, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := npy.Decode(bytes.NewReader(b), math.MaxInt64)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("no error")
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes for an array cut off", got)
	}
}

// All 65,536 half-precision numbers, by the formula of the standard in float64.
func TestHalf(t *testing.T) {
	var bits []byte
	var want []float32
	for h := range 1 << 16 {
		bits = binary.LittleEndian.AppendUint16(bits, uint16(h))
		sign, exponent, fraction := 1.0, h>>10&0x1f, float64(h&0x3ff)
		if h>>15 == 1 {
			sign = -1
		}
		v := sign * math.Ldexp(1+fraction/1024, exponent-15)
		switch {
		case exponent == 0:
			v = math.Copysign(math.Ldexp(fraction, -24), sign)
		case exponent == 0x1f && fraction == 0:
			v = math.Inf(int(sign))
		case exponent == 0x1f:
			v = math.NaN()
		}
		want = append(want, float32(v))
	}
	a, err := decode(array("{'descr': '<f2', 'fortran_order': False, 'shape': (65536,), }", bits...))
	if err != nil {
		t.Fatal(err)
	}
	for h, v := range a.Float {
		if w := want[h]; w == w && math.Float32bits(v) != math.Float32bits(w) || w != w && v == v {
			t.Fatalf("%#04x is %v, want %v", h, v, w)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(array(vector, 0, 0, 0x80, 0x3f))
	f.Add(encode(f, &npy.Array{Shape: []int{2, 3}, Int: make([]int64, 6)}))
	f.Add(array("{'descr': '>f8', 'fortran_order': True, 'shape': (2, 1), }", make([]byte, 16)...))
	for _, c := range bad {
		f.Add(c.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decode(b)
		floats, floatErr := npy.DecodeFloat(bytes.NewReader(b), int64(len(b)))
		if (err == nil) != (floatErr == nil) {
			t.Fatalf("Decode says %v, DecodeFloat %v", err, floatErr)
		}
		if err != nil {
			var e *npy.Error
			if !errors.As(err, &e) {
				t.Fatalf("an error of another type: %v", err)
			}
			return
		}
		if floats.Len() != a.Len() || a.Len() > len(b) {
			t.Fatalf("%d elements, %d as float32, of %d bytes", a.Len(), floats.Len(), len(b))
		}
		if len(a.Shape) > 64 {
			t.Fatal("too many dimensions")
		}
		once := encode(t, a)
		again, err := decode(once)
		if err != nil || !bytes.Equal(once, encode(t, again)) {
			t.Fatalf("a second round gives other bytes, %v", err)
		}
	})
}
