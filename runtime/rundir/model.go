package rundir

import (
	"io"
	"path/filepath"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/modelfile"
)

// What a model file holds, and what may be wrong with it, is the matter of
// package modelfile; the names stand here because a checkpoint shares them.
type (
	Model        = modelfile.Model
	Misfit       = modelfile.Misfit
	BadParameter = modelfile.BadParameter
)

// Params returns a copy of the parameters that the engine holds, or a
// *BadParameter.
func (s *Saver) Params() ([][]float32, error) { return modelfile.Params(s.net, s.engine) }

// EncodeModel writes a model as safetensors, under PyTorch's names and layouts.
func EncodeModel(w io.Writer, n *engine.Network, m *Model) error { return modelfile.Encode(w, n, m) }

// Model stores a model in the directory.
func (d *Dir) Model(n *engine.Network, m *Model) error {
	return fsys.WriteAtomic(d.fs, d.file(ModelFile), func(w io.Writer) error { return EncodeModel(w, n, m) })
}

// ReadModel reads the parameters of n from a file that this package or any
// other writer of safetensors made, from a checkpoint, or from the model file
// of a run directory. Where names or shapes differ it returns a *Misfit that
// lists all of them.
func ReadModel(fsys fsys.FS, name string, n *engine.Network) (*Model, error) {
	if _, err := fsys.ReadDir(name); err == nil {
		name = filepath.Join(name, ModelFile)
	}
	b, err := readFile(fsys, name)
	if err != nil {
		return nil, err
	}
	if isCheckpoint(b) {
		return modelOfCheckpoint(b, name, n)
	}
	return modelfile.Decode(b, name, n)
}

func modelOfCheckpoint(b []byte, name string, n *engine.Network) (*Model, error) {
	c, err := decodeNamed(b, name)
	if err != nil {
		return nil, err
	}
	if err := c.Fits(n); err != nil {
		return nil, err
	}
	return &Model{Params: c.Params(n), Prep: c.Meta.Prep, Seed: &c.Meta.Options.Seed}, nil
}
