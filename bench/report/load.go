package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/runtime/bench"
)

// results are the files of bench/results.
type results struct {
	Suite struct {
		lab.Stamp
		Reports []compare.Report `json:"reports"`
	}
	// OpenBLAS is the suite with the interpreter on OpenBLAS.
	OpenBLAS struct {
		lab.Stamp
		Reports []compare.Report `json:"reports"`
	}
	Peers struct {
		lab.Stamp
		Reports []compare.PeerReport `json:"reports"`
	}
	Accuracy struct {
		lab.Stamp
		Results []struct {
			Task     string       `json:"task"`
			Program  string       `json:"program"`
			Threads  int          `json:"threads"`
			Accuracy float64      `json:"accuracy"`
			Epochs   []int        `json:"epochs"`
			Seconds  bench.Spread `json:"seconds"`
			RSS      int64        `json:"rss_bytes"`
			Missing  string       `json:"missing"`
		} `json:"results"`
	}
	Cost struct {
		lab.Stamp
		Own []struct {
			Spec     string       `json:"spec"`
			Generate bench.Spread `json:"generate_seconds"`
			First    float64      `json:"first_build_seconds"`
			Again    bench.Spread `json:"build_seconds"`
			Start    bench.Spread `json:"start_seconds"`
			Binary   int64        `json:"binary_bytes"`
			Source   int64        `json:"source_bytes"`
			RSS      int64        `json:"rss_bytes"`
		} `json:"own"`
		Peers []struct {
			Name    string       `json:"name"`
			Version string       `json:"version"`
			Install int64        `json:"install_bytes"`
			Import  bench.Spread `json:"import_seconds"`
			RSS     int64        `json:"rss_bytes"`
			Missing string       `json:"missing"`
		} `json:"peers"`
	}
	Growth struct {
		lab.Stamp
		Curves []curve `json:"curves"`
	}
}

// curve is one dimension of growth.
type curve struct {
	Name   string  `json:"name"`
	Fixed  string  `json:"fixed"`
	Points []point `json:"points"`
	// Why says where the curve bends and why: what growth-NAME.md beside the
	// results holds. People write it.
	Why string `json:"-"`
}

type point struct {
	Size    int            `json:"size"`
	Peak    bench.Peak     `json:"peak"`
	FLOPs   float64        `json:"flops_per_step"`
	Results []bench.Result `json:"results"`
}

// load reads the results; every file must be there.
func load(dir string) (*results, error) {
	r := &results{}
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
	for i := range r.Growth.Curves {
		c := &r.Growth.Curves[i]
		why, err := os.ReadFile(filepath.Join(dir, "growth-"+c.Name+".md"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		c.Why = strings.TrimSpace(string(why))
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
