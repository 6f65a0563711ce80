package model

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/metric"
	"github.com/dnngen/dnngen/runtime/modelfile"
)

// TrainOptions are what may differ between two trainings. The zero value trains
// as the spec says.
type TrainOptions struct {
	Epochs    int   // passes over the rows; 0: the spec's
	Steps     int64 // bound on the updates; 0: none
	KeepOrder bool  // train the rows in their order instead of shuffling them in each epoch
	// KeepBest leaves the model, when the training ends, with the parameters
	// of the epoch that had the lowest loss on the test rows.
	KeepBest bool

	// OnStep and OnEpoch, where they are set, are called between two steps, on
	// the goroutine that trains; they may use the model. An error of OnEpoch
	// ends the training and is what it returns.
	OnStep  func(loop.Step)
	OnEpoch func(Epoch) error
}

// Epoch tells of a pass over the training rows.
type Epoch struct {
	Epoch int            `json:"epoch"` // counted from 0
	Steps int64          `json:"steps"` // updates of this training so far
	Loss  float64        `json:"loss"`  // mean over the epoch, each batch before its update
	Test  *metric.Report `json:"test,omitempty"`
}

// Report tells of a training.
type Report struct {
	Steps  int64   `json:"steps"`  // updates made
	Epochs []Epoch `json:"epochs"` // those that came to their end
	// Test is what the test rows gave with the parameters of the epoch that
	// ended last, or, with KeepBest, with those that the model has now. nil
	// where no test rows were given or no epoch ended.
	Test *metric.Report `json:"test,omitempty"`
}

// Train makes a model and trains it. train and test hold rows with their
// targets; test may be nil. m is nil where the training could not begin.
// Otherwise it holds the parameters after the last step that was made, also
// where err is not nil: the context's error, that of OnEpoch, or a
// *loop.NonFinite where a loss was not finite.
func Train(ctx context.Context, n *engine.Network, train, test *data.Table, o TrainOptions, opts ...Option) (*Model, Report, error) {
	m, err := New(n, opts...)
	if err != nil {
		return nil, Report{}, err
	}
	t, err := m.training(train, test, o)
	if err != nil {
		m.Close()
		return nil, Report{}, err
	}
	err = t.run(ctx)
	return m, t.report, err
}

// Train goes on with the parameters that the model has. Rows are prepared as
// those were that it was trained on before; where there were none, the
// preparation is learned from train and belongs to the model from then on.
// Predictions may go on meanwhile: they are made with the parameters of the
// moment. Errors are those of the function Train.
func (m *Model) Train(ctx context.Context, train, test *data.Table, o TrainOptions) (Report, error) {
	t, err := m.training(train, test, o)
	if err != nil {
		return Report{}, err
	}
	err = t.run(ctx)
	return t.report, err
}

// training is one training under way.
type training struct {
	m       *Model
	options TrainOptions
	loop    *loop.Loop
	test    *data.Set // nil without
	report  Report
	best    modelfile.Values // nil where none are kept
	loss    float64          // of best
}

// training prepares rows and loop, and gives the model its preparation.
func (m *Model) training(train, test *data.Table, o TrainOptions) (*training, error) {
	if train == nil {
		return nil, errors.New(m.net.Name + ": there are no rows to train on")
	}
	if o.KeepBest && test == nil {
		return nil, errors.New(m.net.Name + ": KeepBest needs test rows")
	}
	prep, err := m.preparation(train)
	if err != nil {
		return nil, err
	}
	set, err := prep.Apply(train)
	if err != nil {
		return nil, err
	}
	t := &training{m: m, options: o, loss: math.Inf(1)}
	if test != nil {
		if t.test, err = prep.Apply(test); err != nil {
			return nil, err
		}
	}
	t.loop, err = loop.New(m.net, m.forLoop(), set, m.loopOptions(o), loop.Events{Step: o.OnStep, Epoch: t.epoch})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.net.Name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustBeOpen()
	m.setPrep(prep)
	return t, nil
}

func (m *Model) preparation(train *data.Table) (*data.Prep, error) {
	m.mu.RLock()
	prep, fitted := m.prep, m.fitted
	m.mu.RUnlock()
	if fitted {
		return prep, nil
	}
	return data.Fit(train, m.net)
}

func (m *Model) loopOptions(o TrainOptions) loop.Options {
	m.mu.RLock()
	defer m.mu.RUnlock()
	l := loop.Options{
		Epochs: m.net.Epochs, Steps: o.Steps, Seed: m.seed,
		LR: m.lr, Momentum: m.momentum, Shuffle: !o.KeepOrder,
	}
	if o.Epochs != 0 {
		l.Epochs = o.Epochs
	}
	return l
}

func (t *training) run(ctx context.Context) error {
	err := t.loop.Run(ctx)
	t.report.Steps = t.loop.State().Step
	if t.best != nil {
		for i, values := range t.best {
			shared{t.m}.Write(0, i, 0, values)
		}
	}
	return err
}

// epoch measures the test rows and keeps the parameters where they are the
// best so far.
func (t *training) epoch(ctx context.Context, e loop.Epoch) error {
	ended := Epoch{Epoch: e.Epoch, Steps: e.Steps, Loss: e.Loss}
	if t.test != nil {
		r, err := t.m.measure(ctx, t.test)
		if err != nil {
			return err
		}
		ended.Test = &r
		if err := t.keep(ended.Test); err != nil {
			return err
		}
	}
	t.report.Epochs = append(t.report.Epochs, ended)
	if t.options.OnEpoch == nil {
		return nil
	}
	return t.options.OnEpoch(ended)
}

func (t *training) keep(r *metric.Report) error {
	if !t.options.KeepBest {
		t.report.Test = r
		return nil
	}
	if loss := float64(r.Loss); loss < t.loss {
		params, err := modelfile.Copy(t.m.net, shared{t.m})
		if err != nil {
			return err
		}
		t.best, t.loss, t.report.Test = params, loss, r
	}
	return nil
}

// Evaluate measures the model on rows with their targets: the loss and the
// metrics that fit it. Errors are those of the rows (a *data.Error) and of the
// context.
func (m *Model) Evaluate(ctx context.Context, rows *data.Table) (metric.Report, error) {
	if rows == nil {
		return metric.Report{}, errors.New(m.net.Name + ": there are no rows to measure")
	}
	m.mu.RLock()
	prep, fitted := m.prep, m.fitted
	m.mu.RUnlock()
	if !fitted && len(m.net.Data.Categorical) > 0 {
		return metric.Report{}, fmt.Errorf("%s: %w", m.net.Name, ErrUnprepared)
	}
	set, err := prep.Apply(rows)
	if err != nil {
		return metric.Report{}, err
	}
	return m.measure(ctx, set)
}

func (m *Model) measure(ctx context.Context, s *data.Set) (metric.Report, error) {
	raw, err := loop.Infer(ctx, m.net, shared{m}, s.X, s.Rows)
	if err != nil {
		return metric.Report{}, err
	}
	return metric.Of(m.net, raw, s), nil
}
