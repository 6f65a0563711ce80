// Package runner trains with emitted engines for the tests of package cuda: a
// program built of emitted packages registers them here and answers one
// request.
package runner

import (
	"encoding/gob"
	"io"

	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/runtime/engine"
)

// Request asks for a training on a network's first GPU.
type Request struct {
	Net       string
	Precision string          // empty: engine.FP32
	Scaling   *engine.Scaling // to begin with, where the engine has one
	Params    [][]float32     // initial values
	Steps     []engines.Step
	Feed      *Feed     // after Steps
	Infer     []float32 // rows to infer with the trained parameters
	InferRows int
	Outputs   int
	States    int
}

// Feed is a training by engine.Runner: the steps are made by as many calls of Run
// as they need, also where a loss is not finite.
type Feed struct {
	X      []float32
	Target engine.Target
	Rows   int
	Order  []int32
	Steps  []engine.Planned
	// Again is a step before which other rows are held, and then these again.
	Again int
	// Then are made one by one, after them.
	Then []engines.Step
}

// Response is what came of it.
type Response struct {
	Err    string
	Failed bool // the device failed in the middle of something
	Device string
	// Notes are what the engine told, Products what the device told after it.
	Notes    []string
	Products string
	// Scaling is what is left, where the engine has one.
	Scaling *engine.Scaling
	Losses  []float64
	Kept    bool          // Hold said so
	Calls   []int         // steps made by each call of Run
	Slots   [][][]float32 // [slot][param]
	Raw     []float32
	Allocs  float64 // of a step
}

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
	devices, err := engines.Devices(q.Net)
	if err != nil {
		return err
	}
	d := devices[0]
	r.Device = d.Name
	if err := d.Missing(); err != nil {
		return err
	}
	if q.Precision != "" {
		if err := d.Lacks(q.Precision); err != nil {
			return err
		}
	}
	e, err := d.New(engine.Options{Precision: q.Precision})
	if err != nil {
		return err
	}
	defer e.Close()
	if noted, ok := e.(engine.Noted); ok {
		r.Notes = noted.Notes()
	}
	if d.Products != nil {
		r.Products = d.Products(q.Precision)
	}
	if scaled, ok := e.(engine.Scaled); ok {
		if q.Scaling != nil {
			scaled.SetScaling(*q.Scaling)
		}
		defer func() {
			left := scaled.Scaling()
			r.Scaling = &left
		}()
	}
	for i, v := range q.Params {
		e.Write(0, i, 0, v)
	}
	for _, s := range q.Steps {
		r.Losses = append(r.Losses, e.Step(s.X, s.Target, s.Rows, s.Hyper))
	}
	if q.Feed != nil {
		feed(e.(engine.Runner), q.Feed, r)
		for _, s := range q.Feed.Then {
			r.Losses = append(r.Losses, e.Step(s.X, s.Target, s.Rows, s.Hyper))
		}
	}
	var sizes []int
	for _, p := range q.Params {
		sizes = append(sizes, len(p))
	}
	r.Slots = engines.Slots(e, sizes, q.States)
	r.Raw = make([]float32, q.InferRows*q.Outputs)
	e.Infer(q.Infer, r.Raw, q.InferRows)
	if q.Feed != nil {
		f, losses := q.Feed, make([]float64, len(q.Feed.Steps))
		r.Allocs = engines.Allocs(1, func() { e.(engine.Runner).Run(f.Steps, losses) })
		return nil
	}
	s := q.Steps[len(q.Steps)-1]
	r.Allocs = engines.Allocs(1, func() { e.Step(s.X, s.Target, s.Rows, s.Hyper) })
	return nil
}

func feed(e engine.Runner, f *Feed, r *Response) {
	hold := func() {
		r.Kept = e.Hold(f.X, f.Target, f.Rows)
		e.Order(f.Order)
	}
	hold()
	losses := make([]float64, len(f.Steps))
	for at := 0; at < len(f.Steps); {
		to := len(f.Steps)
		if at < f.Again {
			to = f.Again
		} else if at > 0 && at == f.Again {
			e.Hold(f.X, f.Target, 1)
			e.Order(nil)
			hold()
		}
		n := e.Run(f.Steps[at:to], losses[at:])
		r.Calls = append(r.Calls, n)
		at += n
	}
	r.Losses = append(r.Losses, losses...)
}
