package op

import (
	"math"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
)

// moment is a point of a training.
type moment struct {
	step, perEpoch, epochs int
}

func (m moment) vars(lr float64) map[string]float64 {
	return map[string]float64{
		VarLR: lr, VarStep: float64(m.step), VarEpoch: float64(m.step / m.perEpoch),
		VarStepsPerEpoch: float64(m.perEpoch), VarEpochs: float64(m.epochs),
	}
}

// warmed is a linear climb to lr, then after of the share of the rest that is
// done.
func warmed(m moment, lr, warmupEpochs float64, after func(progress float64) float64) float64 {
	warmup := warmupEpochs * float64(m.perEpoch)
	if next := float64(m.step) + 1; next <= warmup {
		return lr * next / warmup
	}
	rest := float64(m.epochs*m.perEpoch) - warmup
	if rest <= 0 {
		return after(1)
	}
	return after(math.Max(float64(m.step)-warmup, 0) / rest)
}

func TestSchedulesFollowTheirFormulas(t *testing.T) {
	const lr = 0.3
	line := func(p float64) float64 { return lr * (1 - p) }
	wave := func(low float64) func(float64) float64 {
		return func(p float64) float64 { return low + (lr-low)*(1+math.Cos(math.Pi*p))/2 }
	}
	tested := map[string]bool{}
	for _, test := range []struct {
		name string
		set  Values
		want func(m moment) float64
	}{
		{"constant", nil, func(moment) float64 { return lr }},
		{"step", Values{"every": 1.0}, func(m moment) float64 { return lr * math.Pow(0.1, float64(m.step/m.perEpoch)) }},
		{"step", Values{"every": 3.0, "gamma": 0.5}, func(m moment) float64 {
			return lr * math.Pow(0.5, float64(m.step/m.perEpoch/3))
		}},
		{"step", Values{"every": 2.0, "gamma": 1.0}, func(moment) float64 { return lr }},
		{"cosine", nil, func(m moment) float64 { return warmed(m, lr, 0, wave(0)) }},
		{"cosine", Values{"min": 0.05}, func(m moment) float64 { return warmed(m, lr, 0, wave(0.05)) }},
		{"cosine", Values{"warmup_epochs": 1.0}, func(m moment) float64 { return warmed(m, lr, 1, wave(0)) }},
		{"cosine", Values{"warmup_epochs": 1.3, "min": 0.05}, func(m moment) float64 { return warmed(m, lr, 1.3, wave(0.05)) }},
		{"linear", nil, func(m moment) float64 { return warmed(m, lr, 0, line) }},
		{"linear", Values{"warmup_epochs": 2.0}, func(m moment) float64 { return warmed(m, lr, 2, line) }},
		{"linear", Values{"warmup_epochs": 0.1}, func(m moment) float64 { return warmed(m, lr, 0.1, line) }},
		{"linear", Values{"warmup_epochs": 100.0}, func(m moment) float64 { return warmed(m, lr, 100, line) }},
	} {
		tested[test.name] = true
		s := must(Schedules, test.name)
		v := s.Defaults()
		for k, x := range test.set {
			v[k] = x
		}
		rate := expr.NewProgram(s.Rate(v))
		for _, epochs := range []int{1, 2, 5} {
			for _, perEpoch := range []int{1, 3, 7} {
				for step := range epochs * perEpoch {
					m := moment{step, perEpoch, epochs}
					got, want := rate.Eval(m.vars(lr))[0], test.want(m)
					if math.Abs(got-want) > 1e-14 {
						t.Errorf("%s %v at %+v: %g, want %g", test.name, v, m, got, want)
					}
					if !(got >= 0 && got <= lr) {
						t.Errorf("%s %v at %+v: the rate %g is outside 0 to %g", test.name, v, m, got, lr)
					}
				}
			}
		}
	}
	for _, s := range Schedules {
		if !tested[s.Name] {
			t.Errorf("%s is not tested", s.Name)
		}
	}
}

// TestWarmUpEndsAtTheFullRate: the last step of a warm-up has the full rate,
// and so has the first step behind it.
func TestWarmUpEndsAtTheFullRate(t *testing.T) {
	for _, name := range []string{"cosine", "linear"} {
		s := must(Schedules, name)
		v := s.Defaults()
		v["warmup_epochs"] = 2.0
		rate := expr.NewProgram(s.Rate(v))
		for step, want := range []float64{0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1} {
			got := rate.Eval(moment{step, 4, 6}.vars(1))[0]
			if math.Abs(got-want) > 1e-15 {
				t.Errorf("%s at step %d: %g, want %g", name, step, got, want)
			}
		}
	}
}
