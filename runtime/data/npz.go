package data

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"

	"github.com/dnngen/dnngen/runtime/npy"
	"github.com/dnngen/dnngen/runtime/wording"
)

// readNPZ reads x and, where it is there, y.
func readNPZ(f *file) (*Table, error) {
	r, size, err := f.random()
	if err != nil {
		return nil, err
	}
	z, err := npy.OpenZip(r, size)
	if err != nil {
		return nil, f.arrayError(err)
	}
	if !z.Has("x") {
		return nil, f.errorf("save it by numpy.savez(file, x=…, y=…)",
			"there is no array x; the arrays are %s", listOf(z.Names()))
	}
	x, err := z.Floats("x")
	if err != nil {
		return nil, f.arrayError(err)
	}
	t := &Table{file: f.name}
	if t.x, err = f.floatGrid("x", x); err != nil || !z.Has("y") {
		return t, err
	}
	y, err := z.Array("y")
	if err != nil {
		return nil, f.arrayError(err)
	}
	if y.Float != nil {
		t.y, err = f.floatGrid("y", y)
	} else {
		t.y, err = f.intGrid("y", y)
	}
	if err != nil {
		return nil, err
	}
	rows, _ := t.x.size()
	if have, _ := t.y.size(); have != rows {
		return nil, f.errorf("", "x has %s, but y has %d", wording.Count(rows, "row"), have)
	}
	return t, nil
}

// readNPY reads an array of features.
func readNPY(f *file) (*Table, error) {
	limit := f.size
	if limit < 0 {
		limit = math.MaxInt64
	}
	r := bufio.NewReaderSize(f.r, 64<<10)
	x, err := npy.DecodeFloat(r, limit)
	if err != nil {
		return nil, f.arrayError(err)
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			return nil, f.errorf("", "there are bytes after the last element")
		}
		return nil, f.readError(err)
	}
	t := &Table{file: f.name}
	t.x, err = f.floatGrid("x", x)
	return t, err
}

// random gives access to any place of the file. Files of the machine are read
// where they are, others are taken into memory.
func (f *file) random() (io.ReaderAt, int64, error) {
	if r, ok := f.r.(io.ReaderAt); ok && f.size >= 0 {
		return r, f.size, nil
	}
	b, _, err := readAll(f.r, f.size, math.MaxInt64-1)
	if err != nil {
		return nil, 0, f.readError(err)
	}
	return bytes.NewReader(b), int64(len(b)), nil
}

func (f *file) arrayError(err error) error {
	var e *npy.Error
	if !errors.As(err, &e) {
		return f.readError(err)
	}
	hint := ""
	if strings.Contains(e.Msg, "has the type") {
		hint = "save numbers: y of text needs to become the classes 0, 1, …"
	}
	return f.errorf(hint, "%s", e.Msg)
}

func (f *file) floatGrid(name string, a *npy.Array) (grid, error) {
	rows, columns, err := f.matrix(name, a.Shape)
	if err != nil {
		return nil, err
	}
	return &numeric[float32]{file: f.name, name: name, data: a.Float, rows: rows, columns: columns}, nil
}

func (f *file) intGrid(name string, a *npy.Array) (grid, error) {
	rows, columns, err := f.matrix(name, a.Shape)
	if err != nil {
		return nil, err
	}
	return &numeric[int64]{file: f.name, name: name, data: a.Int, rows: rows, columns: columns}, nil
}

// matrix reads a shape as rows and columns. All dimensions after the first
// belong to a row, so that images may keep their height and width.
func (f *file) matrix(name string, shape []int) (rows, columns int, _ error) {
	if len(shape) == 0 {
		return 0, 0, f.errorf("the shape needs to be [rows, columns]", "%s is a single number", name)
	}
	columns = 1
	for _, d := range shape[1:] {
		if d == 0 || columns > math.MaxInt32/d {
			return 0, 0, f.errorf("", "%s has rows of the impossible shape %v", name, shape[1:])
		}
		columns *= d
	}
	if shape[0] > math.MaxInt32 {
		return 0, 0, f.errorf("", "%s has more than %d rows", name, math.MaxInt32)
	}
	return shape[0], columns, nil
}
