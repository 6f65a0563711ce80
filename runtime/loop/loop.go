// Package loop trains a network: epochs of shuffled batches, the learning rate
// of each step, and a stop where a number is no longer finite.
//
// It writes no file and prints nothing. What happens is told by callbacks, and
// a State between two steps is all that another process needs, beside the
// parameters and the optimizer's state, to go on bit for bit.
package loop

import (
	"context"
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

// Options are what may differ between two trainings of one network.
type Options struct {
	Epochs   int     `json:"epochs"` // passes over the data
	Steps    int64   `json:"steps"`  // bound on the updates of the whole training; 0: none
	LR       float64 `json:"lr"`     // before the schedule
	Momentum float64 `json:"momentum"`
	Seed     uint64  `json:"seed"` // of the shuffle
	Shuffle  bool    `json:"shuffle"`
}

// Defaults returns the options that the spec gives.
func Defaults(n *engine.Network) Options {
	return Options{Epochs: n.Epochs, LR: n.LR, Momentum: n.Momentum, Seed: n.Seed, Shuffle: true}
}

// State tells where a training stands between two steps.
type State struct {
	Step int64 `json:"step"` // updates made
	// LossSum and LossRows are the sum of the losses and the number of the
	// rows that the current epoch has trained; a batch counts by its rows.
	LossSum  float64 `json:"loss_sum"`
	LossRows int64   `json:"loss_rows"`
	// EpochDue is set when an epoch's last step is made and its event is not
	// handled yet.
	EpochDue bool `json:"epoch_due"`
}

// Step tells of one update.
type Step struct {
	Step  int64   // counted from 0
	Epoch int     // counted from 0
	Rows  int     // of the batch
	Loss  float64 // mean of the batch, before the update
	LR    float64 // after the schedule
}

// Epoch tells of the end of a pass over the data.
type Epoch struct {
	Epoch int     // counted from 0
	Steps int64   // updates made so far
	Loss  float64 // mean over the epoch of the losses before each update
}

// Events are called between two steps, on the goroutine of Run; they may read
// the engine. Each may be nil. An error ends the training.
type Events struct {
	Step  func(Step)
	Epoch func(context.Context, Epoch) error
	// Pause is called after each step, when the events of the step and of an
	// epoch that it ended are handled: the moment to store a State.
	Pause func(State) error
}

// Loop is one training of a network on a set of rows.
type Loop struct {
	net    *engine.Network
	engine engine.Engine
	train  *data.Set
	opt    Options
	events Events
	state  State

	batch    int // rows of a full step
	perEpoch int64
	total    int64

	order      []int32 // the rows of orderEpoch, in the order of training; nil: as they lie
	orderEpoch int
	x          []float32     // [batch, inputs], gathered
	y          engine.Target // of batch rows, gathered
}

// New prepares a training. It fails where the rows do not fit the network,
// where an input is not finite (a *NonFinite), and where an option makes no
// sense.
func New(n *engine.Network, e engine.Engine, train *data.Set, o Options, ev Events) (*Loop, error) {
	if err := fits(n, train); err != nil {
		return nil, err
	}
	if o.Epochs < 1 || o.Steps < 0 {
		return nil, fmt.Errorf("%d epochs and %d steps: at least one epoch is needed, and no negative number of steps", o.Epochs, o.Steps)
	}
	if !finite(o.LR) || !finite(o.Momentum) {
		return nil, fmt.Errorf("learning rate %v and momentum %v must be finite", o.LR, o.Momentum)
	}
	l := &Loop{net: n, engine: e, train: train, opt: o, events: ev, batch: n.Batch, orderEpoch: -1}
	if l.batch == 0 || l.batch > train.Rows {
		l.batch = train.Rows
	}
	l.perEpoch = int64((train.Rows + l.batch - 1) / l.batch)
	if int64(o.Epochs) > math.MaxInt64/l.perEpoch {
		return nil, fmt.Errorf("%d epochs of %d steps are more steps than can be counted", o.Epochs, l.perEpoch)
	}
	l.total = int64(o.Epochs) * l.perEpoch
	if o.Steps > 0 {
		l.total = min(l.total, o.Steps)
	}
	// Gradient descent sees all rows in each step: their order is of no account.
	if o.Shuffle && n.Batch != 0 {
		l.allocate()
	}
	return l, nil
}

// allocate makes the buffers that a shuffled batch is gathered into.
func (l *Loop) allocate() {
	l.order = make([]int32, l.train.Rows)
	l.x = make([]float32, l.batch*l.net.Inputs)
	if l.train.Target.Class != nil {
		l.y.Class = make([]int32, l.batch)
	} else {
		l.y.Value = make([]float32, l.batch*l.net.Outputs)
	}
}

func fits(n *engine.Network, s *data.Set) error {
	switch {
	case s.Rows < 1:
		return fmt.Errorf("there are no rows to train on")
	case s.Rows > math.MaxInt32:
		return fmt.Errorf("%d rows are more than the %d that can be trained on", s.Rows, math.MaxInt32)
	case s.Inputs != n.Inputs || len(s.X) != s.Rows*n.Inputs:
		return fmt.Errorf("the rows have %d features, the network has %d inputs", s.Inputs, n.Inputs)
	case n.Classes && len(s.Target.Class) != s.Rows:
		return fmt.Errorf("the loss %s needs a class for each row", n.Loss)
	case !n.Classes && len(s.Target.Value) != s.Rows*n.Outputs:
		return fmt.Errorf("the loss %s needs %d target values for each row", n.Loss, n.Outputs)
	}
	for i, c := range s.Target.Class {
		if c < 0 || int(c) >= n.Outputs {
			return fmt.Errorf("row %d has class %d, the network has %d outputs", i, c, n.Outputs)
		}
	}
	return finiteSet(n, s)
}

// Total returns the number of updates of the whole training.
func (l *Loop) Total() int64 { return l.total }

// StepsPerEpoch returns the number of updates of an epoch.
func (l *Loop) StepsPerEpoch() int64 { return l.perEpoch }

// State returns where the training stands. It is called between two steps.
func (l *Loop) State() State { return l.state }

// Resume takes up a training at s. The engine must hold the parameters and the
// optimizer's state that belong to it.
func (l *Loop) Resume(s State) error {
	rows := int64(l.train.Rows)
	seen := min(s.Step%l.perEpoch*int64(l.batch), rows)
	ended := s.Step > 0 && s.Step%l.perEpoch == 0
	if s.EpochDue && ended {
		seen = rows
	}
	if s.Step < 0 || s.LossRows != seen || s.EpochDue && !ended {
		return fmt.Errorf("a state with %d steps and %d rows of its epoch is not one of this training of %d rows in batches of %d",
			s.Step, s.LossRows, rows, l.batch)
	}
	l.state = s
	return nil
}

// Run trains until the last step, or until ctx is cancelled: then it ends after
// the step under way and returns the context's error; Run may be called again.
// Where a loss is not finite it returns a *NonFinite, and the parameters are
// those before that step.
func (l *Loop) Run(ctx context.Context) error {
	done := ctx.Done()
	for l.state.Step < l.total || l.state.EpochDue {
		select {
		case <-done:
			return ctx.Err()
		default:
		}
		if !l.state.EpochDue {
			if err := l.step(); err != nil {
				return err
			}
		}
		if l.state.EpochDue {
			if err := l.endEpoch(ctx); err != nil {
				return err
			}
		}
		if l.events.Pause != nil {
			if err := l.events.Pause(l.state); err != nil {
				return err
			}
		}
	}
	return nil
}

// step trains one batch.
func (l *Loop) step() error {
	s := &l.state
	epoch := int(s.Step / l.perEpoch)
	lo := int(s.Step%l.perEpoch) * l.batch
	hi := min(lo+l.batch, l.train.Rows)
	x, y := l.gather(epoch, lo, hi)
	at := engine.Moment{Step: s.Step, Epoch: epoch, StepsPerEpoch: l.perEpoch, Epochs: l.opt.Epochs}
	lr := l.net.Schedule(l.opt.LR, at)
	h := engine.Hyper{LR: float32(lr), Momentum: float32(l.opt.Momentum), Step: s.Step + 1}
	loss := l.engine.Step(x, y, hi-lo, h)
	if !finite(loss) {
		return l.locate(x, y, epoch, lo, hi, loss)
	}
	if l.events.Step != nil {
		l.events.Step(Step{Step: s.Step, Epoch: epoch, Rows: hi - lo, Loss: loss, LR: lr})
	}
	s.Step++
	s.LossSum += loss * float64(hi-lo)
	s.LossRows += int64(hi - lo)
	s.EpochDue = hi == l.train.Rows
	return nil
}

// gather returns the rows lo to hi of an epoch: a copy where they are
// shuffled, the rows themselves where they are not.
func (l *Loop) gather(epoch, lo, hi int) ([]float32, engine.Target) {
	in, out := l.net.Inputs, l.net.Outputs
	if l.order == nil {
		return l.train.X[lo*in : hi*in], l.train.Target.Rows(lo, hi, out)
	}
	if l.orderEpoch != epoch {
		shuffle(l.order, l.opt.Seed, epoch)
		l.orderEpoch = epoch
	}
	rows := l.order[lo:hi]
	pick(l.x, l.train.X, rows, in)
	if l.y.Value != nil {
		pick(l.y.Value, l.train.Target.Value, rows, out)
	}
	for i := range l.y.Class[:min(len(l.y.Class), len(rows))] {
		l.y.Class[i] = l.train.Target.Class[rows[i]]
	}
	return l.x[:(hi-lo)*in], l.y.Rows(0, hi-lo, out)
}

// pick copies rows of src [.., width] to dst [len(rows), width].
func pick(dst, src []float32, rows []int32, width int) {
	const short = 8 // up to this, a loop beats a call of copy
	switch {
	case width == 1:
		dst = dst[:len(rows)]
		for i, r := range rows {
			dst[i] = src[r]
		}
	case width <= short:
		for i, r := range rows {
			d := dst[i*width : (i+1)*width]
			s := src[int(r)*width:][:len(d)]
			//lint:ignore S1001 a call of copy takes twice as long here
			for k, v := range s {
				d[k] = v
			}
		}
	default:
		for i, r := range rows {
			copy(dst[i*width:(i+1)*width], src[int(r)*width:])
		}
	}
}

func (l *Loop) endEpoch(ctx context.Context) error {
	s := &l.state
	if l.events.Epoch != nil {
		e := Epoch{Epoch: int(s.Step/l.perEpoch) - 1, Steps: s.Step, Loss: s.LossSum / float64(s.LossRows)}
		if err := l.events.Epoch(ctx, e); err != nil {
			return err
		}
	}
	s.LossSum, s.LossRows, s.EpochDue = 0, 0, false
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
