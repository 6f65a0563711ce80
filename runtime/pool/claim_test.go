package pool

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

func TestPartCovers(t *testing.T) {
	for n := range 20 {
		for parts := 1; parts < 8; parts++ {
			next := 0
			for i := range parts {
				lo, hi := Part(n, i, parts)
				if lo != next {
					t.Fatalf("%d in %d parts: part %d starts at %d, not %d", n, parts, i, lo, next)
				}
				next = hi
			}
			if next != n {
				t.Fatalf("%d in %d parts: ends at %d", n, parts, next)
			}
		}
	}
}

// Every piece of every round is made once, whoever is late: rounds follow one
// another without a barrier, many more than a ledger holds, and some have fewer
// pieces than there are workers.
func TestEveryPieceIsClaimedOnce(t *testing.T) {
	const steps, perStep = 300, 11
	sizes := [perStep]int{40, 0, 1, 7, 300, 2, 16, 1, 0, 64, 3}
	for _, c := range []struct {
		threads int
		share   string
	}{{1, "always"}, {2, "always"}, {3, "always"}, {8, "always"}, {2, "turns"}, {3, "turns"}} {
		threads := c.threads
		t.Run(fmt.Sprint(threads, c.share), func(t *testing.T) {
			t.Setenv(Variable, c.share)
			p := New(threads)
			defer p.Close()
			var made [perStep][300]atomic.Int32
			step := 0
			f := func(worker int) {
				for r, n := range sizes {
					if (step+r)%threads == worker && step%50 == 0 {
						time.Sleep(time.Millisecond) // this one is late
					}
					pieces := p.Claim(worker, n)
					if r%2 == 1 {
						pieces = p.InTurn(worker, n)
					}
					for i := range pieces {
						made[r][i].Add(1)
					}
					if r%5 == 4 {
						p.Wait()
					}
				}
			}
			for step = range steps {
				p.Run(f)
				for r, n := range sizes {
					for i := range made[r] {
						want := 0
						if i < n {
							want = 1
						}
						if got := made[r][i].Swap(0); int(got) != want {
							t.Fatalf("step %d: piece %d of %d was made %d times", step, i, n, got)
						}
					}
				}
			}
		})
	}
}

// The ranges follow one another, are never empty and never grow, and there are
// never more of them than a plan counts on.
func TestTaperCovers(t *testing.T) {
	most := 0
	for n := range 3000 {
		parts, at, before := Tapered(n), 0, n+1
		most = max(most, parts)
		for i := range parts {
			lo, hi := Taper(n, i)
			if lo != at || hi <= lo || hi-lo > before {
				t.Fatalf("%d: range %d is [%d, %d) after %d, which had %d", n, i, lo, hi, at, before)
			}
			at, before = hi, hi-lo
		}
		if at != n {
			t.Fatalf("%d: the ranges end at %d", n, at)
		}
	}
	if most != MostTapered {
		t.Errorf("there are up to %d ranges, want %d", most, MostTapered)
	}
}

// An owner claims half of what is left from the front, others the last piece.
func TestPiecesAreTakenFromBothEnds(t *testing.T) {
	var l ledger
	for i, test := range []struct {
		which  choice
		lo, hi int
	}{
		{half, 10, 14}, {last, 17, 18}, {first, 14, 15}, {last, 16, 17}, {half, 15, 16}, {half, 0, 0}, {last, 0, 0}, {first, 0, 0},
	} {
		if lo, hi := l.take(3, 10, 18, test.which); lo != test.lo || hi != test.hi {
			t.Errorf("claim %d is [%d, %d), want [%d, %d)", i, lo, hi, test.lo, test.hi)
		}
	}
	// The next round in the same place begins anew.
	if lo, hi := l.take(3+ledgerRounds, 10, 18, last); lo != 17 || hi != 18 {
		t.Errorf("the next round begins with [%d, %d)", lo, hi)
	}
	// So does one without open pieces.
	if lo, hi := l.take(3+2*ledgerRounds, 10, 10, half); lo != hi {
		t.Errorf("claimed [%d, %d) of none", lo, hi)
	}
}

// What was claimed and not made is lost to all: breaking off is for the end.
func TestClaimBreaksOff(t *testing.T) {
	t.Setenv(Variable, "always")
	for _, threads := range []int{1, 2} {
		p := New(threads)
		var made atomic.Int32
		f := func(worker int) {
			for i := range p.Claim(worker, 8) {
				made.Add(1)
				if i >= 0 {
					break
				}
			}
		}
		for range 40 {
			p.Run(f)
		}
		p.Close()
		if got := int(made.Load()); got != 40*threads {
			t.Errorf("%d threads made %d pieces, want one a round and worker", threads, got)
		}
	}
}

func TestSharesDoNotAllocate(t *testing.T) {
	for _, threads := range []int{1, 2} {
		p := New(threads)
		sum := make([]int, threads)
		f := func(worker int) {
			for i := range p.Claim(worker, 20) {
				sum[worker] += i
			}
			for i := range p.Share(worker, 20) {
				sum[worker] -= i
			}
			for i := range p.InTurn(worker, 20) {
				sum[worker] += i
			}
		}
		if n := testing.AllocsPerRun(100, func() { p.Run(f) }); n != 0 {
			t.Errorf("%d threads: %v allocations a run", threads, n)
		}
		p.Close()
	}
}

func BenchmarkClaim(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprint(threads), func(b *testing.B) {
			p := New(threads)
			defer p.Close()
			f := func(worker int) {
				for range 100 {
					for range p.Claim(worker, 16) {
					}
					p.Wait()
				}
			}
			for range b.N {
				p.Run(f)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/round")
		})
	}
}
