package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// file puts a header before some bytes of tensors.
func file(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func sample() *safetensors.File {
	return &safetensors.File{
		Tensors: []safetensors.Tensor{
			{Name: "0.weight", Shape: []int{2, 3}, Data: []float32{1, -2, 3.5, 0, float32(math.Inf(1)), 1e-45}},
			{Name: "0.bias", Shape: []int{2}, Data: []float32{0.1, 0.2}},
			{Name: "empty", Shape: []int{0, 5}, Data: []float32{}},
			{Name: `odd "name" <é>`, Shape: []int{}, Data: []float32{7}},
		},
		Metadata: map[string]string{"format": "pt", "b\n": "\x01<", "a": ""},
	}
}

func encode(t testing.TB, f *safetensors.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Encode(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	b := encode(t, want)
	if !bytes.Equal(b, encode(t, want)) {
		t.Error("two encodings differ")
	}
	if n := binary.LittleEndian.Uint64(b); n%8 != 0 {
		t.Errorf("the tensors start at %d, which is not aligned", 8+n)
	}
	got, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if x := got.Tensor("0.bias"); x == nil || x.Data[1] != 0.2 {
		t.Errorf("0.bias is %v", x)
	}
	if got.Tensor("1.bias") != nil {
		t.Error("there is a tensor that is not there")
	}
}

// The largest arrays are written in pieces; the pieces must join.
func TestRoundTripOfManyPieces(t *testing.T) {
	data := make([]float32, 100_001)
	for i := range data {
		data[i] = float32(i)
	}
	f := &safetensors.File{Tensors: []safetensors.Tensor{{Name: "w", Shape: []int{len(data)}, Data: data}}}
	got, err := safetensors.Decode(encode(t, f))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f, got); d != "" {
		t.Error(d)
	}
}

// The bytes are what the format's description says, written down by hand.
func TestEncodeBytes(t *testing.T) {
	f := &safetensors.File{
		Tensors:  []safetensors.Tensor{{Name: "a", Shape: []int{1, 2}, Data: []float32{1, 2}}},
		Metadata: map[string]string{"k": "v"},
	}
	header := `{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}`
	for len(header)%8 != 0 {
		header += " "
	}
	want := file(header, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40)
	if got := encode(t, f); !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, f := range map[string]*safetensors.File{
		"a name twice":     {Tensors: []safetensors.Tensor{{Name: "a", Shape: []int{0}}, {Name: "a", Shape: []int{0}}}},
		"metadata as name": {Tensors: []safetensors.Tensor{{Name: "__metadata__", Shape: []int{0}}}},
		"short data":       {Tensors: []safetensors.Tensor{{Name: "a", Shape: []int{2}, Data: []float32{1}}}},
		"negative shape":   {Tensors: []safetensors.Tensor{{Name: "a", Shape: []int{-1}}}},
		"name not UTF-8":   {Tensors: []safetensors.Tensor{{Name: "\xff", Shape: []int{0}}}},
		"key not UTF-8":    {Metadata: map[string]string{"\xff": ""}},
		"value not UTF-8":  {Metadata: map[string]string{"": "\xff"}},
	} {
		if err := safetensors.Encode(&bytes.Buffer{}, f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// failAfter fails a write when n bytes have been written.
type failAfter struct{ n int }

func (w *failAfter) Write(b []byte) (int, error) {
	if w.n -= len(b); w.n < 0 {
		return 0, errors.New("full")
	}
	return len(b), nil
}

func TestEncodeTellsOfFailedWrites(t *testing.T) {
	f := sample()
	for n := range len(encode(t, f)) {
		if err := safetensors.Encode(&failAfter{n}, f); err == nil {
			t.Fatalf("a disk with room for %d bytes: no error", n)
		}
	}
}

func TestDecodeConverts(t *testing.T) {
	// 1.5, −2, the largest number, the smallest subnormal one, infinity.
	f16 := []byte{0x00, 0x3e, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0x00, 0x7c}
	b := file(`{"h":{"dtype":"F16","shape":[5],"data_offsets":[0,10]},`+
		`"b":{"dtype":"BF16","shape":[1],"data_offsets":[10,12]},`+
		`"d":{"dtype":"F64","shape":[1],"data_offsets":[12,20]}}`,
		append(f16, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f)...)
	f, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{1.5, -2, 65504, 1.0 / (1 << 24), float32(math.Inf(1))}
	if d := cmp.Diff(want, f.Tensor("h").Data); d != "" {
		t.Error(d)
	}
	if v := f.Tensor("b").Data[0]; v != 1.5 {
		t.Errorf("bfloat16 gave %v", v)
	}
	if v := f.Tensor("d").Data[0]; v != 1.5 {
		t.Errorf("float64 gave %v", v)
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
	f, err := safetensors.Decode(file("{"+tensor("a", "F16", "[65536]", 0, 1<<17)+"}", bits...))
	if err != nil {
		t.Fatal(err)
	}
	for h, v := range f.Tensors[0].Data {
		if w := want[h]; w == w && math.Float32bits(v) != math.Float32bits(w) || w != w && v == v {
			t.Fatalf("%#04x is %v, want %v", h, v, w)
		}
	}
}

// Headers may have spaces, escapes and any order; tensors come in the order of
// their bytes.
func TestDecodeAccepts(t *testing.T) {
	b := file(" "+`{}`, 0)
	if _, err := safetensors.Decode(b); err == nil {
		t.Error("a header that starts with a space")
	}
	b = file(`{ "\u0062" : {"data_offsets":[4,8], "shape":[ ],"dtype":"F32"} ,`+"\n"+
		`"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   `, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40)
	f, err := safetensors.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := &safetensors.File{Tensors: []safetensors.Tensor{
		{Name: "a", Shape: []int{1}, Data: []float32{1}},
		{Name: "b", Shape: []int{}, Data: []float32{2}},
	}}
	if d := cmp.Diff(want, f); d != "" {
		t.Error(d)
	}
	if f, err := safetensors.Decode(file(`{}`)); err != nil || len(f.Tensors) != 0 {
		t.Errorf("a file without tensors: %v", err)
	}
}

// tensor describes one tensor in a header.
func tensor(name, dtype, shape string, begin, end uint64) string {
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, dtype, shape, begin, end)
}

// hostile is one bad file for each rule, with a part of the message.
var hostile = map[string]struct {
	b    []byte
	want string
}{
	"empty":                  {nil, "ends inside the length"},
	"7 bytes":                {make([]byte, 7), "ends inside the length"},
	"1 GB header":            {binary.LittleEndian.AppendUint64(nil, 1<<30), "longer than the format's"},
	"huge header":            {binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "longer than the format's"},
	"header past the end":    {file(`{}`)[:9], "ends inside its header"},
	"no header":              {file(``), "does not start with '{'"},
	"pickle":                 {[]byte("\x80\x02\x00\x00\x00\x00\x00\x00" + strings.Repeat("x", 1000)), "does not start with '{'"},
	"array":                  {file(`[]`), "does not start with '{'"},
	"not UTF-8":              {file("{\"\xff\":1}"), "not UTF-8"},
	"open object":            {file(`{`), "the header ends"},
	"open string":            {file(`{"a`), "no end"},
	"escape at the end":      {file(`{"a\`), "no end"},
	"bad escape":             {file(`{"\x":1}`), "not JSON"},
	"control in a string":    {file("{\"a\nb\":1}"), "not JSON"},
	"trailing comma":         {file(`{"__metadata__":{},}`), "where a string belongs"},
	"two values":             {file(`{} {}`), "where the end belongs"},
	"zero byte after":        {file("{}\x00"), "where the end belongs"},
	"deep":                   {file(`{"a":` + strings.Repeat(`{"a":`, 100_000)), "unknown key"},
	"deep array":             {file(`{"a":{"shape":` + strings.Repeat(`[`, 100_000)), "a whole number"},
	"tensor is a number":     {file(`{"a":1}`), "where '{' belongs"},
	"metadata of numbers":    {file(`{"__metadata__":{"a":1}}`), "where a string belongs"},
	"metadata key twice":     {file(`{"__metadata__":{"a":"","a":""}}`), "twice"},
	"metadata twice":         {file(`{"__metadata__":{},"__metadata__":{}}`), "twice"},
	"name twice":             {file("{"+tensor("a", "F32", "[1]", 0, 4)+","+tensor("a", "F32", "[1]", 4, 8)+"}", make([]byte, 8)...), "twice"},
	"name twice, escaped":    {file("{"+tensor("a", "F32", "[1]", 0, 4)+","+strings.Replace(tensor("a", "F32", "[1]", 4, 8), `"a"`, `"\u0061"`, 1)+"}", make([]byte, 8)...), "twice"},
	"field twice":            {file(`{"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "twice"},
	"unknown field":          {file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}}`, 0, 0, 0, 0), "unknown key"},
	"no dtype":               {file(`{"a":{"shape":[],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "lacks"},
	"no shape":               {file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 0, 0, 0, 0), "lacks"},
	"no offsets":             {file(`{"a":{"dtype":"F32","shape":[]}}`, 0, 0, 0, 0), "lacks"},
	"one offset":             {file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[4]}}`, 0, 0, 0, 0), "lacks"},
	"three offsets":          {file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4,8]}}`, 0, 0, 0, 0), "more than 2"},
	"negative dimension":     {file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "a whole number"},
	"fraction":               {file(`{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "where ']' belongs"},
	"NaN dimension":          {file(`{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "a whole number"},
	"leading zero":           {file(`{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "starts with 0"},
	"dimension of 2^63":      {file(`{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "too large"},
	"shape that wraps to 4":  {file("{"+tensor("a", "F32", "[4194305,4194305,211106198978564]", 0, 16)+"}", make([]byte, 16)...), "impossible shape"},
	"bytes that wrap":        {file("{"+tensor("a", "F32", "[4611686018427387905]", 0, 4)+"}", 0, 0, 0, 0), "impossible shape"},
	"too many dimensions":    {file("{"+tensor("a", "F32", "["+strings.Repeat("1,", 64)+"1]", 0, 4)+"}", 0, 0, 0, 0), "more than 64"},
	"other type":             {file("{"+tensor("a", "I64", "[]", 0, 8)+"}", make([]byte, 8)...), "F32, F64, F16 and BF16"},
	"shape against offsets":  {file("{"+tensor("a", "F32", "[2]", 0, 4)+"}", 0, 0, 0, 0), "does not fit"},
	"end before begin":       {file("{"+tensor("a", "F32", "[0]", 0, 0)+","+tensor("b", "F32", "[1]", 0, 4)+","+tensor("c", "F32", "[0]", 4, 0)+"}", 0, 0, 0, 0), "does not fit"},
	"past the end":           {file("{"+tensor("a", "F32", "[2]", 0, 8)+"}", 0, 0, 0, 0), "the file holds 4 bytes"},
	"hole":                   {file("{"+tensor("a", "F32", "[1]", 0, 4)+","+tensor("b", "F32", "[1]", 8, 12)+"}", make([]byte, 12)...), "starts at 8"},
	"hole at the start":      {file("{"+tensor("a", "F32", "[1]", 4, 8)+"}", make([]byte, 8)...), "starts at 4"},
	"overlap":                {file("{"+tensor("a", "F32", "[2]", 0, 8)+","+tensor("b", "F32", "[2]", 4, 12)+"}", make([]byte, 12)...), "starts at 4"},
	"same place":             {file("{"+tensor("a", "F32", "[1]", 0, 4)+","+tensor("b", "F32", "[1]", 0, 4)+"}", 0, 0, 0, 0), "starts at 0"},
	"empty one out of place": {file("{"+tensor("a", "F32", "[2]", 0, 8)+","+tensor("b", "F32", "[0]", 4, 4)+"}", make([]byte, 8)...), "starts at 4"},
	"bytes left over":        {file("{"+tensor("a", "F32", "[1]", 0, 4)+"}", make([]byte, 5)...), "has 5 bytes"},
	"bytes without tensors":  {file(`{}`, 1), "has 1 bytes"},
	"long name":              {file(`{"`+strings.Repeat("n", 1<<20)+`":{"dtype":"F32","shape":[],"data_offsets":[0,8]}}`, make([]byte, 8)...), "…"},
}

func TestDecodeRefuses(t *testing.T) {
	for name, bad := range hostile {
		_, err := safetensors.Decode(bad.b)
		var e *safetensors.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: got %.200v, want %q", name, err, bad.want)
			continue
		}
		if e.Offset < 0 || e.Offset > int64(len(bad.b)) || len(err.Error()) > 500 {
			t.Errorf("%s: the error is at %d and has %d letters", name, e.Offset, len(err.Error()))
		}
	}
}

// Every prefix of a file is refused.
func TestDecodeRefusesPrefixes(t *testing.T) {
	b := encode(t, sample())
	for n := range b {
		if _, err := safetensors.Decode(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes make a file", n, len(b))
		}
	}
}

// A hostile header does not make the decoder ask for more memory than the file
// justifies.
func TestDecodeMemory(t *testing.T) {
	for name, bad := range hostile {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = safetensors.Decode(bad.b)
		runtime.ReadMemStats(&after)
		// Maps and messages cost some; a name is held a few times.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(8*len(bad.b)+64<<10); got > limit {
			t.Errorf("%s: %d bytes for a file of %d", name, got, len(bad.b))
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(name, encode(t, sample()), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Read(fsys.OS(), name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), f); d != "" {
		t.Error(d)
	}
	if err := os.Truncate(name, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := safetensors.Read(fsys.OS(), name); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a file cut off: %v", err)
	}
	if _, err := safetensors.Read(fsys.OS(), name+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// What is decoded can be encoded, and comes back the same.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, sample()))
	for _, bad := range hostile {
		if len(bad.b) < 10_000 {
			f.Add(bad.b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := safetensors.Decode(b)
		if err != nil {
			var e *safetensors.Error
			if !errors.As(err, &e) {
				t.Fatalf("an error of another type: %v", err)
			}
			return
		}
		once := encode(t, got)
		again, err := safetensors.Decode(once)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, encode(t, again)) {
			t.Fatal("a second round gives other bytes")
		}
	})
}
