package fsys

import (
	"bytes"
	"io"
	"io/fs"
)

// Random is a file opened for reading at any place. What it reads stays that
// file, also where another one takes its name.
type Random struct {
	io.ReaderAt
	size  int64
	close func() error
}

// OpenRandom opens a file for reading at any place.
func OpenRandom(fsys FS, name string) (*Random, error) {
	r, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	return NewRandom(r)
}

// NewRandom makes an opened file one that is read at any place, and closes it
// where that fails. A pipe, or another file that can only be read from its
// start, is read into memory.
func NewRandom(r io.ReadCloser) (*Random, error) {
	if at, size, ok := readerAt(r); ok {
		return &Random{ReaderAt: at, size: size, close: r.Close}, nil
	}
	b, err := io.ReadAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	return RandomBytes(b), nil
}

// RandomBytes is a file that lies in memory.
func RandomBytes(b []byte) *Random {
	return &Random{ReaderAt: bytes.NewReader(b), size: int64(len(b)), close: func() error { return nil }}
}

func readerAt(r io.Reader) (at io.ReaderAt, size int64, ok bool) {
	s, ok := r.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return nil, 0, false
	}
	info, err := s.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, false
	}
	at, ok = r.(io.ReaderAt)
	return at, info.Size(), ok
}

// Size returns the number of bytes that the file had when it was opened.
func (r *Random) Size() int64 { return r.size }

// Close closes the file.
func (r *Random) Close() error { return r.close() }
