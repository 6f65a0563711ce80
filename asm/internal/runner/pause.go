package runner

import (
	"math"
	"reflect"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Pauses tell how long garbage collections waited for a training to stop.
type Pauses struct {
	Stops               int     // collections stop the world twice each
	Median, Most, Worst float64 // seconds; Most is what 99 of 100 stops stay below
	Calls               []Call  // the kernels, the longest first
}

// Call is how long the calls of one kernel took, in processor time of its thread.
type Call struct {
	Kernel          string
	Count           int // in a step
	Median, Longest float64
}

// stopping is how long the runtime waited for all goroutines to stop.
const stopping = "/sched/pauses/stopping/gc:seconds"

func stops() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: stopping}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: slices.Clone(h.Counts), Buckets: h.Buckets}
}

// pauses makes one step after the other in a goroutine, and collects garbage
// meanwhile.
func pauses(q *Request) (*Pauses, error) {
	e, err := open(q, q.Device, q.Threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	s := q.Steps[0]
	e.Step(s.X, s.Target, s.Rows, s.Hyper)
	var done atomic.Bool
	var training sync.WaitGroup
	before := stops()
	training.Go(func() {
		for !done.Load() {
			e.Step(s.X, s.Target, s.Rows, s.Hyper)
		}
	})
	for range q.Collections {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	done.Store(true)
	training.Wait()
	p := summary(before, stops())
	p.Calls, err = calls(q)
	return p, err
}

// summary reads the difference of two histograms: of a bucket, its upper end.
func summary(before, after *metrics.Float64Histogram) *Pauses {
	p := &Pauses{}
	for i := range after.Counts {
		p.Stops += int(after.Counts[i] - before.Counts[i])
	}
	seen := 0
	for i := range after.Counts {
		n := int(after.Counts[i] - before.Counts[i])
		if n == 0 {
			continue
		}
		end := after.Buckets[i+1]
		if math.IsInf(end, 1) {
			end = after.Buckets[i]
		}
		if 2*seen < p.Stops {
			p.Median = end
		}
		if 100*seen < 99*p.Stops {
			p.Most = end
		}
		seen += n
		p.Worst = end
	}
	return p
}

// calledSteps is the number of steps whose calls are timed.
const calledSteps = 20

var tables = map[string]map[string]any{}

// RegisterKernels makes a network's tables of kernels known: pointers to
// structs of functions, by device.
func RegisterKernels(name string, byDevice map[string]any) { tables[name] = byDevice }

// calls times each call of a kernel, in functions put into the table in the
// kernels' places.
func calls(q *Request) ([]Call, error) {
	var mu sync.Mutex
	times := map[string][]float64{}
	table := reflect.ValueOf(tables[q.Net][q.Device]).Elem()
	old := reflect.New(table.Type()).Elem()
	old.Set(table)
	defer table.Set(old)
	for i := range table.NumField() {
		name := table.Type().Field(i).Name
		field := reflect.NewAt(table.Field(i).Type(), unsafe.Pointer(table.Field(i).UnsafeAddr())).Elem()
		if field.Kind() != reflect.Func {
			continue
		}
		kernel := reflect.ValueOf(field.Interface())
		field.Set(reflect.MakeFunc(field.Type(), func(args []reflect.Value) []reflect.Value {
			start := threadTime()
			results := kernel.Call(args)
			took := (threadTime() - start).Seconds()
			mu.Lock()
			defer mu.Unlock()
			times[name] = append(times[name], took)
			return results
		}))
	}
	e, err := open(q, q.Device, q.Threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	s := q.Steps[0]
	e.Step(s.X, s.Target, s.Rows, s.Hyper)
	clear(times)
	for range calledSteps {
		e.Step(s.X, s.Target, s.Rows, s.Hyper)
	}
	var list []Call
	for name, t := range times {
		slices.Sort(t)
		list = append(list, Call{name, (len(t) + calledSteps - 1) / calledSteps, t[len(t)/2], t[len(t)*99/100]})
	}
	slices.SortFunc(list, func(a, b Call) int {
		if a.Longest > b.Longest {
			return -1
		}
		return 1
	})
	return list, nil
}
