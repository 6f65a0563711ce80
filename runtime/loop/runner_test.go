package loop

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

// aheadNets are networks of all kinds of loss, batch and order.
var aheadNets = []testnet.Options{
	{Inputs: 3, Hidden: 4, Outputs: 2, Batch: 4, Loss: "cross_entropy", Momentum: 0.9},
	{Inputs: 3, Outputs: 1, Batch: 0, LR: 0.001},
	{Inputs: 2, Hidden: 3, Outputs: 1, Batch: 1, LR: 0.001},
}

// TestRunner trains with engines that make many steps at a call, and compares
// what is told and what is left with an engine that makes one. States of all
// pauses are taken up again.
func TestRunner(t *testing.T) {
	for _, o := range aheadNets {
		n := testnet.New(o)
		set := rows(n, 10)
		// train runs from a state to the end, or until stop updates are made.
		train := func(e engine.Engine, from State, values [][]float32, every, stop int64) (State, [][]float32, string) {
			if values == nil {
				Init(n, e, 5)
			} else {
				restore(n, e, values)
			}
			log := ""
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l, err := New(n, e, set, Defaults(n), Events{
				Step:  func(s Step) { log += fmt.Sprintf("%+v\n", s) },
				Epoch: func(_ context.Context, e Epoch) error { log += fmt.Sprintf("%+v\n", e); return nil },
				Pause: func(s State) error {
					if stop > 0 && s.Step >= stop {
						cancel()
					}
					return nil
				},
				Every: every,
			})
			if err == nil {
				err = l.Resume(from)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			return l.State(), snapshot(n, e), log
		}
		wantState, want, wantLog := train(testnet.Engine(o), State{}, nil, 0, 0)
		for _, most := range []int{1, 2, 5, engine.MostSteps} {
			a := &testnet.Ahead{Engine: testnet.Engine(o), Net: n, Most: most}
			state, got, log := train(a, State{}, nil, 0, 0)
			if state != wantState || fmt.Sprint(got) != fmt.Sprint(want) || log != wantLog {
				t.Errorf("%+v, %d steps at a call: ends at %+v, told\n%s\nwant %+v\n%s", o, most, state, log, wantState, wantLog)
			}
			if a.Stepped != 0 || a.Held != set.Rows {
				t.Errorf("%d steps were made one by one, %d rows are held", a.Stepped, a.Held)
			}
			orders := 1 + Defaults(n).Epochs
			if n.Batch == 0 {
				orders = 1
			}
			if a.Orders != orders {
				t.Errorf("batch %d: %d orders, want %d", n.Batch, a.Orders, orders)
			}
			for stop := int64(1); stop < wantState.Step; stop++ {
				half, values, log := train(&testnet.Ahead{Engine: testnet.Engine(o), Net: n, Most: most}, State{}, nil, 3, stop)
				if half.Step > stop+3 {
					t.Errorf("to be stopped at %d, it stands at %d", stop, half.Step)
				}
				_, got, rest := train(&testnet.Ahead{Engine: testnet.Engine(o), Net: n, Most: most}, half, values, 0, 0)
				if fmt.Sprint(got) != fmt.Sprint(want) || log+rest != wantLog {
					t.Errorf("%+v: taken up at step %d it ends elsewhere", o, half.Step)
				}
			}
		}
	}
}

// TestRunnerPauses looks where a training with many steps at a call pauses: at
// ends of epochs, multiples of Every, and the last step.
func TestRunnerPauses(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 3, Outputs: 1, Batch: 2, LR: 0.001})
	for _, c := range []struct {
		every, steps int64
		want         string
	}{
		{0, 0, "[10 20]"},
		{4, 0, "[4 8 10 12 16 20]"},
		{0, 13, "[10 13]"},
		{7, 15, "[7 10 14 15]"},
	} {
		var pauses []int64
		a := &testnet.Ahead{Engine: testnet.Engine(testnet.Options{Inputs: 3, Outputs: 1, Batch: 2, LR: 0.001}), Net: n, Most: 64}
		l, err := New(n, a, rows(n, 20), Options{Epochs: 2, Steps: c.steps, LR: 0.001}, Events{
			Pause: func(s State) error { pauses = append(pauses, s.Step); return nil },
			Every: c.every,
		})
		if err != nil {
			t.Fatal(err)
		}
		if !l.Kept() {
			t.Error("the rows are not said to be kept")
		}
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(pauses); got != c.want {
			t.Errorf("every %d of %d steps: paused at %s, want %s", c.every, c.steps, got, c.want)
		}
	}
}

// TestRunnerNotFinite lets a loss overflow in the middle of a call: the steps
// before it are told of, and the place is named as without a Runner.
func TestRunnerNotFinite(t *testing.T) {
	o := testnet.Options{Inputs: 3, Outputs: 1, Batch: 2}
	for _, shuffled := range []bool{false, true} {
		var found [2]*NonFinite
		var told [2]int
		var left [2][][]float32
		for i := range 2 {
			n, e := testnet.New(o), testnet.Engine(o)
			set := rows(n, 22)
			set.X[13*3+1], set.X[13*3+2] = math.MaxFloat32, math.MaxFloat32
			e.Write(0, 0, 0, []float32{1, 2, 2})
			if i == 1 {
				e = &testnet.Ahead{Engine: e, Net: n, Most: 64}
			}
			l, err := New(n, e, set, Options{Epochs: 1, LR: 0, Seed: 3, Shuffle: shuffled}, Events{Step: func(Step) { told[i]++ }})
			if err == nil {
				err = l.Run(t.Context())
			}
			if !errors.As(err, &found[i]) {
				t.Fatalf("got %v, want a *NonFinite", err)
			}
			left[i] = snapshot(n, e)
			if l.State().Step != found[i].Step || int64(told[i]) != found[i].Step {
				t.Errorf("told of %d steps, stands at %d, found %+v", told[i], l.State().Step, found[i])
			}
		}
		if *found[0] != *found[1] || found[1].Row != 13 || fmt.Sprint(left[0]) != fmt.Sprint(left[1]) {
			t.Errorf("shuffle %v: found %+v, want %+v", shuffled, found[1], found[0])
		}
	}
}
