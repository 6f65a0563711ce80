package pool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// machine stands for what runs take, by the time that has gone by.
type machine struct {
	judge
	clock        time.Duration
	sharedRun    time.Duration
	aloneRun     time.Duration
	late         bool          // in each shared run somebody is
	shared       int           // runs
	alone        int           // runs
	sharedTimes  time.Duration // of all shared runs
	aloneTimes   time.Duration // of all runs alone
	clockLookups int
}

func newMachine(shared, alone time.Duration, late bool) *machine {
	m := &machine{sharedRun: shared, aloneRun: alone, late: late}
	m.judge.init()
	m.now = func() time.Duration {
		m.clockLookups++
		return m.clock
	}
	return m
}

// work makes runs for so long.
func (m *machine) work(d time.Duration) {
	m.shared, m.alone, m.sharedTimes, m.aloneTimes, m.clockLookups = 0, 0, 0, 0, 0
	for end := m.clock + d; m.clock < end; {
		if m.begin() {
			m.clock += m.aloneRun
			m.alone++
			m.aloneTimes += m.aloneRun
			m.end(false)
		} else {
			m.clock += m.sharedRun
			m.shared++
			m.sharedTimes += m.sharedRun
			m.end(m.late)
		}
	}
}

// Where nobody is late, runs are shared and not even timed.
func TestNothingIsTriedWithoutNeed(t *testing.T) {
	m := newMachine(2*time.Millisecond, time.Millisecond, false)
	m.work(time.Second)
	if m.alone > 0 || m.clockLookups > 0 {
		t.Errorf("%d runs alone, the clock was read %d times", m.alone, m.clockLookups)
	}
	// So are they where somebody is late now and then.
	for i := range 100 * window {
		if m.begin() {
			t.Fatalf("run %d is made alone", i)
		}
		m.end(i%window < windowLate-1)
	}
	// In one more of them, both ways are tried.
	for i := range window {
		m.begin()
		m.end(i < windowLate)
	}
	if m.way != trySharing {
		t.Errorf("nothing is tried after %d runs with somebody late in %d", window, windowLate)
	}
}

func TestTheFasterWayIsKept(t *testing.T) {
	const us = time.Microsecond
	for _, test := range []struct {
		name          string
		shared, alone time.Duration
		most          float64 // of the time in the slower way, after the first trial
		sharing       bool    // is faster
	}{
		{"sharing stands still", 700 * us, 100 * us, 0.02, false},
		{"sharing is slower", 2000 * us, 1200 * us, 0.03, false},
		{"sharing is as fast", 1000 * us, 950 * us, 0.02, true},
		{"sharing is faster", 600 * us, 1100 * us, 0.03, true},
		{"much longer", 9 * time.Millisecond, 4 * time.Millisecond, 0.1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(test.shared, test.alone, true)
			m.work(time.Second) // some verdicts, the last of which stands for long
			m.work(10 * time.Second)
			slower := m.sharedTimes
			if test.sharing {
				slower = m.aloneTimes
			}
			if share := slower.Seconds() / 10; share > test.most {
				t.Errorf("%.1f %% of the time is spent in the slower way", 100*share)
			}
		})
	}
}

// A stall that comes once, in either trial of sharing, makes no difference.
func TestOneStallIsNoReason(t *testing.T) {
	for stalled := range 2 {
		m := newMachine(60*time.Microsecond, 100*time.Microsecond, true)
		trials := 0
		for m.verdict = keptAlone; m.verdict != watched; {
			trial := m.way == trySharing && m.runs == 0
			took, isAlone := m.sharedRun, m.begin()
			if isAlone {
				took = m.aloneRun
			} else if trial {
				if trials++; trials == stalled+1 {
					took = 9 * time.Millisecond
				}
			}
			m.clock += took
			if m.end(!isAlone); m.way == keptAlone {
				t.Fatalf("runs are made alone after trial %d stalled", stalled)
			}
		}
	}
}

// When the cores are free again, runs are soon shared; and when they are taken, not.
func TestVerdictsChange(t *testing.T) {
	m := newMachine(800*time.Microsecond, 300*time.Microsecond, true)
	for range 3 {
		m.sharedRun, m.late = 800*time.Microsecond, true
		m.work(stayMost + 200*time.Millisecond)
		m.work(10 * time.Second)
		if m.alone < 10*m.shared {
			t.Errorf("on a full machine, %d runs are shared and %d are not", m.shared, m.alone)
		}
		m.sharedRun, m.late = 160*time.Microsecond, false
		m.work(stayMost + 200*time.Millisecond)
		m.work(time.Second)
		if m.alone > 0 {
			t.Errorf("on a free machine, %d runs are shared and %d are not", m.shared, m.alone)
		}
	}
}

// A new verdict is soon looked at again, however long the last one stood.
func TestANewVerdictIsShort(t *testing.T) {
	m := newMachine(800*time.Microsecond, 300*time.Microsecond, true)
	m.work(10 * time.Second)
	m.sharedRun, m.late = 160*time.Microsecond, false
	m.work(10 * time.Second)
	m.sharedRun, m.late = 800*time.Microsecond, true
	m.work(stayLeast) // the runs that are watched, and both trials
	m.sharedRun, m.late = 160*time.Microsecond, false
	m.work(stayLeast + 2*trialTime)
	m.work(time.Second)
	if m.alone > 0 {
		t.Errorf("%d runs are made alone after a short while of them", m.alone)
	}
}

// A trial times both ways: that runs were once faster alone says nothing of later ones.
func TestATrialForgetsTheLast(t *testing.T) {
	m := newMachine(800*time.Microsecond, 300*time.Microsecond, true)
	m.work(10 * time.Second)
	m.sharedRun, m.late = 160*time.Microsecond, false
	m.work(10 * time.Second)
	m.sharedRun, m.aloneRun, m.late = 800*time.Microsecond, time.Millisecond, true
	m.work(stayLeast)
	if m.alone == 0 || m.aloneTimes > 2*trialTime {
		t.Errorf("%d runs are made alone, for %v, want about %v", m.alone, m.aloneTimes, trialTime)
	}
}

// Long runs are shared, whoever is late: they are made alone a few times a minute at
// most, and the longest never.
func TestLongRunsAreShared(t *testing.T) {
	for _, test := range []struct {
		shared time.Duration
		most   int
	}{{10 * time.Millisecond, 2 * longRuns}, {60 * time.Millisecond, 0}} {
		m := newMachine(test.shared, test.shared/2+longAlone, true)
		m.work(longRest + longRest/2)
		if m.alone > test.most {
			t.Errorf("%v: %d runs are made alone", test.shared, m.alone)
		}
	}
}

// Dozens of workers, of which some wait for others in every run, make in 40 ms what takes
// one of them 1.3 s. Trials of that take few of a hundred seconds.
func TestTrialsOfManyWorkersAreRare(t *testing.T) {
	m := newMachine(40*time.Millisecond, 1300*time.Millisecond, true)
	m.work(time.Hour)
	if share := m.aloneTimes.Seconds() / m.clock.Seconds(); m.alone < longRuns || share > 0.025 {
		t.Errorf("%d runs are made alone, %.1f %% of the time", m.alone, 100*share)
	}
}

// A value that means nothing is told of, not passed over.
func TestTheEnvironmentIsChecked(t *testing.T) {
	for value, right := range map[string]bool{"": true, "always": true, "turns": true, "alway": false} {
		t.Setenv(Variable, value)
		if err := Environment(); (err == nil) != right {
			t.Errorf("%q: error %v", value, err)
		}
	}
}

// The environment has every run shared, or every other one, with the same pieces.
func TestTheEnvironmentDecides(t *testing.T) {
	for asked, want := range map[string][]int{"always": {3, 3, 3, 3}, "turns": {3, 1, 3, 1}} {
		t.Setenv(Variable, asked)
		p := New(3)
		made := make([][]int, 3)
		var got []int
		f := func(worker int) {
			if worker == 0 {
				got = append(got, p.Threads())
			}
			for i := range p.Share(worker, 8) {
				made[worker] = append(made[worker], i)
			}
			p.Wait()
		}
		for range 4 {
			p.Run(f)
			if all := slices.Concat(made...); !slices.Equal(all, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
				t.Errorf("%s: pieces %v", asked, all)
			}
			for w := range made {
				made[w] = made[w][:0]
			}
		}
		if p.Close(); !slices.Equal(got, want) {
			t.Errorf("%s: shared by %v, want %v", asked, got, want)
		}
		if n := p.Threads(); n != 3 {
			t.Errorf("%s: %d threads afterwards", asked, n)
		}
		if alone, all := p.Runs(); int(alone) != strings.Count(fmt.Sprint(want), "1") || all != 4 {
			t.Errorf("%s: %d of %d runs alone", asked, alone, all)
		}
	}
}
