// Package runner trains with emitted engines for the tests of package cuda: a
// program built of emitted packages registers them here and answers one
// request.
package runner

import (
	"encoding/gob"
	"fmt"
	"io"
	"runtime"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Request asks for a training on a network's first GPU.
type Request struct {
	Net       string
	Params    [][]float32 // initial values
	Steps     []Step
	Infer     []float32 // rows to infer with the trained parameters
	InferRows int
	Outputs   int
	States    int
}

// Step is one call of Engine.Step.
type Step struct {
	X      []float32
	Target engine.Target
	Rows   int
	Hyper  engine.Hyper
}

// Response is what came of it.
type Response struct {
	Err    string
	Failed bool // the device failed in the middle of something
	Device string
	Losses []float64
	Slots  [][][]float32 // [slot][param]
	Raw    []float32
	Allocs float64 // of a step
}

var nets = map[string]func() []engine.Device{}

// Register makes a network known under a name.
func Register(name string, devices func() []engine.Device) { nets[name] = devices }

// Serve answers one request.
func Serve(in io.Reader, out io.Writer) error {
	var q Request
	if err := gob.NewDecoder(in).Decode(&q); err != nil {
		return err
	}
	var r Response
	if err := serve(&q, &r); err != nil {
		r.Err = err.Error()
	}
	return gob.NewEncoder(out).Encode(r)
}

func serve(q *Request, r *Response) (err error) {
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(*engine.Failure)
			if !ok {
				panic(p)
			}
			r.Failed, err = true, f
		}
	}()
	devices, ok := nets[q.Net]
	if !ok {
		return fmt.Errorf("no network %s", q.Net)
	}
	d := devices()[0]
	r.Device = d.Name
	if err := d.Missing(); err != nil {
		return err
	}
	e, err := d.New(engine.Options{})
	if err != nil {
		return err
	}
	defer e.Close()
	for i, v := range q.Params {
		e.Write(0, i, v)
	}
	for _, s := range q.Steps {
		r.Losses = append(r.Losses, e.Step(s.X, s.Target, s.Rows, s.Hyper))
	}
	for slot := range 1 + q.States {
		var tensors [][]float32
		for i, p := range q.Params {
			v := make([]float32, len(p))
			e.Read(slot, i, v)
			tensors = append(tensors, v)
		}
		r.Slots = append(r.Slots, tensors)
	}
	r.Raw = make([]float32, q.InferRows*q.Outputs)
	e.Infer(q.Infer, r.Raw, q.InferRows)
	s := q.Steps[len(q.Steps)-1]
	r.Allocs = allocs(func() { e.Step(s.X, s.Target, s.Rows, s.Hyper) })
	return nil
}

// allocs counts the allocations of a call, over several.
func allocs(f func()) float64 {
	const calls = 10
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / calls)
}
