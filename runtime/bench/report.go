package bench

import (
	"slices"
	"time"
)

// Report is what a measurement found.
type Report struct {
	Results []Result `json:"results"`
	Slow    []Slow   `json:"slow,omitempty"` // that were not timed
	Peak    *Peak    `json:"peak,omitempty"` // medians over the rounds
	Rounds  int      `json:"rounds"`
	Checked int      `json:"checked_steps"` // whose losses agree, at least
	Batch   int      `json:"batch"`         // rows of a full step
	FLOPs   float64  `json:"flops_per_step"`
	Seconds float64  `json:"seconds"` // that the measurement took
}

// Slow is an entry for which a whole batch takes too long.
type Slow struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads"`
	Rows    int     `json:"rows"`         // of the steps that were tried
	Step    float64 `json:"step_seconds"` // that one of them took
}

// Result is what was found of one entry. Times are those of a full step.
type Result struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads"`
	Steps   int     `json:"steps_per_round"`
	Step    Spread  `json:"step_seconds"`
	Samples float64 `json:"samples_per_second"`
	GFLOPS  float64 `json:"gflops"`
	Share   float64 `json:"share_of_peak,omitempty"` // of the peak of as many threads on its units
	Loss    float64 `json:"loss"`                    // of the last step that was compared for it
	// Alone is the share of the steps that one of several threads made by itself.
	Alone float64 `json:"made_alone,omitempty"`
}

// Spread describes times that were measured again and again.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // a quarter of all is below
	High   float64 `json:"high"` // a quarter of all is above
	Best   float64 `json:"best"`
}

// SpreadOf returns the quartiles of a list that is not empty.
func SpreadOf(list []float64) Spread {
	s := slices.Sorted(slices.Values(list))
	at := func(q float64) float64 {
		x := q * float64(len(s)-1)
		i := int(x)
		if i+1 == len(s) {
			return s[i]
		}
		return s[i] + (x-float64(i))*(s[i+1]-s[i])
	}
	return Spread{Median: at(0.5), Low: at(0.25), High: at(0.75), Best: s[0]}
}

// Noise returns half the distance between the quartiles, as a share of the
// median.
func (s Spread) Noise() float64 { return (s.High - s.Low) / 2 / s.Median }

func (m *measurement) report() *Report {
	out := &Report{
		Rounds: len(m.timed()[0].times), Checked: m.checks, Batch: m.Batch,
		FLOPs: m.FLOPs * float64(m.Batch), Seconds: time.Since(m.start).Seconds(),
	}
	if len(m.peaks) > 0 {
		p := medianPeak(m.peaks)
		out.Peak = &p
	}
	for _, r := range m.runs {
		if m.slow(r) {
			out.Slow = append(out.Slow, Slow{r.Name, r.Threads, r.rows, r.step})
			continue
		}
		step := SpreadOf(r.times)
		result := Result{
			Name: r.Name, Threads: r.Threads, Steps: r.steps, Step: step,
			Samples: float64(m.Batch) / step.Median, GFLOPS: out.FLOPs / step.Median / 1e9, Loss: r.losses[len(r.losses)-1],
		}
		if out.Peak != nil && !r.Elsewhere {
			result.Share = result.GFLOPS / out.Peak.of(r.Threads, r.Units)
		}
		if r.alone > 0 {
			result.Alone = float64(r.alone) / float64(r.all)
		}
		out.Results = append(out.Results, result)
	}
	return out
}
