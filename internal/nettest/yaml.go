package nettest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// text writes a network as the spec that would be read to it.
func text(net *spec.Network) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\ninput: %d\nlayers:\n", net.Name, net.Input)
	for _, l := range net.Layers {
		fmt.Fprintf(&b, "  - %s\n", l.Text)
	}
	inline := func(key string, e *op.Entry, set op.Values) {
		t := entryText(e, set)
		if strings.Contains(t, ":") {
			t = "{" + t + "}"
		}
		fmt.Fprintf(&b, "%s: %s\n", key, t)
	}
	inline("loss", &net.Loss.Entry, net.LossSet)
	fmt.Fprintf(&b, "output: %s\ntrain:\n", net.Transform.Name)
	t := &net.Train
	batch := strconv.Itoa(t.Batch)
	if t.Batch == 0 {
		batch = "full"
	}
	fmt.Fprintf(&b, "  batch: %s\n  epochs: %d\n", batch, t.Epochs)
	inline("  optimizer", &t.Optimizer.Entry, t.OptimizerSet)
	inline("  schedule", &t.Schedule.Entry, t.ScheduleSet)
	fmt.Fprintf(&b, "  init: %s\n  seed: %d\n", t.Init.Name, t.Seed)
	return b.String()
}

// entryText writes an entry and those settings that differ from the defaults,
// in the order of its row: "leaky_relu: {alpha: 0.05}".
func entryText(e *op.Entry, set op.Values) string {
	var parts []string
	for _, s := range e.Settings {
		if s.Required() || set[s.Name] != s.Default {
			parts = append(parts, fmt.Sprintf("%s: %v", s.Name, set[s.Name]))
		}
	}
	if len(parts) == 0 {
		return e.Name
	}
	return fmt.Sprintf("%s: {%s}", e.Name, strings.Join(parts, ", "))
}
