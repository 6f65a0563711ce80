package loop

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/gather"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

// ahead makes an engine one that makes up to most steps at a call.
type ahead struct {
	engine.Engine
	net     *engine.Network
	most    int
	rows    gather.Rows
	count   int
	order   []int32
	orders  int
	calls   []int // steps made by each call of Run
	stepped int   // steps made one by one
}

func (a *ahead) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	a.stepped++
	return a.Engine.Step(x, y, rows, h)
}

func (a *ahead) Hold(x []float32, y engine.Target, rows int) bool {
	a.rows, a.count = gather.Rows{Inputs: a.net.Inputs, Outputs: a.net.Outputs, X: x, Y: y}, rows
	return true
}

func (a *ahead) Order(rows []int32) {
	a.order = rows
	a.orders++
}

func (a *ahead) Run(steps []engine.Planned, losses []float64) int {
	n := min(len(steps), a.most)
	for i, p := range steps[:n] {
		batch := gather.Rows{Inputs: a.net.Inputs, Outputs: a.net.Outputs, X: make([]float32, (p.Hi-p.Lo)*a.net.Inputs)}
		if a.net.Classes {
			batch.Y.Class = make([]int32, p.Hi-p.Lo)
		} else {
			batch.Y.Value = make([]float32, (p.Hi-p.Lo)*a.net.Outputs)
		}
		order := make([]int32, p.Hi-p.Lo)
		for k := range order {
			order[k] = int32(p.Lo + k)
			if a.order != nil {
				order[k] = a.order[p.Lo+k]
			}
		}
		a.rows.Batch(&batch, order)
		losses[i] = a.Engine.Step(batch.X, batch.Y, p.Hi-p.Lo, p.Hyper)
		if !finite(losses[i]) {
			n = i + 1
			break
		}
	}
	a.calls = append(a.calls, n)
	return n
}

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
			a := &ahead{Engine: testnet.Engine(o), net: n, most: most}
			state, got, log := train(a, State{}, nil, 0, 0)
			if state != wantState || fmt.Sprint(got) != fmt.Sprint(want) || log != wantLog {
				t.Errorf("%+v, %d steps at a call: ends at %+v, told\n%s\nwant %+v\n%s", o, most, state, log, wantState, wantLog)
			}
			if a.stepped != 0 || a.count != set.Rows {
				t.Errorf("%d steps were made one by one, %d rows are held", a.stepped, a.count)
			}
			orders := 1 + Defaults(n).Epochs
			if n.Batch == 0 {
				orders = 1
			}
			if a.orders != orders {
				t.Errorf("batch %d: %d orders, want %d", n.Batch, a.orders, orders)
			}
			for stop := int64(1); stop < wantState.Step; stop++ {
				half, values, log := train(&ahead{Engine: testnet.Engine(o), net: n, most: most}, State{}, nil, 3, stop)
				if half.Step > stop+3 {
					t.Errorf("to be stopped at %d, it stands at %d", stop, half.Step)
				}
				_, got, rest := train(&ahead{Engine: testnet.Engine(o), net: n, most: most}, half, values, 0, 0)
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
		a := &ahead{Engine: testnet.Engine(testnet.Options{Inputs: 3, Outputs: 1, Batch: 2, LR: 0.001}), net: n, most: 64}
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
			e.Write(0, 0, []float32{1, 2, 2})
			if i == 1 {
				e = &ahead{Engine: e, net: n, most: 64}
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
