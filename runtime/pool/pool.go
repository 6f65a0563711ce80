// Package pool runs one function on a fixed set of workers at once, with
// barriers inside it and pieces of work to share: the way in which a training
// step uses several cores.
package pool

import (
	"runtime"
	"sync/atomic"
)

// Pool is a fixed set of workers. Worker 0 is the goroutine that calls Run; a
// pool of one worker starts no goroutine.
type Pool struct {
	workers int
	threads int              // workers that share the runs now
	f       func(worker int) // what the workers run next; nil ends them
	gate    barrier          // workers wait here for work, and for its end
	inside  barrier          // Wait
	ledgers []ledger         // of Claim, by worker; InTurn's is the first
	// late tells that in this run a worker slept in Wait. Where worker 0 itself is the
	// last one at the end, nobody tells: it nearly always is so in a Wait, too.
	late  atomic.Bool
	_     [64]byte // worker 0 writes what follows in each run
	judge judge
	alone int64 // runs that worker 0 made alone
	all   int64
}

// New starts a pool; threads 0 takes as many as GOMAXPROCS allows.
func New(threads int) *Pool {
	threads = All(threads)
	p := &Pool{workers: threads, threads: threads, ledgers: make([]ledger, threads)}
	p.judge.init()
	p.gate.init(threads)
	p.inside.init(threads)
	for w := 1; w < threads; w++ {
		go p.work(w)
	}
	return p
}

// All returns how many workers a pool has where so many are asked for: as many as
// GOMAXPROCS allows for 0.
func All(asked int) int {
	if asked > 0 {
		return asked
	}
	return runtime.GOMAXPROCS(0)
}

// Useful returns how many workers a step of so many multiply-adds is worth,
// where nobody asked for a number (asked is 0): one for each share that takes
// longer than waiting for one another does.
func Useful(asked, multiplyAdds, share int) int {
	if asked > 0 {
		return asked
	}
	return max(1, min(All(0), multiplyAdds/share))
}

// Threads returns the number of workers; inside a run, of those that share it.
func (p *Pool) Threads() int { return p.threads }

// Run calls f once on every worker and returns when all calls have returned. Where
// waiting for one another takes longer than they save, it calls f on worker 0
// alone, and Threads is 1 meanwhile. It does not allocate; make f once and keep it.
func (p *Pool) Run(f func(worker int)) {
	p.all++
	switch {
	case p.workers == 1:
		f(0)
	case p.judge.begin():
		p.alone++
		p.threads = 1
		f(0)
		p.threads = p.workers
		p.judge.end(false)
	default:
		p.f = f
		late := p.gate.wait()
		f(0)
		late = p.gate.wait() || late
		if p.late.Load() {
			p.late.Store(false)
			late = true
		}
		p.judge.end(late)
	}
}

// Runs counts the runs so far, and those of them that one of several workers made
// alone.
func (p *Pool) Runs() (alone, all int64) { return p.alone, p.all }

// Wait is called inside f by every worker: it returns when all have called it.
func (p *Pool) Wait() {
	if p.threads > 1 && p.inside.wait() {
		p.late.Store(true)
	}
}

// Close ends the workers. The pool is not used afterwards.
func (p *Pool) Close() {
	if p.workers > 1 {
		p.f = nil
		p.gate.wait()
	}
}

// work is not bound to a thread. A bound goroutine that is to stop for a garbage
// collection has to hand its processor to another thread first, which takes 200
// µs on a busy machine; and threads stay on their cores as it is.
func (p *Pool) work(worker int) {
	for {
		p.gate.wait()
		if p.f == nil {
			return
		}
		p.f(worker)
		p.gate.wait()
	}
}
