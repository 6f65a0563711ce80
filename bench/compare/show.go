package compare

import (
	"fmt"
	"io"

	"github.com/dnngen/dnngen/bench/bars"
	"github.com/dnngen/dnngen/runtime/bench"
)

// Table prints a report for a person.
func (r *Report) Table(w io.Writer) {
	r.Heading(w, r.Machine, r.Source, r.Data)
	fmt.Fprintf(w, "BLAS of the interpreter: %s\n", r.BLAS)
	r.Report.Table(w)
	fmt.Fprintf(w, "\nwhat each stage gained\n")
	for _, g := range r.Gains {
		fmt.Fprintf(w, "  %-28s %7s   %s -> %s\n", g.Stage, factor(g.Factor), g.From, g.To)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "not here: %s\n", m)
	}
}

func factor(f float64) string {
	if f >= 100 {
		return fmt.Sprintf("%.0f x", f)
	}
	return fmt.Sprintf("%.2f x", f)
}

// SVG draws the samples per second.
func (r *Report) SVG() []byte {
	c := bars.Chart{
		Title:  r.Network + ": training samples per second",
		XLabel: fmt.Sprintf("samples/s, logarithmic; %s", r.Machine.CPU),
	}
	one, all := bars.Block{Title: "one thread"}, bars.Block{Title: fmt.Sprintf("%d threads", r.Machine.Threads)}
	for i, x := range r.Results {
		b := bars.Bar{Name: x.Name, Value: x.Samples, Text: bench.Count(x.Samples) + "/s", Group: group(r.Results, i)}
		if x.Threads == 1 {
			one.Bars = append(one.Bars, b)
		} else {
			all.Bars = append(all.Bars, b)
		}
	}
	c.Blocks = append(c.Blocks, one)
	if len(all.Bars) > 0 {
		c.Blocks = append(c.Blocks, all)
	}
	return c.SVG()
}

// group numbers the names in the order in which they appear.
func group(results []bench.Result, i int) int {
	seen := map[string]int{}
	for _, r := range results[:i+1] {
		if _, ok := seen[r.Name]; !ok {
			seen[r.Name] = len(seen)
		}
	}
	return seen[results[i].Name]
}
