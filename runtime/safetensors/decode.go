package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
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
	r, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	f := &File{Tensors: make([]Tensor, len(r.Tensors)), Metadata: r.Metadata}
	for i, t := range r.Tensors {
		n, _ := elements(t.Shape)
		data := make([]float32, n)
		err := r.Pieces(i, func(first int, values []float32) error {
			copy(data[first:], values)
			return nil
		})
		if err != nil {
			return nil, err
		}
		f.Tensors[i] = Tensor{Name: t.Name, Shape: t.Shape, Data: data}
	}
	return f, nil
}

// Reader reads the tensors of a file in pieces. It is used by one goroutine at
// a time.
type Reader struct {
	Tensors  []Info // in the order in which their bytes lie in the file
	Metadata map[string]string

	file    io.ReaderAt
	data    int64 // where the tensors' bytes start
	entries []entry
	values  []float32 // a piece, and its bytes
	bytes   []byte
}

// Open reads the header of a file of size bytes. Its errors are those of file,
// and of type *Error.
func Open(file io.ReaderAt, size int64) (*Reader, error) {
	var first [8]byte
	if size < int64(len(first)) {
		return nil, errorAt(int(size), "the file ends inside the length of its header")
	}
	if err := readAt(file, first[:], 0); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(first[:])
	if length > maxHeader {
		return nil, errorAt(0, "a header of %d bytes is longer than the format's %d", length, maxHeader)
	}
	if int64(length) > size-8 {
		return nil, errorAt(int(size), "the file ends inside its header of %d bytes", length)
	}
	b := make([]byte, 8+length)
	if err := readAt(file, b, 0); err != nil {
		return nil, err
	}
	if length == 0 || b[8] != '{' {
		return nil, errorAt(8, "the header does not start with '{': not a safetensors file")
	}
	if !utf8.Valid(b[8:]) {
		return nil, errorAt(8, "the header is not UTF-8")
	}
	s := scanner{b: b, pos: 8}
	entries, metadata, err := s.header()
	if err != nil {
		return nil, err
	}
	if err := checkLayout(entries, int(size)-len(b)); err != nil {
		return nil, err
	}
	r := &Reader{Metadata: metadata, file: file, data: int64(len(b)), entries: entries}
	for _, e := range entries {
		r.Tensors = append(r.Tensors, Info{e.name, e.shape})
	}
	return r, nil
}

// readAt fills b from a file that has shrunk where it ends before.
func readAt(file io.ReaderAt, b []byte, at int64) error {
	n, err := file.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return errorAt(int(at)+n, "the file ends while it is read")
	}
	return err
}

// Pieces hands the values of tensor i to f, from the first to the last, in
// pieces that are valid until f returns.
func (r *Reader) Pieces(i int, f func(first int, values []float32) error) error {
	e := r.entries[i]
	d := dtypes[e.dtype]
	count := (e.end - e.begin) / d.size
	r.values = slices.Grow(r.values[:0], min(count, mostPiece))
	r.bytes = slices.Grow(r.bytes[:0], d.size*min(count, mostPiece))
	for first := 0; first < count; first += mostPiece {
		n := min(mostPiece, count-first)
		b, values := r.bytes[:d.size*n], r.values[:n]
		if err := readAt(r.file, b, r.data+int64(e.begin+d.size*first)); err != nil {
			return err
		}
		convert(values, b, e.dtype)
		if err := f(first, values); err != nil {
			return err
		}
	}
	return nil
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

// convert converts the bytes of as many elements as v holds.
func convert(v []float32, b []byte, name string) {
	if name == "F32" {
		// The usual type, without an indirect call for each element.
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		return
	}
	d := dtypes[name]
	for i := range v {
		v[i] = d.read(b[i*d.size:])
	}
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
