package trainer

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/rundir"
)

var trainCommand = &command{
	name:         "train",
	survivesPipe: true,
	short:        "train the network (what happens without a command)",
	args:         "[OPTION]...",
	long: `Trains the network as its spec says; the options override the spec. Each run
has a directory of its own, with the trained parameters, the checkpoint, the
metrics and the learning curves. Ctrl-C ends the step, writes the checkpoint and
says how to go on; a second Ctrl-C ends at once.`,
	examples: []string{
		"--epochs 50 --lr 0.05",
		"--train rows.csv --test 20% --run runs/try",
		"--run runs/try --resume --epochs 100",
		"--json --quiet",
	},
	define: func(a *app, fs *flag.FlagSet) func() error {
		t := &trainFlags{options: loop.Defaults(a.net)}
		t.define(a.net, fs)
		return func() error { return a.train(t, set(fs)) }
	},
}

// trainFlags are the flags of train as they were given.
type trainFlags struct {
	deviceFlags
	train, test     string
	options         loop.Options
	init            string
	run             string
	resume          bool
	logEvery        int64
	checkpointEvery int64
	quiet, json     bool
}

func (t *trainFlags) define(n *engine.Network, fs *flag.FlagSet) {
	o := &t.options
	fs.StringVar(&t.train, "train", n.Data.Train, "train on the rows of `SRC`")
	fs.StringVar(&t.test, "test", n.Data.Test, "test on the rows of `SRC`, or on a share of the training rows such as 20%;\nempty: no test")
	fs.IntVar(&o.Epochs, "epochs", o.Epochs, "pass `N` times over the training rows")
	fs.Int64Var(&o.Steps, "steps", 0, "make at most `N` updates in all")
	fs.Float64Var(&o.LR, "lr", o.LR, "learning rate `X`, before the schedule")
	fs.Float64Var(&o.Momentum, "momentum", o.Momentum, "momentum `X`, where the network is compiled with one")
	fs.Uint64Var(&o.Seed, "seed", o.Seed, "draw parameters, order and split from seed `N`")
	fs.BoolVar(&o.Shuffle, "shuffle", true, "`BOOL`: train the rows in a new order each epoch")
	fs.StringVar(&t.init, "init", "", "start from the parameters of `FILE` (safetensors)")
	fs.StringVar(&t.run, "run", "", "keep the run in `DIR`; without it in a new "+filepath.Join("runs", n.Name, "NNN"))
	fs.BoolVar(&t.resume, "resume", false, "go on from the checkpoint of the run; without --run the newest")
	t.deviceFlags.define(n, fs)
	fs.Int64Var(&t.logEvery, "log-every", 0, "log the loss of every `N`-th step; 0: of about 1000 steps")
	fs.Int64Var(&t.checkpointEvery, "checkpoint-every", 0, "write a checkpoint every `N` steps; 0: after an epoch, if two seconds passed")
	fs.BoolVar(&t.quiet, "quiet", false, "show no progress")
	fs.BoolVar(&t.json, "json", false, "print the events on standard output, one JSON object a line")
}

// check refuses values that make no sense, before anything is read.
func (t *trainFlags) check(n *engine.Network, given map[string]bool) error {
	o := t.options
	switch {
	case o.Epochs < 1:
		return usage("--epochs must be at least 1")
	case o.Steps < 0, t.logEvery < 0, t.checkpointEvery < 0:
		return usage("--steps, --log-every and --checkpoint-every must not be negative")
	case !(o.LR >= 0):
		return usage("--lr must be a number that is not negative")
	case !loop.InFloat32(o.LR):
		return usage("--lr %v is a number that a float32 cannot hold: choose one from 1e-37 to 1e38, or 0", o.LR)
	case !(o.Momentum >= 0 && o.Momentum < 1):
		return usage("--momentum must be a number from 0 to below 1: at 1 no step ever fades")
	case !loop.InFloat32(o.Momentum):
		return usage("--momentum %v is a number that a float32 cannot hold: choose one of 1e-37 or more, or 0", o.Momentum)
	case given["momentum"] && n.Momentum == 0:
		return usage("--momentum cannot be set: this network was compiled with %s without momentum; where its optimizer has one, set `momentum:` in the spec and compile it again", n.Optimizer)
	case t.resume && t.init != "":
		return usage("--init and --resume exclude each other: a resumed run has its parameters")
	}
	return nil
}

// train is the command: it prepares a session and runs it.
func (a *app) train(t *trainFlags, given map[string]bool) (err error) {
	if err := t.check(a.net, given); err != nil {
		return err
	}
	if t.train == "" && !t.resume {
		return usage("there is nothing to train on: the spec has no data.train; give --train SRC")
	}
	s := &session{app: a, flags: t, show: a.display(t.quiet)}
	defer func() { err = errors.Join(err, s.close()) }()
	if t.resume {
		err = s.resume(given)
	} else {
		err = s.begin()
	}
	if err != nil {
		return err
	}
	return s.run()
}

// begin prepares a new training. The directory comes last: a mistake in the
// flags or the data leaves none behind.
func (s *session) begin() error {
	a, t := s.app, s.flags
	d, err := t.choose(a)
	if err != nil {
		return err
	}
	if s.rows, err = a.load(t.train, t.test, t.options.Seed); err != nil {
		return err
	}
	if err := s.start(d); err != nil {
		return err
	}
	if t.init != "" {
		m, err := rundir.ReadModel(a.fs, t.init, a.net)
		if err != nil {
			return inRun(err)
		}
		if err := errors.Join(m.Restore(a.net, s.engine), m.Close()); err != nil {
			return inRun(err)
		}
	} else {
		loop.Init(a.net, s.engine, t.options.Seed)
	}
	if err := s.newLoop(); err != nil {
		return err
	}
	if t.run == "" {
		s.dir, err = rundir.Next(a.fs, filepath.Join("runs", a.net.Name), a.net.Spec)
	} else {
		s.dir, err = rundir.Open(a.fs, t.run, a.net.Spec)
	}
	if err != nil {
		return inRun(err)
	}
	if s.dir.Trained() {
		return inRun(&rundir.Refused{Path: s.dir.Path(), Msg: "already holds a trained run",
			Hint: "--resume goes on with it; another --run keeps it"})
	}
	return s.openFiles(0)
}

// resume prepares a training that goes on where a checkpoint stands.
func (s *session) resume(given map[string]bool) error {
	a, t := s.app, s.flags
	path := t.run
	var err error
	if path == "" {
		path = filepath.Join("runs", a.net.Name)
		var newest string
		if newest, err = rundir.Newest(a.fs, path); err == nil {
			path = newest
		}
	}
	if err == nil {
		_, err = a.fs.ReadDir(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return inRun(fmt.Errorf("--resume: there is no run in %s", path))
	case err != nil:
		return inRun(fmt.Errorf("--resume: %w", err))
	}
	if s.dir, err = rundir.Open(a.fs, path, a.net.Spec); err != nil {
		return inRun(err)
	}
	if !s.dir.Has(rundir.CheckpointFile) {
		return s.resumeWithoutCheckpoint()
	}
	c, err := s.dir.Load()
	if err != nil {
		return inRun(err)
	}
	defer c.Close()
	if err := c.Fits(a.net); err != nil {
		return inRun(err)
	}
	if err := t.takeUp(c.Meta, given); err != nil {
		return inRun(err)
	}
	d, err := s.resumeDevice(c.Meta, given)
	if err != nil {
		return err
	}
	if s.rows, err = a.load(t.train, t.test, t.options.Seed); err != nil {
		return err
	}
	if err := s.sameRows(c.Meta); err != nil {
		return inRun(err)
	}
	if err := s.start(d); err != nil {
		return err
	}
	if err := c.Restore(a.net, s.engine); err != nil {
		return inRun(err)
	}
	if err := s.newLoop(); err != nil {
		return err
	}
	if err := s.loop.Resume(c.Meta.State); err != nil {
		return inRun(err)
	}
	s.meta.Best, s.meta.Last = c.Meta.Best, c.Meta.Last
	s.changes(c.Meta)
	return s.openFiles(c.Meta.Metrics)
}
