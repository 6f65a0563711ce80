package runner

import (
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pauses tell how long garbage collections waited for a training to stop.
type Pauses struct {
	Stops               int     // collections stop the world twice each
	Median, Most, Worst float64 // seconds; Most is what 99 of 100 stops stay below
}

// stopping is how long the runtime waited for all goroutines to stop.
const stopping = "/sched/pauses/stopping/gc:seconds"

func stops() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: stopping}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: slices.Clone(h.Counts), Buckets: h.Buckets}
}

// Counting is the device of a request that trains nothing: its threads count,
// which Go can stop anywhere. What a stop takes then is Go's and the machine's.
const Counting = "counting"

// pauses trains in a goroutine, and collects garbage meanwhile.
func pauses(q *Request) (*Pauses, error) {
	var done atomic.Bool
	var host sync.WaitGroup
	if q.Device == Counting {
		for range q.Threads {
			host.Go(func() {
				for !done.Load() {
				}
			})
		}
	} else {
		e, err := open(q, q.Device, q.Threads)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		s := q.Steps[0]
		e.Step(s.X, s.Target, s.Rows, s.Hyper)
		host.Go(func() {
			for !done.Load() {
				e.Step(s.X, s.Target, s.Rows, s.Hyper)
			}
		})
	}
	before := stops()
	for range q.Collections {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	after := stops()
	done.Store(true)
	host.Wait()
	return summary(before, after), nil
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
