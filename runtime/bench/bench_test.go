package bench_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/runtime/engine"
)

// fake is a contender whose time is a formula.
type fake struct {
	perRow, perStep float64
	loss            func(step int) float64
	rows            []int // of each call of Time
	compared        []int // rows of each call of Losses
	wrong           int   // it computes nonsense for so many rows or more; 0: never
	fail            error
}

func (f *fake) Losses(steps, rows int) (list []float64, err error) {
	f.compared = append(f.compared, rows)
	for i := range steps {
		loss := f.loss(i)
		if f.wrong > 0 && rows >= f.wrong {
			loss += 0.1
		}
		list = append(list, loss)
	}
	return list, f.fail
}

func (f *fake) Time(steps, rows int, _ bool) (float64, error) {
	f.rows = append(f.rows, rows)
	return float64(steps) * (f.perStep + f.perRow*float64(rows)), f.fail
}

func falling(i int) float64 { return 2 / float64(i+1) }

func TestMeasure(t *testing.T) {
	fast, slow := &fake{perRow: 1e-6, loss: falling}, &fake{perRow: 10, loss: falling}
	peaks := 0
	r, err := bench.Measure(t.Context(), []bench.Entry{
		{Name: "fast", Threads: 1, Contender: fast}, {Name: "narrow", Threads: 2, Units: "avx2", Contender: &fake{perRow: 1e-6, loss: falling}}, {Name: "slow", Threads: 2, Contender: slow},
	}, bench.Options{
		Seconds: 2, Check: 5, Batch: 100, FLOPs: 1e6,
		Peak: func(time.Duration) (bench.Peak, error) {
			peaks++
			return bench.Peak{Threads: 2, One: 4, All: 8, Narrower: []bench.Units{{Units: "avx2", One: 1, All: float64(peaks)}}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Checked < 3 || r.Rounds < 3 || peaks != r.Rounds || r.FLOPs != 1e8 {
		t.Errorf("%+v after %d peaks", r, peaks)
	}
	a := r.Results[0]
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-6*want {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	near("fast step", a.Step.Median, 1e-4)
	near("fast GFLOP/s", a.GFLOPS, 1e3)
	near("fast share", a.Share, 250)
	// Another is measured by its own units' peak: of those that were measured, 1 to
	// the number of rounds, the median.
	near("narrow share", r.Results[1].Share, 1e3/(float64(r.Rounds+1)/2))
	// The slow one is compared with a few rows and not timed.
	if want := (bench.Slow{Name: "slow", Threads: 2, Rows: 4, Step: 40}); len(r.Results) != 2 || len(r.Slow) != 1 || r.Slow[0] != want {
		t.Errorf("%+v, slow %+v", r.Results, r.Slow)
	}
	if !slices.Equal(slow.compared, []int{4}) || slices.Max(slow.rows) != 4 {
		t.Errorf("the slow one was compared with %v rows and tried with %v", slow.compared, slow.rows)
	}
	var out bytes.Buffer
	r.Table(&out)
	if want := "not timed: slow, 2 threads: a whole step takes too long (4 of 100 rows take 40.0 s)"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
}

// lonely is a contender of several threads, one of which makes three of four steps
// alone, and all steps while losses are compared.
type lonely struct {
	fake
	alone, all int64
}

func (l *lonely) Losses(steps, rows int) ([]float64, error) {
	l.alone, l.all = l.alone+int64(steps), l.all+int64(steps)
	return l.fake.Losses(steps, rows)
}

func (l *lonely) Time(steps, rows int, fresh bool) (float64, error) {
	for range steps {
		if l.all++; l.all%4 != 0 {
			l.alone++
		}
	}
	return l.fake.Time(steps, rows, fresh)
}

func (l *lonely) Runs() (alone, all int64) { return l.alone, l.all }

// TestStepsAloneAreTold: a time of several threads that is mostly one thread's says so,
// also where another program measures it.
func TestStepsAloneAreTold(t *testing.T) {
	own := &lonely{fake: fake{perStep: 1e-5, loss: falling}}
	served := &lonely{fake: fake{perStep: 1e-5, loss: falling}}
	remote, _ := serve(t, func(string, int) (bench.Contender, error) { return served, nil })
	far, err := remote.Open("cpu:go", 2)
	if err != nil {
		t.Fatal(err)
	}
	entries := []bench.Entry{
		{Name: "shared", Threads: 2, Contender: &fake{perStep: 1e-5, loss: falling}},
		{Name: "own", Threads: 2, Contender: own}, {Name: "far", Threads: 2, Contender: far},
	}
	r, err := bench.Measure(t.Context(), entries, bench.Options{Seconds: 0.3, Check: 5, Batch: 7})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 0.75, 0.75} {
		if got := r.Results[i].Alone; math.Abs(got-want) > 0.01 {
			t.Errorf("%s: %g of the steps are made alone, want %g", r.Results[i].Name, got, want)
		}
	}
	var out bytes.Buffer
	r.Table(&out)
	for name, want := range map[string]bool{"shared": false, "own": true, "far": true} {
		if got := strings.Contains(out.String(), name+", 2 threads: one made 75 % of the steps alone"); got != want {
			t.Errorf("%s: told %v, want %v\n%s", name, got, want, out.String())
		}
	}
}

// TestAllAreSlow: a time is wanted, however long it takes.
func TestAllAreSlow(t *testing.T) {
	f := &fake{perRow: 10, perStep: 50, loss: falling}
	r, err := bench.Measure(t.Context(), []bench.Entry{{Name: "f", Threads: 1, Contender: f}}, bench.Options{Seconds: 1, Check: 5, Batch: 100})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 1 || len(r.Slow) != 0 || math.Abs(r.Results[0].Step.Median-1050) > 1e-6 || !slices.Equal(f.compared, []int{100}) {
		t.Errorf("%+v, compared with %v rows", r, f.compared)
	}
}

// disturbed is a contender whose first steps take long.
type disturbed struct {
	fake
	calls int
}

func (d *disturbed) Time(steps, rows int, fresh bool) (float64, error) {
	t, err := d.fake.Time(steps, rows, fresh)
	if d.calls++; d.calls < 4 {
		t += 10
	}
	return t, err
}

// TestADisturbanceIsNoSlowness: who is held up now and then is timed all the same.
func TestADisturbanceIsNoSlowness(t *testing.T) {
	entries := []bench.Entry{
		{Name: "right", Threads: 1, Contender: &fake{perRow: 1e-6, loss: falling}},
		{Name: "held up", Threads: 1, Contender: &disturbed{fake: fake{perRow: 1e-6, loss: falling}}},
	}
	r, err := bench.Measure(t.Context(), entries, bench.Options{Seconds: 2, Check: 5, Batch: 100})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 2 {
		t.Errorf("%d were timed; slow: %+v", len(r.Results), r.Slow)
	}
}

func TestWholeBatchesAreNotCut(t *testing.T) {
	f := &fake{perRow: 10, loss: falling}
	if _, err := bench.Measure(t.Context(), []bench.Entry{{Name: "f", Threads: 1, Whole: true, Contender: f}}, bench.Options{Seconds: 1, Check: 1, Batch: 50}); err != nil {
		t.Fatal(err)
	}
	for _, rows := range f.rows {
		if rows != 50 {
			t.Fatalf("timed with %v rows", f.rows)
		}
	}
}

func TestDisagreement(t *testing.T) {
	wrong := &fake{perRow: 1e-6, loss: func(i int) float64 {
		if i == 2 {
			return falling(i) * 1.001
		}
		return falling(i)
	}}
	entries := []bench.Entry{{Name: "right", Contender: &fake{perRow: 1e-6, loss: falling}}, {Name: "wrong", Contender: wrong}}
	_, err := bench.Measure(t.Context(), entries, bench.Options{Seconds: 1, Check: 5, Batch: 10})
	var d *bench.Disagreement
	if !errors.As(err, &d) || d.Name != "wrong" || d.Step != 2 {
		t.Errorf("error %v", err)
	}
}

// TestWhatIsTimedIsCompared: a contender that is right for the few rows of the
// slowest one, and wrong for those that it is timed with, is found.
func TestWhatIsTimedIsCompared(t *testing.T) {
	slow := &fake{perRow: 10, loss: falling}
	right, wrong := &fake{perRow: 1e-6, loss: falling}, &fake{perRow: 1e-6, loss: falling, wrong: 100}
	peer := &fake{perRow: 1e-6, loss: falling}
	measure := func(more ...bench.Entry) error {
		entries := append([]bench.Entry{{Name: "slow", Contender: slow}, {Name: "right", Contender: right}}, more...)
		_, err := bench.Measure(t.Context(), entries, bench.Options{Seconds: 1, Check: 5, Batch: 100})
		return err
	}
	if err := measure(bench.Entry{Name: "peer", Whole: true, Contender: peer}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(slow.compared, []int{4}) || !slices.Equal(right.compared, []int{4, 100}) || !slices.Equal(peer.compared, []int{100}) {
		t.Errorf("compared with %v, %v and %v rows", slow.compared, right.compared, peer.compared)
	}
	var d *bench.Disagreement
	if err := measure(bench.Entry{Name: "wrong", Contender: wrong}); !errors.As(err, &d) || d.Name != "wrong" || d.Reference != "right" {
		t.Errorf("error %v", err)
	}
	// Where nobody else makes whole batches, the first one does.
	entries := []bench.Entry{{Name: "slow", Contender: slow}, {Name: "wrong", Whole: true, Contender: wrong}}
	if _, err := bench.Measure(t.Context(), entries, bench.Options{Seconds: 1, Check: 5, Batch: 100}); !errors.As(err, &d) || d.Reference != "slow" {
		t.Errorf("error %v", err)
	}
}

func TestMeasureEndsWhenItIsTold(t *testing.T) {
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	entries := []bench.Entry{{Name: "f", Contender: &fake{perRow: 1e-6, loss: falling}}}
	if _, err := bench.Measure(ctx, entries, bench.Options{Seconds: 1, Check: 1, Batch: 10}); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

// one has a single weight w and the loss (w - y)², with momentum 0.5.
type one struct {
	engine.Engine
	slots [2][1]float32
}

func (o *one) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	d := o.slots[0][0] - y.Value[0]
	o.slots[1][0] = 2*d + h.Momentum*o.slots[1][0]
	o.slots[0][0] -= h.LR * o.slots[1][0]
	return float64(d * d)
}

func (o *one) Write(slot, i, first int, src []float32) { copy(o.slots[slot][first:], src) }

// several is one that makes three steps at a call.
type several struct {
	one
	x     []float32
	y     engine.Target
	calls int
}

func (s *several) Hold(x []float32, y engine.Target, _ int) bool {
	s.x, s.y = x, y
	return true
}

func (s *several) Order([]int32) {}

func (s *several) Run(steps []engine.Planned, losses []float64) int {
	s.calls++
	n := min(3, len(steps))
	for i, p := range steps[:n] {
		losses[i] = s.Step(s.x[p.Lo:p.Hi], s.y.Rows(p.Lo, p.Hi, 1), p.Hi-p.Lo, p.Hyper)
	}
	return n
}

func TestTraineeOfManySteps(t *testing.T) {
	p := &bench.Problem{
		Inputs: 1, Outputs: 1, Batch: 2, Rows: 5, X: make([]float32, 5), Y: engine.Target{Value: []float32{1, 2, 3, 4, 5}},
		Params: []bench.Start{bench.Whole([]float32{3})}, States: 1, LR: 0.1, Momentum: 0.5,
	}
	want, err := bench.NewTrainee(&one{}, p).Losses(10, 2)
	if err != nil {
		t.Fatal(err)
	}
	e := &several{}
	got, err := bench.NewTrainee(e, p).Losses(10, 2)
	if err != nil || !slices.Equal(got, want) || e.calls != 4 {
		t.Errorf("losses %v in %d calls, error %v, want %v in 4", got, e.calls, err, want)
	}
}

func TestTraineeStartsAnew(t *testing.T) {
	p := &bench.Problem{
		Inputs: 1, Outputs: 1, Batch: 2, Rows: 4, X: make([]float32, 4), Y: engine.Target{Value: []float32{1, 1, 1, 1}},
		Params: []bench.Start{bench.Whole([]float32{3})}, States: 1, LR: 0.1, Momentum: 0.5,
	}
	tr := bench.NewTrainee(&one{}, p)
	first, err := tr.Losses(5, 2)
	if err != nil || first[0] != 4 || !(first[4] < first[0]) {
		t.Fatalf("losses %v, error %v", first, err)
	}
	if _, err := tr.Time(7, 2, true); err != nil {
		t.Fatal(err)
	}
	again, err := tr.Losses(5, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("losses %v, then %v", first, again)
		}
	}
	p.Y.Value[0] = float32(math.NaN())
	if _, err := tr.Losses(1, 2); err == nil {
		t.Error("a loss that is not a number is not told")
	}
}

func network(batch int, classes bool) *engine.Network {
	return &engine.Network{Inputs: 3, Outputs: 2, Batch: batch, Classes: classes, Params: []engine.Param{
		{Shape: []int{4, 3}}, {Shape: []int{4}}, {Shape: []int{2, 4}},
	}}
}

func TestProblems(t *testing.T) {
	for _, n := range []*engine.Network{network(8, true), network(8, false), network(0, false)} {
		p := bench.Draw(n, 1)
		if p.Rows%p.Batch != 0 || len(p.X) != p.Rows*3 || len(p.Y.Class) != p.Rows && len(p.Y.Value) != 2*p.Rows {
			t.Errorf("drew %d rows of a batch of %d: %d features, %d and %d targets", p.Rows, p.Batch, len(p.X), len(p.Y.Class), len(p.Y.Value))
		}
	}
	// In gradient descent, the rows that travel to other programs are one batch.
	if p := bench.Draw(network(0, true), 1); p.Rows != p.Batch {
		t.Errorf("a full batch of %d rows among %d", p.Batch, p.Rows)
	}
	// Rows that are too few are repeated.
	p := bench.Of(network(8, true), []float32{1, 2, 3, 4, 5, 6}, engine.Target{Class: []int32{0, 1}}, 2)
	if p.Rows != 8 || p.X[6] != 1 || p.Y.Class[7] != 1 {
		t.Errorf("%+v", p)
	}
	if got := bench.FLOPsPerRow(network(8, true)); got != 2*2*12+3*2*8 {
		t.Errorf("%g operations a row", got)
	}
}

// serve drives a trainer that opens such contenders, until the test ends. The second
// result is where it was told to export to.
func serve(t *testing.T, open func(device string, threads int) (bench.Contender, error)) (*bench.Remote, *string) {
	t.Helper()
	toServer, requests := io.Pipe()
	answers, fromServer := io.Pipe()
	exported := ""
	s := &bench.Server{
		Describe: func() bench.Description {
			return bench.Description{Network: "n", Batch: 7, Here: []string{"cpu:go"}}
		},
		Open:   open,
		Export: func(dir string) error { exported = dir; return nil },
	}
	ended := make(chan error)
	go func() { ended <- s.Serve(toServer, fromServer) }()
	t.Cleanup(func() {
		if err := requests.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return bench.NewRemote(requests, answers), &exported
}

func TestDrive(t *testing.T) {
	r, exported := serve(t, func(device string, threads int) (bench.Contender, error) {
		if device != "cpu:go" {
			return nil, errors.New("no such device")
		}
		return &fake{perRow: 1e-3, loss: falling}, nil
	})
	if d, err := r.Describe(); err != nil || d.Network != "n" || d.Batch != 7 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := r.Open("cuda", 1); err == nil || !strings.Contains(err.Error(), "no such device") {
		t.Errorf("opening a device that is not there: %v", err)
	}
	c, err := r.Open("cpu:go", 1)
	if err != nil {
		t.Fatal(err)
	}
	if losses, err := c.Losses(3, 2); err != nil || len(losses) != 3 || losses[1] != 1 {
		t.Errorf("losses %v, %v", losses, err)
	}
	if s, err := c.Time(5, 2, true); err != nil || math.Abs(s-0.01) > 1e-9 {
		t.Errorf("%g seconds, %v", s, err)
	}
	if _, err := c.Time(0, 2, true); err == nil {
		t.Error("no steps were timed")
	}
	if err := r.Export("x"); err != nil || *exported != "x" {
		t.Errorf("export to %q: %v", *exported, err)
	}
}

func FuzzServe(f *testing.F) {
	f.Add(`{"do":"describe"}`)
	f.Add(`{"do":"open","device":"d"}` + "\n" + `{"do":"time","id":0,"steps":2,"rows":1}`)
	f.Add(`{"do":"losses","id":-1,"steps":9999999999}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := &bench.Server{
			Describe: func() bench.Description { return bench.Description{} },
			Open:     func(string, int) (bench.Contender, error) { return constant{}, nil },
			Export:   func(string) error { return nil },
		}
		var out bytes.Buffer
		if err := s.Serve(strings.NewReader(text), &out); err == nil && strings.Count(out.String(), "\n") > strings.Count(text, "\n")+1 {
			t.Errorf("%d answers to %q", strings.Count(out.String(), "\n"), text)
		}
	})
}

// constant takes no time.
type constant struct{}

func (constant) Losses(int, int) ([]float64, error)   { return []float64{1}, nil }
func (constant) Time(int, int, bool) (float64, error) { return 0, nil }

func TestSpread(t *testing.T) {
	s := bench.SpreadOf([]float64{5, 1, 3, 2, 4})
	if s != (bench.Spread{Median: 3, Low: 2, High: 4, Best: 1}) {
		t.Errorf("%+v", s)
	}
	if s := bench.SpreadOf([]float64{7}); s.Median != 7 || s.Noise() != 0 {
		t.Errorf("%+v", s)
	}
}

func TestNumbersForReaders(t *testing.T) {
	for v, want := range map[float64]string{3.52e-5: "35.2 µs", 1.2345: "1.23 s", 123.4e-9: "123 ns", 0.0999: "99.9 ms", 0.9999: "1.00 s"} {
		if got := bench.Duration(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{1.82e6: "1.82 M", 512: "512", 25300: "25.3 k"} {
		if got := bench.Count(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}

func TestHeading(t *testing.T) {
	var out bytes.Buffer
	r := bench.Report{Batch: 1, FLOPs: 704, Rounds: 3, Checked: 1}
	r.Heading(&out, bench.Machine{CPU: "a CPU", Threads: 2}, "net", "random")
	want := "net: a step has 1 row and 704 FLOP of matrix products; rows: random\na CPU, 2 threads; medians of 3 rounds; the losses of 1 step agree\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	r.FLOPs = 8.63e6
	if r.Heading(&out, bench.Machine{}, "net", "random"); !strings.Contains(out.String(), " 8.63 MFLOP ") {
		t.Errorf("%q", out.String())
	}
}

// TestMeter measures for a moment; it says nothing about how fast that is.
func TestMeter(t *testing.T) {
	p, err := bench.NewMeter(2).Measure(time.Millisecond)
	if err != nil || !(p.One > 0 && p.All > 0 && p.ReadOne > 0 && p.ReadAll > 0) {
		t.Errorf("%+v, %v", p, err)
	}
}
