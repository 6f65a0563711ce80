package pool

import (
	"fmt"
	"math"
	"os"
	"time"
)

// Variable names the environment variable that says which runs are shared: "always"
// stands for all of them, "turns" for every other one, which serves tests. Without it
// a pool finds out what is faster.
const Variable = "DNNGEN_SHARE"

// judge decides whether a run is shared by all workers, or made by the first one alone,
// with the same bits. Where other programs have cores, workers wait long for each other,
// above all two that the system puts on one core: each spins while the other one cannot
// run. A short run then takes several times as long shared as alone. So where a worker
// is waited for in many runs, both ways are timed, and the faster one is kept for a
// while. Yielding the core or moving to another one were no better (docs/kernels.md).
type judge struct {
	always, turns bool // what the environment asks for
	now           func() time.Duration

	way   way
	runs  int           // in this way so far
	late  int           // of these, runs in which a worker was waited for
	began time.Duration // the run under way
	sum   time.Duration // of the runs
	least time.Duration // the shortest one

	// Means of runs since the last verdict: the lower one where sharing was tried
	// before and after runs alone, since a stall that comes once says nothing.
	shared, alone time.Duration // 0 alone: not tried
	verdict       way           // the last one
	stay          time.Duration // how long the next one stands
	rest          time.Duration // until when nothing is tried
}

// way is how runs are made.
type way int

const (
	watched    way = iota // shared; it is counted in how many a worker is late
	trySharing            // shared, and timed
	tryAlone              // alone, and timed
	keptAlone             // alone, and timed, since that was faster
)

const (
	window     = 32 // runs that are watched at a time
	windowLate = 8  // of them with a late worker, which lead to a trial

	// A trial makes runs shared, alone and shared again.
	trialRuns = 8                     // of each, at least
	trialTime = 10 * time.Millisecond // and for so long: some turns of the system's scheduler

	// A verdict stands for a tenth of a second, and twice as long each time that it
	// comes again.
	stayLeast = 100 * time.Millisecond
	stayMost  = time.Second

	// Of runs that take longer than some turns of the scheduler, two workers make
	// more than one does, also where other programs want their cores. Such runs are
	// not tried again for longRest, and for longRests times what those alone took:
	// with dozens of workers these are seconds.
	longAlone  = 5 * time.Millisecond
	longShared = 50 * time.Millisecond
	longRuns   = 3 // alone, which tell
	longRest   = time.Minute
	longRests  = 50
)

// The values of Variable.
const (
	always = "always"
	turns  = "turns"
)

// Environment returns an error where Variable has a value that means nothing.
func Environment() error {
	switch asked := os.Getenv(Variable); asked {
	case "", always, turns:
		return nil
	default:
		return fmt.Errorf("%s is %q; it can be %q, or not be set", Variable, asked, always)
	}
}

func (j *judge) init() {
	asked := os.Getenv(Variable)
	j.always, j.turns = asked == always, asked == turns
	start := time.Now()
	j.now = func() time.Duration { return time.Since(start) }
	j.stay = stayLeast
	j.turn(watched)
}

// begin begins a run and tells whether the first worker makes it alone.
func (j *judge) begin() bool {
	switch {
	case j.always:
		return false
	case j.turns:
		j.runs++
		return j.runs%2 == 0
	case j.way != watched:
		j.began = j.now()
	}
	return j.way == tryAlone || j.way == keptAlone
}

// end ends a run. late tells that a worker was waited for until another one slept.
func (j *judge) end(late bool) {
	switch {
	case j.always || j.turns:
	case j.way == watched:
		j.watch(late)
	default:
		j.time(j.now() - j.began)
	}
}

// watch counts a run that is not timed.
func (j *judge) watch(late bool) {
	j.runs++
	if late {
		j.late++
	}
	switch {
	case j.runs < window:
	case j.late >= windowLate && j.now() >= j.rest:
		j.shared, j.alone = math.MaxInt64, 0
		j.turn(trySharing)
	default:
		j.turn(watched)
	}
}

// time counts a run that was timed.
func (j *judge) time(took time.Duration) {
	j.runs++
	j.sum += took
	j.least = min(j.least, took)
	if j.way == tryAlone && j.runs >= longRuns && j.least > longAlone {
		j.leave()
		return
	}
	enough := trialTime
	if j.way == keptAlone {
		enough = j.stay
	}
	if j.runs < trialRuns || j.sum < enough {
		return
	}
	mean := j.sum / time.Duration(j.runs)
	switch j.way {
	case trySharing:
		j.shared = min(j.shared, mean)
		switch {
		case j.least > longShared:
			j.leave()
		case j.alone == 0:
			j.turn(tryAlone)
		default:
			j.decide()
		}
	case tryAlone:
		j.alone = mean
		j.turn(trySharing)
	case keptAlone:
		j.shared, j.alone = math.MaxInt64, mean
		j.turn(trySharing)
	}
}

// decide compares the means. A verdict that comes again stands for longer. Alone has to
// be a tenth faster: when the core that is waited for is free again, sharing gains more
// than that.
func (j *judge) decide() {
	verdict := watched
	if j.alone < j.shared-j.shared/10 {
		verdict = keptAlone
	}
	if verdict == j.verdict {
		j.stay = min(2*j.stay, stayMost)
	} else {
		j.stay = stayLeast
	}
	j.verdict = verdict
	j.rest = j.now() + j.stay
	j.turn(verdict)
}

// leave shares all runs for a long time.
func (j *judge) leave() {
	rest := longRest
	if j.way == tryAlone {
		// By the shortest one: what stops the process for a while does not count.
		rest = max(rest, longRests*longRuns*j.least)
	}
	j.rest = j.now() + rest
	j.turn(watched)
}

// turn makes the next runs in a way.
func (j *judge) turn(w way) {
	j.way, j.runs, j.late, j.sum, j.least = w, 0, 0, 0, math.MaxInt64
}
