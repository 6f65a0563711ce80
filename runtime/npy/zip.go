package npy

import (
	"archive/zip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
)

// maxDeflate is the most that deflate can shrink data, and thus the most that
// a member of an archive can honestly grow.
const maxDeflate = 1032

// Zip is an opened .npz archive. Its arrays are read when they are asked for.
type Zip struct {
	members map[string]*zip.File
}

// OpenZip reads the table of contents of an .npz archive.
func OpenZip(r io.ReaderAt, size int64) (*Zip, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, errorf("not an .npz archive: %v", err)
	}
	members := make(map[string]*zip.File, len(z.File))
	var packed uint64
	for _, f := range z.File {
		name, found := strings.CutSuffix(f.Name, ".npy")
		if !found {
			return nil, errorf("the archive's member %.80q is not an .npy array", f.Name)
		}
		if members[name] != nil {
			return nil, errorf("the archive has the array %.80q twice", name)
		}
		members[name] = f
		// Members that lie over each other could unpack to more than the
		// archive's bytes justify.
		packed += f.CompressedSize64
		if packed < f.CompressedSize64 || packed > uint64(size) {
			return nil, errorf("the archive's members are together larger than the archive")
		}
		if f.UncompressedSize64/maxDeflate > f.CompressedSize64 {
			return nil, errorf("the archive's member %.80q claims %d bytes, more than %d packed ones can hold",
				f.Name, f.UncompressedSize64, f.CompressedSize64)
		}
	}
	return &Zip{members: members}, nil
}

// Names returns the arrays' names, sorted.
func (z *Zip) Names() []string {
	names := make([]string, 0, len(z.members))
	for name := range z.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Has tells whether the archive has an array of this name.
func (z *Zip) Has(name string) bool { return z.members[name] != nil }

// Array reads an array.
func (z *Zip) Array(name string) (*Array, error) { return z.read(name, Decode) }

// Floats reads an array as float32, whatever its type in the file.
func (z *Zip) Floats(name string) (*Array, error) { return z.read(name, DecodeFloat) }

func (z *Zip) read(name string, decode func(io.Reader, int64) (*Array, error)) (*Array, error) {
	f := z.members[name]
	if f == nil {
		return nil, errorf("the archive has no array %q", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, errorf("array %.80q: %v", name, err)
	}
	defer r.Close() // reading: nothing is lost when closing fails
	a, err := decode(r, int64(f.UncompressedSize64))
	if err == nil {
		err = atEnd(r)
	}
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			return nil, errorf("array %.80q: %s", name, e.Msg)
		}
		return nil, errorf("array %.80q: %v", name, err)
	}
	return a, nil
}

// atEnd reads the end of a member, where the archive's checksum is compared.
func atEnd(r io.Reader) error {
	var b [1]byte
	n, err := io.ReadFull(r, b[:])
	if n > 0 {
		return errorf("there are bytes after the last element")
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// DecodeZip reads all arrays of an .npz archive.
func DecodeZip(r io.ReaderAt, size int64) (map[string]*Array, error) {
	z, err := OpenZip(r, size)
	if err != nil {
		return nil, err
	}
	arrays := make(map[string]*Array, len(z.members))
	for _, name := range z.Names() {
		if arrays[name], err = z.Array(name); err != nil {
			return nil, err
		}
	}
	return arrays, nil
}

// EncodeZip writes an .npz archive with arrays[i] under names[i]. Members are
// stored, not packed, and have no date: the same arrays give the same bytes.
func EncodeZip(w io.Writer, names []string, arrays []*Array) error {
	if len(names) != len(arrays) {
		return errorf("%d names for %d arrays", len(names), len(arrays))
	}
	z := zip.NewWriter(w)
	for i, a := range arrays {
		if slices.Contains(names[:i], names[i]) {
			return errorf("two arrays have the name %q", names[i])
		}
		if err := addStored(z, names[i]+".npy", a); err != nil {
			return fmt.Errorf("array %q: %w", names[i], err)
		}
	}
	return z.Close()
}

// addStored writes size and checksum in front of the member, not behind it:
// small readers look for them only there. That is why the array is encoded
// twice.
func addStored(z *zip.Writer, name string, a *Array) error {
	sum := crc32.NewIEEE()
	count := &counter{w: sum}
	if err := Encode(count, a); err != nil {
		return err
	}
	m, err := z.CreateRaw(&zip.FileHeader{
		Name:               name,
		Method:             zip.Store,
		CRC32:              sum.Sum32(),
		CompressedSize64:   uint64(count.n),
		UncompressedSize64: uint64(count.n),
	})
	if err != nil {
		return err
	}
	return Encode(m, a)
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
