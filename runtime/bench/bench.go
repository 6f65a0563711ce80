// Package bench measures training steps: contenders take turns in short rounds,
// so that what else happens on the machine meets all of them, and the machine's
// own peak is measured between the rounds.
package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Contender is one way of making the steps of a Problem.
type Contender interface {
	// Losses starts the training anew, makes steps of rows rows each and returns
	// the loss of each step, before its update.
	Losses(steps, rows int) ([]float64, error)
	// Time starts a training anew where fresh is set, makes steps of rows rows at
	// a learning rate that leaves the parameters about where they are, and returns
	// the seconds that took.
	Time(steps, rows int, fresh bool) (float64, error)
}

// runsOf counts the runs of a contender so far, and those that one of several threads
// made alone; 0 where it does not tell.
func runsOf(c Contender) (alone, all int64) {
	if s, ok := c.(engine.Sharing); ok {
		return s.Runs()
	}
	return 0, 0
}

// Entry is a contender and what is told of it.
type Entry struct {
	Name    string // "cpu:avx2"
	Threads int
	// Units are the vector units that it computes on, as Peak names them. Its share
	// is of their peak; of the best units' where it names none.
	Units string
	// Elsewhere tells that the work is not done by this machine's cores, whose peak
	// is then no measure.
	Elsewhere bool
	// Whole forbids steps of fewer rows than a batch, where each number of rows
	// is compiled anew.
	Whole bool
	// Roundoff is the unit roundoff of what it multiplies; 0: that of float32.
	Roundoff float64
	Contender
}

// Options bound a measurement.
type Options struct {
	Seconds float64 // for all rounds together, about
	Steps   int     // in a round; 0: as many as a round's share of the time holds
	Check   int     // steps whose losses are compared
	Batch   int     // rows of a full step
	FLOPs   float64 // of the matrix products, for each row
	// Peak measures the machine for about the given time; nil leaves that out.
	Peak func(d time.Duration) (Peak, error)
	// Round is called before each round, from 0 to rounds; nil for nobody.
	Round func(i, rounds int)
}

// Disagreement tells that a contender is wrong.
type Disagreement struct {
	Name, Reference string
	Step            int
	Loss, Want      float64
}

func (e *Disagreement) Error() string {
	return fmt.Sprintf("%s computes something else than %s: the loss of step %d is %.9g, not %.9g", e.Name, e.Reference, e.Step, e.Loss, e.Want)
}

// tolerance is how far losses may be apart, as a share of the loss or of 1,
// after a few steps from equal parameters. Rounding makes some 1e-7; a bias that
// is not updated, a few 1e-5.
const tolerance = 1e-5

// tolerance of an entry whose operands are rounded: the losses of a few steps are
// far within so many roundoffs.
func (e *Entry) tolerance() float64 {
	const units = 16
	return max(tolerance, units*e.Roundoff)
}

const (
	minRounds = 3
	maxRounds = 25
	// roundTime is how long a round of one contender should at least last.
	roundTime = 0.04
	// warmUp is the part of a round's steps, one in so many, that everybody makes
	// before the clock starts: the contender before has left its threads awake and
	// its data in the caches, and those of this one sleep.
	warmUp = 4
	// peakTime is how long each measurement of the peak lasts, in each round.
	peakTime = 12 * time.Millisecond
)

// Measure compares the losses of all entries with those of the first, and then
// times them in alternating rounds. An entry for which a whole batch takes too
// long is compared with fewer rows and not timed. The error is a *Disagreement where losses
// differ.
func Measure(ctx context.Context, entries []Entry, o Options) (*Report, error) {
	m := &measurement{ctx: ctx, Options: o, start: time.Now()}
	for _, e := range entries {
		m.runs = append(m.runs, &run{Entry: e})
	}
	for _, step := range []func() error{m.chooseRows, m.compare, m.calibrate, m.alternate} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return m.report(), nil
}

// measurement is one call of Measure.
type measurement struct {
	Options
	ctx    context.Context
	start  time.Time
	runs   []*run
	rounds int
	checks int // steps that were compared
	peaks  []Peak
}

// run is what is known of one entry.
type run struct {
	Entry
	rows   int       // of its steps: the batch, or less where a step would take too long
	step   float64   // seconds, about
	steps  int       // in a round
	times  []float64 // of a step, round by round
	alone  int64     // runs of the rounds that one of several threads made alone
	all    int64     // runs of the rounds
	losses []float64
}

// slow tells that a whole batch takes too long: the losses of fewer rows are
// compared, and nothing is timed.
func (m *measurement) slow(r *run) bool { return r.rows < m.Batch }

// timed lists those whose steps are timed.
func (m *measurement) timed() (list []*run) {
	for _, r := range m.runs {
		if !m.slow(r) {
			list = append(list, r)
		}
	}
	return list
}

// share is the time that one entry has.
func (m *measurement) share() float64 { return m.Seconds / float64(len(m.runs)) }

func (m *measurement) time(r *run, steps, rows int, fresh bool) (float64, error) {
	if m.ctx.Err() != nil {
		return 0, context.Cause(m.ctx)
	}
	t, err := r.Time(steps, rows, fresh)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", r.Name, err)
	}
	return t / float64(steps), nil
}

// chooseRows finds for each entry how many rows of the batch a step may have, so
// that some rounds fit into the entry's share: all of them, if it is not slow.
func (m *measurement) chooseRows() error {
	limit := m.share() / (minRounds + 3)
	for _, r := range m.runs {
		const first, tries = 4, 3
		fresh := true
		start := min(first, m.Batch)
		if r.Whole {
			start = m.Batch
		}
		for rows := start; ; rows = min(4*rows, m.Batch) {
			t, err := m.time(r, 1, rows, fresh)
			if err != nil {
				return err
			}
			if fresh { // the first step touches memory for the first time
				if t, err = m.time(r, 1, rows, false); err != nil {
					return err
				}
				fresh = false
			}
			// What a step costs beside its rows is part of t: the next number of rows
			// takes at most four times as long.
			slow := func() bool { return rows < m.Batch && 4*t > limit && float64(m.Batch/rows)*t > limit }
			// What disturbs a step once does not make it slow.
			for try := 1; try < tries && slow(); try++ {
				again, err := m.time(r, 1, rows, false)
				if err != nil {
					return err
				}
				t = min(t, again)
			}
			r.rows, r.step = rows, t
			if rows == m.Batch || slow() {
				break
			}
		}
	}
	// Where all are slow, whole batches are made all the same: a time is wanted.
	if len(m.timed()) == 0 {
		for _, r := range m.runs {
			r.rows, r.step = m.Batch, r.step*float64(m.Batch)/float64(r.rows)
		}
	}
	return nil
}

// compare holds the losses of the first steps against those of the first entry:
// with each number of rows that somebody is timed with, so that the steps whose
// time is taken are steps that were compared.
func (m *measurement) compare() error {
	var counts []int
	for _, r := range m.runs {
		counts = append(counts, r.rows)
	}
	slices.Sort(counts)
	m.checks = m.Check
	for _, rows := range slices.Compact(counts) {
		if err := m.compareWith(rows); err != nil {
			return err
		}
	}
	return nil
}

// compareWith compares those that can make steps of so many rows in time, each
// in as many steps as its time allows.
func (m *measurement) compareWith(rows int) error {
	var group []*run
	whole := true
	for _, r := range m.runs {
		if r.rows < rows || r.Whole && rows < m.Batch {
			continue
		}
		group, whole = append(group, r), whole && r.Whole
	}
	if whole && group[0] != m.runs[0] {
		group = slices.Insert(group, 0, m.runs[0]) // slow, but the only one that knows
	}
	want := group[0]
	for _, r := range group {
		if m.ctx.Err() != nil {
			return context.Cause(m.ctx)
		}
		step := r.step * float64(rows) / float64(r.rows)
		checks := max(min(3, m.Check), min(m.Check, int(m.share()/4/max(step, 1e-9))))
		if r != want {
			checks = min(checks, len(want.losses))
		}
		m.checks = min(m.checks, checks)
		losses, err := r.Losses(checks, rows)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		r.losses = losses
		for i, loss := range losses {
			if expected := want.losses[i]; !(math.Abs(loss-expected) <= r.tolerance()*max(1, math.Abs(expected))) {
				return &Disagreement{r.Name, want.Name, i, loss, expected}
			}
		}
	}
	return nil
}

// calibrate chooses the number of rounds and of steps in a round.
func (m *measurement) calibrate() error {
	slowest, timed := 0.0, m.timed()
	for _, r := range timed {
		steps := 1
		for fresh := true; ; fresh = false {
			t, err := m.time(r, steps, r.rows, fresh)
			if err != nil {
				return err
			}
			r.step = t
			if t*float64(steps) > roundTime/8 {
				break
			}
			steps *= 4
		}
		slowest = max(slowest, r.step)
	}
	m.rounds = min(maxRounds, max(minRounds, int(m.share()/max(roundTime, slowest))))
	each := min(m.share()/float64(m.rounds), 5*roundTime)
	for _, r := range timed {
		if r.steps = m.Steps; r.steps == 0 {
			r.steps = max(1, int(each*warmUp/(warmUp+1)/r.step))
		}
	}
	return nil
}

// alternate makes the rounds. Every other one goes the other way round, and
// each begins at another entry, so that none always follows the same one.
func (m *measurement) alternate() error {
	timed := m.timed()
	deadline := time.Now().Add(time.Duration(1.5 * m.Seconds * float64(time.Second)))
	for round := range m.rounds {
		if round >= minRounds && time.Now().After(deadline) {
			break
		}
		if m.Round != nil {
			m.Round(round, m.rounds)
		}
		if m.Peak != nil {
			p, err := m.Peak(peakTime)
			if err != nil {
				return err
			}
			m.peaks = append(m.peaks, p)
		}
		for i := range timed {
			at := (round + i) % len(timed)
			if round%2 == 1 {
				at = len(timed) - 1 - at
			}
			r := timed[at]
			if warm := r.steps / warmUp; warm > 0 {
				if _, err := m.time(r, warm, r.rows, false); err != nil {
					return err
				}
			}
			alone, all := runsOf(r.Contender)
			t, err := m.time(r, r.steps, r.rows, false)
			if err != nil {
				return err
			}
			r.times = append(r.times, t)
			aloneNow, allNow := runsOf(r.Contender)
			r.alone, r.all = r.alone+aloneNow-alone, r.all+allNow-all
		}
	}
	return nil
}
