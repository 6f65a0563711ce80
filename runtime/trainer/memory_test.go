package trainer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/arena"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/npy"
)

// largeNet has two weights of 25 MB and as much of momentum, in memory of their
// own: what else a process takes is the trainer's.
func largeNet() *engine.Network {
	n := testnet.New(testnet.Options{Name: "large", Inputs: 2048, Hidden: 3072, Outputs: 2048, Batch: 4, Momentum: 0.9})
	n.Devices[0].New = func(engine.Options) (engine.Engine, error) { return newStore(n) }
	return n
}

// stored returns the bytes of parameters and states.
func stored(n *engine.Network) int64 { return 4 * int64(parameters(n)) * int64(1+len(n.States)) }

// store is an engine that holds its numbers and computes nothing.
type store struct {
	memory *arena.Arena
	slots  [][][]float32
}

func newStore(n *engine.Network) (*store, error) {
	memory, err := arena.New(int(stored(n))/4 + 16*2*len(n.Params)) // each is rounded up to a line
	if err != nil {
		return nil, err
	}
	s := &store{memory: memory}
	for range 1 + len(n.States) {
		var slot [][]float32
		for _, p := range n.Params {
			slot = append(slot, memory.Floats(p.Size()))
		}
		s.slots = append(s.slots, slot)
	}
	return s, nil
}

// Step touches every state, as an update does.
func (s *store) Step([]float32, engine.Target, int, engine.Hyper) float64 {
	for _, slot := range s.slots[1:] {
		for _, values := range slot {
			for i := range values {
				values[i]++
			}
		}
	}
	return 1
}

func (s *store) Infer([]float32, []float32, int) {}

func (s *store) Read(slot, i, first int, dst []float32) {
	copy(dst, s.slots[slot][i][first:first+len(dst)])
}

func (s *store) Write(slot, i, first int, src []float32) {
	copy(s.slots[slot][i][first:first+len(src)], src)
}

func (s *store) Close() { _ = s.memory.Close() }

// peakVariable names the file in which a child leaves the most memory that it
// had.
const peakVariable = "DNNGEN_TEST_PEAK"

// notePeak writes the process's VmHWM, in bytes.
func notePeak() error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return os.WriteFile(os.Getenv(peakVariable), strconv.AppendInt(nil, kilobytes<<10, 10), 0o666)
		}
	}
	return errors.New("/proc/self/status has no VmHWM")
}

// A process takes less than what its engine holds and one more weight, whatever it
// does: parameters are drawn, stored, loaded and checked in pieces. In a training
// that is 1.25 times the parameters and the optimizer's state.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a process is told its peak by Linux alone")
	}
	if racing {
		t.Skip("the race detector takes memory of its own")
	}
	t.Chdir(t.TempDir())
	n := largeNet()
	var rows bytes.Buffer
	x := &npy.Array{Shape: []int{n.Batch, n.Inputs}, Float: make([]float32, n.Batch*n.Inputs)}
	y := &npy.Array{Shape: []int{n.Batch, n.Outputs}, Float: make([]float32, n.Batch*n.Outputs)}
	if err := npy.EncodeZip(&rows, []string{"x", "y"}, []*npy.Array{x, y}); err != nil {
		t.Fatal(err)
	}
	write(t, "rows.npz", rows.String())
	t.Setenv(peakVariable, "peak")
	params, weight := stored(n)/2, 4*int64(n.Params[0].Size())
	for _, c := range []struct {
		held int64 // by the engine
		args string
	}{
		{2 * params, "train --train rows.npz --run r --epochs 2 --checkpoint-every 1"},
		{2 * params, "train --run r --resume --epochs 3"},
		{2 * params, "train --train rows.npz --run again --init r --epochs 1"},
		{params, "eval --model r --data rows.npz"},
		{params, "predict --model r/checkpoint --input rows.npz -o p.npz"},
		{0, "export --model r/checkpoint --safetensors e.safetensors"},
	} {
		p := startAs(t, "large", strings.Fields(c.args)...)
		if code := p.end(t); code != 0 {
			t.Fatalf("%s: exit %d\n%s", c.args, code, &p.stderr)
		}
		peak, err := strconv.ParseInt(read(t, "peak"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if peak > c.held+weight {
			t.Errorf("%s takes %d MB; its engine holds %d, a weight has %d", c.args, peak/1e6, c.held/1e6, weight/1e6)
		}
		t.Logf("%s: %d MB", c.args, peak/1e6)
	}
	if read(t, "e.safetensors") != read(t, "r", "model.safetensors") {
		t.Error("what is exported from the checkpoint is another file than the model")
	}
}
