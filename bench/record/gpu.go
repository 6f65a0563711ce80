package record

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/runtime/bench"
)

// GPU is what a machine with a GPU was asked.
type GPU struct {
	lab.Stamp
	Device string  `json:"gpu"` // its name, as the driver gives it
	Driver string  `json:"driver"`
	Commit string  `json:"commit"` // of what was compiled
	Checks []Check `json:"checks"`
	Steps  []Steps `json:"steps"`
}

// Check is the outcome of a part that was asked for.
type Check struct {
	Part   string  `json:"part"` // "golden:bf16"
	Failed bool    `json:"failed,omitempty"`
	Done   bool    `json:"done"`
	Result string  `json:"result"` // in words
	Took   float64 `json:"seconds"`
}

// Steps is the time of one network's steps in one precision.
type Steps struct {
	Part  string  `json:"part"`
	Shape string  `json:"shape"`
	Reach float64 `json:"reach_seconds,omitempty"` // at most; 0: to be ahead of PyTorch
	*compare.GPUReport
}

// Note puts the outcome of a part in the place of an earlier one. s is nil where
// no steps were timed.
func (g *GPU) Note(c Check, s *Steps) {
	g.Checks = append(slices.DeleteFunc(g.Checks, func(o Check) bool { return o.Part == c.Part }), c)
	g.Steps = slices.DeleteFunc(g.Steps, func(o Steps) bool { return o.Part == c.Part })
	if s != nil {
		g.Steps = append(g.Steps, *s)
	}
}

// Table writes the times of steps, and all else that was asked, as Markdown.
func (g *GPU) Table() string {
	var b strings.Builder
	row := func(cells ...string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	fmt.Fprintf(&b, "%s, driver %s; %s, %d threads, %s; commit %s. Again: `%s`\n\n", g.Device, g.Driver, g.Machine.CPU, g.Machine.Threads, g.Date, g.Commit, g.Command)
	if len(g.Steps) > 0 {
		head := []string{"network", "precision", "dnngen"}
		for _, c := range compare.GPUPeers {
			head = append(head, c.Title)
		}
		head = append(head, "the fastest of PyTorch beside dnngen", "to reach", "reached")
		row(head...)
		fmt.Fprintf(&b, "|---|---|%s\n", strings.Repeat("---:|", len(head)-2))
		for _, s := range g.Steps {
			row(s.cells()...)
		}
		b.WriteString("\n")
	}
	row("part", "result")
	b.WriteString("|---|---|\n")
	for _, c := range g.Checks {
		row(c.Part, c.Result)
	}
	b.WriteString("\n")
	for _, s := range g.Steps {
		for note := range strings.Lines(s.Notes) {
			fmt.Fprintf(&b, "- %s, dnngen: %s\n", s.Part, strings.TrimSpace(note))
		}
		for _, a := range s.Absent {
			fmt.Fprintf(&b, "- %s, %s: %s\n", s.Part, a.Name, a.Why)
		}
		for _, x := range s.Slow {
			fmt.Fprintf(&b, "- %s, %s: a whole step takes too long to be timed\n", s.Part, x.Name)
		}
	}
	return b.String()
}

// cells is a row of the table of steps.
func (s *Steps) cells() []string {
	own := s.Own()
	list := []string{s.Shape, s.Precision, duration(own)}
	var nearest *bench.Result
	for _, c := range compare.GPUPeers {
		x := s.Of(c.Name)
		list = append(list, duration(x))
		if x != nil && (nearest == nil || x.Step.Median < nearest.Step.Median) {
			nearest = x
		}
	}
	ratio, reach, reached := "-", "ahead of PyTorch", "-"
	if own != nil && nearest != nil {
		ratio = fmt.Sprintf("%.2f×", nearest.Step.Median/own.Step.Median)
		reached = yes(own.Step.Median < nearest.Step.Median)
	}
	if s.Reach > 0 {
		reach, reached = "≤ "+bench.Duration(s.Reach), "-"
		if own != nil {
			reached = yes(own.Step.Median <= s.Reach)
		}
	}
	return append(list, ratio, reach, reached)
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func duration(r *bench.Result) string {
	if r == nil {
		return "-"
	}
	return bench.Duration(r.Step.Median)
}
