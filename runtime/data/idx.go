package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/dnngen/dnngen/runtime/wording"
)

// maxDeflate is the most that gzip can shrink data.
const maxDeflate = 1032

// openIDX reads the two files of MNIST and its kin: images, and their labels.
func openIDX(images, labels string, o Options) (*Table, error) {
	x, err := readIDXFile(images, o, "x")
	if err != nil {
		return nil, err
	}
	y, err := readIDXFile(labels, o, "y")
	if err != nil {
		return nil, err
	}
	t := &Table{file: images + "," + labels, x: x, y: y}
	if y.columns != 1 {
		return nil, t.errorf("the images come first, then the labels", "the second file does not hold labels")
	}
	if x.rows != y.rows {
		return nil, t.errorf("", "there are %s, but %s", wording.Count(x.rows, "image"), wording.Count(y.rows, "label"))
	}
	return t, nil
}

func readIDXFile(path string, o Options, name string) (*numeric[uint8], error) {
	f, err := openFile(path, o)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return readIDX(f, name)
}

// readImages reads images alone, for predictions.
func readImages(f *file) (*Table, error) {
	x, err := readIDX(f, "x")
	if err != nil {
		return nil, err
	}
	return &Table{file: f.name, x: x}, nil
}

// readIDX reads an array of bytes: two zero bytes, the type 8 (byte without
// sign), the number of dimensions, the dimensions in 32 bits with the most
// significant byte first, and the elements in C order. The source is LeCun's
// description of the MNIST files.
func readIDX(f *file, name string) (*numeric[uint8], error) {
	packed := bufio.NewReaderSize(f.r, 64<<10)
	var r io.Reader = packed
	limit := f.size
	if isGzip(packed) {
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, f.readError(err)
		}
		r, limit = z, -1
	}
	shape, err := f.readIDXHeader(r)
	if err != nil {
		return nil, err
	}
	rows, columns, err := f.matrix(name, shape)
	if err != nil {
		return nil, err
	}
	if rows > math.MaxInt/columns {
		return nil, f.errorf("", "the shape %v is impossible", shape)
	}
	size := int64(rows) * int64(columns)
	if limit >= 0 && size > limit {
		return nil, f.errorf("the file is cut off", "the shape %v is more than the file's %d bytes", shape, limit)
	}
	// The header bounds what is unpacked, and the memory grows with the bytes
	// that really come, so that a short file cannot claim much.
	expect := size
	if limit < 0 {
		expect = min(size, maxDeflate*f.size)
	}
	b, more, err := readAll(r, expect, size)
	if err != nil {
		return nil, f.readError(err)
	}
	if more {
		return nil, f.errorf("the file is damaged", "the shape %v means %d bytes, but there are more", shape, size)
	}
	if int64(len(b)) < size {
		return nil, f.errorf("the file is cut off", "the shape %v means %d bytes, but there are %d", shape, size, len(b))
	}
	return &numeric[uint8]{file: f.name, name: name, data: b, rows: rows, columns: columns}, nil
}

func (f *file) readIDXHeader(r io.Reader) ([]int, error) {
	var start [4]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, f.idxError(err)
	}
	if start[0] != 0 || start[1] != 0 {
		return nil, f.errorf("images and labels of the MNIST kind start with two zero bytes", "not an IDX file")
	}
	if start[2] != 8 {
		return nil, f.errorf("save other arrays as .npz", "the IDX type 0x%02x is not bytes (0x08)", start[2])
	}
	if start[3] < 1 || start[3] > 4 {
		return nil, f.errorf("", "an IDX array of %d dimensions; 1 to 4 are read", start[3])
	}
	dims := make([]byte, 4*int(start[3]))
	if _, err := io.ReadFull(r, dims); err != nil {
		return nil, f.idxError(err)
	}
	shape := make([]int, start[3])
	for i := range shape {
		shape[i] = int(binary.BigEndian.Uint32(dims[4*i:]))
		if shape[i] < 0 || shape[i] > math.MaxInt32 {
			return nil, f.errorf("", "an IDX dimension of %d", binary.BigEndian.Uint32(dims[4*i:]))
		}
	}
	return shape, nil
}

// idxError tells of a file that ends inside its header.
func (f *file) idxError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return f.readError(err)
}
