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
		e.Write(0, i, values)
	}
	params, err := modelfile.Params(n, e)
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
	m, err := modelfile.Decode(b, "m", n)
	if err != nil {
		t.Fatal(err)
	}
	if *m.Seed != math.MaxUint64 || m.Prep.Inputs != 3 || len(m.Params) != 4 || m.Params[2][3] != 23./8 {
		t.Errorf("decoded %+v", m)
	}
	e := testnet.Engine(options)
	m.Restore(e)
	again, err := modelfile.Params(n, e)
	if err != nil || !cmp.Equal(again, m.Params) {
		t.Errorf("restored %v, %v, want %v", again, err, m.Params)
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
	_, err = modelfile.Decode(b.Bytes(), "m", n)
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
	e.Write(0, 1, []float32{1, float32(math.NaN())})
	var bad *modelfile.BadParameter
	if _, err := modelfile.Params(n, e); !errors.As(err, &bad) || bad.Param != "0.bias" || bad.Index != 1 {
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
		m, err := modelfile.Decode(b, "m", n)
		if err != nil {
			return
		}
		e := testnet.Engine(options)
		m.Restore(e)
		if params, err := modelfile.Params(n, e); err != nil || !cmp.Equal(params, m.Params) {
			t.Errorf("%v, %v", params, err)
		}
		if m.Prep != nil && !m.Prep.Categorical() {
			m.Prep.Numbers(make([]float32, n.Inputs), make([]float32, n.Inputs))
		}
	})
}
