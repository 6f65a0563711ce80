package engines_test

import (
	"testing"

	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/runtime/engine"
)

// counter is an engine whose tensors hold their slot and number.
type counter struct{ engine.Engine }

func (counter) Read(slot, i, first int, dst []float32) {
	for k := range dst {
		dst[k] = float32(10*slot + i + first)
	}
}

func TestSlots(t *testing.T) {
	slots := engines.Slots(counter{}, []int{3, 1}, 1)
	if len(slots) != 2 || len(slots[1]) != 2 || len(slots[1][0]) != 3 || slots[1][0][2] != 10 || slots[0][1][0] != 1 {
		t.Errorf("%v", slots)
	}
}

func TestDevices(t *testing.T) {
	engines.Register("net", func() []engine.Device { return []engine.Device{{Name: "cpu:go"}} })
	if d, err := engines.Devices("net"); err != nil || d[0].Name != "cpu:go" {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := engines.Devices("other"); err == nil {
		t.Error("a network that nobody registered is there")
	}
}

var kept [][]byte

func TestAllocs(t *testing.T) {
	if n := engines.Allocs(4, func() {}); n != 0 {
		t.Errorf("nothing allocates %g times", n)
	}
	if n := engines.Allocs(4, func() { kept = [][]byte{make([]byte, 64), make([]byte, 64)} }); n != 3 {
		t.Errorf("three allocations are counted as %g", n)
	}
}
