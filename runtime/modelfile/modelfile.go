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
	"github.com/dnngen/dnngen/runtime/fsys"
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
	Params Params
	Prep   *data.Prep // nil where the file has none
	Seed   *uint64    // of the training; nil where the file does not say
}

// Params are the parameters of a network, wherever they lie. They are handed on
// in pieces, because a large network's take most of a machine's memory once.
type Params interface {
	// Pieces hands the elements of parameter i, row-major, to f, from the first
	// to the last, in pieces that are valid until f returns.
	Pieces(i int, f func(first int, values []float32) error) error
	// Close gives back what the parameters lie in.
	Close() error
}

// Values are parameters in memory, in the network's order, each shaped as its
// parameter.
type Values [][]float32

// Pieces hands on all of parameter i at once.
func (v Values) Pieces(i int, f func(first int, values []float32) error) error { return f(0, v[i]) }

// Close does nothing.
func (Values) Close() error { return nil }

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

// Copy returns a copy of the parameters that e holds, or a *BadParameter.
func Copy(n *engine.Network, e engine.Engine) (Values, error) {
	values := make(Values, len(n.Params))
	for i, p := range n.Params {
		values[i] = make([]float32, p.Size())
		e.Read(0, i, 0, values[i])
	}
	return values, Check(n, values)
}

// Check returns a *BadParameter where a number of the parameters is not finite.
func Check(n *engine.Network, params Params) error {
	for i, p := range n.Params {
		bad, err := notFiniteIn(params, i)
		if err != nil {
			return err
		}
		if bad >= 0 {
			return &BadParameter{Param: p.Name, Index: bad}
		}
	}
	return nil
}

// notFiniteIn returns the index of the first NaN or infinity of parameter i, or
// -1.
func notFiniteIn(params Params, i int) (bad int, err error) {
	bad = -1
	err = params.Pieces(i, func(first int, values []float32) error {
		if k := NotFinite(values); bad < 0 && k >= 0 {
			bad = first + k
		}
		return nil
	})
	return bad, err
}

// Restore gives the engine the parameters of n.
func (m *Model) Restore(n *engine.Network, e engine.Engine) error {
	for i := range n.Params {
		err := m.Params.Pieces(i, func(first int, values []float32) error {
			e.Write(0, i, first, values)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file that the model was read from.
func (m *Model) Close() error { return m.Params.Close() }

// Encode writes a model of n. The same model gives the same bytes.
func Encode(w io.Writer, n *engine.Network, m *Model) error {
	metadata := map[string]string{keyFormat: "pt", keyNetwork: n.Name, keySpec: SpecSum(n.Spec)}
	if m.Seed != nil {
		metadata[keySeed] = strconv.FormatUint(*m.Seed, 10)
	}
	if m.Prep != nil {
		b, err := json.Marshal(m.Prep)
		if err != nil {
			return err
		}
		metadata[keyPrep] = string(b)
	}
	var tensors []safetensors.Info
	for _, p := range n.Params {
		tensors = append(tensors, safetensors.Info{Name: p.Name, Shape: p.Shape})
	}
	return safetensors.Write(w, metadata, tensors, func(i int, put func([]float32) error) error {
		return m.Params.Pieces(i, func(_ int, values []float32) error { return put(values) })
	})
}

// Open reads what a file that Encode or any other writer of safetensors made
// tells of the parameters of n; name is the file's, for messages. Where names or
// shapes differ, or a number is not finite, the error is a *Misfit that lists all
// of it. The model reads its parameters from the file until it is closed; where
// there is an error, the file is closed.
func Open(file *fsys.Random, name string, n *engine.Network) (*Model, error) {
	m, err := open(file, name, n)
	if err != nil {
		// What is wrong with the file counts more than that it does not close.
		_ = file.Close()
		return nil, err
	}
	return m, nil
}

func open(file *fsys.Random, name string, n *engine.Network) (*Model, error) {
	f, err := safetensors.Open(file, file.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	stored := &stored{file: file, name: name, tensors: f}
	m := &Model{Params: stored}
	wrong, err := stored.take(n)
	if err != nil {
		return nil, err
	}
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

// stored are the parameters in a file.
type stored struct {
	file    *fsys.Random
	name    string
	tensors *safetensors.Reader
	at      []int // the tensor of each parameter
}

func (s *stored) Pieces(i int, f func(first int, values []float32) error) error {
	var stopped error // by f: the file is not to blame
	err := s.tensors.Pieces(s.at[i], func(first int, values []float32) error {
		stopped = f(first, values)
		return stopped
	})
	if err != nil && stopped == nil {
		return fmt.Errorf("%s: %w", s.name, fsys.Reason(err))
	}
	return err
}

func (s *stored) Close() error { return s.file.Close() }

// take finds the network's tensors, and lists what does not fit.
func (s *stored) take(n *engine.Network) (wrong []string, err error) {
	known := make(map[string]bool, len(n.Params))
	for _, p := range n.Params {
		known[p.Name] = true
		k := slices.IndexFunc(s.tensors.Tensors, func(t safetensors.Info) bool { return t.Name == p.Name })
		s.at = append(s.at, k)
		switch {
		case k < 0:
			wrong = append(wrong, fmt.Sprintf("%s %v is missing", p.Name, p.Shape))
		case !slices.Equal(s.tensors.Tensors[k].Shape, p.Shape):
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, not %v", p.Name, s.tensors.Tensors[k].Shape, p.Shape))
		default:
			bad, err := notFiniteIn(s, len(s.at)-1)
			if err != nil {
				return nil, err
			}
			if bad >= 0 {
				wrong = append(wrong, fmt.Sprintf("%s is not finite at index %d", p.Name, bad))
			}
		}
	}
	for _, t := range s.tensors.Tensors {
		if !known[t.Name] {
			wrong = append(wrong, fmt.Sprintf("%s %v is not a parameter of the network", t.Name, t.Shape))
		}
	}
	return wrong, nil
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
