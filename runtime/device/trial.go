package device

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/dnngen/dnngen/runtime/engine"
)

// trial compares a GPU with the CPU on the real step.
type trial struct {
	net       *engine.Network
	precision string // of the GPU
	now       func() time.Time
}

const (
	// trialRows stands for the training set where a step takes all of it. More rows
	// are tried only as far as trialFLOPs reach: some tenths of a second on a CPU.
	trialRows  = 1024
	trialFLOPs = 2e10
	// trialSteps and trialTime bound how long a device is timed.
	trialSteps = 20
	trialTime  = 100 * time.Millisecond
	// faster is how many times as fast a GPU must be to be taken: what is nearly
	// equal must not change from one run to the next.
	faster = 1.2
	// maxSkipped bounds how many steps may change nothing before the first that does.
	maxSkipped = 32
)

// isGPU reports whether a device must pass a trial before it is chosen by
// itself.
func isGPU(d *engine.Device) bool { return strings.HasPrefix(d.Name, "cuda:") }

// outcome is what a device made of the trial's step.
type outcome struct {
	raw, before, after []float32
	loss               float64
	step               time.Duration
}

// run makes a GPU and the CPU infer and take one step from the same values,
// and times both. The error says why the GPU is not to be taken; what it says
// of the speed, otherwise, is for people.
func (t *trial) run(gpu, cpu *engine.Device) (speed string, err error) {
	want, err := t.try(cpu, engine.FP32)
	if err != nil {
		return "", fmt.Errorf("nothing to compare it with: %w", err)
	}
	got, err := t.try(gpu, t.precision)
	if err != nil {
		return "", err
	}
	if err := agree(got, want, t.tolerance()); err != nil {
		return "", fmt.Errorf("wrong results: %w", err)
	}
	times := fmt.Sprintf("%v a step, %s %v", rounded(got.step), cpu.Name, rounded(want.step))
	if float64(got.step)*faster > float64(want.step) {
		return "", fmt.Errorf("not faster: %s", times)
	}
	return times, nil
}

func rounded(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for unit*1000 < d {
		unit *= 10
	}
	return d.Round(unit)
}

// try runs one device, which may fail.
func (t *trial) try(d *engine.Device, precision string) (o *outcome, err error) {
	err = engine.Survive(func() (err error) {
		o, err = t.measure(d, precision)
		return err
	})
	return o, err
}

// measure makes the steps of a trial.
func (t *trial) measure(d *engine.Device, precision string) (*outcome, error) {
	e, err := d.New(engine.Options{Precision: precision})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	n := t.net
	r := rand.New(rand.NewPCG(1, 0x747269616c))
	for i, p := range n.Params {
		e.Write(0, i, 0, values(r, p))
	}
	rows := t.rows()
	x, y := t.data(r, rows)
	o := &outcome{raw: make([]float32, rows*n.Outputs), before: read(n, e)}
	e.Infer(x, o.raw, rows)
	h := engine.Hyper{LR: float32(n.LR), Momentum: float32(n.Momentum), Step: 1}
	steps := stepper(e, x, y, rows, h)
	start := t.now()
	o.loss, _ = steps(1)
	o.after = read(n, e)
	// Where gradients are scaled, steps are left out until the scale fits.
	for i := 0; i < maxSkipped && slices.Equal(o.after, o.before); i++ {
		o.loss, _ = steps(1)
		o.after = read(n, e)
	}
	o.step = math.MaxInt64
	// The first step warms up; where it was slow, it counts.
	if first := t.now().Sub(start); first >= 2*trialTime {
		o.step = first
	}
	for i, begin := 0, t.now(); i < trialSteps && t.now().Sub(begin) < trialTime; i++ {
		start := t.now()
		_, made := steps(engine.MostSteps)
		o.step = min(o.step, t.now().Sub(start)/time.Duration(made))
	}
	return o, nil
}

// rows is the number of rows that are tried: a batch, or a part of it where a
// CPU would take long.
func (t *trial) rows() int {
	perRow := 1.0
	for _, p := range t.net.Params {
		perRow += 6 * float64(p.Size()) // a product forward, and two backward
	}
	most := max(trialRows, int(trialFLOPs/perRow))
	if t.net.Batch == 0 {
		return trialRows
	}
	return min(t.net.Batch, most)
}

// stepper returns what makes up to most steps on the rows, as a training would,
// and tells the loss of the first and how many it made.
func stepper(e engine.Engine, x []float32, y engine.Target, rows int, h engine.Hyper) func(most int) (loss float64, made int) {
	r, ok := e.(engine.Runner)
	if !ok {
		return func(int) (float64, int) { return e.Step(x, y, rows, h), 1 }
	}
	r.Hold(x, y, rows)
	r.Order(nil)
	losses, plan := make([]float64, engine.MostSteps), make([]engine.Planned, engine.MostSteps)
	for i := range plan {
		plan[i] = engine.Planned{Hi: rows, Hyper: h}
	}
	return func(most int) (float64, int) {
		made := r.Run(plan[:most], losses)
		return losses[0], made
	}
}

// values draws a parameter: weights of a size that keeps what passes through.
func values(r *rand.Rand, p engine.Param) []float32 {
	v := make([]float32, p.Size())
	bound := 1 / math.Sqrt(float64(p.Shape[len(p.Shape)-1]))
	for i := range v {
		v[i] = float32(bound * (2*r.Float64() - 1))
		if p.Init.Kind == "constant" && len(p.Shape) < 2 {
			v[i] = float32(p.Init.Scale)
		}
	}
	return v
}

func (t *trial) data(r *rand.Rand, rows int) (x []float32, y engine.Target) {
	x = make([]float32, rows*t.net.Inputs)
	for i := range x {
		x[i] = 2*r.Float32() - 1
	}
	if t.net.Classes {
		y.Class = make([]int32, rows)
		for i := range y.Class {
			y.Class[i] = r.Int32N(int32(t.net.Outputs))
		}
		return x, y
	}
	y.Value = make([]float32, rows*t.net.Outputs)
	for i := range y.Value {
		y.Value[i] = float32(r.IntN(2))
	}
	return x, y
}

// read returns all parameters.
func read(n *engine.Network, e engine.Engine) []float32 {
	var all []float32
	for i, p := range n.Params {
		v := make([]float32, p.Size())
		e.Read(0, i, 0, v)
		all = append(all, v...)
	}
	return all
}

// tolerance is how far results may be from those of float32: a multiple of the
// operands' unit roundoff, which random errors of a deep network do not reach,
// and at least what another order of summation makes of float32.
func (t *trial) tolerance() float64 {
	const units, least = 16, 1e-3
	for _, p := range t.net.Precisions {
		if p.Name == t.precision {
			return max(least, units*p.Roundoff)
		}
	}
	return least
}

// agree allows for rounding. The update is compared as a whole: an element whose
// gradient is nearly 0 may move either way under Adam.
func agree(got, want *outcome, tolerance float64) error {
	differ := func(a, b float64) bool { return !(math.Abs(a-b) <= tolerance*(1+math.Abs(b))) }
	if differ(got.loss, want.loss) {
		return fmt.Errorf("the loss is %g, not %g", got.loss, want.loss)
	}
	for i, v := range got.raw {
		if differ(float64(v), float64(want.raw[i])) {
			return fmt.Errorf("raw output %d is %g, not %g", i, v, want.raw[i])
		}
	}
	apart, moved := 0.0, 0.0
	for i, v := range want.after {
		apart += math.Abs(float64(got.after[i] - v))
		moved += math.Abs(float64(v - want.before[i]))
	}
	if count := float64(max(len(want.after), 1)); !(apart/count <= max(0.05, 4*tolerance)*moved/count+1e-6) {
		return fmt.Errorf("the update is off by %.0f %%", 100*apart/moved)
	}
	return nil
}
