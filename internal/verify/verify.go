// Package verify checks, on the machine it runs on, that a compiled network
// computes what its spec says: its gradients, its devices against the float64
// interpreter, that a training gives the same bits again, and that an
// interrupted training goes on as if nothing had happened.
package verify

import (
	"context"
	"strings"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

// Check is what one check found.
type Check struct {
	Name    string `json:"check"`
	OK      bool   `json:"ok"`
	Figures string `json:"figures"` // or what went wrong
}

// Job is a trainer to check.
type Job struct {
	Net     *spec.Network
	Trainer string // the binary
	DataDir string // where data files are looked for after the working directory
	Temp    string // a directory for runs and data, which the caller removes
	Device  string // the only device to check; empty for all that are here
}

// Run makes every check and hands each result to report. The error is of the
// surroundings, such as a full disk or a device that is not here, or the cause of a
// context that ended; a check that fails is no error.
func Run(ctx context.Context, job Job, report func(Check)) error {
	p, err := lower.Lower(job.Net)
	if err != nil {
		return err
	}
	v := &verifier{Job: job, p: p, report: report}
	devices, err := v.devices(ctx)
	if err != nil {
		return err
	}
	v.add(ctx, "gradients, float64", v.gradients)
	v.add(ctx, "gradients, trainer", func() (string, error) { return v.trainerGradients(ctx) })
	rows, err := v.chooseRows()
	if err != nil {
		return err
	}
	reference := v.newReference(rows)
	for _, d := range devices {
		v.add(ctx, d+" against float64", func() (string, error) { return v.against(ctx, reference, d) })
	}
	v.pairs(ctx, reference, devices)
	for _, d := range devices {
		b := &bits{v: v, rows: rows, device: d, steps: v.bitSteps(rows), lr: calm * reference.lr}
		v.add(ctx, d+" again", func() (string, error) { return b.repeated(ctx) })
		if strings.HasPrefix(d, "cpu") {
			v.add(ctx, d+" by 1, 2 and 3 threads", func() (string, error) { return b.threads(ctx) })
		}
		v.add(ctx, d+" cut and resumed", func() (string, error) { return b.cut(ctx) })
		v.add(ctx, d+" interrupted and resumed", func() (string, error) { return b.interrupted(ctx) })
	}
	return context.Cause(ctx)
}

type verifier struct {
	Job
	p      *ir.Program
	report func(Check)
	runs   int // directories used so far
}

// add makes a check and reports it, unless the context ended.
func (v *verifier) add(ctx context.Context, name string, check func() (figures string, err error)) {
	if ctx.Err() != nil {
		return
	}
	figures, err := check()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		figures = err.Error()
	}
	v.report(Check{name, err == nil, figures})
}

// stepWork is about how many multiplications and additions a step on so many
// rows takes, in both directions.
func stepWork(p *ir.Program, rows int) float64 {
	work := 0.0
	for _, q := range p.Params {
		work += 6 * float64(q.Size()) * float64(rows)
	}
	for _, b := range p.Buffers {
		work += 20 * float64(b.Width) * float64(rows)
	}
	return work + 1
}
