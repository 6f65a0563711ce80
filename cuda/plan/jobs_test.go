package plan_test

import (
	"slices"
	"testing"

	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
)

// span is a part of the arena that a launch touches.
type span struct {
	from, to int
	written  bool
}

// spans lists where in the arena a launch of the backward pass touches buffers and
// gradients.
func spans(p *plan.Plan, l *plan.Launch) (list []span) {
	buffers := func(written bool, buffers []*ir.Buffer) {
		for _, b := range buffers {
			at, words := p.Buffer(b, false), b.Width
			if p.Operand(b) || p.Tensor() && b == p.Program.X {
				at, words = p.Rows(b)
			}
			list = append(list, span{at, at + words*p.Program.Batch, written})
		}
	}
	gradient := func(q *ir.Param) {
		if q != nil {
			g := p.Params[q.Index]
			list = append(list, span{g.Grad, g.Grad + g.Parts*g.Size(), true})
		}
	}
	switch w := l.Work.(type) {
	case *plan.Product:
		buffers(false, ir.Reads(w.Step))
		buffers(true, ir.Writes(w.Step))
	case *plan.Map:
		buffers(false, ir.Reads(w.Map))
		buffers(true, ir.Writes(w.Map))
	case *plan.GradWeight:
		buffers(false, ir.Reads(w.Step))
		gradient(w.Step.W)
		gradient(w.Step.Bias)
	case *plan.Fold:
		gradient(w.Sum.Param.Param)
	}
	return list
}

// TestJobs wants nothing of the arena written by one of the jobs of a launch that
// another one touches, each launch once, and fewer of them.
func TestJobs(t *testing.T) {
	t.Parallel()
	joined := 0
	for seed := range uint64(300) {
		p, err := lower.Lower(nettest.Random(seed+9000, nettest.Limits{Width: 90, Linear: 5}))
		if err != nil {
			t.Fatal(err)
		}
		pl, err := plan.With(p, plan.Options{Precision: p.Precisions[int(seed)%len(p.Precisions)]})
		if err != nil {
			t.Fatal(err)
		}
		var steps []ir.Step
		for _, l := range pl.Pass {
			jobs := l.Jobs()
			blocks := 0
			for i, j := range jobs {
				blocks += j.Blocks()
				switch w := j.Work.(type) {
				case *plan.Product:
					steps = append(steps, w.Step)
				case *plan.Map:
					steps = append(steps, w.Map)
				case *plan.GradWeight:
					steps = append(steps, w.Step)
				}
				for _, other := range jobs[:i] {
					joined++
					for _, a := range spans(pl, j) {
						for _, b := range spans(pl, other) {
							if (a.written || b.written) && a.from < b.to && b.from < a.to {
								t.Errorf("seed %d: %s and %s stand side by side and meet in memory", seed, other.Name, j.Name)
							}
						}
					}
				}
			}
			if blocks != l.Blocks() {
				t.Errorf("seed %d: %s has %d blocks, its jobs %d", seed, l.Name, l.Blocks(), blocks)
			}
		}
		if want := slices.Concat(p.Forward, p.Backward); !slices.Equal(steps, want) {
			t.Errorf("seed %d: the steps of the pass are %d, want %d in their order", seed, len(steps), len(want))
		}
	}
	if joined < 300 {
		t.Errorf("only %d pairs of launches are one", joined)
	}
}

// TestLaunches wants the backward pass of a plain network in as many launches as it
// has layers, and each product by itself that a library may make.
func TestLaunches(t *testing.T) {
	t.Parallel()
	net := nettest.New("plain", 40).Linear(30, true).Linear(20, true).Linear(10, true).Batch(64).Network()
	p, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	for _, precision := range p.Precisions {
		for _, c := range []struct {
			least float64
			want  int // of the backward pass, and the sum of the losses
		}{{0, 3}, {1, 6}} {
			pl, err := plan.With(p, plan.Options{Precision: precision, LibraryFLOPs: c.least})
			if err != nil {
				t.Fatal(err)
			}
			loss := slices.IndexFunc(pl.Pass, func(l *plan.Launch) bool { _, ok := l.Work.(*plan.Loss); return ok })
			if got := len(pl.Pass) - loss - 1; got != c.want {
				t.Errorf("%s, products from %g operations on alone: %d launches after the loss, want %d", precision.Name, c.least, got, c.want)
			}
		}
	}
}
