package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/dnngen/dnngen/runtime/wording"
)

// Duration writes seconds with the unit that fits: "35.2 µs".
func Duration(s float64) string {
	units := []struct {
		name   string
		factor float64
	}{{"ns", 1e9}, {"µs", 1e6}, {"ms", 1e3}, {"s", 1}}
	for _, u := range units {
		if v := s * u.factor; v < 999.5 || u.name == "s" {
			return digits(v) + " " + u.name
		}
	}
	return ""
}

// digits writes a positive number with three digits that count.
func digits(v float64) string {
	places := 0
	if v > 0 {
		// A number is rounded before its digits are counted: 0.9999 has one before
		// the point.
		unit := math.Pow(10, math.Floor(math.Log10(v))-2)
		places = min(max(2-int(math.Floor(math.Log10(math.Round(v/unit)*unit)+1e-9)), 0), 6)
	}
	return strconv.FormatFloat(v, 'f', places, 64)
}

// Count writes a large number with k, M or G: "1.82 M".
func Count(v float64) string {
	for _, u := range []struct {
		name string
		unit float64
	}{{" G", 1e9}, {" M", 1e6}, {" k", 1e3}} {
		if v >= u.unit {
			return digits(v/u.unit) + u.name
		}
	}
	return digits(v)
}

// operations writes a number of floating-point operations: "8.63 MFLOP".
func operations(v float64) string {
	if v < 1e3 {
		return Count(v) + " FLOP"
	}
	return Count(v) + "FLOP"
}

// Heading says what was measured, and where: what is the network, rows is where
// its rows come from.
func (r *Report) Heading(w io.Writer, m Machine, what, rows string) {
	fmt.Fprintf(w, "%s: a step has %s and %s of matrix products; rows: %s\n", what, wording.Count(r.Batch, "row"), operations(r.FLOPs), rows)
	fmt.Fprintf(w, "%s, %s; medians of %s; the losses of %s agree\n",
		m.CPU, wording.Count(m.Threads, "thread"), wording.Count(r.Rounds, "round"), wording.Count(r.Checked, "step"))
}

// Table prints a report for a person.
func (r *Report) Table(w io.Writer) {
	if p := r.Peak; p != nil {
		fmt.Fprintf(w, "peak: %.0f GFLOP/s by one thread", p.One)
		if p.Threads > 1 {
			fmt.Fprintf(w, ", %.0f by %d", p.All, p.Threads)
		}
		fmt.Fprintf(w, " (%s)", p.Units)
		for _, u := range p.Narrower {
			fmt.Fprintf(w, ", %.0f", u.One)
			if p.Threads > 1 {
				fmt.Fprintf(w, " and %.0f", u.All)
			}
			fmt.Fprintf(w, " (%s)", u.Units)
		}
		fmt.Fprintf(w, "; memory is read at %.0f GB/s", p.ReadOne)
		if p.Threads > 1 {
			fmt.Fprintf(w, ", %.0f by %d", p.ReadAll, p.Threads)
		}
		fmt.Fprintf(w, "\n\n")
	}
	longest := len("device")
	for _, x := range r.Results {
		longest = max(longest, len([]rune(x.Name)))
	}
	fmt.Fprintf(w, "%-*s  %7s  %10s %7s  %12s  %9s  %8s\n", longest, "device", "threads", "a step", "±", "samples/s", "GFLOP/s", "of peak")
	for _, x := range r.Results {
		share := "-"
		if x.Share > 0 {
			share = digits(100*x.Share) + " %"
		}
		fmt.Fprintf(w, "%-*s  %7d  %10s %7s  %12s  %9s  %8s\n", longest, x.Name, x.Threads, Duration(x.Step.Median),
			fmt.Sprintf("%.1f %%", 100*x.Step.Noise()), Count(x.Samples), digits(x.GFLOPS), share)
	}
	for _, x := range r.Results {
		if x.Alone >= 0.01 {
			fmt.Fprintf(w, "%s, %s: one made %.0f %% of the steps alone, which was faster than to wait for the others\n",
				x.Name, wording.Count(x.Threads, "thread"), 100*x.Alone)
		}
	}
	for _, x := range r.Slow {
		fmt.Fprintf(w, "not timed: %s, %s: a whole step takes too long (%s of %s take %s); --seconds gives more time\n",
			x.Name, wording.Count(x.Threads, "thread"), strconv.Itoa(x.Rows), wording.Count(r.Batch, "row"), Duration(x.Step))
	}
}
