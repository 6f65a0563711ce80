package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Encode writes f. The same File gives the same bytes: metadata is sorted by
// key, and the tensors keep their order.
func Encode(w io.Writer, f *File) error {
	infos := make([]Info, len(f.Tensors))
	for i, t := range f.Tensors {
		if n, ok := elements(t.Shape); !ok || n != len(t.Data) {
			return sizeError(t.Name, t.Shape, len(t.Data))
		}
		infos[i] = Info{t.Name, t.Shape}
	}
	return Write(w, f.Metadata, infos, func(i int, put func([]float32) error) error { return put(f.Tensors[i].Data) })
}

// Write writes a file as Encode does. It asks for the values of each tensor in
// turn: pieces hands those of tensor i to put, from the first to the last, in
// pieces of any size.
func Write(w io.Writer, metadata map[string]string, tensors []Info, pieces func(i int, put func(values []float32) error) error) error {
	header, err := encodeHeader(metadata, tensors)
	if err != nil {
		return err
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(header)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	buf := make([]byte, 0, 4*mostPiece)
	for i, t := range tensors {
		have := 0
		err := pieces(i, func(values []float32) error {
			have += len(values)
			for chunk := range slices.Chunk(values, mostPiece) {
				buf = buf[:0]
				for _, v := range chunk {
					buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
				}
				if _, err := w.Write(buf); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if n, _ := elements(t.Shape); n != have {
			return sizeError(t.Name, t.Shape, have)
		}
	}
	return nil
}

func sizeError(name string, shape []int, values int) error {
	return fmt.Errorf("safetensors: tensor %q of shape %v has %d values", name, shape, values)
}

// encodeHeader returns the JSON header, padded with spaces so that the tensors
// start at a multiple of eight bytes.
func encodeHeader(metadata map[string]string, tensors []Info) ([]byte, error) {
	var h bytes.Buffer
	h.WriteByte('{')
	if len(metadata) > 0 {
		h.WriteString(`"` + metadataKey + `":{`)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				h.WriteByte(',')
			}
			if err := writeString(&h, key); err != nil {
				return nil, err
			}
			h.WriteByte(':')
			if err := writeString(&h, metadata[key]); err != nil {
				return nil, err
			}
		}
		h.WriteByte('}')
	}
	names := make(map[string]bool, len(tensors))
	offset := 0
	for i, t := range tensors {
		if names[t.Name] || t.Name == metadataKey {
			return nil, fmt.Errorf("safetensors: the name %q is taken", t.Name)
		}
		names[t.Name] = true
		size, ok := elements(t.Shape)
		if !ok || size > (math.MaxInt-offset)/4 {
			return nil, fmt.Errorf("safetensors: tensor %q has the impossible shape %v", t.Name, t.Shape)
		}
		if i > 0 || len(metadata) > 0 {
			h.WriteByte(',')
		}
		if err := writeString(&h, t.Name); err != nil {
			return nil, err
		}
		h.WriteString(`:{"dtype":"F32","shape":[`)
		for k, d := range t.Shape {
			if k > 0 {
				h.WriteByte(',')
			}
			h.WriteString(strconv.Itoa(d))
		}
		end := offset + 4*size
		fmt.Fprintf(&h, `],"data_offsets":[%d,%d]}`, offset, end)
		offset = end
	}
	h.WriteByte('}')
	for h.Len()%8 != 0 {
		h.WriteByte(' ')
	}
	if h.Len() > maxHeader {
		return nil, fmt.Errorf("safetensors: a header of %d bytes is longer than the format's %d", h.Len(), maxHeader)
	}
	return h.Bytes(), nil
}

// writeString writes s as a JSON string. A string that is not UTF-8 would come
// back changed, so it is refused.
func writeString(h *bytes.Buffer, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("safetensors: %q is not UTF-8", s)
	}
	enc := json.NewEncoder(h)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	h.Truncate(h.Len() - 1) // the newline that Encode adds
	return nil
}
