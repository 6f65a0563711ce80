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
	header, err := encodeHeader(f)
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
	buf := make([]byte, 0, 64<<10)
	for _, t := range f.Tensors {
		for chunk := range slices.Chunk(t.Data, cap(buf)/4) {
			buf = buf[:0]
			for _, v := range chunk {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// encodeHeader returns the JSON header, padded with spaces so that the tensors
// start at a multiple of eight bytes.
func encodeHeader(f *File) ([]byte, error) {
	var h bytes.Buffer
	h.WriteByte('{')
	if len(f.Metadata) > 0 {
		h.WriteString(`"` + metadataKey + `":{`)
		for i, key := range slices.Sorted(maps.Keys(f.Metadata)) {
			if i > 0 {
				h.WriteByte(',')
			}
			if err := writeString(&h, key); err != nil {
				return nil, err
			}
			h.WriteByte(':')
			if err := writeString(&h, f.Metadata[key]); err != nil {
				return nil, err
			}
		}
		h.WriteByte('}')
	}
	names := make(map[string]bool, len(f.Tensors))
	offset := 0
	for i, t := range f.Tensors {
		if names[t.Name] || t.Name == metadataKey {
			return nil, fmt.Errorf("safetensors: the name %q is taken", t.Name)
		}
		names[t.Name] = true
		if n, ok := elements(t.Shape); !ok || n != len(t.Data) {
			return nil, fmt.Errorf("safetensors: tensor %q of shape %v has %d values", t.Name, t.Shape, len(t.Data))
		}
		if i > 0 || len(f.Metadata) > 0 {
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
		end := offset + 4*len(t.Data)
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
