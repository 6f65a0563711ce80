// Package modelfile is the format of model.safetensors: the parameters of a
// network under PyTorch's names and layouts, with the preparation of raw rows
// and the seed of the training as metadata.
package modelfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/safetensors"
	"github.com/dnngen/dnngen/runtime/wording"
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

// BadParameter says that a parameter, or the optimizer's state of one, holds a
// number that is not finite. Such a state is never written.
type BadParameter struct {
	Param string
	State string // the optimizer's state; empty: the parameter itself
	Index int    // of the first such element
}

func (e *BadParameter) Error() string {
	what := "parameter " + e.Param
	if e.State != "" {
		what = e.State + " of " + what
	}
	return fmt.Sprintf("%s is not finite at index %d", what, e.Index)
}

// Params returns a copy of the parameters that e holds, in the network's
// order, or a *BadParameter.
func Params(n *engine.Network, e engine.Engine) ([][]float32, error) {
	values := make([][]float32, len(n.Params))
	for i, p := range n.Params {
		values[i] = make([]float32, p.Size())
		e.Read(0, i, values[i])
		if k := NotFinite(values[i]); k >= 0 {
			return nil, &BadParameter{Param: p.Name, Index: k}
		}
	}
	return values, nil
}

// Restore gives the engine the parameters.
func (m *Model) Restore(e engine.Engine) {
	for i, p := range m.Params {
		e.Write(0, i, p)
	}
}

// Encode writes a model of n. The same model gives the same bytes.
func Encode(w io.Writer, n *engine.Network, m *Model) error {
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

// Decode reads the parameters of n from the bytes of a file that Encode or any
// other writer of safetensors made; name is the file's, for messages. Where
// names or shapes differ, or a number is not finite, the error is a *Misfit
// that lists all of it.
func Decode(b []byte, name string, n *engine.Network) (*Model, error) {
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
			wrong = append(wrong, fmt.Sprintf("its metadata prepares rows for a network of %s and %s; this one has %d and %d",
				wording.Count(m.Prep.Inputs, "input"), wording.Count(m.Prep.Outputs, "output"), n.Inputs, n.Outputs))
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
			if i := NotFinite(t.Data); i >= 0 {
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

// SpecSum returns the SHA-256 of a spec's text in hexadecimal.
func SpecSum(spec string) string {
	sum := sha256.Sum256([]byte(spec))
	return hex.EncodeToString(sum[:])
}

// NotFinite returns the index of the first NaN or infinity, or -1.
func NotFinite(values []float32) int {
	for i, v := range values {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
