package runner

import (
	"cmp"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// Calls is what the kernels of a step took.
type Calls struct {
	List []Call  // in the order of a step; of its kernels the one that took most first
	Peak float64 // GFLOP/s of as many threads doing nothing but multiply-adds, median
}

// Call is how long one step of the plan spent in one kernel, in processor time
// of the thread that called it. Kernels of equal code are one, so several steps
// may call the same.
type Call struct {
	Step, Kernel    string  // "gradInput5" calls "transpose5"
	Count           int     // of calls
	Total           float64 // seconds of all of them, median of the steps
	Median, Longest float64 // seconds of one call; Longest is what 99 of 100 stay below
}

// caller names the method of the emitted engine that calls a kernel.
func caller() string {
	var stack [16]uintptr
	frames := runtime.CallersFrames(stack[:runtime.Callers(2, stack[:])])
	for {
		f, more := frames.Next()
		if _, name, ok := strings.Cut(f.Function, ".(*vector)."); ok {
			name, _, _ = strings.Cut(name, "-") // the body of a loop over calls
			return name
		}
		if !more {
			return "?"
		}
	}
}

// clock times calls of kernels.
type clock struct {
	mu    sync.Mutex
	empty float64 // seconds that timing adds to a call
	times map[[2]string][]float64
	order []string // the steps, as they were first seen
}

// wrap returns a function that calls a kernel and notes how long it took.
func (c *clock) wrap(name string, kernel reflect.Value) reflect.Value {
	return reflect.MakeFunc(kernel.Type(), func(args []reflect.Value) []reflect.Value {
		key := [2]string{caller(), name}
		start := threadTime()
		results := kernel.Call(args)
		took := (threadTime() - start).Seconds()
		c.mu.Lock()
		defer c.mu.Unlock()
		if !slices.Contains(c.order, key[0]) {
			c.order = append(c.order, key[0])
		}
		c.times[key] = append(c.times[key], max(0, took-c.empty))
		return results
	})
}

// calibrate finds what timing adds at this moment, by a function with a
// kernel's arguments that does nothing.
func (c *clock) calibrate() {
	nothing := reflect.ValueOf(func(src, mat, bias, a *float32, tile, tiles int) {})
	f := c.wrap("", nothing).Interface().(func(src, mat, bias, a *float32, tile, tiles int))
	c.empty = 0
	clear(c.times)
	for range 200 {
		f(nil, nil, nil, nil, 0, 0)
	}
	for _, t := range c.times {
		c.empty = median(t)
	}
	clear(c.times)
	c.order = nil
}

// calls times each call of a kernel in some steps, by functions put into the
// table in the kernels' places. Before each step it takes the peak.
func calls(q *Request) (*Calls, error) {
	c := &clock{times: map[[2]string][]float64{}}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	table, restore := table(q)
	defer restore()
	for i := range table.NumField() {
		field := reflect.NewAt(table.Field(i).Type(), unsafe.Pointer(table.Field(i).UnsafeAddr())).Elem()
		if field.Kind() == reflect.Func {
			field.Set(c.wrap(table.Type().Field(i).Name, reflect.ValueOf(field.Interface())))
		}
	}
	e, err := open(q, q.Device, q.Threads)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	now := wallTime
	if q.Threads == 1 {
		now = threadTime
	}
	var peaks []float64
	each, totals := map[[2]string][]float64{}, map[[2]string][]float64{}
	for step := range q.Calls + 1 {
		peak, err := peakRate(strings.TrimPrefix(q.Device, "cpu:"), q.Threads, now)
		if err != nil {
			return nil, err
		}
		s := q.Steps[0]
		c.calibrate()
		e.Step(s.X, s.Target, s.Rows, s.Hyper)
		if step == 0 {
			continue
		}
		peaks = append(peaks, peak)
		for key, list := range c.times {
			each[key] = append(each[key], list...)
			totals[key] = append(totals[key], sum(list))
		}
	}
	r := &Calls{Peak: median(peaks)}
	for key, list := range each {
		call := Call{Step: key[0], Kernel: key[1], Count: len(list) / q.Calls, Total: median(totals[key]), Median: median(list)}
		call.Longest = list[len(list)*99/100]
		r.List = append(r.List, call)
	}
	slices.SortFunc(r.List, func(a, b Call) int {
		return cmp.Or(cmp.Compare(slices.Index(c.order, a.Step), slices.Index(c.order, b.Step)), cmp.Compare(b.Total, a.Total))
	})
	return r, nil
}

func sum(list []float64) (s float64) {
	for _, v := range list {
		s += v
	}
	return s
}
