package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/safetensors"
)

const (
	// compareSteps are compared with the interpreter, at most.
	compareSteps = 30
	// looseness is what a float32 training may differ, beside what rounding
	// makes of it: a dot product of some thousand terms.
	looseness = 1e-5
	// amplify is by how much a device may round worse than the shadow, which
	// rounds its rows and its parameters, and nothing between: at least.
	amplify = 20
)

// amplification is amplify, and more where layers are wide: a dot product of k
// terms that is rounded after each is off by √k roundings where their signs are
// random, and by those of its operands. Twice that is allowed for, as where the
// engines' products are compared.
func amplification(p *ir.Program) float64 {
	terms := 0
	for _, q := range p.Params {
		for _, width := range q.Shape {
			terms = max(terms, width) // forward along one, back along the other
		}
	}
	return max(amplify, 4+2*math.Sqrt(float64(terms)))
}

// reference is a short training in float64 from drawn parameters, without
// shuffling; and its shadow, which starts and ends each step with numbers of
// float32 and so shows how much rounding grows in this training.
type reference struct {
	v     *verifier
	rows  *rows
	start [][]float32 // parameters

	lr     float64
	epochs int
	steps  int
	losses []float64
	slack  []float64   // of each loss
	params [][]float64 // in the end
	margin float64     // of each parameter, as a share of it where it is above 1

	got map[string]*training // by device
	err error
}

// training is what a device made of the reference.
type training struct {
	losses []float64
	params [][]float32
}

// newReference draws the parameters and runs the interpreter. Where the training
// blows up, which rows that are drawn may make it do, it takes a smaller
// learning rate.
func (v *verifier) newReference(rows *rows) *reference {
	p, n := v.p, rows.set.Rows
	r := &reference{v: v, rows: rows, lr: p.Settings.LR, got: map[string]*training{}}
	work := 2 * stepWork(p, v.stepRows(n)) // with the shadow
	r.steps = min(compareSteps, max(1, int(interpreterWork/work)))
	r.epochs = max(v.Net.Train.Epochs, r.steps)
	random := rand.New(rand.NewPCG(v.Net.Train.Seed, 0x696e6974))
	for _, q := range p.Params {
		r.start = append(r.start, draw(q.Init, q.Size(), random))
	}
	for range 20 {
		r.interpret(random)
		if r.calm() {
			break
		}
		r.lr /= 16
	}
	r.err = r.writeStart()
	return r
}

// interpret makes the training in float64, and its shadow.
func (r *reference) interpret(random *rand.Rand) {
	p, n := r.v.p, r.rows.set.Rows
	exact, shadow := eval.InArena(p), eval.InArena(p)
	for i := range p.Params {
		for k, value := range r.start[i] {
			exact.Params[i][k], shadow.Params[i][k] = float64(value), float64(value)
		}
	}
	r.losses, r.slack = nil, nil
	x := widen(r.rows.set.X)
	rounded := make([]float64, len(x))
	most := r.v.stepRows(n)
	perEpoch := (n + most - 1) / most
	grown, amplify := 0.0, amplification(p)
	for step := range r.steps {
		lo := step % perEpoch * most
		hi := min(lo+most, n)
		y := r.rows.target(lo, hi, p.Output)
		lr, momentum := r.rate(step, perEpoch), p.Settings.Momentum
		for i := lo * p.Input; i < hi*p.Input; i++ {
			rounded[i] = x[i] * (1 + (2*random.Float64()-1)*0x1p-24)
		}
		loss := exact.Step(x[lo*p.Input:hi*p.Input], y, hi-lo, lr, momentum)
		near := shadow.Step(rounded[lo*p.Input:hi*p.Input], y, hi-lo, lr, momentum)
		for _, values := range shadow.Params {
			for k := range values {
				values[k] = float64(float32(values[k]))
			}
		}
		grown = max(grown, math.Abs(near-loss))
		r.losses = append(r.losses, loss)
		r.slack = append(r.slack, looseness*max(1, math.Abs(loss))+amplify*grown)
	}
	r.params = exact.Params
	r.margin = looseness
	for i := range r.params {
		for k, value := range r.params[i] {
			r.margin = max(r.margin, looseness+amplify*math.Abs(shadow.Params[i][k]-value)/max(1, math.Abs(value)))
		}
	}
}

// calm reports whether the losses stay where numbers mean something.
func (r *reference) calm() bool {
	for _, loss := range r.losses {
		if !(math.Abs(loss) <= 1e3*max(1, math.Abs(r.losses[0]))) {
			return false
		}
	}
	return true
}

// target returns the targets of rows lo to hi as the interpreter takes them.
func (r *rows) target(lo, hi, outputs int) eval.Target {
	t := r.set.Target.Rows(lo, hi, outputs)
	if t.Class == nil {
		return eval.Target{Value: widen(t.Value)}
	}
	var y eval.Target
	for _, c := range t.Class {
		y.Class = append(y.Class, int(c))
	}
	return y
}

// rate is the learning rate of a step.
func (r *reference) rate(step, perEpoch int) float64 {
	p := r.v.p
	return expr.Eval(p.Schedule, map[string]float64{
		ir.VarLR: r.lr, op.VarStep: float64(step), op.VarEpoch: float64(step / perEpoch),
		op.VarStepsPerEpoch: float64(perEpoch), op.VarEpochs: float64(r.epochs),
	})
}

func (r *reference) startFile() string { return filepath.Join(r.v.Temp, "start.safetensors") }

func (r *reference) writeStart() error {
	var f safetensors.File
	for i, q := range r.v.p.Params {
		f.Tensors = append(f.Tensors, safetensors.Tensor{Name: q.Name, Shape: q.Shape, Data: r.start[i]})
	}
	return fsys.WriteAtomic(fsys.OS(), r.startFile(), func(w io.Writer) error { return safetensors.Encode(w, &f) })
}

// train makes the same training on a device, in the precision that all have.
func (r *reference) train(ctx context.Context, device string) (*training, error) {
	if r.err != nil {
		return nil, r.err
	}
	run := r.v.runDir()
	_, err := r.v.run(ctx, "train", "--train", r.rows.source, "--test", "", "--init", r.startFile(), "--shuffle=false",
		"--lr", strconv.FormatFloat(r.lr, 'g', -1, 64), "--steps", strconv.Itoa(r.steps), "--epochs", strconv.Itoa(r.epochs),
		"--device", device, "--precision", r.v.p.Precisions[0].Name, "--log-every", "1", "--run", run, "--quiet")
	if err != nil {
		return nil, err
	}
	list, err := steps(run)
	if err != nil {
		return nil, err
	}
	t := &training{}
	for _, s := range list {
		t.losses = append(t.losses, s.Loss)
	}
	if len(t.losses) != r.steps {
		return nil, fmt.Errorf("made %d steps, not %d", len(t.losses), r.steps)
	}
	t.params, err = r.v.model(run)
	return t, errors.Join(err, os.RemoveAll(run))
}

// against compares a device with the interpreter.
func (v *verifier) against(ctx context.Context, r *reference, device string) (string, error) {
	t, err := r.train(ctx, device)
	if err != nil {
		return "", err
	}
	r.got[device] = t
	worst := difference{}
	for i, loss := range t.losses {
		worst.add(math.Abs(loss-r.losses[i]), r.slack[i], fmt.Sprintf("the loss of step %d", i))
	}
	figures := fmt.Sprintf("%d steps on %s: losses within %s", r.steps, r.rows.kind, worst)
	if r.lr != v.p.Settings.LR {
		figures = fmt.Sprintf("at the learning rate %.2g, with which it does not blow up: %s", r.lr, figures)
	}
	params := difference{}
	for i, q := range v.p.Params {
		for k, want := range r.params[i] {
			params.add(math.Abs(float64(t.params[i][k])-want)/max(1, math.Abs(want)), r.margin, fmt.Sprintf("%s[%d]", q.Name, k))
		}
	}
	figures += fmt.Sprintf(", parameters within %s", params)
	return figures, worst.or(params)
}

// pairs compares each device with the first one that rounds alike, bit by bit,
// or else with the first.
func (v *verifier) pairs(ctx context.Context, r *reference, devices []string) {
	for i, d := range devices[1:] {
		other := devices[0]
		alike := slices.IndexFunc(devices[:i+1], func(o string) bool { return device.Rounding(o) == device.Rounding(d) })
		if alike >= 0 {
			other = devices[alike]
		}
		a, b := r.got[other], r.got[d]
		if a == nil || b == nil {
			continue // the device's own line says why
		}
		if alike >= 0 {
			v.add(ctx, other+" against "+d, func() (string, error) { return sameBits(v.p, a, b) })
			continue
		}
		v.add(ctx, other+" against "+d, func() (string, error) {
			losses, params := difference{}, difference{}
			for i := range a.losses {
				losses.add(math.Abs(a.losses[i]-b.losses[i]), 2*r.slack[i], fmt.Sprintf("the loss of step %d", i))
			}
			for i, q := range v.p.Params {
				for k, want := range a.params[i] {
					size := max(1, math.Abs(float64(want)))
					params.add(math.Abs(float64(b.params[i][k]-want))/size, 2*r.margin, fmt.Sprintf("%s[%d]", q.Name, k))
				}
			}
			return fmt.Sprintf("losses within %s, parameters within %s", losses, params), losses.or(params)
		})
	}
}

func sameBits(p *ir.Program, a, b *training) (string, error) {
	for i := range a.losses {
		if a.losses[i] != b.losses[i] {
			return "", fmt.Errorf("the loss of step %d is %v and %v", i, a.losses[i], b.losses[i])
		}
	}
	for i, q := range p.Params {
		if !slices.Equal(a.params[i], b.params[i]) {
			return "", fmt.Errorf("%s is not the same", q.Name)
		}
	}
	return fmt.Sprintf("%d steps: the same bits", len(a.losses)), nil
}

// difference keeps the largest difference in units of its tolerance.
type difference struct {
	value, tolerance float64
	where            string
}

func (d *difference) add(value, tolerance float64, where string) {
	if d.where == "" || !(value/tolerance <= d.value/d.tolerance) {
		*d = difference{value, tolerance, where}
	}
}

func (d difference) String() string { return fmt.Sprintf("%.1e (at most %.1e)", d.value, d.tolerance) }

// or returns an error where one of two differences is too large.
func (d difference) or(other difference) error {
	for _, x := range []difference{d, other} {
		if x.where != "" && !(x.value <= x.tolerance) {
			return fmt.Errorf("%s is off by %s", x.where, x)
		}
	}
	return nil
}
