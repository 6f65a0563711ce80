package trainer

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/metric"
	"github.com/dnngen/dnngen/runtime/progress"
	"github.com/dnngen/dnngen/runtime/rundir"
	"github.com/dnngen/dnngen/runtime/wording"
)

// info is the content of info.json, and of the start and done events.
type info struct {
	Event      string         `json:"event,omitempty"` // on standard output alone
	Network    string         `json:"network"`
	Status     string         `json:"status"` // training, finished, interrupted, failed
	Error      string         `json:"error,omitempty"`
	Run        string         `json:"run"`
	SpecSum    string         `json:"spec_sha256"`
	Dnngen     string         `json:"dnngen"`
	Device     string         `json:"device"`
	Why        string         `json:"device_why"`
	Precision  string         `json:"precision"`
	Threads    int            `json:"threads"`
	Parameters int            `json:"parameters"`
	Train      rundir.Source  `json:"train"`
	Test       *rundir.Source `json:"test,omitempty"`
	Options    loop.Options   `json:"options"`
	Started    time.Time      `json:"started"`
	Ended      *time.Time     `json:"ended,omitempty"`

	Steps     int64             `json:"steps"` // made, of TotalSteps
	Total     int64             `json:"total_steps"`
	TrainLoss *rundir.EpochLoss `json:"train_loss,omitempty"` // mean of the last whole epoch
	Best      *rundir.EpochLoss `json:"best_test_loss,omitempty"`
	Result    *metric.Report    `json:"test_result,omitempty"`
	Seconds   float64           `json:"seconds"` // of this process
	Speed     float64           `json:"samples_per_second"`
}

func (s *session) info(status string) info {
	n := s.app.net
	i := info{
		Network: n.Name, Status: status, Run: s.dir.Path(), SpecSum: rundir.SpecSum(n.Spec), Dnngen: dnngenVersion(),
		Device: s.device.Name, Why: s.device.Why, Precision: s.device.Precision, Threads: s.threads(), Parameters: parameters(n),
		Train:   rundir.Source{Name: s.rows.trainName, Rows: s.rows.train.Rows, Sum: s.meta.Train.Sum},
		Options: s.flags.options, Started: s.started,
		Steps: s.loop.State().Step, Total: s.loop.Total(), TrainLoss: s.meta.Last, Best: s.meta.Best,
	}
	if s.rows.test != nil {
		i.Test = &rundir.Source{Name: s.rows.testName, Rows: s.rows.test.Rows, Sum: s.meta.Test.Sum}
	}
	if status != "training" {
		now := time.Now()
		i.Ended = &now
		i.Seconds = now.Sub(s.started).Seconds()
		if i.Seconds > 0 {
			i.Speed = float64(s.trained) / i.Seconds
		}
		if s.test != nil && s.testStep == i.Steps {
			i.Result = s.test
		}
	}
	return i
}

func (s *session) writeInfo(status string) error {
	return s.dir.WriteJSON(rundir.InfoFile, s.info(status))
}

// announce says what is going to happen.
func (s *session) announce() error {
	n, state := s.app.net, s.loop.State()
	data := wording.Count(s.rows.train.Rows, "row")
	if s.rows.test != nil {
		data += fmt.Sprintf(" and %d to test", s.rows.test.Rows)
	}
	if n.Batch > s.rows.train.Rows {
		data += fmt.Sprintf(", fewer than a batch of %d: a step takes all", n.Batch)
	}
	if s.loop.Kept() {
		data += ", kept on the device"
	}
	from := ""
	if state.Step > 0 {
		from = fmt.Sprintf(", going on after step %d", state.Step)
	}
	on := s.device.Name
	if s.device.Precision != engine.FP32 {
		on += " in " + s.device.Precision
	}
	why := s.device.Why
	if passed := s.device.Passed; len(passed) > 0 { // the reasons are long
		why = "not " + strings.Join(passed, ", not ") + "; see info"
	}
	on += " (" + why + ")"
	if s.device.Threads != nil {
		on += ", " + wording.Count(s.threads(), "thread")
	}
	s.show.Say("%s: %s, %s, %s%s", n.Name, wording.Count(parameters(n), "parameter"), on, data, from)
	if !s.flags.json {
		return nil
	}
	i := s.info("training")
	i.Event = "start"
	return s.app.stdout.object(i)
}

// sayEpoch shows an epoch as a line: each of a short training, some of a long
// one.
func (s *session) sayEpoch(e rundir.EpochLine) {
	const most = 25
	every := max(1, s.flags.options.Epochs/most)
	if (e.Epoch+1)%every != 0 && e.Epoch+1 != s.flags.options.Epochs {
		return
	}
	text := fmt.Sprintf("epoch %d/%d  loss %.4g", e.Epoch+1, s.flags.options.Epochs, e.TrainLoss)
	if e.Test != nil {
		text += fmt.Sprintf("  test %s", brief(*e.Test))
	}
	s.show.Say("%s", text)
}

// brief returns the numbers that say most: loss and accuracy or R².
func brief(r metric.Report) string {
	text := fmt.Sprintf("loss %.4g", float64(r.Loss))
	for _, v := range r.Numbers() {
		switch v.Name {
		case "accuracy":
			text += fmt.Sprintf("  accuracy %.2f %%", 100*v.Value)
		case "R²":
			text += fmt.Sprintf("  R² %.4f", v.Value)
		}
	}
	return text
}

// finish ends a training that made all its steps.
func (s *session) finish() error {
	if err := s.save(); err != nil {
		return s.fail(err)
	}
	at := s.loop.State().Step
	if err := s.evaluate(s.app.ctx, at); err != nil {
		s.show.Warn("the test rows were not measured: %v", s.app.cause(err))
	}
	if err := s.writeInfo("finished"); err != nil {
		return inRun(fmt.Errorf("%w; the training is done, its model and its checkpoint are whole", err))
	}
	if s.flags.json {
		i := s.info("finished")
		i.Event = "done"
		return s.app.stdout.object(i)
	}
	s.summary()
	return nil
}

// summary prints the results for a person.
func (s *session) summary() {
	i, o := s.info("finished"), s.app.stdout
	o.printf("%s: %s in %s (%s samples/s)\n", i.Network, wording.Count(i.Steps-s.from, "step"), time.Duration(i.Seconds*float64(time.Second)).Round(time.Millisecond), progress.Count(i.Speed))
	if i.TrainLoss != nil {
		o.printf("train    loss %.6g (mean of epoch %d)\n", i.TrainLoss.Loss, i.TrainLoss.Epoch+1)
	} else if s.trained > 0 {
		o.printf("train    loss %.6g (last step)\n", s.lastLoss)
	}
	if i.Result != nil {
		o.printf("test     %s", brief(*i.Result))
		if i.Best != nil {
			o.printf("; best loss %.4g after epoch %d", i.Best.Loss, i.Best.Epoch+1)
		}
		o.printf("\n")
	}
	o.printf("run      %s\n", i.Run)
	o.printf("predict  %s predict --model %s --input FILE -o predictions.csv\n", s.app.program, filepath.Join(i.Run, rundir.ModelFile))
	if i.Steps == s.from {
		s.show.Warn("nothing was left to train: the run has made its %s; raise --epochs%s", wording.Count(i.Steps, "step"), s.stepsHint())
	}
}

func (s *session) stepsHint() string {
	if s.flags.options.Steps > 0 {
		return " or --steps"
	}
	return ""
}

// interrupt stores the state and says how to go on.
func (s *session) interrupt(signal *interrupted) error {
	if err := s.save(); err != nil {
		return s.fail(err)
	}
	if err := s.writeInfo("interrupted"); err != nil {
		return inRun(fmt.Errorf("%w; the model and the checkpoint of step %d are whole", err, s.savedStep))
	}
	if s.flags.json {
		i := s.info("interrupted")
		i.Event = "interrupted"
		if err := s.app.stdout.object(i); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w after step %d of %d; the state is saved; go on with: %s train --run %s --resume",
		signal, s.loop.State().Step, s.loop.Total(), s.app.program, s.dir.Path())
}

// left says which state a training that failed leaves behind.
func (s *session) left() string {
	switch {
	case s.savedStep >= 0:
		return fmt.Sprintf("the checkpoint of step %d is whole", s.savedStep)
	case s.flags.resume:
		return "the checkpoint from before is whole"
	}
	return "no checkpoint was written yet"
}

// room says how much a full disk lacks, where the system tells what is free.
func (s *session) room(err error) string {
	free, ok := fsys.Free(s.dir.Path())
	if !ok || !errors.Is(err, syscall.ENOSPC) {
		return ""
	}
	n := s.app.net
	// While a checkpoint is written, the one before it still takes its room.
	needed := int64(parameters(n)) * 4 * int64(1+len(n.States))
	return fmt.Sprintf(" (a checkpoint takes %sB, %sB are free)", progress.Count(float64(needed)), progress.Count(float64(free)))
}

// fail notes why a training failed. Checkpoint and model stay as they are.
func (s *session) fail(err error) error {
	err = errors.Join(err, s.awaitDescription())
	var bad *loop.NonFinite
	switch {
	case errors.As(err, &bad):
		err = fmt.Errorf("%w; %s; a smaller --lr may help", err, s.left())
	case status(err) == exitResources:
		err = fmt.Errorf("%w%s; %s; with room again, go on with: %s train --run %s --resume", err, s.room(err), s.left(), s.app.program, s.dir.Path())
	}
	i := s.info("failed")
	i.Error = err.Error()
	if infoErr := s.dir.WriteJSON(rundir.InfoFile, i); infoErr != nil {
		s.show.Warn("%s was not updated: %v", s.dir.File(rundir.InfoFile), infoErr)
	}
	return err
}
