package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
)

// Checkpoint is a checkpoint that was found whole. Its tensors stay in the file,
// from which they are read in pieces, until Close.
type Checkpoint struct {
	Meta    Meta
	file    *fsys.Random
	name    string
	tensors []tensor
	at      []int64 // where the bytes of each tensor start

	values []float32 // a piece, and its bytes
	bytes  []byte
}

// ReadCheckpoint opens a checkpoint file. A file that is not whole gives a
// *Corrupt.
func ReadCheckpoint(files fsys.FS, name string) (*Checkpoint, error) {
	file, err := fsys.OpenRandom(files, name)
	if err != nil {
		return nil, err
	}
	return openCheckpoint(file, name)
}

// openCheckpoint reads a checkpoint, and closes the file where it is none.
func openCheckpoint(file *fsys.Random, name string) (*Checkpoint, error) {
	c, err := decode(file)
	if err != nil {
		var bad *Corrupt
		if errors.As(err, &bad) {
			bad.File = name
		}
		// What is wrong with the file counts more than that it does not close.
		_ = file.Close()
		return nil, err
	}
	c.name = name
	return c, nil
}

// Load opens the directory's checkpoint.
func (d *Dir) Load() (*Checkpoint, error) { return ReadCheckpoint(d.fs, d.file(CheckpointFile)) }

// Close closes the file.
func (c *Checkpoint) Close() error { return c.file.Close() }

// isCheckpoint tells by its first bytes whether a file is meant to be a
// checkpoint.
func isCheckpoint(file io.ReaderAt) bool {
	start := make([]byte, len(magic))
	n, _ := file.ReadAt(start, 0) // what cannot be read is found by who reads it
	return n == len(magic) && string(start) == magic
}

func corrupt(offset int64, format string, args ...any) *Corrupt {
	return &Corrupt{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// readAt fills b; a file that ends before has changed since it was opened.
func readAt(file io.ReaderAt, b []byte, at int64) error {
	n, err := file.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return corrupt(at+int64(n), "the file ends while it is read")
	}
	return err
}

// decode takes a checkpoint apart. Nothing of it is believed before the sum
// over all of it has been found right, and no memory is asked for by what it
// says of itself.
func decode(file *fsys.Random) (*Checkpoint, error) {
	size := file.Size()
	fixed := make([]byte, min(headerAt, size))
	if err := readAt(file, fixed, 0); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(fixed, []byte(magic)[:min(len(fixed), len(magic))]) {
		return nil, corrupt(0, "this is no checkpoint")
	}
	if size < headerAt+sumSize {
		return nil, corrupt(size, "the file is cut off: it ends before the header")
	}
	if v := binary.LittleEndian.Uint32(fixed[8:]); v != version {
		return nil, corrupt(8, "format version %d is not known; this program reads version %d", v, version)
	}
	told := binary.LittleEndian.Uint64(fixed[16:])
	if told > uint64(size) {
		return nil, corrupt(size, "the file is cut off: it has %d of %d bytes", size, told)
	}
	if told < uint64(size) {
		return nil, corrupt(int64(told), "%d bytes follow the end of the checkpoint", uint64(size)-told)
	}
	p := parts{file: file, header: headerAt, tensors: headerAt + int64(binary.LittleEndian.Uint32(fixed[12:])), sum: size - sumSize}
	if p.tensors > p.sum {
		return nil, corrupt(12, "a header of %d bytes is longer than the file", p.tensors-p.header)
	}
	right, err := p.sumIsRight()
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, p.locate(binary.LittleEndian.Uint32(fixed[24:]))
	}
	return p.checkpoint()
}

// parts are the places of a checkpoint file at which its header, its tensors and
// its sum start.
type parts struct {
	file                 *fsys.Random
	header, tensors, sum int64
}

// sumIsRight compares the SHA-256 at the end with that of all before it.
func (p *parts) sumIsRight() (bool, error) {
	sum, want := sha256.New(), make([]byte, sumSize)
	if err := p.copy(sum, 0, p.sum); err != nil {
		return false, err
	}
	err := readAt(p.file, want, p.sum)
	return bytes.Equal(sum.Sum(nil), want), err
}

// copy writes the bytes of the file from lo to hi to w.
func (p *parts) copy(w io.Writer, lo, hi int64) error {
	n, err := io.Copy(w, io.NewSectionReader(p.file, lo, hi-lo))
	if err == nil && n < hi-lo {
		return corrupt(lo+n, "the file ends while it is read")
	}
	return err
}

// check returns the CRC-32C of the bytes from lo to hi.
func (p *parts) check(lo, hi int64) (uint32, error) {
	sum := crc32.New(castagnoli)
	err := p.copy(sum, lo, hi)
	return sum.Sum32(), err
}

// read returns the header.
func (p *parts) read() (*header, error) {
	text := make([]byte, p.tensors-p.header)
	if err := readAt(p.file, text, p.header); err != nil {
		return nil, err
	}
	h := &header{}
	if err := json.Unmarshal(text, h); err != nil {
		return nil, corrupt(headerAt, "the header is wrong: %v", err)
	}
	return h, nil
}

// checkpoint reads the header, and finds the place of each tensor.
func (p *parts) checkpoint() (*Checkpoint, error) {
	h, err := p.read()
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Meta: h.Meta, file: p.file, tensors: h.Tensors}
	at := p.tensors
	for i, t := range h.Tensors {
		if t.Size < 0 || int64(t.Size) > (p.sum-at)/4 {
			return nil, corrupt(headerAt, "tensor %d (%s) has %d elements, more than the file", i, t.Name, t.Size)
		}
		c.at = append(c.at, at)
		at += 4 * int64(t.Size)
	}
	if at < p.sum {
		return nil, corrupt(at, "%d bytes belong to no tensor", p.sum-at)
	}
	return c, nil
}

// locate says which part of a file with a wrong sum is damaged. want is what the
// file has as CRC of its header.
func (p *parts) locate(want uint32) error {
	got, err := p.check(p.header, p.tensors)
	if err != nil {
		return err
	}
	if got != want {
		return corrupt(p.header, "the header is damaged (%d bytes)", p.tensors-p.header)
	}
	if h, err := p.read(); err == nil {
		at := p.tensors
		for _, t := range h.Tensors {
			if t.Size < 0 || int64(t.Size) > (p.sum-at)/4 {
				break
			}
			end := at + 4*int64(t.Size)
			got, err := p.check(at, end)
			if err != nil {
				return err
			}
			if got != t.CRC {
				return damaged(t, at)
			}
			at = end
		}
	}
	return corrupt(p.sum, "the SHA-256 at the end is not that of the file")
}

func damaged(t tensor, at int64) *Corrupt {
	return corrupt(at, "the %d bytes of tensor %s (slot %d) are damaged", 4*t.Size, t.Name, t.Slot)
}

// Fits returns a *Refused where the checkpoint is not one of n.
func (c *Checkpoint) Fits(n *engine.Network) error {
	if sum := SpecSum(n.Spec); c.Meta.SpecSum != sum {
		return &Refused{c.name, fmt.Sprintf("was made from another spec (SHA-256 %.12s, this program has %.12s)", c.Meta.SpecSum, sum),
			"resume with the program that made it, or train anew in another directory"}
	}
	want := (1 + len(n.States)) * len(n.Params)
	if len(c.tensors) != want {
		return &Refused{c.name, fmt.Sprintf("has %d tensors, the network has %d", len(c.tensors), want), ""}
	}
	for k, t := range c.tensors {
		p := n.Params[k%len(n.Params)]
		if t.Name != p.Name || t.Slot != k/len(n.Params) || t.Size != p.Size() {
			return &Refused{c.name, fmt.Sprintf("has tensor %s (slot %d, %d elements) where the network has %s (slot %d, %d elements)",
				t.Name, t.Slot, t.Size, p.Name, k/len(n.Params), p.Size()), ""}
		}
	}
	return nil
}

// Restore gives the engine the parameters and the optimizer's state. The
// checkpoint must fit the engine's network. An error leaves the engine with a
// part of them.
func (c *Checkpoint) Restore(n *engine.Network, e engine.Engine) error {
	for k, t := range c.tensors {
		err := c.Pieces(k, func(first int, values []float32) error {
			e.Write(t.Slot, k%len(n.Params), first, values)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if scaled, ok := e.(engine.Scaled); ok && c.Meta.Scaling != nil {
		scaled.SetScaling(*c.Meta.Scaling)
	}
	return nil
}

// Pieces hands tensor k to f, in pieces that are valid until f returns: first
// the parameters, in the network's order. Its CRC is compared once more, because
// the file is not read at the moment at which it was found whole.
func (c *Checkpoint) Pieces(k int, f func(first int, values []float32) error) error {
	t := c.tensors[k]
	if c.bytes == nil {
		most := 0
		for _, t := range c.tensors {
			most = max(most, min(t.Size, engine.MostPiece))
		}
		c.values, c.bytes = make([]float32, most), make([]byte, 4*most)
	}
	sum := uint32(0)
	for lo, hi := range engine.Pieces(t.Size) {
		values, b := c.values[:hi-lo], c.bytes[:4*(hi-lo)]
		if err := readAt(c.file, b, c.at[k]+4*int64(lo)); err != nil {
			return c.named(err)
		}
		sum = crc32.Update(sum, castagnoli, b)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		if err := f(lo, values); err != nil {
			return err
		}
	}
	if sum != t.CRC {
		return c.named(damaged(t, c.at[k]))
	}
	return nil
}

// named tells an error of the file by its name.
func (c *Checkpoint) named(err error) error {
	var bad *Corrupt
	if errors.As(err, &bad) {
		bad.File = c.name
	}
	return err
}
