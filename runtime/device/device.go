// Package device chooses what a network runs on, by name or by itself.
package device

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Variable is the environment variable that stands in for a device name that
// is not given.
const Variable = "DNNGEN_DEVICE"

// Names are the device names that mean something, whether a network has such a
// device or not; "cuda:N" with a number is one more.
var Names = []string{"auto", "cpu", "cpu:avx512", "cpu:avx2", "cpu:go", "cuda"}

// List lists the names in a sentence.
func List() string { return strings.Join(Names, ", ") + " or cuda:N" }

// Rounding names what rounds as the named device does: devices of one rounding
// give the same bits. The vector units of a CPU are one, whatever their width:
// every element is the same chain of fused multiplications and additions.
func Rounding(name string) string {
	if strings.HasPrefix(name, "cpu:avx") {
		return "cpu:avx"
	}
	return name
}

// Units names what a device of this CPU computes on, as bench.Peak does.
func Units(name string) string { return strings.TrimPrefix(name, "cpu:") }

// Unknown says that a name means nothing.
type Unknown struct {
	What string // it should be: "a device"
	Name string
	Are  string // what there is
}

func (e *Unknown) Error() string {
	return fmt.Sprintf("%q is not %s: it is one of %s", e.Name, e.What, e.Are)
}

// Absent says that a device that was asked for by name cannot be used.
type Absent struct {
	Name string
	Why  error
}

func (e *Absent) Error() string { return fmt.Sprintf("device %s: %v", e.Name, e.Why) }

func (e *Absent) Unwrap() error { return e.Why }

// Wish is what is asked for.
type Wish struct {
	Device    string // "auto", "cpu", "cuda" or a device's own name
	Precision string // empty: that of the network, as far as the device has it
}

// Choice is the device that a wish led to.
type Choice struct {
	*engine.Device
	Precision string // that it computes in
	Why       string // this device, and why none of those that come before it
	// Passed names those, and tells what a trial found of one that is here.
	Passed []string
	// Note tells where the precision is not the one that was wanted.
	Note string
}

// Choose returns the device that a wish stands for: "auto" the first that is
// here, "cpu" and "cuda" the first of their kind, any other name exactly
// itself. A GPU is taken by "auto" only where it gives the results of the CPU
// and is faster; to find out takes some tenths of a second, on machines that
// have one.
//
// Where the chosen device does not compute in the wanted precision it computes
// in engine.FP32, with a Note, unless both were asked for by name. The errors
// are *Unknown and *Absent.
func Choose(n *engine.Network, w Wish) (*Choice, error) { return choose(n, w, time.Now) }

func choose(n *engine.Network, w Wish, now func() time.Time) (*Choice, error) {
	if !known(w.Device) {
		return nil, &Unknown{"a device", w.Device, List()}
	}
	if names := precisions(n); w.Precision != "" && !slices.Contains(names, w.Precision) {
		return nil, &Unknown{"a precision", w.Precision, strings.Join(names, ", ")}
	}
	var passed, brief []string
	var missing error
	tried := false
	for i := range n.Devices {
		d := &n.Devices[i]
		if !matches(w.Device, d.Name) {
			continue
		}
		if err := d.Missing(); err != nil {
			missing = err
			passed, brief = append(passed, fmt.Sprintf("%s: %v", d.Name, err)), append(brief, d.Name)
			continue
		}
		c, err := precise(n, d, w)
		if err != nil {
			return nil, err
		}
		c.Why = "the best that is here"
		switch {
		case w.Device == d.Name:
			c.Why = "asked for by name"
			return c, nil
		case w.Device == "auto" && isGPU(d):
			cpu := firstCPU(n)
			if tried || cpu == nil {
				continue // one GPU stands for all
			}
			tried = true
			speed, err := (&trial{n, c.Precision, now}).run(d, cpu)
			if err != nil {
				found := fmt.Sprintf("%s: %v", d.Name, err)
				passed, brief = append(passed, found), append(brief, found)
				continue
			}
			c.Why = "the fastest that is here: " + speed
		}
		if len(passed) > 0 {
			c.Why += "; not " + strings.Join(passed, ", not ")
			c.Passed = brief
		}
		return c, nil
	}
	switch len(passed) {
	case 0:
		if err := noGPU(n, w.Device); err != nil {
			return nil, &Absent{w.Device, err}
		}
		return nil, &Absent{w.Device, fmt.Errorf("not compiled in; this network has %s", strings.Join(compiled(n), ", "))}
	case 1:
		return nil, &Absent{w.Device, missing}
	}
	return nil, &Absent{w.Device, fmt.Errorf("none is here: %s", strings.Join(passed, "; "))}
}

// noGPU says why there is no GPU of a name, such as cuda:7. It is nil where the
// name is not a GPU's, or where GPUs are not compiled in.
func noGPU(n *engine.Network, name string) error {
	if !strings.HasPrefix(name, "cuda:") {
		return nil
	}
	var here []string
	var missing error
	for i := range n.Devices {
		d := &n.Devices[i]
		if !isGPU(d) {
			continue
		}
		if err := d.Missing(); err == nil {
			here = append(here, d.Name)
		} else if missing == nil {
			missing = err
		}
	}
	if len(here) > 0 {
		return fmt.Errorf("there is no such GPU; this machine has %s", strings.Join(here, ", "))
	}
	return missing
}

// precise settles what a device computes in.
func precise(n *engine.Network, d *engine.Device, w Wish) (*Choice, error) {
	wanted := w.Precision
	if wanted == "" {
		wanted = n.Precision
	}
	if wanted == "" {
		wanted = engine.FP32
	}
	err := lacks(d, wanted)
	if err == nil {
		return &Choice{Device: d, Precision: wanted}, nil
	}
	if w.Precision != "" && w.Device != "auto" {
		return nil, &Absent{d.Name, fmt.Errorf("precision %s: %w", wanted, err)}
	}
	return &Choice{Device: d, Precision: engine.FP32, Note: fmt.Sprintf("computing in %s, not in %s: %v", engine.FP32, wanted, err)}, nil
}

// lacks says why a device does not compute in a precision.
func lacks(d *engine.Device, precision string) error {
	switch {
	case precision == engine.FP32:
		return nil
	case d.Lacks == nil:
		return fmt.Errorf("%s has %s alone; other precisions are for GPUs", d.Name, engine.FP32)
	}
	return d.Lacks(precision)
}

// precisions lists the names of a network's precisions.
func precisions(n *engine.Network) []string {
	names := []string{engine.FP32}
	for _, p := range n.Precisions {
		if p.Name != engine.FP32 {
			names = append(names, p.Name)
		}
	}
	return names
}

// firstCPU returns the best device that is here and is no GPU.
func firstCPU(n *engine.Network) *engine.Device {
	for i := range n.Devices {
		if d := &n.Devices[i]; !isGPU(d) && d.Missing() == nil {
			return d
		}
	}
	return nil
}

func known(name string) bool {
	if slices.Contains(Names, name) {
		return true
	}
	number, ok := strings.CutPrefix(name, "cuda:")
	return ok && number != "" && len(number) <= 3 && strings.Trim(number, "0123456789") == ""
}

func matches(name, device string) bool {
	return name == "auto" || name == device || strings.HasPrefix(device, name+":")
}

func compiled(n *engine.Network) []string {
	names := make([]string, len(n.Devices))
	for i, d := range n.Devices {
		names[i] = d.Name
	}
	return names
}
