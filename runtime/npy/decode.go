package npy

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	"github.com/dnngen/dnngen/runtime/half"
)

// chunk is how much is read at a time, and how much memory is asked for before
// the bytes that justify it have come.
const chunk = 256 << 10

// Decode reads one .npy array. limit is the most bytes of elements that may
// follow the header, such as the size of the file: an array that claims more is
// refused before memory is asked for. Memory grows with what was really read,
// so a limit that is too high does no harm.
func Decode(r io.Reader, limit int64) (*Array, error) { return decode(r, limit, false) }

// DecodeFloat is Decode, but gives every array as float32. Images stored as
// bytes so take half of the memory that they would as int64.
func DecodeFloat(r io.Reader, limit int64) (*Array, error) { return decode(r, limit, true) }

func decode(r io.Reader, limit int64, float bool) (*Array, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	n, ok := elements(h.shape, limit/int64(h.dtype.size))
	if !ok {
		return nil, errorf("shape %v of type %s is more than the %d bytes that are here", h.shape, h.dtype, limit)
	}
	if n > math.MaxInt/8 {
		return nil, errorf("shape %v is more than this machine can address", h.shape)
	}
	a := &Array{Shape: h.shape}
	if float || h.dtype.float() {
		a.Float, err = values(r, int(n), h.dtype.size, h.dtype.floats)
	} else {
		a.Int, err = values(r, int(n), h.dtype.size, h.dtype.ints)
	}
	if err != nil {
		return nil, err
	}
	if h.fortran && len(h.shape) > 1 {
		if a.Float != nil {
			a.Float = transpose(a.Float, h.shape)
		} else {
			a.Int = transpose(a.Int, h.shape)
		}
	}
	return a, nil
}

// values reads n elements, chunk by chunk, and converts each chunk.
func values[T any](r io.Reader, n, size int, convert func(dst []T, b []byte) error) ([]T, error) {
	buf := make([]byte, min(n*size, chunk/size*size))
	v := make([]T, 0, min(n, chunk))
	for len(v) < n {
		m := min(n-len(v), len(buf)/size)
		if _, err := io.ReadFull(r, buf[:m*size]); err != nil {
			return nil, short(err, "its elements")
		}
		if cap(v)-len(v) < m {
			// Doubling stops at n, so that a large array is not held in a
			// slice with half of its room empty.
			v = slices.Grow(v, max(m, min(len(v), n-len(v))))
		}
		v = v[:len(v)+m]
		if err := convert(v[len(v)-m:], buf[:m*size]); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (d dtype) String() string {
	order := "<"
	switch {
	case d.size == 1:
		order = "|"
	case d.big:
		order = ">"
	}
	return order + string(rune(d.kind)) + string(rune('0'+d.size))
}

// word reads an element as it lies in the file, without its meaning.
func (d dtype) word(b []byte) uint64 {
	var order binary.ByteOrder = binary.LittleEndian
	if d.big {
		order = binary.BigEndian
	}
	switch d.size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(order.Uint16(b))
	case 4:
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

// int reads an element that is not floating point.
func (d dtype) int(b []byte) (int64, error) {
	w := d.word(b)
	switch d.kind {
	case 'i':
		unused := 64 - 8*d.size
		return int64(w<<unused) >> unused, nil
	case 'b':
		if w > 1 {
			return 0, errorf("a boolean has the byte %d", w)
		}
	}
	if w > math.MaxInt64 {
		return 0, errorf("the number %d does not fit 64 bits with a sign", w)
	}
	return int64(w), nil
}

func (d dtype) ints(dst []int64, b []byte) error {
	for i := range dst {
		v, err := d.int(b[i*d.size:])
		if err != nil {
			return err
		}
		dst[i] = v
	}
	return nil
}

// floats converts elements of any kind to float32.
func (d dtype) floats(dst []float32, b []byte) error {
	switch {
	case d.kind == 'f' && d.size == 4 && !d.big:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case d.kind == 'u' && d.size == 1:
		for i := range dst {
			dst[i] = float32(b[i])
		}
	case d.kind == 'f':
		for i := range dst {
			dst[i] = d.float32(b[i*d.size:])
		}
	default:
		for i := range dst {
			v, err := d.int(b[i*d.size:])
			if err != nil {
				return err
			}
			dst[i] = float32(v)
		}
	}
	return nil
}

func (d dtype) float32(b []byte) float32 {
	w := d.word(b)
	switch d.size {
	case 2:
		return half.Float32(uint16(w))
	case 4:
		return math.Float32frombits(uint32(w))
	}
	return float32(math.Float64frombits(w))
}

// transpose turns an array in Fortran order, whose first index runs fastest,
// into C order.
func transpose[T any](src []T, shape []int) []T {
	dst := make([]T, len(src))
	// strides[k] is how far apart neighbours along dimension k are in src.
	strides := make([]int, len(shape))
	step := 1
	for k, d := range shape {
		strides[k] = step
		step *= d
	}
	index := make([]int, len(shape))
	from := 0
	for to := range dst {
		dst[to] = src[from]
		for k := len(shape) - 1; k >= 0; k-- {
			index[k]++
			from += strides[k]
			if index[k] < shape[k] {
				break
			}
			from -= shape[k] * strides[k]
			index[k] = 0
		}
	}
	return dst
}
