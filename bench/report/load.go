package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/runtime/bench"
)

// results are the files of bench/results.
type results struct {
	Suite    record.Suite
	OpenBLAS record.Suite // with the interpreter on OpenBLAS
	Peers    record.Peers
	Accuracy record.Accuracy
	Cost     record.Cost
	Growth   record.Growth
	GPU      *record.GPU // nil where none was measured yet
	// Why says of each curve of growth where it bends and why: what growth-NAME.md
	// beside the results holds. People write it.
	Why map[string]string
}

// load reads the results; every file must be there, but that of a GPU, which few
// machines have.
func load(dir string) (*results, error) {
	r := &results{Why: map[string]string{}}
	for name, v := range map[string]any{
		"suite": &r.Suite, "openblas": &r.OpenBLAS, "peers": &r.Peers, "accuracy": &r.Accuracy, "cost": &r.Cost, "growth": &r.Growth,
	} {
		err := lab.Read(filepath.Join(dir, name+".json"), v)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no %s.json in %s yet: measure with make bench and make peers", name, dir)
		}
		if err != nil {
			return nil, err
		}
	}
	var gpu record.GPU
	switch err := lab.Read(filepath.Join(dir, "gpu.json"), &gpu); {
	case err == nil:
		r.GPU = &gpu
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	for _, c := range r.Growth.Curves {
		why, err := os.ReadFile(filepath.Join(dir, "growth-"+c.Name+".md"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		r.Why[c.Name] = strings.TrimSpace(string(why))
	}
	return r, nil
}

// find returns the result of a contender with some threads; nil where there is
// none.
func find(list []bench.Result, name string, threads int) *bench.Result {
	i := slices.IndexFunc(list, func(r bench.Result) bool { return r.Name == name && r.Threads == threads })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// most returns the largest number of threads.
func most(list []bench.Result) int {
	n := 1
	for _, r := range list {
		n = max(n, r.Threads)
	}
	return n
}
