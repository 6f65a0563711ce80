package trainer

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/metric"
)

var gradcheckCommand = &command{
	name:  "gradcheck",
	short: "compare analytic with numeric gradients",
	args:  "[OPTION]...",
	long: `Compares the gradients of the portable engine with central differences of the
loss, for elements of each parameter tensor, on random rows. The exit status is
1 where they disagree.

The error is the largest difference, as a share of the largest gradient of the
tensor. The loss is computed in 32 bits, which makes differences accurate to
about a thousandth; a tolerance of a hundredth, and more where the rounding of
the loss weighs more, finds wrong formulas and lost terms, not lost digits.
Differences are taken in several widths. Where they contradict each other, and
the analytic gradient agrees with none, the loss has kinks there (ReLU at 0) and
the element is left out; so it is where the gradient drowns in rounding.`,
	examples: []string{"gradcheck", "gradcheck --seed 7 --json"},
	define: func(a *app, fs *flag.FlagSet) func() error {
		g := &gradcheck{net: a.net}
		fs.Uint64Var(&g.seed, "seed", a.net.Seed, "draw parameters and rows from seed `N`")
		fs.StringVar(&g.model, "model", "", "check at the parameters in `FILE` instead of drawn ones")
		asJSON := fs.Bool("json", false, "print one JSON object for each tensor")
		return func() error { return a.gradcheck(g, *asJSON) }
	},
}

const (
	gradTolerance = 1e-2
	gradRows      = 8
	gradElements  = 64  // checked of each tensor, at most
	gradWork      = 4e9 // multiplications, about
)

// gradSteps are the half widths of the differences, each a quarter of the one
// before. A wide one is blunt and meets kinks, a narrow one drowns in rounding;
// which is right depends on the parameter.
var gradSteps = []float64{0x1p-3, 0x1p-5, 0x1p-7, 0x1p-9, 0x1p-11}

// gradcheck is one check.
type gradcheck struct {
	net   *engine.Network
	seed  uint64
	model string

	engine engine.Engine
	rows   int
	x      []float32
	y      engine.Target
	raw    []float32
	loss   float64
}

// gradResult is what was found for one tensor.
type gradResult struct {
	Param     string        `json:"param"`
	Shape     []int         `json:"shape"`
	Checked   int           `json:"checked"` // elements
	Kinks     int           `json:"kinks"`   // elements left out, because the loss has a kink or its rounding is too coarse there
	Error     metric.Number `json:"error"`   // the one that is largest in units of its tolerance
	Tolerance float64       `json:"tolerance"`
	Verdict   string        `json:"verdict"` // "pass", "fail", or "not checked" where no element has a gradient
}

func (a *app) gradcheck(g *gradcheck, asJSON bool) error {
	portable := a.net.Devices[len(a.net.Devices)-1]
	e, err := portable.New(engine.Options{})
	if err != nil {
		return &failure{exitResources, fmt.Errorf("device %s: %w", portable.Name, err)}
	}
	defer e.Close()
	tracer, ok := e.(engine.Tracer)
	if !ok {
		return fmt.Errorf("device %s cannot show its gradients", portable.Name)
	}
	g.engine = e
	if err := g.prepare(a, min(gradRows, tracer.TraceRows())); err != nil {
		return err
	}
	grads := make([][]float32, len(a.net.Params))
	g.loss = tracer.Gradients(g.x, g.y, g.rows, func(i int, grad []float32) {
		grads[i] = append([]float32(nil), grad...)
	})
	var failed []string
	passed := 0
	for i := range a.net.Params {
		if err := a.ctx.Err(); err != nil {
			return a.cause(err)
		}
		r := g.check(i, grads[i])
		switch r.Verdict {
		case "fail":
			failed = append(failed, r.Param)
		case "pass":
			passed++
		}
		if asJSON {
			if err := a.stdout.object(r); err != nil {
				return err
			}
			continue
		}
		if i == 0 {
			a.stdout.printf("%-14s %-14s %8s %6s %10s %10s\n", "parameter", "shape", "checked", "kinks", "error", "tolerance")
		}
		a.stdout.printf("%-14s %-14s %8d %6d %10.2e %10.2e  %s\n", r.Param, fmt.Sprint(r.Shape), r.Checked, r.Kinks, float64(r.Error), r.Tolerance, r.Verdict)
	}
	if passed == 0 && failed == nil {
		return errors.New("gradient check: no gradient reaches any parameter; try another --seed")
	}
	if failed != nil {
		return fmt.Errorf("gradient check: wrong for %s", strings.Join(failed, ", "))
	}
	return nil
}

// prepare sets the parameters and draws rows rows.
func (g *gradcheck) prepare(a *app, rows int) error {
	n := g.net
	g.rows = rows
	r := rand.New(rand.NewPCG(g.seed, 0x67726164)) // "grad": apart from other streams
	if g.model != "" {
		m, err := a.model(g.model)
		if err != nil {
			return err
		}
		if err := errors.Join(m.Restore(n, g.engine), m.Close()); err != nil {
			return inRun(err)
		}
	} else {
		loop.Init(n, g.engine, g.seed)
		g.stir(r)
	}
	g.x = make([]float32, rows*n.Inputs)
	for i := range g.x {
		g.x[i] = float32(r.NormFloat64())
	}
	if n.Classes {
		g.y.Class = make([]int32, rows)
		for i := range g.y.Class {
			g.y.Class[i] = int32(r.IntN(n.Outputs))
		}
	} else {
		g.y.Value = make([]float32, rows*n.Outputs)
		for i := range g.y.Value {
			if n.Metrics == "binary" {
				g.y.Value[i] = float32(r.IntN(2))
			} else {
				g.y.Value[i] = float32(r.NormFloat64())
			}
		}
	}
	g.raw = make([]float32, rows*n.Outputs)
	return nil
}

// stir moves parameters that start as constants: at weights of 0 every unit
// stands on its kink, and a bias of 0 could hide a fault.
func (g *gradcheck) stir(r *rand.Rand) {
	for i, p := range g.net.Params {
		if p.Init.Kind != "constant" {
			continue
		}
		values := make([]float32, p.Size())
		for k := range values {
			values[k] = float32(p.Init.Scale + 0.5*(r.Float64()-0.5))
		}
		g.engine.Write(0, i, 0, values)
	}
}

// check compares the gradient of tensor i.
func (g *gradcheck) check(i int, analytic []float32) gradResult {
	p := g.net.Params[i]
	values := make([]float32, p.Size())
	g.engine.Read(0, i, 0, values)
	largest := 0.0
	for _, v := range analytic {
		largest = max(largest, math.Abs(float64(v)))
	}
	elements := min(len(values), g.elements())
	slopes := make([][]slope, elements)
	for k := range slopes {
		slopes[k] = g.slopes(i, values, k*len(values)/elements)
		if s := slopes[k][1]; math.Abs(s.value-slopes[k][0].value) < math.Abs(s.value)/2 {
			// A gradient that is 0 where the loss does change is measured by what
			// it should be.
			largest = max(largest, math.Abs(s.value))
		}
	}
	result := gradResult{Param: p.Name, Shape: p.Shape, Tolerance: gradTolerance, Verdict: "pass"}
	if largest == 0 {
		result.Verdict = "not checked"
		return result
	}
	for k, widths := range slopes {
		miss, tolerance, sure := compare(float64(analytic[k*len(values)/elements]), widths, largest)
		if !(miss <= tolerance) {
			if !sure {
				result.Kinks++
				continue
			}
			result.Verdict = "fail"
		}
		result.Checked++
		if !(miss/tolerance <= float64(result.Error)/result.Tolerance) {
			result.Error, result.Tolerance = metric.Number(miss), tolerance
		}
	}
	if result.Checked == 0 {
		result.Verdict = "not checked"
	}
	return result
}

// compare measures an analytic derivative against differences of several
// widths, as a share of the largest gradient. It is right where it agrees with
// one of them: near a kink the wider ones are wrong, and the narrower ones are
// rounded. Where it agrees with none, sure tells whether they agree among
// themselves, so that it is the analytic one that is wrong.
func compare(analytic float64, widths []slope, largest float64) (miss, tolerance float64, sure bool) {
	miss, tolerance = math.Inf(1), 1
	for k, s := range widths {
		rounding := s.rounding / largest
		if rounding > 2*gradTolerance {
			break
		}
		m, t := math.Abs(analytic-s.value)/largest, gradTolerance+rounding
		if m/t < miss/tolerance {
			miss, tolerance = m, t
		}
		if k > 0 {
			// A curve's bend shrinks with the width, a kink's does not.
			doubt, bend := math.Abs(s.value-widths[k-1].value)/largest, math.Abs(s.bend)/largest
			sure = doubt <= t && (bend <= t || bend <= 0.3*math.Abs(widths[k-1].bend)/largest)
		}
	}
	return miss, tolerance, sure || math.IsNaN(analytic)
}

// elements bounds the work on large networks.
func (g *gradcheck) elements() int {
	each := float64((1+2*len(gradSteps))*g.rows) * float64(parameters(g.net))
	return min(gradElements, max(4, int(gradWork/each/float64(len(g.net.Params)))))
}

// slope is a central difference of the loss.
type slope struct {
	value float64
	// bend is the slope to the right less the slope to the left.
	bend float64
	// rounding is how far the rounding of the loss may spoil the value: by about
	// 2⁻²⁴ of the loss in each of the few operations that matter.
	rounding float64
}

// slopes differentiates the loss by element at of tensor i, in all widths.
func (g *gradcheck) slopes(i int, values []float32, at int) []slope {
	list := make([]slope, len(gradSteps))
	old := values[at]
	middle := g.lossWith(i, values)
	for k, h := range gradSteps {
		values[at] = old + float32(h)
		up, right := g.lossWith(i, values), float64(values[at])-float64(old)
		values[at] = old - float32(h)
		down, left := g.lossWith(i, values), float64(old)-float64(values[at])
		list[k] = slope{
			value:    (up - down) / (right + left),
			bend:     (up-middle)/right - (middle-down)/left,
			rounding: 8 * 0x1p-24 * math.Abs(g.loss) / h,
		}
	}
	values[at] = old
	g.engine.Write(0, i, 0, values)
	return list
}

func (g *gradcheck) lossWith(i int, values []float32) float64 {
	g.engine.Write(0, i, 0, values)
	g.engine.Infer(g.x, g.raw, g.rows)
	return g.net.LossOf(g.raw, g.y, g.rows)
}
