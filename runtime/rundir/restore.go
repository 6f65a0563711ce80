package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
)

// Checkpoint is a checkpoint that was read and found whole.
type Checkpoint struct {
	Meta    Meta
	file    string
	tensors []tensor
	blocks  [][]byte // of each tensor
}

// ReadCheckpoint reads a checkpoint file. A file that is not whole gives a
// *Corrupt.
func ReadCheckpoint(fsys fsys.FS, name string) (*Checkpoint, error) {
	b, err := readFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return decodeNamed(b, name)
}

func decodeNamed(b []byte, name string) (*Checkpoint, error) {
	c, bad := decode(b)
	if bad != nil {
		bad.File = name
		return nil, bad
	}
	c.file = name
	return c, nil
}

// Load reads the directory's checkpoint.
func (d *Dir) Load() (*Checkpoint, error) { return ReadCheckpoint(d.fs, d.file(CheckpointFile)) }

// isCheckpoint tells by its first bytes whether a file is meant to be a
// checkpoint.
func isCheckpoint(start []byte) bool { return bytes.HasPrefix(start, []byte(magic)) }

func corrupt(offset int, format string, args ...any) *Corrupt {
	return &Corrupt{Offset: int64(offset), Reason: fmt.Sprintf(format, args...)}
}

// decode takes a checkpoint apart. Nothing of it is believed before the sum
// over all of it has been found right, and no memory is asked for by what it
// says of itself.
func decode(b []byte) (*Checkpoint, *Corrupt) {
	if !bytes.HasPrefix(b, []byte(magic)[:min(len(b), len(magic))]) {
		return nil, corrupt(0, "this is no checkpoint")
	}
	if len(b) < headerAt+sumSize {
		return nil, corrupt(len(b), "the file is cut off: it ends before the header")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return nil, corrupt(8, "format version %d is not known; this program reads version %d", v, version)
	}
	size := binary.LittleEndian.Uint64(b[16:])
	if size > uint64(len(b)) {
		return nil, corrupt(len(b), "the file is cut off: it has %d of %d bytes", len(b), size)
	}
	if size < uint64(len(b)) {
		return nil, corrupt(int(size), "%d bytes follow the end of the checkpoint", uint64(len(b))-size)
	}
	body, want := b[:len(b)-sumSize], b[len(b)-sumSize:]
	length := int(binary.LittleEndian.Uint32(b[12:]))
	if length > len(body)-headerAt {
		return nil, corrupt(12, "a header of %d bytes is longer than the file", length)
	}
	head, rest := body[headerAt:headerAt+length], body[headerAt+length:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], want) {
		return nil, locate(b, head, rest)
	}
	var h header
	if err := json.Unmarshal(head, &h); err != nil {
		return nil, corrupt(headerAt, "the header is wrong: %v", err)
	}
	c := &Checkpoint{Meta: h.Meta, tensors: h.Tensors}
	for i, t := range h.Tensors {
		if t.Size < 0 || t.Size > len(rest)/4 {
			return nil, corrupt(headerAt, "tensor %d (%s) has %d elements, more than the file", i, t.Name, t.Size)
		}
		c.blocks = append(c.blocks, rest[:4*t.Size])
		rest = rest[4*t.Size:]
	}
	if len(rest) > 0 {
		return nil, corrupt(len(body)-len(rest), "%d bytes belong to no tensor", len(rest))
	}
	return c, nil
}

// locate says which part of a file with a wrong sum is damaged.
func locate(b, head, rest []byte) *Corrupt {
	if crc32.Checksum(head, castagnoli) != binary.LittleEndian.Uint32(b[24:]) {
		return corrupt(headerAt, "the header is damaged (%d bytes)", len(head))
	}
	var h header
	if json.Unmarshal(head, &h) == nil {
		for _, t := range h.Tensors {
			if t.Size < 0 || t.Size > len(rest)/4 {
				break
			}
			if crc32.Checksum(rest[:4*t.Size], castagnoli) != t.CRC {
				return corrupt(len(b)-sumSize-len(rest), "the %d bytes of tensor %s (slot %d) are damaged", 4*t.Size, t.Name, t.Slot)
			}
			rest = rest[4*t.Size:]
		}
	}
	return corrupt(len(b)-sumSize, "the SHA-256 at the end is not that of the file")
}

// Fits returns a *Refused where the checkpoint is not one of n.
func (c *Checkpoint) Fits(n *engine.Network) error {
	if sum := SpecSum(n.Spec); c.Meta.SpecSum != sum {
		return &Refused{c.file, fmt.Sprintf("was made from another spec (SHA-256 %.12s, this program has %.12s)", c.Meta.SpecSum, sum),
			"resume with the program that made it, or train anew in another directory"}
	}
	want := (1 + len(n.States)) * len(n.Params)
	if len(c.tensors) != want {
		return &Refused{c.file, fmt.Sprintf("has %d tensors, the network has %d", len(c.tensors), want), ""}
	}
	for k, t := range c.tensors {
		p := n.Params[k%len(n.Params)]
		if t.Name != p.Name || t.Slot != k/len(n.Params) || t.Size != p.Size() {
			return &Refused{c.file, fmt.Sprintf("has tensor %s (slot %d, %d elements) where the network has %s (slot %d, %d elements)",
				t.Name, t.Slot, t.Size, p.Name, k/len(n.Params), p.Size()), ""}
		}
	}
	return nil
}

// Restore gives the engine the parameters and the optimizer's state. The
// checkpoint must fit the engine's network.
func (c *Checkpoint) Restore(n *engine.Network, e engine.Engine) {
	for k, t := range c.tensors {
		e.Write(t.Slot, k%len(n.Params), floats(c.blocks[k]))
	}
	if scaled, ok := e.(engine.Scaled); ok && c.Meta.Scaling != nil {
		scaled.SetScaling(*c.Meta.Scaling)
	}
}

// Params returns the parameters alone, in the network's order.
func (c *Checkpoint) Params(n *engine.Network) [][]float32 {
	values := make([][]float32, len(n.Params))
	for i := range values {
		values[i] = floats(c.blocks[i])
	}
	return values
}

func floats(b []byte) []float32 {
	values := make([]float32, len(b)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return values
}
