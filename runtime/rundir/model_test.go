package rundir

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

func TestModelRoundTrip(t *testing.T) {
	n := testnet.New(netOptions)
	d := onDisk(t, faultfs.NewDisk(), n.Spec)
	e := trained(n, 4)
	params := NewSaver(n, e).Params()
	seed := uint64(math.MaxUint64)
	prep := meta(n, 1).Prep
	prep.Inputs, prep.Columns, prep.Features = 2, 2, append(prep.Features, prep.Features[0])
	prep.Features[1].Column = 1
	want := &Model{Params: params, Prep: prep, Seed: &seed}
	if err := d.Model(n, want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"run", "run/" + ModelFile} {
		got, err := ReadModel(d.fs, name, n)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Prep, want.Prep) || *got.Seed != seed {
			t.Errorf("%s: got %+v", name, got)
		}
		back := testnet.Engine(netOptions)
		if err := errors.Join(got.Restore(n, back), got.Close()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(values(n, back)[:4], values(n, e)[:4]) {
			t.Errorf("%s: other parameters came back", name)
		}
	}
	f, err := safetensors.Read(d.fs, "run/"+ModelFile)
	if err != nil || f.Metadata["format"] != "pt" || f.Tensors[0].Name != "0.weight" {
		t.Errorf("file %+v, %v", f, err)
	}
}

func TestModelOfACheckpoint(t *testing.T) {
	n := testnet.New(netOptions)
	d := onDisk(t, faultfs.NewDisk(), n.Spec)
	e := trained(n, 4)
	if err := d.Checkpoint(NewSaver(n, e), meta(n, 3)); err != nil {
		t.Fatal(err)
	}
	m, err := ReadModel(d.fs, "run/"+CheckpointFile, n)
	if err != nil || m.Prep == nil || *m.Seed != n.Seed {
		t.Fatalf("got %+v, %v", m, err)
	}
	back := testnet.Engine(netOptions)
	if err := errors.Join(m.Restore(n, back), m.Close()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(values(n, back)[:4], values(n, e)[:4]) {
		t.Error("other parameters came back")
	}
	other := testnet.New(testnet.Options{Name: "other", Inputs: 2, Hidden: 3, Outputs: 1, Batch: 4, Momentum: 0.9})
	var refused *Refused
	if _, err := ReadModel(d.fs, "run/"+CheckpointFile, other); !errors.As(err, &refused) {
		t.Errorf("a checkpoint of another spec: %v", err)
	}
}

// All that does not fit is listed at once.
func TestMisfit(t *testing.T) {
	n := testnet.New(netOptions)
	d := onDisk(t, faultfs.NewDisk(), n.Spec)
	var b bytes.Buffer
	err := safetensors.Encode(&b, &safetensors.File{
		Tensors: []safetensors.Tensor{
			{Name: "0.weight", Shape: []int{2, 3}, Data: make([]float32, 6)}, // transposed
			{Name: "0.bias", Shape: []int{3}, Data: []float32{0, float32(math.NaN()), 0}},
			{Name: "2.weight", Shape: []int{1, 3}, Data: make([]float32, 3)},
			{Name: "fc.bias", Shape: []int{1}, Data: make([]float32, 1)},
		},
		Metadata: map[string]string{"dnngen.prep": `{"version":1,"inputs":1,"outputs":1,"columns":1,"features":[{"column":0,"divisor":1}],"target":{"column":-1,"kind":"values"}}`},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Write("m", b.Bytes()); err != nil {
		t.Fatal(err)
	}
	_, err = ReadModel(d.fs, "run/m", n)
	var misfit *Misfit
	if !errors.As(err, &misfit) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"run/m does not hold the parameters of tiny",
		"0.weight has shape [2 3], not [3 2]", "0.bias is not finite at index 1", "2.bias [1] is missing",
		"fc.bias [1] is not a parameter", "prepares rows for a network of 1 input and 1 output",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("message lacks %q:\n%v", want, err)
		}
	}
	for name, text := range map[string]string{"junk": "junk", "empty": "", "torn checkpoint": magic + "xx"} {
		if err := d.Write("m", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadModel(d.fs, "run/m", n); err == nil || !strings.Contains(err.Error(), "run/m") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
