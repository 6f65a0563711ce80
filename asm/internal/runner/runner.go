// Package runner runs emitted engines for the tests of package asm: a program
// built of emitted packages registers them here and serves requests, so that
// one build serves many tests.
package runner

import (
	"encoding/gob"
	"fmt"
	"io"
	"slices"

	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/runtime/engine"
)

// Request asks for a training.
type Request struct {
	Net, Device string
	Emulate     bool // execute the device's kernels by package emulate
	Threads     int
	Params      [][]float32 // initial values; nil leaves zeros
	Steps       []engines.Step
	Infer       []float32 // rows to infer with the trained parameters
	InferRows   int
	Outputs     int
	Sizes       []int // of the parameters
	States      int
	Allocs      bool     // count allocations of the last step
	Bench       []Config // time the first step in these ways, instead of all else
	Collections int      // of garbage, while the first step is made again and again, instead of all else
	Calls       int      // first steps whose calls of kernels are timed, instead of all else
}

// Config is one way of running a network.
type Config struct {
	Device  string
	Threads int
}

// Timing is what a Config took.
type Timing struct {
	Step float64 // seconds, median
	Best float64 // seconds, least
	Peak float64 // GFLOP/s of as many threads doing nothing but multiply-adds, median
}

// Response is what came of it.
type Response struct {
	Err    string
	Losses []float64
	Slots  [][][]float32 // [slot][param]
	Raw    []float32
	Allocs float64
	Bench  []Timing
	Pauses *Pauses
	Calls  *Calls
}

// Serve answers requests until the input ends.
func Serve(in io.Reader, out io.Writer) error {
	dec, enc := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var q Request
		if err := dec.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		r, err := serve(&q)
		if err != nil {
			r = Response{Err: err.Error()}
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
}

func serve(q *Request) (r Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if q.Bench != nil {
		r.Bench, err = bench(q)
		return r, err
	}
	if q.Collections > 0 {
		r.Pauses, err = pauses(q)
		return r, err
	}
	if q.Calls > 0 {
		r.Calls, err = calls(q)
		return r, err
	}
	if q.Emulate {
		restore, err := emulated(q)
		if err != nil {
			return r, err
		}
		defer restore()
	}
	e, err := open(q, q.Device, q.Threads)
	if err != nil {
		return r, err
	}
	defer e.Close()
	for _, s := range q.Steps {
		r.Losses = append(r.Losses, e.Step(s.X, s.Target, s.Rows, s.Hyper))
	}
	r.Slots = engines.Slots(e, q.Sizes, q.States)
	if q.InferRows > 0 {
		r.Raw = make([]float32, q.InferRows*q.Outputs)
		e.Infer(q.Infer, r.Raw, q.InferRows)
	}
	if q.Allocs {
		s := q.Steps[len(q.Steps)-1]
		r.Allocs = engines.Allocs(20, func() { e.Step(s.X, s.Target, s.Rows, s.Hyper) })
	}
	return r, nil
}

// open makes an engine with the request's parameters.
func open(q *Request, device string, threads int) (engine.Engine, error) {
	list, err := engines.Devices(q.Net)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(d engine.Device) bool { return d.Name == device })
	if i < 0 {
		return nil, fmt.Errorf("no device %s", device)
	}
	if err := list[i].Missing(); err != nil && !q.Emulate {
		return nil, err
	}
	e, err := list[i].New(engine.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	for i, v := range q.Params {
		e.Write(0, i, 0, v)
	}
	return e, nil
}
