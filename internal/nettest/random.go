package nettest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// Limits bound a random network.
type Limits struct {
	Width  int // of a layer; the input has at most as many features
	Linear int // number of linear layers
}

// Small is for the interpreter, which takes its time.
var Small = Limits{Width: 8, Linear: 4}

// Random draws a valid network: every row of every table with settings all
// over their range, widths from 1, biases on and off, gated units,
// activations first, last and one after the other, batches of 1, 5 and the
// full set. The same seed gives the same network.
func Random(seed uint64, limits Limits) *spec.Network {
	r := rand.New(rand.NewPCG(seed, 0x6e6574))
	b := New(fmt.Sprintf("net%d", seed), 1+r.IntN(limits.Width))
	loss := pick(r, op.Losses)
	layers := 1 + r.IntN(limits.Linear)
	activations(r, b, []int{8, 1, 1}) // mostly none
	for i := range layers {
		width := width(r, limits.Width)
		if i == layers-1 && loss.Rowwise != "" {
			width = max(width, 2) // a single class has nothing to learn
		}
		b.Linear(width, r.IntN(4) > 0)
		switch {
		case i < layers-1:
			activations(r, b, []int{1, 8, 2})
		case loss.Rowwise == "":
			activations(r, b, []int{6, 1, 1})
		}
	}
	b.Loss(loss, Settings(r, &loss.Entry))
	outputs := slices.DeleteFunc(slices.Clone(op.Outputs), func(o *op.Output) bool {
		return !slices.Contains(o.Metrics, loss.Metrics)
	})
	b.Output(pick(r, outputs)).Batch(pick(r, []int{1, 5, 5, 0})).Epochs(1 + r.IntN(4)).Seed(r.Uint64N(1000))
	optimizer, schedule := pick(r, op.Optimizers), pick(r, op.Schedules)
	b.Optimizer(optimizer, Settings(r, &optimizer.Entry))
	b.Schedule(schedule, Settings(r, &schedule.Entry))
	return b.Init(pick(r, op.Inits)).Network()
}

// activations adds none, one or two activations, with the given weights.
func activations(r *rand.Rand, b *Builder, weights []int) {
	for range weighted(r, weights) {
		rows := slices.DeleteFunc(slices.Clone(op.Activations), func(a *op.Activation) bool {
			return a.Gated && b.Width()%2 != 0
		})
		row := pick(r, rows)
		b.Activation(row, Settings(r, &row.Entry))
	}
}

// width draws a layer's width: 1 and even widths (which gated units need)
// more often than the rest.
func width(r *rand.Rand, most int) int {
	switch r.IntN(6) {
	case 0:
		return 1
	case 1, 2, 3:
		return 2 * (1 + r.IntN(max(most/2, 1)))
	}
	return 1 + r.IntN(most)
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func weighted(r *rand.Rand, weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := r.IntN(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	panic("unreachable")
}

// Settings draws the settings of an entry: defaults, the ends of the ranges,
// and values between that a short training survives.
func Settings(r *rand.Rand, e *op.Entry) op.Values {
	v := op.Values{}
	for _, s := range e.Settings {
		switch s.Kind {
		case op.Number:
			v[s.Name] = number(r, s)
		case op.Count:
			v[s.Name] = float64(int(s.Min) + r.IntN(4))
		case op.Flag:
			v[s.Name] = r.IntN(2) == 0
		case op.Choice:
			v[s.Name] = pick(r, s.Choices)
		}
	}
	// Looking ahead along the momentum needs momentum.
	if v["nesterov"] == true && v["momentum"] == 0.0 {
		v["nesterov"] = false
	}
	// Without a memory, Adam divides by the gradient's own size: one that is the
	// rounding left of terms that cancel moves its weight as far as any other, and
	// no two ways of rounding agree. A large eps keeps such gradients small.
	if v["beta2"] == 0.0 {
		v["eps"] = 0.01
	}
	return v
}

func number(r *rand.Rand, s op.Setting) float64 {
	usual, _ := s.Default.(float64)
	if s.Default != nil && r.IntN(3) == 0 {
		return usual
	}
	share := s.Max < 1 // momentum and its like
	switch {
	case s.Min <= 0 && !s.Open && usual != 1e-8 && r.IntN(6) == 0:
		return 0
	case s.Min <= -1 && r.IntN(4) == 0:
		return round(-r.Float64() * 2)
	case share && usual > 0.5:
		return round(1 - (1-usual)*(0.5+r.Float64()*2))
	case share:
		return round(r.Float64() * 0.95)
	case usual != 0:
		return round(usual * math.Exp2(r.Float64()*4-2))
	case s.Max > 1e3 && s.Default != nil && s.Name == "warmup_epochs":
		return round(r.Float64() * 3)
	}
	return round(math.Pow(10, -1-2*r.Float64()))
}

// round keeps three digits, so that texts stay readable.
func round(v float64) float64 {
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	if v == 0 || math.IsInf(scale, 0) {
		return v
	}
	return math.Round(v*scale) / scale
}
