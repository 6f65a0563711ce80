package bench

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/dnngen/dnngen/runtime/simd"
)

// Peak is what the machine can do at most.
type Peak struct {
	Units   string  `json:"units"` // the best it has: "avx512", "avx2" or "scalar"
	Threads int     `json:"threads"`
	One     float64 `json:"gflops_one_thread"`
	All     float64 `json:"gflops_all_threads"`
	ReadOne float64 `json:"read_gb_per_second_one_thread"` // from memory
	ReadAll float64 `json:"read_gb_per_second_all_threads"`
	// Narrower are the machine's other vector units.
	Narrower []Units `json:"narrower,omitempty"`
}

// Units is what some vector units can do at most.
type Units struct {
	Units string  `json:"units"`
	One   float64 `json:"gflops_one_thread"`
	All   float64 `json:"gflops_all_threads"`
}

// of returns the peak of a number of threads on the named units, the best ones
// where the name is none of theirs.
func (p *Peak) of(threads int, units string) float64 {
	one, all := p.One, p.All
	for _, u := range p.Narrower {
		if u.Units == units {
			one, all = u.One, u.All
		}
	}
	if threads <= 1 {
		return one
	}
	return one + (all-one)*float64(min(threads, p.Threads)-1)/float64(max(1, p.Threads-1))
}

// Meter measures the peak.
type Meter struct {
	units   []string // the best ones first
	threads int
	memory  [][]uint64 // a part for each thread, together more than caches hold
}

// memoryTotal is the number of bytes that are read to measure the bandwidth.
const memoryTotal = 256 << 20

// scalar are the units of a CPU whose vector units are not known.
const scalar = "scalar"

// NewMeter prepares the measurement, for the vector units of this CPU.
func NewMeter(threads int) *Meter {
	m := &Meter{threads: threads}
	for _, units := range []string{"avx512", "avx2"} {
		if _, err := simd.Peak(units, 1, 0); err == nil {
			m.units = append(m.units, units)
		}
	}
	if m.units == nil {
		m.units = []string{scalar}
	}
	for range threads {
		part := make([]uint64, memoryTotal/8/threads)
		for i := range part {
			part[i] = uint64(i) // memory that was never written is not there
		}
		m.memory = append(m.memory, part)
	}
	return m
}

// Measure measures for a few times d.
func (m *Meter) Measure(d time.Duration) (Peak, error) {
	p := Peak{Threads: m.threads, ReadOne: m.read(1, d)}
	p.ReadAll = p.ReadOne
	if m.threads > 1 {
		p.ReadAll = m.read(m.threads, d)
	}
	for i, units := range m.units {
		u := Units{Units: units}
		var err error
		if u.One, err = compute(units, 1, d); err != nil {
			return p, err
		}
		u.All = u.One
		if m.threads > 1 {
			if u.All, err = compute(units, m.threads, d); err != nil {
				return p, err
			}
		}
		if i == 0 {
			p.Units, p.One, p.All = u.Units, u.One, u.All
		} else {
			p.Narrower = append(p.Narrower, u)
		}
	}
	return p, nil
}

// compute returns GFLOP/s.
func compute(units string, threads int, d time.Duration) (float64, error) {
	if units != scalar {
		rate, err := simd.Peak(units, threads, d)
		for tries := 0; rate == 0 && err == nil && tries < 5; tries++ {
			d *= 4 // nothing was done: another process had the core all the time
			rate, err = simd.Peak(units, threads, d)
		}
		return rate, err
	}
	work := 0.0
	took := together(threads, d, func(int) float64 { return scalarRound() }, &work)
	return work / took / 1e9, nil
}

// scalarRound makes multiply-adds in chains that do not wait for each other,
// and returns their number of operations.
func scalarRound() float64 {
	const rounds = 4000
	var a, b, c, d, e, f, g, h float32
	x := float32(0.5)
	for range rounds {
		a, b, c, d = a*x+x, b*x+x, c*x+x, d*x+x
		e, f, g, h = e*x+x, f*x+x, g*x+x, h*x+x
	}
	if math.IsNaN(float64(a + b + c + d + e + f + g + h)) {
		panic(fmt.Sprint("bench: a sum that converges is ", a)) // never; but the sums are used
	}
	return 16 * rounds
}

// read measures reading from memory, in GB/s.
func (m *Meter) read(threads int, d time.Duration) float64 {
	at := make([]int, threads)
	sums := make([]uint64, threads)
	bytes := 0.0
	took := together(threads, d, func(t int) float64 {
		part := m.memory[t]
		const block = 32 << 10
		if at[t]+block > len(part) {
			at[t] = 0
		}
		sums[t] += sum(part[at[t] : at[t]+block])
		at[t] += block
		return 8 * block
	}, &bytes)
	runtime.KeepAlive(sums)
	return bytes / took / 1e9
}

func sum(list []uint64) uint64 {
	var a, b, c, d uint64
	for len(list) >= 8 {
		p := (*[8]uint64)(list)
		a += p[0] + p[4]
		b += p[1] + p[5]
		c += p[2] + p[6]
		d += p[3] + p[7]
		list = list[8:]
	}
	return a + b + c + d
}

// together calls f on every thread again and again until the time is over, adds
// up what it returns, and returns the seconds that it took.
func together(threads int, d time.Duration, f func(thread int) float64, total *float64) float64 {
	done := make([]float64, threads)
	start := time.Now()
	work := func(t int) {
		for first := true; first || time.Since(start) < d; first = false {
			done[t] += f(t)
		}
	}
	var group sync.WaitGroup
	for t := 1; t < threads; t++ {
		group.Go(func() { work(t) })
	}
	work(0)
	group.Wait()
	took := time.Since(start).Seconds()
	for _, v := range done {
		*total += v
	}
	return took
}

// medianPeak takes the median of each figure.
func medianPeak(list []Peak) Peak {
	p := list[0]
	p.Narrower = slices.Clone(p.Narrower)
	median := func(to *float64, of func(*Peak) float64) {
		var values []float64
		for i := range list {
			values = append(values, of(&list[i]))
		}
		*to = SpreadOf(values).Median
	}
	median(&p.One, func(p *Peak) float64 { return p.One })
	median(&p.All, func(p *Peak) float64 { return p.All })
	median(&p.ReadOne, func(p *Peak) float64 { return p.ReadOne })
	median(&p.ReadAll, func(p *Peak) float64 { return p.ReadAll })
	for i := range p.Narrower {
		u := &p.Narrower[i]
		median(&u.One, func(p *Peak) float64 { return p.Narrower[i].One })
		median(&u.All, func(p *Peak) float64 { return p.Narrower[i].All })
	}
	return p
}
