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
	"github.com/dnngen/dnngen/runtime/gather"
	"github.com/dnngen/dnngen/runtime/wording"
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

// Events are called between two steps, on the goroutine of Run; each may be nil.
// An error ends the training. An engine that makes many steps at a call (an
// engine.Runner) may be some steps ahead of Step; Epoch and Pause may read it.
type Events struct {
	Step  func(Step)
	Epoch func(context.Context, Epoch) error
	// Pause is called when the events of all steps made, and of an epoch that
	// they ended, are handled: the moment to store a State. That is after each
	// step, but for an engine.Runner, with which it is after each call.
	Pause func(State) error
	// Every, where it is positive, is a number of updates at whose multiples
	// Pause is called in any case.
	Every int64
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
	rows       gather.Rows // of train
	gathered   gather.Rows // of a batch

	runner engine.Runner // the engine, where it is one
	kept   bool          // by the runner's device
	spare  []int32       // with a runner: the order of the epoch to come,
	coming chan int      // which it is sent when spare holds it
	begun  bool          // that is under way
	plan   []engine.Planned
	rates  []float64 // of plan, before they are rounded
	losses []float64
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
	if !InFloat32(o.LR) || !InFloat32(o.Momentum) {
		return nil, fmt.Errorf("a float32 cannot hold the learning rate %v or the momentum %v", o.LR, o.Momentum)
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
		l.order = make([]int32, train.Rows)
	}
	most := 1
	if l.runner, _ = e.(engine.Runner); l.runner != nil {
		l.kept = l.runner.Hold(train.X, train.Target, train.Rows)
		l.runner.Order(nil)
		if l.order != nil {
			l.spare, l.coming = make([]int32, train.Rows), make(chan int, 1)
		}
		most = engine.MostSteps
	} else if l.order != nil {
		l.allocate()
	}
	l.plan, l.rates, l.losses = make([]engine.Planned, most), make([]float64, most), make([]float64, most)
	return l, nil
}

// allocate makes the buffers that a shuffled batch is gathered into.
func (l *Loop) allocate() {
	in, out := l.net.Inputs, l.net.Outputs
	l.rows = gather.Rows{Inputs: in, Outputs: out, X: l.train.X, Y: l.train.Target}
	l.gathered = gather.Rows{Inputs: in, Outputs: out, X: make([]float32, l.batch*in)}
	if l.train.Target.Class != nil {
		l.gathered.Y.Class = make([]int32, l.batch)
	} else {
		l.gathered.Y.Value = make([]float32, l.batch*out)
	}
}

func fits(n *engine.Network, s *data.Set) error {
	switch {
	case s.Rows < 1:
		return fmt.Errorf("there are no rows to train on")
	case s.Rows > math.MaxInt32:
		return fmt.Errorf("%d rows are more than the %d that can be trained on", s.Rows, math.MaxInt32)
	case s.Inputs != n.Inputs || len(s.X) != s.Rows*n.Inputs:
		return fmt.Errorf("the rows have %s, the network has %s", wording.Count(s.Inputs, "feature"), wording.Count(n.Inputs, "input"))
	case n.Classes && len(s.Target.Class) != s.Rows:
		return fmt.Errorf("the loss %s needs a class for each row", n.Loss)
	case !n.Classes && len(s.Target.Value) != s.Rows*n.Outputs:
		return fmt.Errorf("the loss %s needs %s for each row", n.Loss, wording.Count(n.Outputs, "target value"))
	}
	for i, c := range s.Target.Class {
		if c < 0 || int(c) >= n.Outputs {
			return fmt.Errorf("row %d has class %d, the network has %s", i, c, wording.Count(n.Outputs, "output"))
		}
	}
	return finiteSet(n, s)
}

// Total returns the number of updates of the whole training.
func (l *Loop) Total() int64 { return l.total }

// Kept reports whether the device keeps all rows, so that none is copied to it
// during the training.
func (l *Loop) Kept() bool { return l.kept }

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
			if err := l.steps(); err != nil {
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

// steps trains one batch, or, with an engine.Runner, some of the same epoch.
func (l *Loop) steps() error {
	epoch := int(l.state.Step / l.perEpoch)
	n := 1
	if l.runner != nil {
		n = l.ahead()
	}
	for i := range n {
		l.schedule(i, epoch)
	}
	l.arrange(epoch)
	made := 1
	if l.runner != nil {
		made = l.runner.Run(l.plan[:n], l.losses[:n])
	} else {
		p := &l.plan[0]
		x, y := l.gather(p.Lo, p.Hi)
		l.losses[0] = l.engine.Step(x, y, p.Hi-p.Lo, p.Hyper)
	}
	for i := range made {
		if err := l.count(i, epoch); err != nil {
			return err
		}
	}
	return nil
}

// ahead returns the number of steps that can be made before there is something
// to do between two of them.
func (l *Loop) ahead() int {
	at := l.state.Step
	n := min(int64(len(l.plan)), l.perEpoch-at%l.perEpoch, l.total-at)
	if every := l.events.Every; every > 0 {
		n = min(n, every-at%every)
	}
	return int(n)
}

// schedule plans the i-th step from now on.
func (l *Loop) schedule(i, epoch int) {
	step := l.state.Step + int64(i)
	lo := int(step%l.perEpoch) * l.batch
	at := engine.Moment{Step: step, Epoch: epoch, StepsPerEpoch: l.perEpoch, Epochs: l.opt.Epochs}
	lr := l.net.Schedule(l.opt.LR, at)
	l.rates[i] = lr
	l.plan[i] = engine.Planned{
		Lo: lo, Hi: min(lo+l.batch, l.train.Rows),
		Hyper: engine.Hyper{LR: float32(lr), Momentum: float32(l.opt.Momentum), Step: step + 1},
	}
}

// count notes the i-th step of those that were made.
func (l *Loop) count(i, epoch int) error {
	s, p, loss := &l.state, l.plan[i], l.losses[i]
	if !finite(loss) {
		if l.runner != nil && l.order != nil {
			l.allocate()
		}
		x, y := l.gather(p.Lo, p.Hi)
		return l.locate(x, y, epoch, p.Lo, p.Hi, loss)
	}
	if l.events.Step != nil {
		l.events.Step(Step{Step: s.Step, Epoch: epoch, Rows: p.Hi - p.Lo, Loss: loss, LR: l.rates[i]})
	}
	s.Step++
	s.LossSum += loss * float64(p.Hi-p.Lo)
	s.LossRows += int64(p.Hi - p.Lo)
	s.EpochDue = p.Hi == l.train.Rows
	return nil
}

// arrange makes the order of an epoch. A runner, which leaves the CPU idle, finds
// it made.
func (l *Loop) arrange(epoch int) {
	if l.order == nil || l.orderEpoch == epoch {
		return
	}
	if l.await() == epoch {
		l.order, l.spare = l.spare, l.order
	} else {
		shuffle(l.order, l.opt.Seed, epoch)
	}
	l.orderEpoch = epoch
	if l.runner == nil {
		return
	}
	l.runner.Order(l.order)
	if next := epoch + 1; int64(next)*l.perEpoch < l.total {
		l.begun = true
		go func() {
			shuffle(l.spare, l.opt.Seed, next)
			l.coming <- next
		}()
	}
}

// await returns the epoch whose order is in spare, -1 where there is none.
func (l *Loop) await() int {
	if !l.begun {
		return -1
	}
	l.begun = false
	return <-l.coming
}

// gather returns the rows lo to hi of the order: a copy where they are
// shuffled, the rows themselves where they are not.
func (l *Loop) gather(lo, hi int) ([]float32, engine.Target) {
	in, out := l.net.Inputs, l.net.Outputs
	if l.order == nil {
		return l.train.X[lo*in : hi*in], l.train.Target.Rows(lo, hi, out)
	}
	l.rows.Batch(&l.gathered, l.order[lo:hi])
	return l.gathered.X[:(hi-lo)*in], l.gathered.Y.Rows(0, hi-lo, out)
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

// InFloat32 tells whether a number survives as a float32: neither infinite, nor
// NaN, nor among the subnormal ones, which lose digits or become 0.
func InFloat32(v float64) bool {
	const smallest, largest = 0x1p-126, math.MaxFloat32 // the normal ones
	size := math.Abs(v)
	return v == 0 || size >= smallest && size <= largest
}
