// Package promises holds the devices of this machine to what they promise of
// every network: no allocation in a step, the same bits again, by any number of
// threads and on both vector instruction sets, rows that do not depend on their
// batch, and a loss that is no number changes nothing. The test of package gen
// compiles it beside the emitted networks.
package promises

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/pool"
)

// network is one emitted network.
type network struct {
	*engine.Network
	sets []int // numbers of rows that are trained on, each by itself
	// predict makes a model, and what has it predict one row.
	predict func(device string, threads int) (call, end func(), err error)
}

// threads are the numbers of workers that are tried: more than there are cores,
// too, on a small machine.
var threads = []int{1, 2, 3}

// ran counts the engines that were made, by device.
var ran = map[string]int{}

// TestMain writes what ran, for the test outside: nothing counts as tested that
// did not run.
func TestMain(m *testing.M) {
	status := m.Run()
	text, err := json.Marshal(ran)
	if err == nil {
		err = os.WriteFile("ran.json", text, 0o644)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(status)
}

// each runs a test on every network.
func each(t *testing.T, test func(t *testing.T, n network)) {
	for _, n := range networks() {
		t.Run(n.Name, func(t *testing.T) { test(t, n) })
	}
}

// here lists the processor's devices of a network that this machine has.
func here(n network) (names []string) {
	for _, d := range n.Devices {
		if strings.HasPrefix(d.Name, "cpu:") && d.Missing() == nil {
			names = append(names, d.Name)
		}
	}
	return names
}

// start makes an engine with parameters of the network's seed, which are moved
// from where nothing happens.
func start(t *testing.T, n network, device string, workers int) engine.Engine {
	t.Helper()
	i := slices.IndexFunc(n.Devices, func(d engine.Device) bool { return d.Name == device })
	e, err := n.Devices[i].New(engine.Options{Threads: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	ran[device]++
	loop.Init(n.Network, e, n.Seed)
	r := rand.New(rand.NewPCG(n.Seed, 1))
	for i, p := range n.Params {
		values := make([]float32, p.Size())
		e.Read(0, i, 0, values)
		for k := range values {
			values[k] += float32(0.1 * r.NormFloat64())
		}
		e.Write(0, i, 0, values)
	}
	return e
}

// rowsFor draws rows with their targets.
func rowsFor(n network, rows int, seed uint64) *data.Set {
	r := rand.New(rand.NewPCG(seed, 2))
	s := &data.Set{Rows: rows, Inputs: n.Inputs, X: make([]float32, rows*n.Inputs)}
	for i := range s.X {
		s.X[i] = float32(r.NormFloat64())
	}
	if n.Classes {
		for range rows {
			s.Target.Class = append(s.Target.Class, r.Int32N(int32(n.Outputs)))
		}
		return s
	}
	for range rows * n.Outputs {
		y := float32(r.NormFloat64())
		if n.Metrics == "binary" {
			y = float32(r.IntN(2))
		}
		s.Target.Value = append(s.Target.Value, y)
	}
	return s
}

// most is the number of rows of a full step.
func most(n network) int {
	if n.Batch == 0 {
		return slices.Max(n.sets)
	}
	return n.Batch
}

func hyper(n network, step int) engine.Hyper {
	return engine.Hyper{LR: float32(min(n.LR, 0.01)), Momentum: float32(n.Momentum), Step: int64(step)}
}

// step makes one step on the first rows of a set.
func step(n network, e engine.Engine, s *data.Set, rows, number int) float64 {
	return e.Step(s.X[:rows*n.Inputs], s.Target.Rows(0, rows, n.Outputs), rows, hyper(n, number))
}

// values returns the bits of all parameters and states.
func values(n network, e engine.Engine) (bits []uint32) {
	for slot := range 1 + len(n.States) {
		for i, p := range n.Params {
			tensor := make([]float32, p.Size())
			e.Read(slot, i, 0, tensor)
			for _, v := range tensor {
				bits = append(bits, math.Float32bits(v))
			}
		}
	}
	return bits
}

func sum(losses []float64, bits []uint32) string {
	h := sha256.New()
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, losses)
	binary.Write(&b, binary.LittleEndian, bits)
	h.Write(b.Bytes())
	return fmt.Sprintf("%x", h.Sum(nil))
}

// allocations returns the least number that several rounds of calls made: what
// the runtime allocates by itself now and then does not count.
func allocations(f func()) uint64 {
	const rounds, calls = 5, 20
	f()
	least := uint64(math.MaxUint64)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			f()
		}
		runtime.ReadMemStats(&after)
		if least = min(least, after.Mallocs-before.Mallocs); least == 0 {
			break
		}
	}
	return least
}

// TestAllocations: neither a step, full or short, nor inference nor the
// prediction of a row allocates.
func TestAllocations(t *testing.T) {
	each(t, func(t *testing.T, n network) {
		s := rowsFor(n, most(n), 3)
		short := (most(n) + 1) / 2
		raw := make([]float32, s.Rows*n.Outputs)
		for _, device := range here(n) {
			for _, workers := range []int{1, 2} {
				e := start(t, n, device, workers)
				predict, end, err := n.predict(device, workers)
				if err != nil {
					t.Fatal(err)
				}
				for what, f := range map[string]func(){
					"a step":       func() { step(n, e, s, s.Rows, 1) },
					"a short step": func() { step(n, e, s, short, 1) },
					"inference":    func() { e.Infer(s.X, raw, s.Rows) },
					"a prediction": predict,
				} {
					if a := allocations(f); a != 0 {
						t.Errorf("%s with %d threads: 20 times %s allocate %d times", device, workers, what, a)
					}
				}
				end()
			}
		}
	})
}

// train makes two epochs of shuffled batches, the last of which is short where
// the batch does not divide the rows, and returns the sum of all losses,
// parameters and states.
func train(t *testing.T, n network, device string, workers int, s *data.Set) string {
	t.Helper()
	e := start(t, n, device, workers)
	o := loop.Defaults(n.Network)
	o.Epochs, o.Steps, o.LR = 2, 6, min(o.LR, 0.01)
	var losses []float64
	l, err := loop.New(n.Network, e, s, o, loop.Events{Step: func(s loop.Step) { losses = append(losses, s.Loss) }})
	if err != nil {
		t.Fatal(err)
	}
	// A training that blows up does so with the same bits, too.
	var blown *loop.NonFinite
	if err := l.Run(context.Background()); err != nil && !errors.As(err, &blown) {
		t.Fatalf("%s with %d threads, %d rows: %v", device, workers, s.Rows, err)
	}
	if len(losses) == 0 {
		t.Fatal("no step was made")
	}
	// The engine tells who made the runs, and its device how many threads share them.
	alone, all := e.(engine.Sharing).Runs()
	want, least := int64(0), int64(0)
	i := slices.IndexFunc(n.Devices, func(d engine.Device) bool { return d.Name == device })
	if n.Devices[i].ThreadsOf(workers) > 1 {
		least = int64(len(losses))
		if os.Getenv(pool.Variable) == "turns" {
			want = all / 2
		}
	}
	if all < least || alone != want {
		t.Errorf("%s with %d threads: %d of %d runs are made alone, want %d, in %d steps", device, workers, alone, all, want, len(losses))
	}
	return sum(losses, values(n, e))
}

// TestSameBits: a training gives the same bits again (D1), by any number of
// threads (D2), also where that changes with each step, and with AVX2 and AVX-512 (D4).
func TestSameBits(t *testing.T) {
	each(t, func(t *testing.T, n network) {
		for _, rows := range n.sets {
			s := rowsFor(n, rows, uint64(rows))
			byKind := map[bool]string{}
			for _, device := range here(n) {
				vector := strings.HasPrefix(device, "cpu:avx")
				for _, share := range []string{"always", "turns"} {
					t.Setenv(pool.Variable, share)
					for i, workers := range append([]int{1}, threads...) {
						got := train(t, n, device, workers, s)
						if byKind[vector] == "" {
							byKind[vector] = got
						} else if got != byKind[vector] {
							t.Errorf("%d rows, %s with %d threads, shared %s, run %d: other bits", rows, device, workers, share, i)
						}
					}
				}
			}
			if other := train(t, n, "cpu:go", 1, rowsFor(n, rows, uint64(rows)+1)); other == byKind[false] {
				t.Errorf("%d other rows give the same bits: the sum says nothing", rows)
			}
		}
	})
}

// TestRowsAlone: what is inferred for a row does not depend on the rows beside
// it, on their number, on its place, or on who infers at the same time (D5); and
// both vector instruction sets infer the same bits (D4).
func TestRowsAlone(t *testing.T) {
	const rows = 131 // more than inference walks at a time, on the portable device at least
	each(t, func(t *testing.T, n network) {
		s := rowsFor(n, rows, 5)
		var vector []float32
		for _, device := range here(n) {
			e := start(t, n, device, 2)
			whole := make([]float32, rows*n.Outputs)
			e.Infer(s.X, whole, rows)
			if strings.HasPrefix(device, "cpu:avx") {
				if vector != nil && !same(vector, whole) {
					t.Errorf("%s infers other bits", device)
				}
				vector = whole
			}
			var all sync.WaitGroup
			for _, size := range []int{1, 2, 3, 16, 17, 64, 65} {
				all.Go(func() {
					raw := make([]float32, rows*n.Outputs)
					for lo := 0; lo < rows; lo += size {
						hi := min(lo+size, rows)
						e.Infer(s.X[lo*n.Inputs:hi*n.Inputs], raw[lo*n.Outputs:hi*n.Outputs], hi-lo)
					}
					if !same(raw, whole) {
						t.Errorf("%s infers other bits by %d rows", device, size)
					}
				})
			}
			all.Go(func() {
				back := make([]float32, len(s.X))
				for r := range rows {
					copy(back[(rows-1-r)*n.Inputs:], s.X[r*n.Inputs:(r+1)*n.Inputs])
				}
				raw, turned := make([]float32, len(whole)), make([]float32, len(whole))
				e.Infer(back, raw, rows)
				for r := range rows {
					copy(turned[(rows-1-r)*n.Outputs:], raw[r*n.Outputs:(r+1)*n.Outputs])
				}
				if !same(turned, whole) {
					t.Errorf("%s infers other bits in the other order", device)
				}
			})
			all.Wait()
		}
	})
}

// same compares bits; any NaN is like any other.
func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool {
		return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
	})
}

// everywhere stands for all rows.
const everywhere = -1

// spoil returns a copy of a set with one input of a row replaced.
func spoil(n network, s *data.Set, row int, bad float32) *data.Set {
	c := *s
	c.X = slices.Clone(s.X)
	for r := range s.Rows {
		if r == row || row == everywhere {
			c.X[r*n.Inputs+(r*7+3)%n.Inputs] = bad
		}
	}
	return &c
}

// TestLossThatIsNoNumber: where a loss is NaN or infinite, all parameters and
// states stay as they are, and the steps that follow are as if that one had not
// been.
func TestLossThatIsNoNumber(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	stopped := 0
	each(t, func(t *testing.T, n network) {
		rows := most(n)
		s := rowsFor(n, rows, 7)
		for _, device := range here(n) {
			for _, workers := range threads {
				plain, tried := start(t, n, device, workers), start(t, n, device, workers)
				step(n, plain, s, rows, 1)
				step(n, tried, s, rows, 1)
				before := values(n, tried)
				for _, at := range []struct {
					rows, row int
					bad       float32
				}{
					{rows, 0, nan}, {rows, rows - 1, nan}, {rows, everywhere, nan}, {rows, rows / 2, inf}, {rows, rows - 1, -inf}, {rows, 0, math.MaxFloat32},
					{(rows + 1) / 2, (rows+1)/2 - 1, nan}, {1, 0, nan},
				} {
					fresh := tried
					if at.bad == at.bad {
						// Infinity may leave a squashing activation as a number, and the
						// step is then made: on another engine, which is not looked at later.
						fresh = start(t, n, device, workers)
						step(n, fresh, s, rows, 1)
					}
					loss := step(n, fresh, spoil(n, s, at.row, at.bad), at.rows, 2)
					if math.IsNaN(loss) || math.IsInf(loss, 0) {
						stopped++
						if !slices.Equal(values(n, fresh), before) {
							t.Fatalf("%s with %d threads: %v in row %d of %d changes the parameters", device, workers, at.bad, at.row, at.rows)
						}
					} else if at.bad != at.bad {
						t.Fatalf("%s with %d threads: NaN in row %d of %d gives the loss %v", device, workers, at.row, at.rows, loss)
					}
				}
				// Nothing of the rows that went bad may be left in any buffer.
				for i, rows := range []int{(rows + 1) / 2, rows, 1} {
					a, b := step(n, plain, s, rows, 2+i), step(n, tried, s, rows, 2+i)
					if math.Float64bits(a) != math.Float64bits(b) || !slices.Equal(values(n, plain), values(n, tried)) {
						t.Fatalf("%s with %d threads: a step of %d rows after NaN gives %v, without %v", device, workers, rows, b, a)
					}
				}
			}
		}
	})
	if stopped == 0 {
		t.Error("no loss was infinite or NaN")
	}
}

// TestTinyNumbers: denormal inputs are numbers like others: the losses are
// finite, and AVX2, AVX-512 and all numbers of threads give the same bits.
func TestTinyNumbers(t *testing.T) {
	each(t, func(t *testing.T, n network) {
		rows := most(n)
		s := rowsFor(n, rows, 9)
		for i := range s.X {
			s.X[i] *= 0x1p-140
		}
		byKind := map[bool]string{}
		first := map[bool]float64{}
		for _, device := range here(n) {
			vector := strings.HasPrefix(device, "cpu:avx")
			for _, workers := range threads {
				e := start(t, n, device, workers)
				var losses []float64
				for i := range 3 {
					losses = append(losses, step(n, e, s, rows, 1+i))
				}
				if l := losses[0]; math.IsNaN(l) || math.IsInf(l, 0) {
					t.Fatalf("%s with %d threads: the loss is %v", device, workers, l)
				}
				got := sum(losses, values(n, e))
				if byKind[vector] == "" {
					byKind[vector], first[vector] = got, losses[0]
				} else if got != byKind[vector] {
					t.Errorf("%s with %d threads: other bits", device, workers)
				}
			}
		}
		if a, ok := first[true]; ok && math.Abs(a-first[false]) > 1e-5*max(1, math.Abs(a)) {
			t.Errorf("the loss is %v with vectors and %v without", a, first[false])
		}
	})
}
