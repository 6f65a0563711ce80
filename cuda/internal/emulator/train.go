package emulator

import (
	"math"

	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
)

// Trainer makes steps on a device as an emitted engine does.
type Trainer struct {
	*Device
	step int64
	feed feed
}

// NewTrainer sets the parameters and empties the optimizer's states.
func NewTrainer(d *Device, params [][]float32) *Trainer {
	p := d.plan
	d.Write(p.Slots.Offset, make([]float32, p.Slots.Size))
	d.Write(p.Feed.Offset, make([]float32, p.Feed.Size))
	for i, values := range params {
		d.Write(p.Slots.Offset+p.Params[i].Offset, values)
	}
	t := &Trainer{Device: d}
	if p.Scaling.Size > 0 {
		t.SetScaling(Scaling{Scale: 1 << 16})
	}
	d.Launch(p.Refresh)
	return t
}

// Scaling is DnnScaling of dnn_step.h.
type Scaling struct {
	Scale, Bad    float32
	Good, LeftOut int32
}

// Scaling returns what the device holds.
func (t *Trainer) Scaling() (s Scaling) {
	if t.plan.Scaling.Size > 0 {
		t.Read(t.plan.Scaling.Offset, &s)
	}
	return s
}

// SetScaling sets it.
func (t *Trainer) SetScaling(s Scaling) { t.Write(t.plan.Scaling.Offset, s) }

// Step trains on a batch and returns the mean loss before the update.
func (t *Trainer) Step(b nettest.Batch, lr, momentum float64) float64 {
	t.step++
	p := t.plan
	vars := eval.Scalars(p.Program.Rule, lr, momentum, t.step-int64(t.Scaling().LeftOut))
	losses := b.Rows
	if !p.Program.Loss.Classes() {
		losses *= p.Program.Output
	}
	loss := 0.0
	if t.feed.rows > 0 {
		t.lay(b, (b.Rows+p.Program.Batch-1)/p.Program.Batch)
	}
	for lo := 0; lo < b.Rows; lo += p.Program.Batch {
		rows := min(p.Program.Batch, b.Rows-lo)
		t.spoil()
		words := []float32{math.Float32frombits(uint32(rows)), 0, 1 / float32(losses), 0}
		if lo == 0 {
			words[1] = math.Float32frombits(1)
		}
		for _, name := range p.Scalars {
			words = append(words, float32(vars[name]))
		}
		if t.feed.rows > 0 {
			t.fetched(lo, b.Rows, words)
			continue
		}
		t.Write(p.X.Offset, b.X[lo*p.Program.Input:(lo+rows)*p.Program.Input])
		if b.Class != nil {
			t.Write(p.Y.Offset, b.Class[lo:lo+rows])
		} else {
			t.Write(p.Y.Offset, b.Value[lo*p.Program.Output:(lo+rows)*p.Program.Output])
		}
		t.Write(p.Layout.Step.Offset, words)
		t.Launch(p.Pass)
	}
	t.Launch(p.Update)
	t.Read(p.Loss.Offset, &loss)
	if t.feed.rows > 0 {
		t.Read(t.feed.ring, &loss)
	}
	if mean := loss / float64(losses); !math.IsNaN(mean) && !math.IsInf(mean, 0) {
		return mean
	}
	t.step--
	return loss
}

// spoil makes what a pass must not read NaN: what the last one left.
func (t *Trainer) spoil() {
	nan := nans(max(t.plan.X.Size, t.plan.Work.Size, t.plan.Y.Size, t.plan.Inputs.Size))
	t.Write(t.plan.X.Offset, nan[:t.plan.X.Size])
	t.Write(t.plan.Y.Offset, nan[:t.plan.Y.Size])
	t.Write(t.plan.Inputs.Offset, nan[:t.plan.Inputs.Size])
	t.Write(t.plan.Work.Offset, nan[:t.plan.Work.Size])
}

// Infer returns raw outputs of x [rows, inputs].
func (t *Trainer) Infer(x []float32, rows int) []float32 {
	p := t.plan
	raw := make([]float32, rows*p.Program.Output)
	for lo := 0; lo < rows; lo += p.InferRows {
		n := min(p.InferRows, rows-lo)
		t.spoil()
		t.Write(p.X.Offset, x[lo*p.Program.Input:(lo+n)*p.Program.Input])
		t.Write(p.Layout.Step.Offset, []uint32{uint32(n)})
		t.Launch(p.Infer)
		t.Read(p.Buffer(p.Program.InferRaw, true), raw[lo*p.Program.Output:(lo+n)*p.Program.Output])
	}
	return raw
}

// Slot returns a parameter (slot 0) or one of its states.
func (t *Trainer) Slot(slot, param int) []float32 {
	p := t.plan
	q := p.Params[param]
	values := make([]float32, q.Size())
	t.Read(p.Slots.Offset+slot*p.Slot+q.Offset, values)
	return values
}
