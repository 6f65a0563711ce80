// Package record is the form of the files in bench/results: what the commands
// that measure write, and what bench/report reads.
package record

import (
	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/runtime/bench"
)

// Suite is what dnngen bench found of some specs.
type Suite struct {
	lab.Stamp
	Reports []compare.Report `json:"reports"`
}

// Peers is what was found of dnngen and its peers.
type Peers struct {
	lab.Stamp
	Reports []*compare.PeerReport `json:"reports"`
}

// Accuracy is how long it takes to a good model.
type Accuracy struct {
	lab.Stamp
	Results []Training `json:"results"`
}

// Training is one task for one program.
type Training struct {
	Task     string       `json:"task"`
	Program  string       `json:"program"`
	Threads  int          `json:"threads"`
	Target   float64      `json:"target"`
	Accuracy float64      `json:"accuracy"` // median of the runs
	Epochs   []int        `json:"epochs"`   // of each run
	Seconds  bench.Spread `json:"seconds"`  // from start to exit
	RSS      int64        `json:"rss_bytes"`
	Missing  string       `json:"missing,omitempty"` // why it was not measured
}

// Cost is what a training costs beside its steps.
type Cost struct {
	lab.Stamp
	Own   []Own     `json:"own"`
	Peers []Library `json:"peers"`
}

// Own is the cost of one spec.
type Own struct {
	Spec     string       `json:"spec"`
	Generate bench.Spread `json:"generate_seconds"` // dnngen gen
	First    float64      `json:"first_build_seconds"`
	Again    bench.Spread `json:"build_seconds"` // with the runtime compiled before
	Start    bench.Spread `json:"start_seconds"` // until the trainer has said its version
	Binary   int64        `json:"binary_bytes"`
	Source   int64        `json:"source_bytes"`
	RSS      int64        `json:"rss_bytes"` // at most, of a training
}

// Library is the cost of a peer's library.
type Library struct {
	Name    string       `json:"name"`
	Version string       `json:"version"`
	Install int64        `json:"install_bytes"` // with all that it requires
	Import  bench.Spread `json:"import_seconds"`
	RSS     int64        `json:"rss_bytes"` // after the import
	Missing string       `json:"missing,omitempty"`
}

// Growth is how a step's time grows with a network.
type Growth struct {
	lab.Stamp
	Curves []Curve `json:"curves"`
}

// Curve is one dimension of growth.
type Curve struct {
	Name   string  `json:"name"` // "width", "depth" or "batch"
	Fixed  string  `json:"fixed"`
	Points []Point `json:"points"`
}

// Point is one network.
type Point struct {
	Size    int            `json:"size"`
	Peak    bench.Peak     `json:"peak"`
	FLOPs   float64        `json:"flops_per_step"`
	Results []bench.Result `json:"results"`
}
