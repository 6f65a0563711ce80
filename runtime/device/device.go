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

// Unknown says that a name means no device.
type Unknown struct{ Name string }

func (e *Unknown) Error() string {
	return fmt.Sprintf("%q is not a device: it is one of %s or cuda:N", e.Name, strings.Join(Names, ", "))
}

// Absent says that a device that was asked for by name cannot be used.
type Absent struct {
	Name string
	Why  error
}

func (e *Absent) Error() string { return fmt.Sprintf("device %s: %v", e.Name, e.Why) }

func (e *Absent) Unwrap() error { return e.Why }

// Choose returns the device that name stands for, and why: "auto" the first
// that is here, "cpu" and "cuda" the first of their kind, any other name
// exactly itself. A GPU is taken by "auto" only where it gives the results of
// the CPU and is faster; to find out takes some tenths of a second, on machines
// that have one. The errors are *Unknown and *Absent.
func Choose(n *engine.Network, name string) (*engine.Device, string, error) {
	return choose(n, name, time.Now)
}

func choose(n *engine.Network, name string, now func() time.Time) (*engine.Device, string, error) {
	if !known(name) {
		return nil, "", &Unknown{name}
	}
	var passed []string
	var missing error
	tried := false
	for i := range n.Devices {
		d := &n.Devices[i]
		if !matches(name, d.Name) {
			continue
		}
		if err := d.Missing(); err != nil {
			missing = err
			passed = append(passed, fmt.Sprintf("%s: %v", d.Name, err))
			continue
		}
		if name == d.Name {
			return d, "asked for by name", nil
		}
		why := "the best that is here"
		if name == "auto" && isGPU(d) {
			cpu := firstCPU(n)
			if tried || cpu == nil {
				continue // one GPU stands for all
			}
			tried = true
			speed, err := (&trial{n, now}).run(d, cpu)
			if err != nil {
				passed = append(passed, fmt.Sprintf("%s: %v", d.Name, err))
				continue
			}
			why = "the fastest that is here: " + speed
		}
		if len(passed) > 0 {
			why += "; not " + strings.Join(passed, ", not ")
		}
		return d, why, nil
	}
	switch len(passed) {
	case 0:
		return nil, "", &Absent{name, fmt.Errorf("not compiled in; this network has %s", strings.Join(compiled(n), ", "))}
	case 1:
		return nil, "", &Absent{name, missing}
	}
	return nil, "", &Absent{name, fmt.Errorf("none is here: %s", strings.Join(passed, "; "))}
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
