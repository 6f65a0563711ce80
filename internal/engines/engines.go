// Package engines is what the programs share that packages asm and cuda build of
// emitted engines for their tests: networks by name, what a step is, and what is
// read of an engine.
package engines

import (
	"fmt"
	"math"
	"runtime"

	"github.com/dnngen/dnngen/runtime/engine"
)

// Step is one call of Engine.Step.
type Step struct {
	X      []float32
	Target engine.Target
	Rows   int
	Hyper  engine.Hyper
}

var nets = map[string]func() []engine.Device{}

// Register makes a network known under a name. An emitted package calls it when
// the program starts.
func Register(name string, devices func() []engine.Device) { nets[name] = devices }

// Devices returns the devices of a network.
func Devices(name string) ([]engine.Device, error) {
	devices, ok := nets[name]
	if !ok {
		return nil, fmt.Errorf("no network %s", name)
	}
	return devices(), nil
}

// Slots reads the parameters, whose sizes are given, and then so many states of
// the optimizer: [slot][parameter].
func Slots(e engine.Engine, sizes []int, states int) (slots [][][]float32) {
	for slot := range 1 + states {
		var tensors [][]float32
		for i, n := range sizes {
			v := make([]float32, n)
			e.Read(slot, i, 0, v)
			tensors = append(tensors, v)
		}
		slots = append(slots, tensors)
	}
	return slots
}

// Allocs counts the allocations of a call, on average over some: the least of
// some rounds, as the runtime allocates by itself now and then.
func Allocs(calls int, f func()) float64 {
	const rounds = 20
	f()
	least := uint64(math.MaxUint64)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			f()
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return float64(least) / float64(calls)
}
