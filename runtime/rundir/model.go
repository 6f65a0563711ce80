package rundir

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

// Keys of a model file's metadata.
const (
	keyFormat  = "format" // "pt": what readers in the PyTorch world look for
	keyNetwork = "dnngen.network"
	keySpec    = "dnngen.spec_sha256"
	keySeed    = "dnngen.seed"
	keyPrep    = "dnngen.prep"
)

// Model is a set of trained parameters and how raw rows are prepared for them.
type Model struct {
	Params [][]float32 // in the network's order, each shaped as its parameter
	Prep   *data.Prep  // nil where the file has none
	Seed   *uint64     // of the training; nil where the file does not say
}

// Misfit lists how a model file differs from what the network needs.
type Misfit struct {
	File, Network string
	Wrong         []string
}

func (e *Misfit) Error() string {
	return fmt.Sprintf("%s does not hold the parameters of %s:\n  %s", e.File, e.Network, strings.Join(e.Wrong, "\n  "))
}

// Restore gives the engine the parameters.
func (m *Model) Restore(e engine.Engine) {
	for i, p := range m.Params {
		e.Write(0, i, p)
	}
}

// Params returns a copy of the parameters that the engine holds, or a
// *BadParameter.
func (s *Saver) Params() ([][]float32, error) {
	values := make([][]float32, len(s.net.Params))
	for i := range values {
		b, err := s.read(0, i)
		if err != nil {
			return nil, err
		}
		values[i] = floats(b)
	}
	return values, nil
}

// EncodeModel writes a model as safetensors, under PyTorch's names and layouts.
func EncodeModel(w io.Writer, n *engine.Network, m *Model) error {
	f := &safetensors.File{Metadata: map[string]string{
		keyFormat: "pt", keyNetwork: n.Name, keySpec: SpecSum(n.Spec),
	}}
	if m.Seed != nil {
		f.Metadata[keySeed] = strconv.FormatUint(*m.Seed, 10)
	}
	if m.Prep != nil {
		b, err := json.Marshal(m.Prep)
		if err != nil {
			return err
		}
		f.Metadata[keyPrep] = string(b)
	}
	for i, p := range n.Params {
		f.Tensors = append(f.Tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: m.Params[i]})
	}
	return safetensors.Encode(w, f)
}

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
	if IsCheckpoint(b) {
		return modelOfCheckpoint(b, name, n)
	}
	f, err := safetensors.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m := &Model{}
	wrong := m.take(f, n)
	if text, ok := f.Metadata[keyPrep]; ok {
		m.Prep = new(data.Prep)
		if err := json.Unmarshal([]byte(text), m.Prep); err != nil {
			wrong = append(wrong, "its metadata: "+err.Error())
		} else if m.Prep.Inputs != n.Inputs || m.Prep.Outputs != n.Outputs {
			wrong = append(wrong, fmt.Sprintf("its metadata prepares rows for a network of %d inputs and %d outputs; this one has %d and %d",
				m.Prep.Inputs, m.Prep.Outputs, n.Inputs, n.Outputs))
		}
	}
	if seed, err := strconv.ParseUint(f.Metadata[keySeed], 10, 64); err == nil {
		m.Seed = &seed
	}
	if len(wrong) > 0 {
		return nil, &Misfit{name, n.Name, wrong}
	}
	return m, nil
}

// take moves the network's tensors from f to m, and lists what does not fit.
func (m *Model) take(f *safetensors.File, n *engine.Network) (wrong []string) {
	known := make(map[string]bool, len(n.Params))
	for _, p := range n.Params {
		known[p.Name] = true
		t := f.Tensor(p.Name)
		switch {
		case t == nil:
			wrong = append(wrong, fmt.Sprintf("%s %v is missing", p.Name, p.Shape))
		case !slices.Equal(t.Shape, p.Shape):
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, not %v", p.Name, t.Shape, p.Shape))
		default:
			if i := notFinite(t.Data); i >= 0 {
				wrong = append(wrong, fmt.Sprintf("%s is not finite at index %d", p.Name, i))
			}
			m.Params = append(m.Params, t.Data)
		}
	}
	for _, t := range f.Tensors {
		if !known[t.Name] {
			wrong = append(wrong, fmt.Sprintf("%s %v is not a parameter of the network", t.Name, t.Shape))
		}
	}
	return wrong
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

// notFinite returns the index of the first NaN or infinity, or -1.
func notFinite(values []float32) int {
	for i, v := range values {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
