package pool

import (
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Every worker must see what all others wrote before the barrier, over many
// rounds and also where workers park between them.
func TestBarrierOrdersPhases(t *testing.T) {
	t.Setenv(Variable, "always")
	for _, threads := range []int{1, 2, 3, 8} {
		p := New(threads)
		values := make([]int, threads)
		var wrong atomic.Int32
		round := 0
		f := func(w int) {
			for phase := range 10 {
				values[w] = round*100 + phase
				p.Wait()
				for _, v := range values {
					if v != round*100+phase {
						wrong.Add(1)
					}
				}
				p.Wait()
			}
		}
		for round = range 200 {
			if round%50 == 49 {
				time.Sleep(2 * time.Millisecond)
			}
			p.Run(f)
		}
		p.Close()
		if n := wrong.Load(); n != 0 {
			t.Errorf("%d threads: %d stale reads", threads, n)
		}
	}
}

// A pool of one worker runs on the goroutine that calls it. Workers of earlier
// tests may still be ending.
func TestOneWorkerStartsNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	p := New(1)
	p.Run(func(int) { p.Wait() })
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("there are %d goroutines, %d before", after, before)
	}
	p.Close()
}

// A run in which a worker slept, waiting for another one, is told as late; others are
// not.
func TestLateWorkersAreTold(t *testing.T) {
	t.Setenv(Variable, "")
	p := New(2)
	defer p.Close()
	p.judge.rest = math.MaxInt64 // nothing is tried
	asleep := func(b *barrier) {
		for time.Sleep(time.Millisecond); b.parked.Load() == 0; time.Sleep(time.Millisecond) {
		}
	}
	late := func(f func(int)) bool {
		asleep(&p.gate) // worker 1, so that the run begins at once
		p.judge.turn(watched)
		p.Run(f)
		return p.judge.late == 1
	}
	for _, test := range []struct {
		where string
		f     func(worker int)
	}{
		{"worker 0 at a barrier", func(w int) {
			if w == 0 {
				asleep(&p.inside)
			}
			p.Wait()
		}},
		{"worker 1 at a barrier", func(w int) {
			if w == 1 {
				asleep(&p.inside)
			}
			p.Wait()
		}},
		{"worker 1 at the end", func(w int) {
			if w == 1 {
				asleep(&p.gate)
			}
		}},
	} {
		if !late(test.f) {
			t.Errorf("%s: nobody is late", test.where)
		}
		// Where other programs take a core, somebody may be late in any run.
		for tries := 0; late(func(int) { p.Wait() }); tries++ {
			if tries == 1000 {
				t.Fatalf("%s: somebody is late in each run afterwards", test.where)
			}
		}
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	f := func(int) { p.Wait() }
	if n := testing.AllocsPerRun(100, func() { p.Run(f) }); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

func BenchmarkBarrier(b *testing.B) {
	p := New(2)
	defer p.Close()
	f := func(int) {
		for range 100 {
			p.Wait()
		}
	}
	for range b.N {
		p.Run(f)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/barrier")
}

func TestUseful(t *testing.T) {
	for _, test := range []struct{ asked, work, share, want int }{
		{3, 1, 100, 3},
		{0, 0, 100, 1},
		{0, 199, 100, 1},
		{0, 1 << 40, 100, runtime.GOMAXPROCS(0)},
	} {
		if got := Useful(test.asked, test.work, test.share); got != test.want {
			t.Errorf("Useful(%d, %d, %d) = %d, want %d", test.asked, test.work, test.share, got, test.want)
		}
	}
}
