package op

import (
	"math"
	"testing"

	"github.com/dnngen/dnngen/internal/expr"
)

// evaluator computes an expression in float64, and as a backend does, with
// every value rounded to float32.
type evaluator struct {
	wide   *expr.Program
	nodes  []*expr.Node
	args   [][]int
	single []*expr.Program // of each node, over its arguments alone
	values []float64
}

func evaluatorOf(n *expr.Node) *evaluator {
	e := &evaluator{wide: expr.NewProgram(n), nodes: expr.Schedule(n)}
	index := map[string]int{}
	for i, part := range e.nodes {
		index[part.Key()] = i
		var args []int
		var vars []*expr.Node
		for j, a := range part.Args {
			args = append(args, index[a.Key()])
			vars = append(vars, expr.V(string(rune('a'+j))))
		}
		e.args = append(e.args, args)
		var single *expr.Program
		if len(args) > 0 {
			single = expr.NewProgram(expr.Make(part.Op, vars...))
		}
		e.single = append(e.single, single)
	}
	e.values = make([]float64, len(e.nodes))
	return e
}

// at returns the value in float64 and with float32 rounding.
func (e *evaluator) at(vars map[string]float64) (wide, narrow float64) {
	var buf [3]float64
	for i, n := range e.nodes {
		v := n.Value
		if n.Op == expr.Var {
			v = vars[n.Name]
		}
		if e.single[i] != nil {
			for j, a := range e.args[i] {
				buf[j] = e.values[a]
			}
			v = e.single[i].Run(buf[:])[0]
		}
		e.values[i] = float64(float32(v))
	}
	return e.wide.Eval(vars)[0], e.values[len(e.nodes)-1]
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// places are the arguments that finiteness is tested at.
func places() []float64 {
	list := []float64{0, math.Copysign(0, -1), 1e-45, -1e-45, 1e-30, -1e-30, 88, 89, -88, -104}
	for z := -100.0; z <= 100; z += 0.5 {
		list = append(list, z)
	}
	return list
}

// TestActivationsAreFinite: value and every derivative, in float64 and with
// float32 rounding, over [-100, 100].
func TestActivationsAreFinite(t *testing.T) {
	for _, a := range Activations {
		for _, v := range settings(&a.Entry) {
			value := a.Expr(v)
			exprs := map[string]*expr.Node{"value": value}
			gates, params := []float64{0}, []float64{0}
			exprs["slope"] = expr.Derive(value, VarZ)
			if a.Gated {
				gates = []float64{-100, -20, -1, 0, 1, 20, 100}
				exprs["slope by the gate"] = expr.Derive(value, VarGate)
			}
			if a.Param(v) != nil {
				params = []float64{-100, -1, 0, 0.25, 1, 100}
				exprs["slope by the parameter"] = expr.Derive(value, VarParam)
			}
			for what, n := range exprs {
				e := evaluatorOf(n)
				for _, z := range places() {
					for _, g := range gates {
						for _, p := range params {
							vars := map[string]float64{VarZ: z, VarGate: g, VarParam: p}
							if x, y := e.at(vars); !finite(x) || !finite(y) {
								t.Fatalf("%s %v: %s at %v is %g, in float32 %g", a.Name, v, what, vars, x, y)
							}
						}
					}
				}
			}
		}
	}
}

// TestActivationsPassNaNOn: a run that meets NaN must be able to see it.
func TestActivationsPassNaNOn(t *testing.T) {
	for _, a := range Activations {
		for _, v := range settings(&a.Entry) {
			e := a.Expr(v)
			for _, name := range expr.Vars(e) {
				vars := map[string]float64{VarZ: 1, VarGate: 1, VarParam: 1}
				vars[name] = math.NaN()
				if name == VarParam {
					vars[VarZ] = -1 // a learned slope is read below 0
				}
				if got := expr.Eval(e, vars); !math.IsNaN(got) {
					t.Errorf("%s %v of %s = NaN is %g", a.Name, v, name, got)
				}
			}
		}
	}
}

// TestClaimsOfActivations checks KeepsSign and NonNegative against the values.
func TestClaimsOfActivations(t *testing.T) {
	for _, a := range Activations {
		for _, v := range settings(&a.Entry) {
			if a.SignKept(v) && (a.Gated || a.Param(v) != nil) {
				t.Errorf("%s %v keeps the sign of more than one input", a.Name, v)
			}
			e := evaluatorOf(a.Expr(v))
			for _, z := range places() {
				for _, g := range []float64{-2, 3} {
					wide, narrow := e.at(map[string]float64{VarZ: z, VarGate: g, VarParam: -0.5})
					for _, value := range []float64{wide, narrow} {
						// float32 has no value between 0 and 1e-45.
						if a.SignKept(v) && (value <= 0) != (z <= 0) && math.Abs(z) > 1e-40 {
							t.Errorf("%s %v: f(%g) = %g has another sign", a.Name, v, z, value)
						}
						if a.NonNegative && value < 0 {
							t.Errorf("%s %v: f(%g) = %g is negative", a.Name, v, z, value)
						}
					}
				}
			}
		}
	}
}

// TestFamiliesAndRanges: what a row says of its range is what its values say,
// with the default settings.
func TestFamiliesAndRanges(t *testing.T) {
	for _, a := range Activations {
		v := a.Defaults()
		e := expr.NewProgram(a.Expr(v))
		least, most := math.Inf(1), math.Inf(-1)
		for _, z := range append(places(), -1e4, 1e4) {
			y := e.Eval(map[string]float64{VarZ: z, VarGate: 1, VarParam: 0.25})[0]
			least, most = math.Min(least, y), math.Max(most, y)
		}
		if nonNegative := least >= 0; a.NonNegative != nonNegative {
			t.Errorf("%s: never negative %t, least value %g", a.Name, a.NonNegative, least)
		}
		if bounded := most-least <= 2; (a.Family == Saturating) != bounded {
			t.Errorf("%s is %s with values from %g to %g", a.Name, a.Family, least, most)
		}
		if straight := a.Expr(v).Key() == expr.V(VarZ).Key(); (a.Family == Linear) != straight {
			t.Errorf("%s is %s", a.Name, a.Family)
		}
	}
	for _, l := range Losses {
		if l.Unbounded != (l.Metrics == Regression) {
			t.Errorf("%s with the metrics of %s: targets without bounds %t", l.Name, l.Metrics, l.Unbounded)
		}
	}
}

func TestGainsArePyTorchs(t *testing.T) {
	// torch.nn.init.calculate_gain; names that it lacks are left out.
	want := map[string]float64{
		"relu": math.Sqrt2, "leaky_relu": math.Sqrt(2 / (1 + 0.01*0.01)), "selu": 0.75, "tanh": 5.0 / 3,
		"sigmoid": 1, "identity": 1, "prelu": math.Sqrt(2 / (1 + 0.25*0.25)),
	}
	for _, a := range Activations {
		got := a.GainOf(a.Defaults())
		if w, ok := want[a.Name]; ok && math.Abs(got-w) > 1e-15 {
			t.Errorf("gain of %s = %g, want %g", a.Name, got, w)
		}
		if !(got > 0.5 && got < 2) {
			t.Errorf("gain of %s = %g", a.Name, got)
		}
	}
}

// TestActivationsAgainstFormulas compares values with the definitions, written
// down a second time.
func TestActivationsAgainstFormulas(t *testing.T) {
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	branch := func(z, below, above float64) float64 {
		if z > 0 {
			return above
		}
		return below
	}
	for _, test := range []struct {
		name string
		set  Values
		f    func(z, g, p float64) float64
	}{
		{"relu", nil, func(z, _, _ float64) float64 { return max(z, 0) }},
		{"leaky_relu", nil, func(z, _, _ float64) float64 { return branch(z, 0.01*z, z) }},
		{"prelu", nil, func(z, _, p float64) float64 { return branch(z, p*z, z) }},
		{"elu", Values{"alpha": 0.7}, func(z, _, _ float64) float64 { return branch(z, 0.7*(math.Exp(z)-1), z) }},
		{"selu", nil, func(z, _, _ float64) float64 {
			return 1.0507009873554805 * branch(z, 1.6732632423543772*(math.Exp(z)-1), z)
		}},
		{"sigmoid", nil, func(z, _, _ float64) float64 { return sigma(z) }},
		{"tanh", nil, func(z, _, _ float64) float64 { return 2*sigma(2*z) - 1 }},
		{"swish", Values{"beta": 1.5}, func(z, _, _ float64) float64 { return z * sigma(1.5*z) }},
		{"swish", Values{"learn": true}, func(z, _, p float64) float64 { return z * sigma(p*z) }},
		{"swiglu", nil, func(z, g, _ float64) float64 { return z * g * sigma(g) }},
		{"swiglu", Values{"gate": "sigmoid"}, func(z, g, _ float64) float64 { return z * sigma(g) }},
		{"softplus", nil, func(z, _, _ float64) float64 { return math.Log(1 + math.Exp(z)) }},
		{"gelu", nil, func(z, _, _ float64) float64 { return z * 0.5 * math.Erfc(-z/math.Sqrt2) }},
		{"mish", nil, func(z, _, _ float64) float64 { return z * math.Tanh(math.Log(1+math.Exp(z))) }},
		{"identity", nil, func(z, _, _ float64) float64 { return z }},
	} {
		a := must(Activations, test.name)
		v := a.Defaults()
		for k, x := range test.set {
			v[k] = x
		}
		for z := -20.0; z <= 20; z += 0.25 {
			const g, p = -0.8, 0.6
			got := expr.Eval(a.Expr(v), map[string]float64{VarZ: z, VarGate: g, VarParam: p})
			if want := test.f(z, g, p); math.Abs(got-want) > 1e-14*math.Max(1, math.Abs(want)) {
				t.Errorf("%s %v at %g = %.17g, want %.17g", test.name, v, z, got, want)
			}
		}
	}
}

// TestLossesAreFinite: for logits of ±1e4 and beyond, value and slope.
func TestLossesAreFinite(t *testing.T) {
	for _, l := range Losses {
		if l.Value == nil {
			continue // row-wise: tested with the interpreter
		}
		for _, v := range settings(&l.Entry) {
			value, slope := l.Expr(v)
			exprs := map[string]*evaluator{"value": evaluatorOf(value), "slope": evaluatorOf(slope)}
			for _, z := range append(places(), -1e4, 1e4, -3e4, 3e4) {
				for _, y := range []float64{0, 1, -2.5, 1e4} {
					vars := map[string]float64{VarZ: z, VarY: y}
					for what, e := range exprs {
						if x, y := e.at(vars); !finite(x) || !finite(y) {
							t.Fatalf("%s %v: %s at %v is %g, in float32 %g", l.Name, v, what, vars, x, y)
						}
					}
				}
			}
		}
	}
}

// TestLossesShowNaN: a NaN output must become a NaN loss, which stops the run.
func TestLossesShowNaN(t *testing.T) {
	for _, l := range Losses {
		for _, v := range settings(&l.Entry) {
			value, _ := l.Expr(v)
			if value == nil {
				continue
			}
			for _, vars := range []map[string]float64{{VarZ: math.NaN(), VarY: 1}, {VarZ: 1, VarY: math.NaN()}} {
				if got := expr.Eval(value, vars); !math.IsNaN(got) {
					t.Errorf("%s %v at %v is %g", l.Name, v, vars, got)
				}
			}
		}
	}
}

// TestLossesAgainstFormulas compares values with the definitions.
func TestLossesAgainstFormulas(t *testing.T) {
	for _, test := range []struct {
		name string
		set  Values
		f    func(z, y float64) float64
	}{
		{"l1", nil, func(z, y float64) float64 { return math.Abs(z - y) }},
		{"mse", nil, func(z, y float64) float64 { return math.Pow(z-y, 2) }},
		{"huber", Values{"delta": 0.5}, func(z, y float64) float64 {
			if r := math.Abs(z - y); r > 0.5 {
				return 0.5 * (r - 0.25)
			}
			return math.Pow(z-y, 2) / 2
		}},
		{"bce_with_logits", nil, func(z, y float64) float64 {
			p := 1 / (1 + math.Exp(-z))
			return -y*math.Log(p) - (1-y)*math.Log(1-p)
		}},
	} {
		l := must(Losses, test.name)
		v := l.Defaults()
		for k, x := range test.set {
			v[k] = x
		}
		value, _ := l.Expr(v)
		for z := -8.0; z <= 8; z += 0.25 {
			for _, y := range []float64{0, 1} {
				got := expr.Eval(value, map[string]float64{VarZ: z, VarY: y})
				if want := test.f(z, y); math.Abs(got-want) > 1e-11 {
					t.Errorf("%s at z = %g, y = %g is %g, want %g", test.name, z, y, got, want)
				}
			}
		}
	}
}

// TestDiscreteOutputsHaveNoSlope, and the others have one.
func TestDiscreteOutputsHaveNoSlope(t *testing.T) {
	for _, o := range Outputs {
		flat := o.Rowwise == Argmax || o.Rowwise == Indicator
		if o.Value != nil {
			d := expr.Derive(o.Expr(), VarZ)
			flat = d.IsConst(0)
		}
		if o.Discrete != flat {
			t.Errorf("%s: discrete %t, derivative 0: %t", o.Name, o.Discrete, flat)
		}
	}
}

// TestOutputsAreFinite also checks the thresholds' side of 0.
func TestOutputsAreFinite(t *testing.T) {
	for _, o := range Outputs {
		if o.Value == nil {
			continue
		}
		for _, z := range append(places(), -1e4, 1e4) {
			if x, y := evaluatorOf(o.Expr()).at(map[string]float64{VarZ: z}); !finite(x) || !finite(y) {
				t.Errorf("%s of %g is %g, in float32 %g", o.Name, z, x, y)
			}
		}
	}
	for z, want := range map[float64]float64{-1: 0, 0: 0, 1e-30: 1, 2: 1} {
		if got := expr.Eval(must(Outputs, "threshold").Expr(), map[string]float64{VarZ: z}); got != want {
			t.Errorf("threshold of %g is %g", z, got)
		}
	}
}

// TestInitsAgainstFormulas compares the scales with PyTorch's.
func TestInitsAgainstFormulas(t *testing.T) {
	const in, out, gain = 30.0, 20.0, 1.25
	vars := map[string]float64{VarFanIn: in, VarFanOut: out, VarGain: gain}
	for name, want := range map[string]float64{
		"torch": 1 / math.Sqrt(in), "kaiming_uniform": gain * math.Sqrt(3/in), "kaiming_normal": gain / math.Sqrt(in),
		"xavier_uniform": gain * math.Sqrt(6/(in+out)), "xavier_normal": gain * math.Sqrt(2/(in+out)),
		"lecun_normal": 1 / math.Sqrt(in), "zeros": 0,
	} {
		row := must(Inits, name)
		if got := expr.Eval(row.Scale, vars); math.Abs(got-want) > 1e-15 {
			t.Errorf("scale of %s = %g, want %g", name, got, want)
		}
		if (row.Bias != nil) != (name == "torch") {
			t.Errorf("%s: only PyTorch's default draws biases", name)
		}
	}
	for family, want := range map[Family]string{
		Rectifying: "kaiming_normal", SelfNormalizing: "lecun_normal", Saturating: "xavier_uniform", Linear: "xavier_uniform",
	} {
		if got := must(Inits, "auto").For(family).Name; got != want {
			t.Errorf("auto before a %s activation is %s, want %s", family, got, want)
		}
	}
}
