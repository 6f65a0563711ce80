package summary

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dnngen/dnngen/runtime/wording"
)

// Print writes the summary as a table for a terminal.
func (s *Summary) Print(w io.Writer) error {
	batch := fmt.Sprintf("batches of %d", s.Batch)
	if s.Batch == 0 {
		batch = fmt.Sprintf("the full set in chunks of %d", s.Rows)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s, %s, %s %s, %s\n\n",
		s.Name, s.Source, wording.Count(s.Input, "input"), wording.Count(s.Output, "output"), grouped(int64(s.Parameters)), wording.Noun(s.Parameters, "parameter"), batch)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "#\tlayer\tshape\tparameters\tFLOP\tbytes\tkernels")
	for i, l := range s.Layers {
		fmt.Fprintf(t, "%d\t%s\t%d → %d\t%s\t%s\t%s\t%s\n", i, l.Text, l.In, l.Out,
			grouped(int64(l.Parameters)), scaled(l.FLOPs), scaled(l.Bytes), kernels(l.Kernels))
	}
	fmt.Fprintf(t, "\t%s\t%d → 1\t\t%s\t%s\t%s\n", s.Loss.Name, s.Output, scaled(s.Loss.FLOPs), scaled(s.Loss.Bytes), kernels(s.Loss.Kernels))
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\none step   %sFLOP on %s, update by %s included\n", scaled(s.StepFLOPs), wording.Count(s.Rows, "row"), s.Optimizer)
	fmt.Fprintf(&b, "one row    %sFLOP forward\n", scaled(s.InferFLOPs))
	fmt.Fprintf(&b, "memory     %sB parameters, %sB optimizer state, %sB buffers (%sB if they did not share)\n",
		scaled(s.ParamBytes), scaled(s.StateBytes), scaled(s.BufferBytes), scaled(s.UnsharedBytes))
	fmt.Fprintf(&b, "on a GPU   %sB, and the training rows where they fit\n", scaled(s.GPUBytes))
	_, err := io.WriteString(w, b.String())
	return err
}

func kernels(list []string) string {
	if len(list) == 0 {
		return "none: passes its input on"
	}
	return strings.Join(list, "; ")
}

// grouped writes a number with a comma between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// scaled writes a number with three digits and a metric prefix.
func scaled(n int64) string {
	v := float64(n)
	prefixes := []string{"", "k", "M", "G", "T", "P"}
	i := 0
	for v >= 999.5 && i < len(prefixes)-1 {
		v /= 1000
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d ", n)
	}
	return fmt.Sprintf("%.3g %s", v, prefixes[i])
}
