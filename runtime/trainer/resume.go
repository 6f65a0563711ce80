package trainer

import (
	"fmt"

	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/rundir"
	"github.com/dnngen/dnngen/runtime/wording"
)

// takeUp fills the flags that were not given from a checkpoint, and refuses
// those that would make it another training.
func (t *trainFlags) takeUp(m rundir.Meta, given map[string]bool) error {
	refuse := func(hint, format string, args ...any) error {
		return &rundir.Refused{Path: "--resume", Msg: fmt.Sprintf(format, args...), Hint: hint}
	}
	o, had := t.options, m.Options
	switch {
	case given["seed"] && o.Seed != had.Seed:
		return refuse("leave --seed out", "the run was started with seed %d, not %d", had.Seed, o.Seed)
	case given["shuffle"] && o.Shuffle != had.Shuffle:
		return refuse("leave --shuffle out", "the run was started with --shuffle=%v", had.Shuffle)
	case given["epochs"] && o.Epochs < had.Epochs:
		return refuse("it may be raised", "the run was started for %s, which cannot be lowered to %d", wording.Count(had.Epochs, "epoch"), o.Epochs)
	case given["steps"] && o.Steps != 0 && o.Steps < m.State.Step:
		return refuse("", "the run has made %s, more than --steps %d", wording.Count(m.State.Step, "step"), o.Steps)
	}
	t.options = had
	if given["epochs"] {
		t.options.Epochs = o.Epochs
	}
	if given["steps"] {
		t.options.Steps = o.Steps
	}
	if given["lr"] {
		t.options.LR = o.LR
	}
	if given["momentum"] {
		t.options.Momentum = o.Momentum
	}
	if !given["train"] {
		t.train = m.Train.Name
	}
	if !given["test"] {
		t.test = m.Test.Name
	}
	if !given["log-every"] {
		t.logEvery = m.LogEvery
	}
	return nil
}

// resumeDevice chooses the device of a resumed run: where nothing else is asked
// for, the one that the run has used, because another one rounds differently.
// The same holds for the precision.
func (s *session) resumeDevice(m rundir.Meta, given map[string]bool) (*device.Choice, error) {
	n, had := s.app.net, m.Precision
	if had == "" {
		had = engine.FP32 // written before there were others
	}
	w := device.Wish{Device: s.flags.wanted(s.app), Precision: s.flags.precision}
	if !given["precision"] {
		w.Precision = had
	}
	if w.Device == "auto" {
		if d, err := device.Choose(n, device.Wish{Device: m.Device, Precision: w.Precision}); err == nil {
			d.Why = "that of the run"
			s.rounding(d, m.Device, had)
			return d, nil
		}
	}
	d, err := device.Choose(n, w)
	if err != nil {
		return nil, err
	}
	s.rounding(d, m.Device, had)
	return d, nil
}

// rounding says where a resumed run will round as it did not before.
func (s *session) rounding(d *device.Choice, device, precision string) {
	switch {
	case d.Name != device:
		s.show.Warn("the run was made on %s; on %s it rounds differently from here on", device, d.Name)
	case d.Precision != precision:
		s.show.Warn("the precision changes from %s to %s here", precision, d.Precision)
	}
}

// sameRows refuses other rows than those that the checkpoint was trained on.
func (s *session) sameRows(m rundir.Meta) error {
	s.meta.Train, s.meta.Test = source(s.rows.trainName, s.rows.train), source(s.rows.testName, s.rows.test)
	for _, c := range []struct {
		what     string
		now, had rundir.Source
	}{{"training", s.meta.Train, m.Train}, {"test", s.meta.Test, m.Test}} {
		if c.now.Sum != c.had.Sum {
			return &rundir.Refused{Path: s.dir.Path(),
				Msg:  fmt.Sprintf("the %s rows are not those of the run: %s, not %s", c.what, describe(c.now), describe(c.had)),
				Hint: "resume with the same data, or start another run with --init " + s.dir.File(rundir.CheckpointFile)}
		}
	}
	return nil
}

func describe(s rundir.Source) string {
	if s.Sum == "" {
		return "none"
	}
	return fmt.Sprintf("%s (%s, SHA-256 %.12s)", s.Name, wording.Count(s.Rows, "row"), s.Sum)
}

// changes says what will be different from a training that was never stopped.
func (s *session) changes(m rundir.Meta) {
	o := s.flags.options
	if o.LR != m.Options.LR {
		s.show.Warn("the learning rate changes from %v to %v here", m.Options.LR, o.LR)
	}
	if o.Momentum != m.Options.Momentum {
		s.show.Warn("the momentum changes from %v to %v here", m.Options.Momentum, o.Momentum)
	}
}

// resumeWithoutCheckpoint starts anew in the directory of a run that was killed
// before its first checkpoint.
func (s *session) resumeWithoutCheckpoint() error {
	if !s.dir.Has(rundir.MetricsFile) || s.dir.Trained() {
		return inRun(&rundir.Refused{Path: s.dir.Path(), Msg: "holds no checkpoint to resume from"})
	}
	path := s.dir.Path()
	if err := s.dir.Close(); err != nil {
		return inRun(err)
	}
	s.dir = nil
	s.show.Warn("%s has no checkpoint yet: starting from the beginning", path)
	s.flags.run, s.flags.resume = path, false
	if s.flags.train == "" {
		return usage("there is nothing to train on: the spec has no data.train; give --train SRC")
	}
	return s.begin()
}
