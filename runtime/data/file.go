package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// maxGrowth is how much larger than its packed form a text may be. Tables
// shrink to a third or a tenth; a file that grows a hundred times more was made
// to fill the memory.
const maxGrowth = 256

// file is an opened source.
type file struct {
	name string
	r    io.ReadCloser
	size int64 // −1 where it is not known
}

func newFile(name string, r io.ReadCloser) *file {
	f := &file{name: name, r: r, size: -1}
	if s, ok := r.(interface{ Stat() (fs.FileInfo, error) }); ok {
		if info, err := s.Stat(); err == nil && info.Mode().IsRegular() {
			f.size = info.Size()
		}
	}
	return f
}

// close closes a file that was read; nothing is lost when that fails.
func (f *file) close() { _ = f.r.Close() }

func (f *file) errorf(hint, format string, args ...any) *Error {
	return &Error{File: f.name, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

func (f *file) readError(err error) *Error {
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return f.errorf("the file is damaged", "cannot be unpacked: %v", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return f.errorf("the file is cut off", "ends too early")
	}
	return f.errorf("", "cannot be read: %s", cause(err))
}

// readAll reads all of r, at most limit bytes. more tells that r goes on. size
// is how much to expect, or −1.
func readAll(r io.Reader, size, limit int64) (b []byte, more bool, err error) {
	const most = 1 << 30 // a size is believed up to here before the bytes come
	buf := bytes.NewBuffer(make([]byte, 0, min(max(size, 0), limit, most)+bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, false, err
	}
	return buf.Bytes()[:min(n, limit)], n > limit, nil
}

// isGzip looks at the first bytes.
func isGzip(r *bufio.Reader) bool {
	start, err := r.Peek(2)
	return err == nil && start[0] == 0x1f && start[1] == 0x8b
}

// readText reads a CSV file, packed by gzip or not.
func readText(f *file) (*Table, error) {
	r := bufio.NewReaderSize(f.r, 64<<10)
	limit := int64(maxText)
	packed := &countingReader{r: r}
	var source io.Reader = r
	size := f.size
	if isGzip(r) {
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, f.readError(err)
		}
		source, size = &boundedGrowth{r: z, packed: packed}, -1
	}
	b, more, err := readAll(source, size, limit)
	if errors.Is(err, errGrowth) {
		return nil, f.errorf("unpack it first if this is meant", "the file unpacks to more than %d times its size", maxGrowth)
	}
	if err != nil {
		return nil, f.readError(err)
	}
	if more {
		return nil, f.errorf("save it as .npz", "the text is longer than %d bytes", limit)
	}
	return readCSV(f.name, b)
}

// readStdin reads CSV from standard input.
func readStdin(r io.Reader) (*Table, error) {
	if r == nil {
		return nil, &Error{File: "-", Msg: "standard input is no source here", cause: fs.ErrNotExist}
	}
	return readText(&file{name: "-", r: io.NopCloser(r), size: -1})
}

// countingReader counts what was read. It is an io.ByteReader, so that gzip
// reads no further than it needs.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

var errGrowth = errors.New("unpacks to too much")

// boundedGrowth stops where what was unpacked is out of proportion.
type boundedGrowth struct {
	r      io.Reader
	packed *countingReader
	n      int64
}

func (g *boundedGrowth) Read(b []byte) (int, error) {
	const free = 1 << 20 // small files may grow as they like
	n, err := g.r.Read(b)
	g.n += int64(n)
	if g.n > free+maxGrowth*g.packed.n {
		return 0, errGrowth
	}
	return n, err
}
