package modelfile_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/modelfile"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

var options = testnet.Options{Inputs: 3, Hidden: 2, Outputs: 2, Batch: 1, Loss: "cross_entropy"}

// encoded returns a file with preparation and seed.
func encoded(t testing.TB, n *engine.Network) []byte {
	t.Helper()
	e := testnet.Engine(options)
	for i, p := range n.Params {
		values := make([]float32, p.Size())
		for k := range values {
			values[k] = float32(10*i+k) / 8
		}
		e.Write(0, i, 0, values)
	}
	params, err := modelfile.Copy(n, e)
	if err != nil {
		t.Fatal(err)
	}
	prep, _ := data.Declared(n)
	seed := uint64(math.MaxUint64)
	var b bytes.Buffer
	if err := modelfile.Encode(&b, n, &modelfile.Model{Params: params, Prep: prep, Seed: &seed}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	n := testnet.New(options)
	b := encoded(t, n)
	if !bytes.Equal(b, encoded(t, n)) {
		t.Error("a model gives two files")
	}
	m, err := modelfile.Open(fsys.RandomBytes(b), "m", n)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if *m.Seed != math.MaxUint64 || m.Prep.Inputs != 3 {
		t.Errorf("decoded %+v", m)
	}
	e := testnet.Engine(options)
	if err := m.Restore(n, e); err != nil {
		t.Fatal(err)
	}
	params, err := modelfile.Copy(n, e)
	if err != nil || len(params) != 4 || params[2][3] != 23./8 {
		t.Errorf("restored %v, %v", params, err)
	}
	var again bytes.Buffer
	if err := modelfile.Encode(&again, n, m); err != nil || !bytes.Equal(again.Bytes(), b) {
		t.Errorf("encoded anew from the file: %d bytes that are not those of the file, %v", again.Len(), err)
	}
}

func TestAllThatDoesNotFitIsListed(t *testing.T) {
	n := testnet.New(options)
	f, err := safetensors.Decode(encoded(t, n))
	if err != nil {
		t.Fatal(err)
	}
	f.Tensors[0].Name = "other.weight"
	f.Tensors[1].Shape, f.Tensors[1].Data = []int{1}, f.Tensors[1].Data[:1]
	f.Tensors[2].Data[1] = float32(math.Inf(-1))
	f.Metadata["dnngen.prep"] = strings.Replace(f.Metadata["dnngen.prep"], `"outputs":2`, `"outputs":5`, 1)
	var b bytes.Buffer
	if err := safetensors.Encode(&b, f); err != nil {
		t.Fatal(err)
	}
	_, err = modelfile.Open(fsys.RandomBytes(b.Bytes()), "m", n)
	var misfit *modelfile.Misfit
	if !errors.As(err, &misfit) {
		t.Fatalf("got %v", err)
	}
	want := []string{
		"0.weight [2 3] is missing",
		"0.bias has shape [1], not [2]",
		"2.weight is not finite at index 1",
		"other.weight [2 3] is not a parameter of the network",
		"its metadata prepares rows for a network of 3 inputs and 5 outputs; this one has 3 and 2",
	}
	if diff := cmp.Diff(want, misfit.Wrong); diff != "" {
		t.Error(diff)
	}
}

func TestBadParameters(t *testing.T) {
	n := testnet.New(options)
	e := testnet.Engine(options)
	e.Write(0, 1, 0, []float32{1, float32(math.NaN())})
	var bad *modelfile.BadParameter
	if _, err := modelfile.Copy(n, e); !errors.As(err, &bad) || bad.Param != "0.bias" || bad.Index != 1 {
		t.Errorf("got %v", err)
	}
}

// FuzzDecode reads files of any bytes: what is read must fit the network.
func FuzzDecode(f *testing.F) {
	n := testnet.New(options)
	good := encoded(f, n)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(bytes.Replace(good, []byte("classes"), []byte("valueses"), 1))
	f.Add(bytes.Replace(good, []byte(`\"divisor\":1`), []byte(`\"divisor\":0`), 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := modelfile.Open(fsys.RandomBytes(b), "m", n)
		if err != nil {
			return
		}
		e := testnet.Engine(options)
		if err := m.Restore(n, e); err != nil {
			t.Error(err)
		}
		if _, err := modelfile.Copy(n, e); err != nil {
			t.Error(err)
		}
		if m.Prep != nil && !m.Prep.Categorical() {
			m.Prep.Numbers(make([]float32, n.Inputs), make([]float32, n.Inputs))
		}
	})
}
