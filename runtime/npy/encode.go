package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Encode writes a as .npy: float32 for Float, int64 for Int.
func Encode(w io.Writer, a *Array) error {
	header, err := encodeHeader(a)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	if a.Float != nil {
		return writeChunks(w, a.Float, func(b []byte, v float32) []byte {
			return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		})
	}
	return writeChunks(w, a.Int, func(b []byte, v int64) []byte {
		return binary.LittleEndian.AppendUint64(b, uint64(v))
	})
}

func writeChunks[T any](w io.Writer, values []T, appendTo func([]byte, T) []byte) error {
	const size = 8 // at most
	buf := make([]byte, 0, min(chunk, size*len(values)))
	for part := range slices.Chunk(values, chunk/size) {
		buf = buf[:0]
		for _, v := range part {
			buf = appendTo(buf, v)
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// encodeHeader writes version 1 of the header. The elements start at a multiple
// of 64 bytes, as NumPy has it.
func encodeHeader(a *Array) ([]byte, error) {
	if a.Float != nil && a.Int != nil {
		return nil, errorf("an array is of float32 or of int64, not of both")
	}
	descr, size := "<f4", int64(4)
	if a.Float == nil {
		descr, size = "<i8", 8
	}
	if n, ok := elements(a.Shape, math.MaxInt64/size); !ok || n != int64(a.Len()) || len(a.Shape) > maxDims {
		return nil, errorf("an array of shape %v has %d elements", a.Shape, a.Len())
	}
	var shape strings.Builder
	for _, d := range a.Shape {
		fmt.Fprintf(&shape, "%d, ", d)
	}
	dims := shape.String()
	if len(a.Shape) != 1 {
		dims = strings.TrimSuffix(dims, ", ")
	} else {
		dims = strings.TrimSuffix(dims, " ") // a tuple of one keeps its comma
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims)
	const before = len(magic) + 2 + 2
	padding := 63 - (before+len(text))%64
	text += strings.Repeat(" ", padding) + "\n"
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...), nil
}
