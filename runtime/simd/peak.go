package simd

//go:generate go run ../../asm/internal/peak

import (
	"fmt"
	"sync"
	"time"
)

const (
	peakChains = 12 * 4 // multiply-adds of a round of the kernels
	peakRounds = 2000   // rounds of a call: some tens of microseconds
)

// Peak measures how many GFLOP/s threads goroutines reach together that do
// nothing but fused multiply-adds, for about the given time. isa is "avx512"
// or "avx2".
func Peak(isa string, threads int, d time.Duration) (float64, error) {
	kernel, lanes, err := peakOf(isa)
	if err != nil {
		return 0, err
	}
	var calls sync.WaitGroup
	rounds := make([]int, threads)
	kernel(peakRounds) // wakes the vector units
	start := time.Now()
	run := func(t int) {
		for time.Since(start) < d {
			kernel(peakRounds)
			rounds[t] += peakRounds
		}
	}
	for t := 1; t < threads; t++ {
		calls.Go(func() { run(t) })
	}
	run(0)
	calls.Wait()
	took := time.Since(start).Seconds()
	total := 0
	for _, r := range rounds {
		total += r
	}
	return 2 * float64(total) * float64(peakChains*lanes) / took / 1e9, nil
}

func unknownISA(isa string) error { return fmt.Errorf("there is no peak to measure for %q", isa) }
