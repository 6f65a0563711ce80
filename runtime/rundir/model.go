package rundir

import (
	"errors"
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

// held are the parameters that an engine holds.
type held struct{ *Saver }

func (h held) Pieces(i int, f func(first int, values []float32) error) error {
	return h.pieces(0, i, f)
}

func (held) Close() error { return nil }

// Params are the parameters that the engine holds, until its next step.
func (s *Saver) Params() modelfile.Params { return held{s} }

// EncodeModel writes a model as safetensors, under PyTorch's names and layouts.
func EncodeModel(w io.Writer, n *engine.Network, m *Model) error { return modelfile.Encode(w, n, m) }

// Model stores a model in the directory, or returns a *BadParameter and leaves
// the model there as it was.
func (d *Dir) Model(n *engine.Network, m *Model) error {
	if err := modelfile.Check(n, m.Params); err != nil {
		return err
	}
	return fsys.WriteAtomic(d.fs, d.file(ModelFile), func(w io.Writer) error { return EncodeModel(w, n, m) })
}

// ReadModel opens the parameters of n in a file that this package or any other
// writer of safetensors made, in a checkpoint, or in the model file of a run
// directory. Where names or shapes differ it returns a *Misfit that lists all of
// them. The model is to be closed.
func ReadModel(files fsys.FS, name string, n *engine.Network) (*Model, error) {
	if _, err := files.ReadDir(name); err == nil {
		name = filepath.Join(name, ModelFile)
	}
	file, err := fsys.OpenRandom(files, name)
	if err != nil {
		return nil, err
	}
	if !isCheckpoint(file) {
		return modelfile.Open(file, name, n)
	}
	c, err := openCheckpoint(file, name)
	if err != nil {
		return nil, err
	}
	if err := c.Fits(n); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Model{Params: c, Prep: c.Meta.Prep, Seed: &c.Meta.Options.Seed}, nil
}
