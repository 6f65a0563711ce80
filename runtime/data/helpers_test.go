package data_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
	"github.com/dnngen/dnngen/runtime/npy"
)

// disk returns a file system in memory that holds the given files.
func disk(t testing.TB, files map[string]string) fsys.FS {
	t.Helper()
	d := faultfs.NewDisk()
	for name, text := range files {
		err := fsys.WriteAtomic(d, name, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// openCSV reads text as the file train.csv.
func openCSV(t testing.TB, text string) (*data.Table, error) {
	t.Helper()
	return data.Open("train.csv", data.Options{FS: disk(t, map[string]string{"train.csv": text})})
}

func mustCSV(t testing.TB, text string) *data.Table {
	t.Helper()
	table, err := openCSV(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// npz returns an archive of arrays, given as name, array, name, array.
func npz(t testing.TB, members ...any) string {
	t.Helper()
	var names []string
	var arrays []*npy.Array
	for i := 0; i < len(members); i += 2 {
		names = append(names, members[i].(string))
		arrays = append(arrays, members[i+1].(*npy.Array))
	}
	var b bytes.Buffer
	if err := npy.EncodeZip(&b, names, arrays); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func floats(shape []int, v ...float32) *npy.Array { return &npy.Array{Shape: shape, Float: v} }
func ints(shape []int, v ...int64) *npy.Array     { return &npy.Array{Shape: shape, Int: v} }

func openNPZ(t testing.TB, members ...any) (*data.Table, error) {
	t.Helper()
	return data.Open("train.npz", data.Options{FS: disk(t, map[string]string{"train.npz": npz(t, members...)})})
}

func mustNPZ(t testing.TB, members ...any) *data.Table {
	t.Helper()
	table, err := openNPZ(t, members...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// regression, classes and unitNet describe networks of the given widths.
func regression(inputs, outputs int, d engine.Data) *engine.Network {
	return &engine.Network{Name: "net", Inputs: inputs, Outputs: outputs, Metrics: "regression", Data: d}
}

func classes(inputs, outputs int, d engine.Data) *engine.Network {
	return &engine.Network{Name: "net", Inputs: inputs, Outputs: outputs, Metrics: "classes", Classes: true, Data: d}
}

func unitNet(inputs, outputs int, d engine.Data) *engine.Network {
	return &engine.Network{Name: "net", Inputs: inputs, Outputs: outputs, Metrics: "binary", Data: d}
}

func mustFit(t testing.TB, table *data.Table, n *engine.Network) *data.Prep {
	t.Helper()
	p, err := data.Fit(table, n)
	if err != nil {
		t.Fatal(err)
	}
	return through(t, p)
}

// through sends a preparation through JSON, as the model file does.
func through(t testing.TB, p *data.Prep) *data.Prep {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back data.Prep
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	if d := cmp.Diff(p, &back); d != "" {
		t.Fatalf("JSON changed the preparation: %s", d)
	}
	return &back
}

// prepared fits and applies.
func prepared(t testing.TB, table *data.Table, n *engine.Network) *data.Set {
	t.Helper()
	s, err := mustFit(t, table, n).Apply(table)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantError tells whether err is an error of a source that reads as want does.
func wantError(t testing.TB, name string, err error, want string) {
	t.Helper()
	var e *data.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: got %v, want an error of a source", name, err)
		return
	}
	if err.Error() != want {
		t.Errorf("%s:\ngot  %s\nwant %s", name, err, want)
	}
	if strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("%s: the message %q could upset a terminal", name, err)
	}
}
