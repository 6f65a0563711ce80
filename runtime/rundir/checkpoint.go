package rundir

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/modelfile"
)

// A checkpoint file, all numbers little-endian:
//
//	0   magic    8 bytes
//	8   version  uint32
//	12  header   uint32, its length h
//	16  length   uint64, of the whole file
//	24  check    uint32, CRC-32C of the header
//	28  header   h bytes of JSON
//	    tensors  float32, without a gap, in the order of the header
//	    sum      SHA-256 of all before it
//
// The sum decides whether a file is whole. The CRCs of the header and of each
// tensor only serve to say where a damaged file is damaged.
const (
	magic      = "DNNGENCK"
	version    = 1
	headerAt   = 28
	sumSize    = sha256.Size
	headerMost = 1 << 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Meta is what a checkpoint holds beside parameters and optimizer state.
type Meta struct {
	Network string `json:"network"`
	SpecSum string `json:"spec_sha256"`
	Device  string `json:"device"` // that made the last steps
	// Precision of its matrix products; empty in files from before there was more
	// than one.
	Precision string `json:"precision,omitempty"`
	// Scaling is of a precision that scales the gradient of the loss.
	Scaling  *engine.Scaling `json:"scaling,omitempty"`
	Epoch    int             `json:"epoch"` // under way, counted from 0
	Position int64           `json:"position"`
	State    loop.State      `json:"state"`
	Options  loop.Options    `json:"options"` // as the flags left them
	LogEvery int64           `json:"log_every"`
	Train    Source          `json:"train"`
	Test     Source          `json:"test"`
	Best     *EpochLoss      `json:"best,omitempty"`
	Last     *EpochLoss      `json:"last,omitempty"` // of the epoch that ended last
	Prep     *data.Prep      `json:"prep,omitempty"`
	// Metrics is the length in bytes of the metrics file that belongs to this
	// state.
	Metrics int64 `json:"metrics_bytes"`
}

// Source identifies the rows that a training uses.
type Source struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
	Sum  string `json:"sha256"` // of the prepared rows and their targets
}

// EpochLoss is the loss of an epoch.
type EpochLoss struct {
	Epoch int     `json:"epoch"`
	Loss  float64 `json:"loss"`
}

// Corrupt says that a checkpoint cannot be read, where, and why.
type Corrupt struct {
	File   string
	Offset int64
	Reason string
}

func (e *Corrupt) Error() string {
	return fmt.Sprintf("%s: byte %d: %s", e.File, e.Offset, e.Reason)
}

// header is the JSON part of a checkpoint.
type header struct {
	Meta    Meta     `json:"meta"`
	Tensors []tensor `json:"tensors"`
}

// tensor describes one block of numbers: slot 0 is the parameter, slot 1+k the
// k-th state of the optimizer.
type tensor struct {
	Name string `json:"name"`
	Slot int    `json:"slot"`
	Size int    `json:"size"` // in elements
	CRC  uint32 `json:"crc32c"`
}

// Saver writes the state of one engine. It keeps its buffers, which hold a piece
// of a tensor, from one checkpoint to the next.
type Saver struct {
	net    *engine.Network
	engine engine.Engine
	values []float32
	bytes  []byte
}

// NewSaver returns a Saver for an engine of n.
func NewSaver(n *engine.Network, e engine.Engine) *Saver {
	values := n.Piece()
	return &Saver{net: n, engine: e, values: values, bytes: make([]byte, 4*len(values))}
}

// pieces hands on tensor i of a slot in pieces that are valid until f returns.
func (s *Saver) pieces(slot, i int, f func(first int, values []float32) error) error {
	for lo, hi := range engine.Pieces(s.net.Params[i].Size()) {
		values := s.values[:hi-lo]
		s.engine.Read(slot, i, lo, values)
		if err := f(lo, values); err != nil {
			return err
		}
	}
	return nil
}

// each hands on the bytes of all parameters and states, piece by piece in the
// order of a checkpoint, or returns a *BadParameter where a number is not finite.
func (s *Saver) each(f func(slot, i int, b []byte) error) error {
	for slot := range 1 + len(s.net.States) {
		for i, p := range s.net.Params {
			err := s.pieces(slot, i, func(first int, values []float32) error {
				if k := modelfile.NotFinite(values); k >= 0 {
					bad := &BadParameter{Param: p.Name, Index: first + k}
					if slot > 0 {
						bad.State = s.net.States[slot-1]
					}
					return bad
				}
				b := s.bytes[:0]
				for _, v := range values {
					b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
				}
				return f(slot, i, b)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Checkpoint stores the engine's state and m, or returns a *BadParameter and
// leaves the checkpoint as it was.
func (d *Dir) Checkpoint(s *Saver, m Meta) error {
	h := header{Meta: m}
	if e, ok := s.engine.(engine.Scaled); ok {
		scaling := e.Scaling()
		h.Meta.Scaling = &scaling
	}
	size := uint64(headerAt + sumSize)
	for slot := range 1 + len(s.net.States) {
		for _, p := range s.net.Params {
			h.Tensors = append(h.Tensors, tensor{Name: p.Name, Slot: slot, Size: p.Size()})
			size += 4 * uint64(p.Size())
		}
	}
	err := s.each(func(slot, i int, b []byte) error {
		t := &h.Tensors[slot*len(s.net.Params)+i]
		t.CRC = crc32.Update(t.CRC, castagnoli, b)
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(text) > headerMost {
		return fmt.Errorf("a checkpoint's header of %d bytes is longer than %d", len(text), headerMost)
	}
	err = fsys.WriteAtomic(d.fs, d.file(CheckpointFile), func(w io.Writer) error {
		return s.encode(w, text, size+uint64(len(text)))
	})
	if err == nil {
		d.has[CheckpointFile] = true
	}
	return err
}

func (s *Saver) encode(w io.Writer, header []byte, size uint64) error {
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	fixed := []byte(magic)
	fixed = binary.LittleEndian.AppendUint32(fixed, version)
	fixed = binary.LittleEndian.AppendUint32(fixed, uint32(len(header)))
	fixed = binary.LittleEndian.AppendUint64(fixed, size)
	fixed = binary.LittleEndian.AppendUint32(fixed, crc32.Checksum(header, castagnoli))
	if _, err := out.Write(append(fixed, header...)); err != nil {
		return err
	}
	err := s.each(func(_, _ int, b []byte) error {
		_, err := out.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}
