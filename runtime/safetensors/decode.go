package safetensors

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/dnngen/dnngen/runtime/half"
)

// dtype tells how the elements of a tensor lie in the file.
type dtype struct {
	size int
	read func(b []byte) float32
}

// dtypes are the element types that are read. All become float32; F64 is
// rounded.
var dtypes = map[string]dtype{
	"F32": {4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	"F64": {8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
	"F16": {2, func(b []byte) float32 { return half.Float32(binary.LittleEndian.Uint16(b)) }},
	// A bfloat16 is the upper half of a float32.
	"BF16": {2, func(b []byte) float32 {
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
	}},
}

// Decode reads a whole file. Its errors are of type *Error. The memory that it
// asks for is bounded by the length of b.
func Decode(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, errorAt(len(b), "the file ends inside the length of its header")
	}
	length := binary.LittleEndian.Uint64(b)
	if length > maxHeader {
		return nil, errorAt(0, "a header of %d bytes is longer than the format's %d", length, maxHeader)
	}
	if length > uint64(len(b)-8) {
		return nil, errorAt(len(b), "the file ends inside its header of %d bytes", length)
	}
	data := 8 + int(length)
	if length == 0 || b[8] != '{' {
		return nil, errorAt(8, "the header does not start with '{': not a safetensors file")
	}
	if !utf8.Valid(b[8:data]) {
		return nil, errorAt(8, "the header is not UTF-8")
	}
	s := scanner{b: b[:data], pos: 8}
	entries, metadata, err := s.header()
	if err != nil {
		return nil, err
	}
	if err := checkLayout(entries, len(b)-data); err != nil {
		return nil, err
	}
	f := &File{Tensors: make([]Tensor, len(entries)), Metadata: metadata}
	for i, e := range entries {
		f.Tensors[i] = Tensor{Name: e.name, Shape: e.shape, Data: e.values(b[data:])}
	}
	return f, nil
}

// checkLayout sorts the entries by their place in the file and refuses a file
// that has a byte which belongs to no tensor or to two. size is the number of
// bytes after the header.
func checkLayout(entries []entry, size int) error {
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	next := 0
	for _, e := range entries {
		d, known := dtypes[e.dtype]
		if !known {
			return errorAt(e.at, "tensor %s is of type %s; F32, F64, F16 and BF16 are read", clip(e.name), clip(e.dtype))
		}
		n, ok := elements(e.shape)
		if !ok || n > math.MaxInt/d.size {
			return errorAt(e.at, "tensor %s has the impossible shape %v", clip(e.name), e.shape)
		}
		if e.begin != next {
			return errorAt(e.at, "tensor %s starts at %d, but the one before it ends at %d", clip(e.name), e.begin, next)
		}
		if e.end < e.begin || e.end-e.begin != n*d.size {
			return errorAt(e.at, "tensor %s of shape %v and type %s does not fit its data_offsets [%d,%d]",
				clip(e.name), e.shape, e.dtype, e.begin, e.end)
		}
		if e.end > size {
			return errorAt(e.at, "tensor %s ends at %d, but the file holds %d bytes of tensors", clip(e.name), e.end, size)
		}
		next = e.end
	}
	if next != size {
		return errorAt(0, "the file has %d bytes of tensors, but its header tells of %d", size, next)
	}
	return nil
}

// values converts the bytes of a tensor. data starts where offsets start.
func (e entry) values(data []byte) []float32 {
	d := dtypes[e.dtype]
	b := data[e.begin:e.end]
	v := make([]float32, len(b)/d.size)
	if e.dtype == "F32" {
		// The usual type, without an indirect call for each element.
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		return v
	}
	for i := range v {
		v[i] = d.read(b[i*d.size:])
	}
	return v
}

// elements multiplies the dimensions of a shape; ok is false where one is
// negative or the product does not fit an int.
func elements(shape []int) (n int, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}
