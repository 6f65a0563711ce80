package loop

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

// rows makes a set whose row r holds r in each feature, so that an engine that
// watches its batches knows which rows they are.
func rows(n *engine.Network, count int) *data.Set {
	s := &data.Set{Rows: count, Inputs: n.Inputs, Outputs: n.Outputs, X: make([]float32, count*n.Inputs)}
	for i := range s.X {
		s.X[i] = float32(i / n.Inputs)
	}
	if n.Classes {
		s.Target.Class = make([]int32, count)
		for i := range s.Target.Class {
			s.Target.Class[i] = int32(i % n.Outputs)
		}
	} else {
		s.Target.Value = make([]float32, count*n.Outputs)
		for i := range s.Target.Value {
			s.Target.Value[i] = float32(i / n.Outputs)
		}
	}
	return s
}

// watcher records the rows and the hyper-parameters of each step.
type watcher struct {
	engine.Engine
	width   int
	batches [][]int
	hypers  []engine.Hyper
	loss    float64
	bad     string
}

func (w *watcher) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	batch := make([]int, rows)
	for i := range batch {
		batch[i] = int(x[i*w.width])
		for _, v := range x[i*w.width : (i+1)*w.width] {
			if int(v) != batch[i] {
				w.bad = "a row is torn"
			}
		}
		if y.Value != nil && int(y.Value[i]) != batch[i] {
			w.bad = "a target stands at another row"
		}
	}
	if len(x) != rows*w.width {
		w.bad = "the batch has another length than its rows"
	}
	w.batches = append(w.batches, batch)
	w.hypers = append(w.hypers, h)
	return w.loss
}

func watch(t *testing.T, batch, count int, o Options) *watcher {
	t.Helper()
	n := testnet.New(testnet.Options{Inputs: 3, Outputs: 1, Batch: batch})
	w := &watcher{width: 3, loss: 1}
	l, err := New(n, w, rows(n, count), o, Events{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.bad != "" {
		t.Fatal(w.bad)
	}
	return w
}

func TestBatchesInOrder(t *testing.T) {
	for _, c := range []struct {
		batch, rows int
		want        string
	}{
		{4, 10, "[[0 1 2 3] [4 5 6 7] [8 9]]"},
		{5, 10, "[[0 1 2 3 4] [5 6 7 8 9]]"},
		{1, 3, "[[0] [1] [2]]"},
		{0, 4, "[[0 1 2 3]]"},
		{64, 3, "[[0 1 2]]"},
		{1, 1, "[[0]]"},
	} {
		w := watch(t, c.batch, c.rows, Options{Epochs: 1, LR: 1})
		if got := fmt.Sprint(w.batches); got != c.want {
			t.Errorf("batch %d of %d rows: %s, want %s", c.batch, c.rows, got, c.want)
		}
	}
}

func TestShuffledEpochsHoldEachRowOnce(t *testing.T) {
	w := watch(t, 4, 10, Options{Epochs: 5, LR: 1, Seed: 7, Shuffle: true})
	seen := map[string]bool{}
	for e := range 5 {
		order := slices.Concat(w.batches[3*e : 3*e+3]...)
		seen[fmt.Sprint(order)] = true
		slices.Sort(order)
		for i, r := range order {
			if r != i {
				t.Fatalf("epoch %d trained rows %v", e, order)
			}
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d different orders in 5 epochs", len(seen))
	}
	again := watch(t, 4, 10, Options{Epochs: 5, LR: 1, Seed: 7, Shuffle: true})
	if !reflect.DeepEqual(w.batches, again.batches) {
		t.Error("the same seed gives another order")
	}
	other := watch(t, 4, 10, Options{Epochs: 5, LR: 1, Seed: 8, Shuffle: true})
	if reflect.DeepEqual(w.batches, other.batches) {
		t.Error("another seed gives the same order")
	}
}

// The order of a seed and an epoch is part of what "same seed, same bits"
// means, so it must not change from one version to the next.
func TestShuffleIsFixed(t *testing.T) {
	order := make([]int32, 10)
	shuffle(order, 1, 3)
	if got, want := fmt.Sprint(order), "[4 1 2 9 0 3 8 7 6 5]"; got != want {
		t.Errorf("shuffle(1, 3) = %s, want %s", got, want)
	}
}

// Each permutation of four is as likely as any other: a chi-squared test with
// 23 degrees of freedom at a probability of a false alarm below 1e-6. The seeds
// are fixed, so it cannot flake.
func TestShuffleIsUniform(t *testing.T) {
	count := map[string]int{}
	const trials = 24_000
	for seed := range uint64(trials / 10) {
		for epoch := range 10 {
			var order [4]int32
			shuffle(order[:], seed, epoch)
			count[fmt.Sprint(order)]++
		}
	}
	chi := 0.0
	for _, c := range count {
		d := float64(c) - trials/24
		chi += d * d / (trials / 24)
	}
	if len(count) != 24 || chi > 75 {
		t.Errorf("%d permutations, chi² %.1f", len(count), chi)
	}
}

func TestHyper(t *testing.T) {
	w := watch(t, 4, 10, Options{Epochs: 2, LR: 0.5, Momentum: 0.25})
	for i, h := range w.hypers {
		lr := float32(0.5 * math.Pow(0.99, float64(i)/3))
		if h.Step != int64(i)+1 || h.LR != lr || h.Momentum != 0.25 {
			t.Errorf("step %d: %+v, want lr %v", i, h, lr)
		}
	}
}

func TestStepsBoundTheTraining(t *testing.T) {
	for steps, want := range map[int64]int{1: 1, 4: 4, 6: 6, 7: 6, 100: 6} {
		if w := watch(t, 4, 10, Options{Epochs: 2, Steps: steps, LR: 1}); len(w.batches) != want {
			t.Errorf("--steps %d made %d steps, want %d", steps, len(w.batches), want)
		}
	}
}

func TestEvents(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 3, Outputs: 1, Batch: 4})
	var log []string
	w := &watcher{width: 3, loss: 2}
	l, err := New(n, w, rows(n, 6), Options{Epochs: 2, LR: 1}, Events{
		Step: func(s Step) { log = append(log, fmt.Sprintf("step %d/%d rows %d", s.Epoch, s.Step, s.Rows)) },
		Epoch: func(_ context.Context, e Epoch) error {
			log = append(log, fmt.Sprintf("epoch %d at %d loss %v", e.Epoch, e.Steps, e.Loss))
			return nil
		},
		Pause: func(s State) error {
			log = append(log, fmt.Sprintf("pause %d %v/%d", s.Step, s.LossSum, s.LossRows))
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"step 0/0 rows 4", "pause 1 8/4",
		"step 0/1 rows 2", "epoch 0 at 2 loss 2", "pause 2 0/0",
		"step 1/2 rows 4", "pause 3 8/4",
		"step 1/3 rows 2", "epoch 1 at 4 loss 2", "pause 4 0/0",
	}
	if !slices.Equal(log, want) {
		t.Errorf("got  %q\nwant %q", log, want)
	}
}

func TestNoAllocationInAStep(t *testing.T) {
	for _, shuffled := range []bool{false, true} {
		n := testnet.New(testnet.Options{Inputs: 3, Hidden: 4, Outputs: 2, Batch: 4, Loss: "cross_entropy", Momentum: 0.9})
		o := Defaults(n)
		o.Epochs, o.Shuffle = 1_000_000, shuffled
		l, err := New(n, testnet.Engine(testnet.Options{Inputs: 3, Hidden: 4, Outputs: 2, Batch: 4, Loss: "cross_entropy", Momentum: 0.9}),
			rows(n, 10), o, Events{Step: func(Step) {}, Pause: func(State) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		a := testing.AllocsPerRun(100, func() {
			if err := l.steps(); err != nil {
				t.Fatal(err)
			}
			l.state.EpochDue = false
		})
		if a != 0 {
			t.Errorf("shuffle %v: %v allocations a step", shuffled, a)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 2, Outputs: 2, Loss: "cross_entropy"})
	good := Options{Epochs: 1, LR: 1}
	change := func(f func(*data.Set)) *data.Set {
		s := rows(n, 4)
		f(s)
		return s
	}
	inf := float32(math.Inf(-1))
	for name, c := range map[string]struct {
		set *data.Set
		opt Options
	}{
		"no rows":        {rows(n, 0), good},
		"width":          {change(func(s *data.Set) { s.Inputs = 3 }), good},
		"no class":       {change(func(s *data.Set) { s.Target.Class = nil }), good},
		"class too high": {change(func(s *data.Set) { s.Target.Class[2] = 2 }), good},
		"class negative": {change(func(s *data.Set) { s.Target.Class[2] = -1 }), good},
		"infinite input": {change(func(s *data.Set) { s.X[3] = inf }), good},
		"no epoch":       {rows(n, 4), Options{LR: 1}},
		"steps":          {rows(n, 4), Options{Epochs: 1, LR: 1, Steps: -1}},
		"lr":             {rows(n, 4), Options{Epochs: 1, LR: math.NaN()}},
		"momentum":       {rows(n, 4), Options{Epochs: 1, LR: 1, Momentum: math.Inf(1)}},
	} {
		if _, err := New(n, &watcher{}, c.set, c.opt, Events{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	big := testnet.New(testnet.Options{Inputs: 2, Outputs: 1, Batch: 1})
	if _, err := New(big, &watcher{}, rows(big, 4), Options{Epochs: math.MaxInt, LR: 1}, Events{}); err == nil {
		t.Error("too many steps: no error")
	}
}

func TestCancelEndsAfterTheStep(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 3, Outputs: 1, Batch: 4})
	w := &watcher{width: 3, loss: 1}
	ctx, cancel := context.WithCancel(t.Context())
	paused := int64(0)
	l, err := New(n, w, rows(n, 10), Options{Epochs: 9, LR: 1}, Events{
		Step: func(s Step) {
			if s.Step == 4 {
				cancel()
			}
		},
		Pause: func(s State) error { paused = s.Step; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if l.State().Step != 5 || paused != 5 || len(w.batches) != 5 {
		t.Errorf("stands at step %d, paused at %d, made %d", l.State().Step, paused, len(w.batches))
	}
}

func TestAnErrorOfAnEventEndsTheTraining(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 3, Outputs: 1, Batch: 4})
	sorry := errors.New("disk full")
	for _, ev := range []Events{
		{Pause: func(State) error { return sorry }},
		{Epoch: func(context.Context, Epoch) error { return sorry }},
	} {
		l, err := New(n, &watcher{width: 3}, rows(n, 10), Options{Epochs: 9, LR: 1}, ev)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Run(t.Context()); !errors.Is(err, sorry) {
			t.Errorf("got %v", err)
		}
	}
}

func BenchmarkGather(b *testing.B) {
	for _, c := range []struct{ batch, inputs int }{{32, 2}, {64, 64}, {128, 784}} {
		b.Run(fmt.Sprintf("%dx%d", c.batch, c.inputs), func(b *testing.B) {
			n := testnet.New(testnet.Options{Inputs: c.inputs, Outputs: 1, Batch: c.batch})
			o := Defaults(n)
			o.Epochs = 1 << 30
			l, err := New(n, &watcher{}, rows(n, 4*c.batch), o, Events{})
			if err != nil {
				b.Fatal(err)
			}
			l.arrange(0)
			for b.Loop() {
				l.gather(c.batch, 2*c.batch)
			}
		})
	}
}

func TestInFloat32(t *testing.T) {
	for v, want := range map[float64]bool{
		0: true, 0.1: true, -1e-37: true, 1e38: true, 1e39: false, 1e-40: false, -1e-300: false, math.Inf(1): false,
	} {
		if got := InFloat32(v); got != want {
			t.Errorf("%v: %v", v, got)
		}
	}
	if InFloat32(math.NaN()) {
		t.Error("NaN is taken")
	}
}
