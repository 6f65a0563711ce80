// Package safetensors reads and writes model parameters in the safetensors
// format: eight bytes that hold the length of a JSON header, the header, and
// the tensors' bytes without a gap.
//
// Reading is strict, because a file that two readers can understand in two
// ways is a trap: names are unique, the tensors fill the file from the first
// byte to the last in the order of their offsets, and every size is checked
// before memory is asked for.
//
// A file is read and written in pieces, by Open and Write, or as a whole, by
// Decode and Encode.
package safetensors

import (
	"fmt"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// Info is what a file tells of a tensor before its values.
type Info struct {
	Name  string
	Shape []int // empty for a scalar
}

// mostPiece is the number of values that are read or written at a time.
const mostPiece = 1 << 16

// Tensor is a named array, row-major.
type Tensor struct {
	Name  string
	Shape []int // empty for a scalar
	Data  []float32
}

// File is the content of a safetensors file. Decode gives the tensors in the
// order in which their bytes lie in the file, and Encode writes them in the
// order given.
type File struct {
	Tensors  []Tensor
	Metadata map[string]string
}

// Tensor returns the tensor of the given name, or nil.
func (f *File) Tensor(name string) *Tensor {
	for i := range f.Tensors {
		if f.Tensors[i].Name == name {
			return &f.Tensors[i]
		}
	}
	return nil
}

// Error says what is wrong with the bytes of a file, and where.
type Error struct {
	Offset int64 // counted from 0
	Msg    string
}

func (e *Error) Error() string {
	return fmt.Sprintf("safetensors: byte %d: %s", e.Offset, e.Msg)
}

func errorAt(offset int, format string, args ...any) error {
	return &Error{Offset: int64(offset), Msg: fmt.Sprintf(format, args...)}
}

// Read reads the file name. An error that Decode finds names the file.
func Read(files fsys.FS, name string) (*File, error) {
	b, err := fsys.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	f, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}
