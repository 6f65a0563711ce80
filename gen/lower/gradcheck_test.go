package lower_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

const (
	// eps is the half width of the central differences: in float64 their
	// rounding (1e-16/eps) and their truncation (eps²) are then near 1e-11.
	eps = 1e-5
	// tolerance is on the relative error; an error in the mathematics is far
	// above it, both errors of the differences are far below.
	tolerance = 1e-6
	// floor is the gradient below which errors count as absolute.
	floor = 1e-2
	// margin keeps every kink further away than eps moves any value: 10·eps
	// times the largest input, with room.
	margin = 1e-3
)

// problem is a program with values for its parameters, and rows to run it on.
type problem struct {
	p       *ir.Program
	machine *eval.Machine
	x       []float64
	y       eval.Target
	rows    int
}

func newProblem(p *ir.Program, rows int, seed uint64) *problem {
	pr := &problem{p: p, machine: eval.New(p), rows: rows}
	for i, q := range nettest.Params(p, seed) {
		copy(pr.machine.Params[i], nettest.Float64(q))
	}
	pr.x, pr.y = nettest.Data(p, rows, seed).Float64()
	return pr
}

// away draws a problem none of whose values stands within margin of a kink.
func away(t *testing.T, p *ir.Program, rows int, seed uint64) *problem {
	t.Helper()
	for try := range uint64(100) {
		pr := newProblem(p, rows, seed+1000*try)
		if !pr.nearKink() {
			return pr
		}
	}
	t.Fatalf("no problem away from the kinks\n%s", p)
	return nil
}

// nearKink looks at the arguments of every select and abs that the forward
// pass and the loss compute. Biases move values by eps, weights by eps times
// an input, which data keeps well below margin/eps.
func (pr *problem) nearKink() bool {
	pr.machine.Loss(pr.x, pr.y, pr.rows)
	for _, s := range pr.p.Forward {
		m, ok := s.(*ir.Map)
		if !ok {
			continue // of a plain program: nothing is fused
		}
		vars := map[string]float64{}
		for r := range min(pr.rows, pr.p.Batch) {
			for j := range m.Width {
				for _, in := range m.In {
					b := in.View.Buffer
					vars[in.Var] = pr.machine.Buffer(b)[r*b.Width+in.View.Offset+in.View.Stride*j]
				}
				vars[ir.VarParam] = 0
				if m.Param != nil {
					vars[ir.VarParam] = pr.machine.Params[m.Param.Index][j%m.Param.Size()]
				}
				if kink(m.Out[0].Expr, vars) {
					return true
				}
			}
		}
	}
	if l := pr.p.Loss; l.Value != nil {
		for i, z := range pr.machine.Buffer(l.Raw) {
			if kink(l.Value, map[string]float64{ir.VarZ: z, ir.VarY: pr.y.Value[i]}) {
				return true
			}
		}
	}
	return false
}

// bends reports whether a node has a kink where its first argument is 0.
func bends(n *expr.Node) bool { return n.Op == expr.Select || n.Op == expr.Abs }

// kink reports whether a kink of e lies near, but not at, the place. A value
// that is 0 exactly came from a unit that is off, and stays 0 when parameters
// move a little; the subgradients at 0 have their own test.
func kink(e *expr.Node, vars map[string]float64) bool {
	for _, n := range expr.Schedule(e) {
		if bends(n) {
			if at := math.Abs(expr.Eval(n.Args[0], vars)); at != 0 && at < margin {
				return true
			}
		}
	}
	return false
}

// result is what a gradient check found.
type result struct {
	worst            float64 // largest relative error
	where            string
	entries, nonzero int
}

func (r *result) add(other result) {
	if !(other.worst <= r.worst) {
		r.worst, r.where = other.worst, other.where
	}
	r.entries += other.entries
	r.nonzero += other.nonzero
}

// check fails where an error is too large, or where so many gradients are 0
// that the check says little.
func (r *result) check(t *testing.T, name string) {
	t.Helper()
	if !(r.worst <= tolerance) {
		t.Errorf("%s: relative error %.3g: %s", name, r.worst, r.where)
	}
	if 10*r.nonzero < r.entries {
		t.Errorf("%s: only %d of %d gradients are not 0", name, r.nonzero, r.entries)
	}
}

// relative returns the error of a gradient in relation to its size.
func relative(got, want float64) float64 {
	e := math.Abs(got-want) / math.Max(floor, math.Max(math.Abs(got), math.Abs(want)))
	if math.IsNaN(e) {
		return math.Inf(1)
	}
	return e
}

// gradients compares every element of every parameter's gradient with its
// central difference.
func (pr *problem) gradients() (r result) {
	m := pr.machine
	m.Gradients(pr.x, pr.y, pr.rows)
	for i, q := range pr.p.Params {
		for j, got := range m.Grad(i) {
			r.compare(got, pr.quotient(i, j), fmt.Sprintf("%s[%d]", q.Name, j))
		}
	}
	return r
}

// quotient returns the central difference quotient of the loss by one element
// of a parameter.
func (pr *problem) quotient(param, element int) float64 {
	w := &pr.machine.Params[param][element]
	at := *w
	*w = at + eps
	up := pr.machine.Loss(pr.x, pr.y, pr.rows)
	*w = at - eps
	down := pr.machine.Loss(pr.x, pr.y, pr.rows)
	*w = at
	return (up - down) / (2 * eps)
}

func (r *result) compare(got, want float64, what string) {
	r.entries++
	if want != 0 {
		r.nonzero++
	}
	if e := relative(got, want); e > r.worst {
		r.worst, r.where = e, fmt.Sprintf("%s is %.12g, the difference quotient %.12g", what, got, want)
	}
}

// seeds is the number of draws of parameters and data for each row and shape.
const seeds = 20

// shape is the size of a network that checks one row.
type shape struct{ input, width, rows int }

// The shapes: single columns, odd numbers, and more than a vector of 16 lanes.
var shapes = []shape{{1, 1, 1}, {3, 5, 3}, {2, 17, 2}}

// variants lists settings of an entry that reach all of its formula: the
// defaults, each end that matters, each choice and flag.
func variants(e *op.Entry) []op.Values {
	list := []op.Values{{}}
	for _, s := range e.Settings {
		switch s.Kind {
		case op.Flag:
			list = append(list, op.Values{s.Name: true}, op.Values{s.Name: false})
		case op.Choice:
			for _, c := range s.Choices {
				list = append(list, op.Values{s.Name: c})
			}
		case op.Number:
			for _, v := range []float64{-1.3, 0, 0.3, 1, 1.5, 4} {
				if v > s.Min && v <= s.Max || v == s.Min && !s.Open {
					list = append(list, op.Values{s.Name: v})
				}
			}
		}
	}
	return list
}

// checkAll checks plain and lowered programs of a network over all seeds.
func checkAll(t *testing.T, name string, build func(shape) *nettest.Builder) {
	t.Helper()
	for _, s := range shapes {
		net := build(s).Batch(s.rows).Network()
		plain, final := lower.Build(net), lowered(t, net)
		var r result
		for seed := range uint64(seeds) {
			pr := away(t, plain, s.rows, seed)
			r.add(pr.gradients())
			// The lowered program has the gradients of the plain one, and the
			// property test holds it to them; this is the direct proof.
			direct := &problem{p: final, machine: eval.New(final), x: pr.x, y: pr.y, rows: s.rows}
			for i, q := range pr.machine.Params {
				copy(direct.machine.Params[i], q)
			}
			if seed < 3 {
				r.add(direct.gradients())
			}
		}
		r.check(t, fmt.Sprintf("%s, %d -> %d, %d rows", name, s.input, s.width, s.rows))
	}
}

// TestGradientsOfActivations checks every row of the table of activations with
// all variants of its settings: below a linear layer, so that the gradients
// pass through it, and as the last layer.
func TestGradientsOfActivations(t *testing.T) {
	for _, row := range op.Activations {
		for _, set := range variants(&row.Entry) {
			name := fmt.Sprintf("%s %v", row.Name, set)
			width := func(s shape) int {
				if row.Gated {
					return 2 * s.width
				}
				return s.width
			}
			checkAll(t, name, func(s shape) *nettest.Builder {
				return nettest.New("inner", s.input).Linear(width(s), true).Activation(row, set).Linear(2, false).
					Loss(smooth(), nil)
			})
			checkAll(t, name+" last", func(s shape) *nettest.Builder {
				return nettest.New("last", s.input).Linear(width(s), true).Activation(row, set).Loss(smooth(), nil)
			})
		}
	}
}

// smooth returns a loss over any numbers that has no kink.
func smooth() *op.Loss {
	for _, l := range op.Losses {
		if l.Value == nil || l.Metrics != op.Regression {
			continue
		}
		if e := l.Value(expr.V(op.VarZ), expr.V(op.VarY), l.Defaults()); !slices.ContainsFunc(expr.Schedule(e), bends) {
			return l
		}
	}
	panic("no smooth loss")
}

// TestGradientsOfLosses checks every row of the table of losses.
func TestGradientsOfLosses(t *testing.T) {
	for _, row := range op.Losses {
		for _, set := range variants(&row.Entry) {
			checkAll(t, fmt.Sprintf("%s %v", row.Name, set), func(s shape) *nettest.Builder {
				width := s.width
				if row.Rowwise != "" {
					width = max(width, 2)
				}
				return nettest.New("loss", s.input).Linear(width, true).Loss(row, set)
			})
		}
	}
}

// TestGradientsOfRandomNetworks compares the slopes of the loss along random
// directions through all parameters, on whole random networks.
func TestGradientsOfRandomNetworks(t *testing.T) {
	const directions = 8
	var r result
	for seed := range networks(t) {
		net := nettest.Random(seed, nettest.Small)
		rows := 5
		if net.Train.Batch > 0 {
			rows = min(rows, net.Train.Batch)
		}
		plain := build(net)
		if plain.Full {
			rows = chunk // nearKink looks at one chunk
		}
		pr := away(t, plain, rows, seed)
		p := lowered(t, net)
		whole := &problem{p: p, machine: eval.New(p), x: pr.x, y: pr.y, rows: rows}
		for i, q := range pr.machine.Params {
			copy(whole.machine.Params[i], q)
		}
		for d := range uint64(directions) {
			one := whole.along(nettest.Params(p, seed*directions+d+1))
			if one.where != "" {
				one.where += "\n" + net.Text
			}
			r.add(one)
		}
	}
	r.check(t, "random networks")
	t.Logf("worst relative error %.2g", r.worst)
}

// along compares the slope of the loss along a direction, scaled to move no
// parameter by more than eps.
func (pr *problem) along(direction [][]float32) (r result) {
	m := pr.machine
	m.Gradients(pr.x, pr.y, pr.rows)
	largest, got := 0.0, 0.0
	for _, list := range direction {
		for _, v := range list {
			largest = math.Max(largest, math.Abs(float64(v)))
		}
	}
	move := func(by float64) {
		for i, list := range direction {
			for j, v := range list {
				m.Params[i][j] += by * float64(v) / largest
			}
		}
	}
	for i, list := range direction {
		for j, v := range list {
			got += m.Grad(i)[j] * float64(v) / largest
		}
	}
	move(eps)
	up := m.Loss(pr.x, pr.y, pr.rows)
	move(-2 * eps)
	down := m.Loss(pr.x, pr.y, pr.rows)
	move(eps)
	r.compare(got, (up-down)/(2*eps), "slope along a direction")
	return r
}
