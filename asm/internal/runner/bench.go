package runner

import (
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/simd"
)

const (
	rounds    = 15
	roundTime = 12 * time.Millisecond // of one configuration in a round
	peakTime  = 3 * time.Millisecond
)

// bench times the first step in several ways, in turns, so that what disturbs
// the machine disturbs all of them.
func bench(q *Request) ([]Timing, error) {
	engines := make([]engine.Engine, len(q.Bench))
	for i, c := range q.Bench {
		e, err := open(q, c.Device, c.Threads)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		engines[i] = e
	}
	s := q.Steps[0]
	times, peaks := make([][]float64, len(engines)), make([][]float64, len(engines))
	if name := os.Getenv("ASM_PROFILE"); name != "" {
		f, err := os.Create(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		defer pprof.StopCPUProfile()
	}
	// One worker is timed by the processor time of its thread, which other
	// programs on the machine do not lengthen.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for round := range rounds + 1 {
		for i, e := range engines {
			isa, now := strings.TrimPrefix(q.Bench[i].Device, "cpu:"), wallTime
			if q.Bench[i].Threads == 1 {
				now = threadTime
			}
			peak, err := peakRate(isa, q.Bench[i].Threads, now)
			if err != nil {
				return nil, err
			}
			took := stepTime(e, s, now)
			if round > 0 {
				peaks[i], times[i] = append(peaks[i], peak), append(times[i], took)
			}
		}
	}
	list := make([]Timing, len(engines))
	for i := range list {
		list[i] = Timing{Step: median(times[i]), Best: slices.Min(times[i]), Peak: median(peaks[i])}
	}
	return list, nil
}

// stepTime returns the seconds that a step takes, over many after a first one.
func stepTime(e engine.Engine, s engines.Step, now func() time.Duration) float64 {
	e.Step(s.X, s.Target, s.Rows, s.Hyper)
	n, start := 0, now()
	for n == 0 || now()-start < roundTime {
		// Short steps are timed many at once, so that the clock costs nothing.
		for range min(n+1, 64) {
			e.Step(s.X, s.Target, s.Rows, s.Hyper)
			n++
		}
	}
	return (now() - start).Seconds() / float64(n)
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// peakRate returns the GFLOP/s of multiply-adds alone.
func peakRate(isa string, threads int, now func() time.Duration) (float64, error) {
	if threads > 1 {
		return simd.Peak(isa, threads, peakTime)
	}
	start, before := now(), time.Now()
	rate, err := simd.Peak(isa, threads, peakTime)
	return rate * time.Since(before).Seconds() / (now() - start).Seconds(), err
}

var began = time.Now()

func wallTime() time.Duration { return time.Since(began) }

// threadTime is the processor time that this thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return wallTime()
	}
	return time.Duration(t.Nano())
}
