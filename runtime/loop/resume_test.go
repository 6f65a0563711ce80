package loop

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

// snapshot copies all that an engine holds.
func snapshot(n *engine.Network, e engine.Engine) [][]float32 {
	var all [][]float32
	for slot := range 1 + len(n.States) {
		for i, p := range n.Params {
			v := make([]float32, p.Size())
			e.Read(slot, i, 0, v)
			all = append(all, v)
		}
	}
	return all
}

func restore(n *engine.Network, e engine.Engine, all [][]float32) {
	for k, v := range all {
		e.Write(k/len(n.Params), k%len(n.Params), 0, v)
	}
}

// A training that is stopped after any step, and taken up by another engine
// and another loop from what the first left, ends with the same bits and tells
// of the same steps and epochs.
func TestResumeAfterEachStep(t *testing.T) {
	for _, o := range []testnet.Options{
		{Inputs: 3, Hidden: 4, Outputs: 2, Batch: 4, Loss: "cross_entropy", Momentum: 0.9},
		{Inputs: 3, Outputs: 1, Batch: 0, LR: 0.001},
		{Inputs: 2, Hidden: 3, Outputs: 1, Batch: 1, LR: 0.001},
		{Inputs: 2, Outputs: 2, Batch: 100, LR: 0.001},
	} {
		n := testnet.New(o)
		set := rows(n, 10)
		// train runs from state and values until step stop, and returns what it
		// left and what it told.
		train := func(from State, values [][]float32, stop int64) (State, [][]float32, string) {
			e := testnet.Engine(o)
			if values == nil {
				Init(n, e, 5)
			} else {
				restore(n, e, values)
			}
			log := ""
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l, err := New(n, e, set, Defaults(n), Events{
				Step: func(s Step) {
					log += fmt.Sprintf("%+v\n", s)
					if s.Step+1 == stop {
						cancel()
					}
				},
				Epoch: func(ctx context.Context, e Epoch) error {
					if err := ctx.Err(); err != nil {
						return err // the evaluation is cut short
					}
					log += fmt.Sprintf("%+v\n", e)
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Resume(from); err != nil {
				t.Fatal(err)
			}
			if err := l.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			return l.State(), snapshot(n, e), log
		}
		_, want, wantLog := train(State{}, nil, -1)
		for cut := int64(1); ; cut++ {
			state, values, log := train(State{}, nil, cut)
			if state.Step < cut {
				break
			}
			_, got, rest := train(state, values, -1)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%+v: cut at step %d: other parameters", o, cut)
			}
			if log+rest != wantLog {
				t.Errorf("%+v: cut at step %d: told\n%s\nthen\n%s\nwant\n%s", o, cut, log, rest, wantLog)
			}
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 2, Outputs: 1, Batch: 4})
	l, err := New(n, &watcher{}, rows(n, 10), Defaults(n), Events{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []State{
		{Step: -1}, {Step: 1}, {Step: 1, LossRows: 8}, {Step: 3, LossRows: 1}, {Step: 1, LossRows: 4, EpochDue: true}, {EpochDue: true},
	} {
		if l.Resume(s) == nil {
			t.Errorf("%+v: no error", s)
		}
	}
	for _, s := range []State{{}, {Step: 1, LossRows: 4}, {Step: 3}, {Step: 3, LossRows: 10, EpochDue: true}, {Step: 5, LossRows: 8}} {
		if err := l.Resume(s); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
