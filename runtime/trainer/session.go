package trainer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/metric"
	"github.com/dnngen/dnngen/runtime/progress"
	"github.com/dnngen/dnngen/runtime/rundir"
	"github.com/dnngen/dnngen/runtime/wording"
)

// session is one training: it ties the loop to the run directory, to the
// progress display and to standard output.
type session struct {
	app     *app
	flags   *trainFlags
	show    *progress.Display
	rows    *rows
	device  *device.Choice
	engine  engine.Engine
	loop    *loop.Loop
	dir     *rundir.Dir
	saver   *rundir.Saver
	metrics *rundir.Metrics
	curves  curves

	meta     rundir.Meta // what the next checkpoint says, but for its state
	started  time.Time
	from     int64 // updates that were made before this process
	trained  int64 // rows since then
	lastLoss float64
	test     *metric.Report // of the parameters after testStep updates
	testStep int64
	line     []byte
	err      error // of the metrics file, until the next pause
	// described gets the error of writing what describes the run, once; nil
	// when nobody writes it.
	described chan error

	tick      atomic.Bool // set a few times a second: time to show and to flush
	saved     time.Time   // the last checkpoint
	savedStep int64       // its updates; -1: there is none
}

const (
	tickEvery = 100 * time.Millisecond
	// A checkpoint at the end of an epoch is left out when the last one is
	// younger than restTime, and one in the middle is written when it is older
	// than longTime: short epochs shall not make the disk busy, long ones not
	// lose hours.
	restTime = 2 * time.Second
	longTime = 5 * time.Minute
	// autoLines is about how many steps are logged where --log-every is 0.
	autoLines = 1000
)

// start makes the engine.
func (s *session) start(d *device.Choice) (err error) {
	s.device = d
	if d.Note != "" {
		s.show.Warn("%s", d.Note)
	}
	s.savedStep = -1
	if s.engine, err = s.flags.start(d); err != nil {
		return err
	}
	for _, note := range notes(s.engine) {
		s.show.Say("%s", note)
	}
	s.saver = rundir.NewSaver(s.app.net, s.engine)
	return nil
}

func (s *session) newLoop() (err error) {
	s.loop, err = loop.New(s.app.net, s.engine, s.rows.train, s.flags.options, loop.Events{
		Step: s.onStep, Epoch: s.onEpoch, Pause: s.onPause, Every: s.flags.checkpointEvery,
	})
	var bad *loop.NonFinite
	if err != nil && !errors.As(err, &bad) {
		return &failure{exitData, err}
	}
	if err == nil && s.flags.logEvery == 0 {
		s.flags.logEvery = max(1, s.loop.Total()/autoLines)
	}
	return err
}

// openFiles opens the metrics, cut back to what belongs to the checkpoint, and
// starts to write what describes the run. That is not waited for: a slow disk
// shall not hold up the first step.
func (s *session) openFiles(metrics int64) error {
	var have int64
	var err error
	if s.metrics, have, err = s.dir.Metrics(metrics); err != nil {
		return inRun(err)
	}
	if have < metrics {
		s.show.Warn("%s lacks its last %s", s.dir.File(rundir.MetricsFile), wording.Count(metrics-have, "byte"))
	}
	s.curves.perEpoch = float64(s.loop.StepsPerEpoch())
	if metrics > 0 {
		if err := s.dir.Replay(s.curves.step, s.curves.epoch); err != nil {
			return inRun(err)
		}
	}
	s.started = time.Now()
	now := s.info("training")
	s.described = make(chan error, 1)
	go func() {
		err := s.dir.WriteSpec(s.app.net.Spec)
		if err == nil {
			err = s.dir.WriteJSON(rundir.InfoFile, now)
		}
		s.described <- err
	}()
	return nil
}

// awaitDescription waits until the run is described. All that writes to the
// directory itself comes after it.
func (s *session) awaitDescription() error {
	if s.described == nil {
		return nil
	}
	err := <-s.described
	s.described = nil
	return inRun(err)
}

func (s *session) close() error {
	err := s.awaitDescription()
	if s.metrics != nil {
		err = errors.Join(err, inRun(s.metrics.Close()))
	}
	if s.dir != nil {
		err = errors.Join(err, inRun(s.dir.Close()))
	}
	if s.engine != nil {
		s.engine.Close()
	}
	return err
}

// run trains, and leaves the run directory in order however that ends.
func (s *session) run() error {
	if err := s.app.ctx.Err(); err != nil {
		return fmt.Errorf("%w before the first step", s.app.cause(err))
	}
	if err := s.announce(); err != nil {
		return err
	}
	defer frugal()()
	stop := s.ticking()
	defer stop()
	s.saved = time.Now()
	s.from = s.loop.State().Step
	s.show.Start(s.status())
	err := s.app.cause(s.loop.Run(s.app.ctx))
	s.show.Clear()
	var signal *interrupted
	switch {
	case err == nil:
		return s.finish()
	case errors.As(err, &signal):
		return s.interrupt(signal)
	}
	return s.fail(err)
}

// trainGrowth is the share, in percent, by which Go's heap may grow before garbage
// is collected. Steps allocate nothing, so a training has little garbage, and
// collecting it early costs no time; with Go's 100 % the heap doubles.
const trainGrowth = 25

// frugal lets the heap grow by trainGrowth, or by less where that is set already,
// until restore is called.
func frugal() (restore func()) {
	old := debug.SetGCPercent(trainGrowth)
	if old < trainGrowth {
		debug.SetGCPercent(old)
	}
	return func() { debug.SetGCPercent(old) }
}

// ticking sets tick until it is stopped. A look at the clock in each step
// would cost more than a small network's step.
func (s *session) ticking() (stop func()) {
	ticker := time.NewTicker(tickEvery)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				s.tick.Store(true)
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
	}
}

func (s *session) status() progress.Status {
	at := s.loop.State().Step
	return progress.Status{
		Epoch: int(at / s.loop.StepsPerEpoch()), Epochs: s.flags.options.Epochs,
		Step: at, Steps: s.loop.Total(), Rows: s.trained, Loss: s.lastLoss,
	}
}

func (s *session) onStep(e loop.Step) {
	s.trained += int64(e.Rows)
	s.lastLoss = e.Loss
	if e.Step%s.flags.logEvery != 0 {
		return
	}
	s.curves.step(e)
	s.err = errors.Join(s.err, s.metrics.Step(e))
	if s.flags.json {
		s.line = rundir.AppendStep(s.line[:0], e)
		_, _ = s.app.stdout.Write(s.line) // the error is kept for the end
	}
}

func (s *session) onEpoch(ctx context.Context, e loop.Epoch) error {
	line := rundir.EpochLine{Event: "epoch", Epoch: e.Epoch, Step: e.Steps, TrainLoss: e.Loss}
	if err := s.evaluate(ctx, e.Steps); err != nil {
		return err
	}
	if s.test != nil {
		brief := s.test.Brief()
		line.Test = &brief
		if v := float64(brief.Loss); !math.IsNaN(v) && !math.IsInf(v, 0) && (s.meta.Best == nil || v < s.meta.Best.Loss) {
			s.meta.Best = &rundir.EpochLoss{Epoch: e.Epoch, Loss: v}
		}
	}
	s.meta.Last = &rundir.EpochLoss{Epoch: e.Epoch, Loss: e.Loss}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if s.flags.json {
		_, _ = s.app.stdout.Write(text)
	}
	s.curves.epoch(line)
	s.sayEpoch(line)
	return inRun(s.metrics.Append(text))
}

// evaluate measures the test rows, unless that was done for these parameters.
func (s *session) evaluate(ctx context.Context, step int64) error {
	if s.rows.test == nil || s.test != nil && s.testStep == step {
		return nil
	}
	raw, err := loop.Infer(ctx, s.app.net, s.engine, s.rows.test.X, s.rows.test.Rows)
	if err != nil {
		return err
	}
	if s.test == nil {
		s.test = &metric.Report{}
	}
	s.test.Measure(s.app.net, raw, s.rows.test)
	s.testStep = step
	return nil
}

// onPause is called between two steps.
func (s *session) onPause(at loop.State) error {
	if s.err != nil {
		return inRun(s.err)
	}
	ended := at.LossRows == 0
	every := s.flags.checkpointEvery
	if every > 0 {
		if at.Step%every == 0 {
			return s.checkpoint(at)
		}
	} else if s.tick.Load() {
		if rest := time.Since(s.saved); rest >= longTime || ended && rest >= restTime {
			if err := s.checkpoint(at); err != nil {
				return err
			}
		}
	}
	if s.tick.Load() {
		s.tick.Store(false)
		s.show.Update(s.status())
		s.app.stdout.flush()
		return inRun(s.metrics.Flush())
	}
	return nil
}

// checkpoint stores the state, and the curves where they were not drawn a
// moment ago.
func (s *session) checkpoint(at loop.State) error {
	if err := s.awaitDescription(); err != nil {
		return err
	}
	if s.meta.Train.Sum == "" {
		s.meta.Train, s.meta.Test = source(s.rows.trainName, s.rows.train), source(s.rows.testName, s.rows.test)
	}
	size, err := s.metrics.Sync()
	if err != nil {
		return inRun(err)
	}
	m := s.meta
	n := s.app.net
	m.Network, m.SpecSum, m.Device, m.Precision, m.Prep = n.Name, rundir.SpecSum(n.Spec), s.device.Name, s.device.Precision, s.rows.prep
	m.State, m.Options, m.LogEvery, m.Metrics = at, s.flags.options, s.flags.logEvery, size
	m.Epoch, m.Position = int(at.Step/s.loop.StepsPerEpoch()), at.Step%s.loop.StepsPerEpoch()
	if err := s.dir.Checkpoint(s.saver, m); err != nil {
		return s.saveError(err)
	}
	recent := s.savedStep >= 0 && time.Since(s.saved) < restTime
	s.saved, s.savedStep = time.Now(), at.Step
	if recent {
		return nil
	}
	return s.drawCurves()
}

// saveError says where a parameter went bad.
func (s *session) saveError(err error) error {
	var bad *rundir.BadParameter
	if errors.As(err, &bad) {
		return fmt.Errorf("after step %d (epoch %d) %w%s; %s", s.loop.State().Step-1, s.status().Epoch, err, s.layerOf(bad.Param), s.left())
	}
	return inRun(err)
}

func (s *session) layerOf(param string) string {
	for _, p := range s.app.net.Params {
		if p.Name == param {
			l := s.app.net.Layers[p.Layer]
			return fmt.Sprintf(", in layer %d (%s, line %d of the spec)", p.Layer, l.Name, l.Line)
		}
	}
	return ""
}

func (s *session) drawCurves() error {
	return inRun(s.dir.Write(rundir.CurvesFile, s.curves.svg(s.app.net)))
}

// save stores the state and the model, as a training leaves them.
func (s *session) save() error {
	if at := s.loop.State(); s.savedStep != at.Step {
		if err := s.checkpoint(at); err != nil {
			return err
		}
	}
	seed := s.flags.options.Seed
	err := s.dir.Model(s.app.net, &rundir.Model{Params: s.saver.Params(), Prep: s.rows.prep, Seed: &seed})
	if err != nil {
		return s.saveError(err)
	}
	return s.drawCurves()
}

// threads is how many of the host share a step.
func (s *session) threads() int { return s.device.ThreadsOf(s.flags.threads) }
