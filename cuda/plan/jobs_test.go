package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

// span is a part of the arena that a launch touches.
type span struct {
	from, to int
	written  bool
}

// spans lists where in the arena a launch of a pass touches buffers, gradients, and
// the parts of sums.
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
	region := func(r plan.Region) { list = append(list, span{r.Offset, r.End(), true}) }
	sum := func(s *plan.Sum) {
		if s != nil {
			list = append(list, span{s.Partial, s.Partial + s.Count*s.Param.Size(), true})
		}
	}
	switch w := l.Work.(type) {
	case *plan.Product:
		sum(w.Sum)
		buffers(false, ir.Reads(w.Step))
		buffers(true, ir.Writes(w.Step))
		if w.Loss != nil {
			buffers(true, []*ir.Buffer{w.Loss.Loss.Grad})
			region(p.Partial)
		}
	case *plan.Map:
		sum(w.Sum)
		buffers(false, ir.Reads(w.Map))
		buffers(true, ir.Writes(w.Map))
	case *plan.GradWeight:
		buffers(false, ir.Reads(w.Step))
		gradient(w.Step.W)
		gradient(w.Step.Bias)
	case *plan.Fold:
		sum(w.Sum)
		gradient(w.Sum.Param.Param)
	case *plan.LossSum:
		region(p.Partial)
		region(p.Loss)
		region(p.Feed)
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
// has layers, no launch for a loss that its last product can make, and each product
// by itself that a library may make.
func TestLaunches(t *testing.T) {
	t.Parallel()
	b := nettest.New("plain", 40).Linear(30, true).Linear(20, true).Linear(10, true).Batch(64)
	p, err := lower.Lower(b.Network())
	if err != nil {
		t.Fatal(err)
	}
	const backward = "loss_sum_backward0_backward1 backward2_backward3 backward4"
	for i, precision := range p.Precisions {
		for _, c := range []struct {
			least float64
			want  string
		}{
			{0, "forward0 forward1 forward2 " + backward},
			{1, "forward0 forward1 forward2 loss_sum backward0 backward1 backward2 backward3 backward4"},
			{2 * 64 * 40 * 30, "forward0 forward1 forward2 " + backward}, // the first layer's alone
		} {
			pl, err := plan.With(p, plan.Options{Precision: precision, LibraryFLOPs: c.least})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, l := range pl.Pass {
				names = append(names, l.Name)
			}
			if i > 0 {
				c.want = "convert " + c.want
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("%s, products from %g operations on alone: %s, want %s", precision.Name, c.least, got, c.want)
			}
		}
	}
	// Logits that no tile has whole rows of, or one has too many of, have a launch for
	// their loss.
	loss, set, ok := op.Find(op.Losses, "cross_entropy")
	if !ok {
		t.Fatal("no cross_entropy")
	}
	for _, c := range []struct {
		outputs, batch int
		alone          bool
	}{{32, 64, false}, {129, 64, true}, {128, 1 << 14, true}} {
		p, err := lower.Lower(nettest.New("logits", 8).Linear(c.outputs, true).Loss(loss, set).Batch(c.batch).Network())
		if err != nil {
			t.Fatal(err)
		}
		for _, precision := range p.Precisions {
			pl, err := plan.With(p, plan.Options{Precision: precision})
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.ContainsFunc(pl.Pass, func(l *plan.Launch) bool { return l.Name == "loss" }); got != c.alone {
				t.Errorf("%s: the loss of %d rows of %d logits has a launch: %t, want %t", precision.Name, c.batch, c.outputs, got, c.alone)
			}
		}
	}
}
