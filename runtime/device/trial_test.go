package device

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
)

// clock is a time that passes only when an engine works.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// toy is an engine of one weight: raw = w*x, each step adds lr to w.
type toy struct {
	clock *clock
	step  time.Duration
	fault string // "raw", "loss", "update" or "lost"
	w     float32
}

func (e *toy) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	e.clock.at = e.clock.at.Add(e.step)
	e.w += h.LR
	switch e.fault {
	case "update":
		e.w += h.LR
	case "loss":
		return 2
	case "lost":
		panic(&engine.Failure{Device: "cuda:0", Err: errors.New("gone")})
	}
	return 1
}

// runner is a toy that makes up to four steps in the time of one.
type runner struct {
	toy
	x    []float32
	rows int
}

func (e *runner) Hold(x []float32, _ engine.Target, rows int) bool {
	e.x, e.rows = x, rows
	return true
}

func (e *runner) Order([]int32) {}

func (e *runner) Run(steps []engine.Planned, losses []float64) int {
	n := min(len(steps), 4)
	at := e.clock.at
	for i, p := range steps[:n] {
		losses[i] = e.Step(e.x, engine.Target{}, p.Hi-p.Lo, p.Hyper)
	}
	e.clock.at = at.Add(e.step)
	return n
}

func (e *toy) Infer(x, raw []float32, rows int) {
	for i := range rows {
		raw[i] = e.w * x[i]
		if e.fault == "raw" {
			raw[i]++
		}
	}
}
func (e *toy) Read(_, _, _ int, dst []float32)  { dst[0] = e.w }
func (e *toy) Write(_, _, _ int, src []float32) { e.w = src[0] }
func (e *toy) Close()                           {}

func TestTrial(t *testing.T) {
	for _, c := range []struct {
		name, fault, device string
		gpu, cpu            time.Duration
		fails               error
		why                 []string
	}{
		{"faster", "", "cuda:0", time.Millisecond, 2 * time.Millisecond, nil, []string{"fastest", "1ms a step, cpu:go 2ms"}},
		{"slow steps", "", "cuda:0", time.Second, 2 * time.Second, nil, []string{"1s a step"}},
		{"slower", "", "cpu:go", 2 * time.Millisecond, time.Millisecond, nil, []string{"best", "not cuda:0: not faster: 2ms"}},
		{"nearly equal", "", "cpu:go", 9 * time.Millisecond, 10 * time.Millisecond, nil, []string{"not faster"}},
		{"many steps at a call", "", "cuda:0", 8 * time.Millisecond, 3 * time.Millisecond, nil, []string{"fastest", "2ms a step, cpu:go 3ms"}},
		{"many steps and a wrong update", "update", "cpu:go", 1, 2000, nil, []string{"wrong results: the update is off by 100 %"}},
		{"wrong output", "raw", "cpu:go", 1, 2000, nil, []string{"cuda:0: wrong results: raw output 0"}},
		{"wrong loss", "loss", "cpu:go", 1, 2000, nil, []string{"wrong results: the loss is 2, not 1"}},
		{"wrong update", "update", "cpu:go", 1, 2000, nil, []string{"wrong results: the update is off by 100 %"}},
		{"lost", "lost", "cpu:go", 1, 2000, nil, []string{"device cuda:0 failed: gone"}},
		{"does not start", "", "cpu:go", 1, 2000, errors.New("no memory"), []string{"not cuda:0: no memory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &clock{}
			here := func() error { return nil }
			n := &engine.Network{
				Inputs: 1, Outputs: 1, Batch: 3, LR: 0.1,
				Params: []engine.Param{{Name: "0.weight", Shape: []int{1, 1}}},
				Devices: []engine.Device{
					{Name: "cuda:0", Missing: here, New: func(engine.Options) (engine.Engine, error) {
						e := toy{clock: clock, step: c.gpu, fault: c.fault}
						if strings.HasPrefix(c.name, "many steps") {
							return &runner{toy: e}, c.fails
						}
						return &e, c.fails
					}},
					{Name: "cuda:1", Missing: here, New: func(engine.Options) (engine.Engine, error) {
						t.Error("a second GPU is tried")
						return nil, errors.New("no")
					}},
					{Name: "cpu:go", Missing: here, New: func(engine.Options) (engine.Engine, error) {
						return &toy{clock: clock, step: c.cpu}, nil
					}},
				},
			}
			d, err := choose(n, Wish{Device: "auto"}, clock.now)
			if err != nil || d.Name != c.device {
				t.Fatalf("got %v, %v, want %s", d, err, c.device)
			}
			if passed := strings.Join(d.Passed, ", not "); (passed == "") != (c.device == "cuda:0") || !strings.HasSuffix(d.Why, passed) {
				t.Errorf("passed is %q, why is %q", passed, d.Why)
			}
			for _, want := range c.why {
				if !strings.Contains(d.Why, want) {
					t.Errorf("why is %q, want %q in it", d.Why, want)
				}
			}
		})
	}
}

// A batch that would take a CPU long is tried in part.
func TestTrialRows(t *testing.T) {
	for _, c := range []struct{ batch, weights, want int }{
		{0, 10, 1024}, {3, 10, 3}, {1 << 18, 10, 1 << 18}, {8192, 25_000_000, 1024}, {1 << 18, 100_000, 33333}, {100, 1 << 30, 100},
	} {
		n := &engine.Network{Batch: c.batch, Params: []engine.Param{{Shape: []int{1, c.weights}}}}
		if got := (&trial{net: n}).rows(); got != c.want {
			t.Errorf("batch %d of %d weights: %d rows, want %d", c.batch, c.weights, got, c.want)
		}
	}
}
