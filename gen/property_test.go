package gen_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
)

// job is what the test asks of one emitted network.
type job struct {
	Params [][]float32
	X      []float32
	Class  []int32
	Value  []float32
	Rows   []int // of each step; all steps take rows from the start of X
	LR     float32
	Mu     float32
	All    int // rows of X
}

// answer is what one device made of a job.
type answer struct {
	Device string
	Losses []float64
	Slots  [][][][]float32 // after each step: parameters and states, [step][slot][tensor]
	Raw    []float32
	Single []float32 // raw outputs, one row at a time
}

// The whole compiler, on random networks and every device of this machine,
// against the float64 interpreter.
func TestRandomNetworks(t *testing.T) {
	m := emitAll(t)
	var jobs []job
	for _, s := range m.samples {
		jobs = append(jobs, newJob(s))
	}
	writeFile(t, filepath.Join(m.dir, "main.go"), harness(t))
	m.writeList(t, filepath.Join(m.dir, "networks.go"))
	answers := runHarness(t, m.dir, jobs)
	for i, s := range m.samples {
		for _, a := range answers[i] {
			if err := compare(s.p, jobs[i], a); err != nil {
				t.Errorf("%s on %s: %v\n%s", s.net.Name, a.Device, err, s.p.Text)
			}
		}
	}
}

// newJob draws parameters and rows for a sample's steps.
func newJob(s *sample) job {
	all := slices.Max(s.steps) + 3
	batch := nettest.Data(s.p, all, s.seed)
	return job{
		Params: nettest.Params(s.p, s.seed), X: batch.X, Class: batch.Class, Value: batch.Value,
		Rows: s.steps, All: all,
		LR: float32(min(s.p.Settings.LR, 0.05)), Mu: float32(s.p.Settings.Momentum),
	}
}

// harness is a program that runs all networks on all devices.
func harness(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "harness.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// writeList writes the harness's list of networks.
func (m *emitted) writeList(t *testing.T, name string) {
	t.Helper()
	network := func() *jen.Statement {
		return jen.Op("*").Qual("github.com/dnngen/dnngen/runtime/engine", "Network")
	}
	f := jen.NewFile("main")
	f.Func().Id("networks").Params().Index().Add(network()).Block(
		jen.Return(jen.Index().Add(network()).ValuesFunc(func(g *jen.Group) {
			for _, s := range m.samples {
				g.Qual("property/"+s.net.Name, "Network").Call()
			}
		})),
	)
	render(t, name, f)
}

func runHarness(t *testing.T, dir string, jobs []job) [][]answer {
	t.Helper()
	var in, stdout, stderr bytes.Buffer
	if err := gob.NewEncoder(&in).Encode(jobs); err != nil {
		t.Fatal(err)
	}
	if out, err := goTool(dir, "build", "-o", "harness", "."); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	run := exec.Command(filepath.Join(dir, "harness"))
	run.Stdin, run.Stdout, run.Stderr = &in, &stdout, &stderr
	if err := run.Run(); err != nil {
		t.Fatalf("harness: %v\n%s", err, stderr.String())
	}
	var answers [][]answer
	if err := gob.NewDecoder(&stdout).Decode(&answers); err != nil {
		t.Fatal(err)
	}
	return answers
}

// compared is about how many elements of a tensor are compared.
const compared = 1000

// compare holds a device's answer against the interpreter's, which takes each
// step from where the device stood: errors do not add up, so that a tolerance
// can be a rounding's.
func compare(p *ir.Program, j job, a answer) error {
	m := eval.New(p)
	for i, q := range j.Params {
		copy(m.Params[i], nettest.Float64(q))
	}
	batch := nettest.Batch{Rows: j.All, X: j.X, Class: j.Class, Value: j.Value}
	x, y := batch.Float64()
	for s, rows := range j.Rows {
		old := remember(m, p, eval.Scalars(p.Rule, float64(j.LR), float64(j.Mu), int64(s+1)))
		loss := m.Step(x, y, rows, float64(j.LR), float64(j.Mu))
		if d := math.Abs(loss - a.Losses[s]); !(d <= 2e-5*math.Max(1, math.Abs(loss))) {
			return fmt.Errorf("step %d: loss %v, want %v", s, a.Losses[s], loss)
		}
		for i, q := range p.Params {
			largest := 0.0
			for _, g := range m.Grad(i) {
				largest = math.Max(largest, math.Abs(g))
			}
			for k, g := range m.Grad(i) {
				if k%(1+len(m.Grad(i))/compared) != 0 {
					continue
				}
				want, got := m.Params[i][k], float64(a.Slots[s][0][i][k])
				// A gradient is known to some roundings of the largest, and an update
				// as well as the rule lets it be: Adam divides by the gradient.
				noise := 8e-6 * (largest + 1e-3)
				tolerance := 2e-5*math.Max(1, math.Abs(want)) + old.spread(i, k, g, noise)
				if !(math.Abs(want-got) <= tolerance) {
					return fmt.Errorf("step %d: %s[%d] = %v, want %v within %v", s, q.Name, k, got, want, tolerance)
				}
			}
		}
		for i := range p.Params {
			copy(m.Params[i], nettest.Float64(a.Slots[s][0][i]))
			for state := range m.States {
				copy(m.States[state][i], nettest.Float64(a.Slots[s][1+state][i]))
			}
		}
	}
	raw := m.Infer(x, j.All)
	for k, want := range raw {
		if d := math.Abs(want - float64(a.Raw[k])); !(d <= 2e-5*math.Max(1, math.Abs(want))) {
			return fmt.Errorf("raw output %d = %v, want %v", k, a.Raw[k], want)
		}
		// D5: the bits of a row do not depend on the batch it is in.
		if math.Float32bits(a.Raw[k]) != math.Float32bits(a.Single[k]) {
			return fmt.Errorf("raw output %d = %v in a batch, %v alone", k, a.Raw[k], a.Single[k])
		}
	}
	return nil
}

// old is where a step started: what the optimizer's rule reads.
type old struct {
	p      *ir.Program
	params [][]float64
	states [][][]float64
	vars   map[string]float64
}

func remember(m *eval.Machine, p *ir.Program, scalars map[string]float64) old {
	clone := func(tensors [][]float64) [][]float64 {
		list := make([][]float64, len(tensors))
		for i, t := range tensors {
			list[i] = slices.Clone(t)
		}
		return list
	}
	o := old{p: p, params: clone(m.Params), vars: scalars}
	for _, s := range m.States {
		o.states = append(o.states, clone(s))
	}
	return o
}

// updated is element k of parameter i after a step whose gradient is g there.
func (o old) updated(i, k int, g float64) float64 {
	o.vars[ir.VarW], o.vars[ir.VarG] = o.params[i][k], g
	for s, name := range o.p.Rule.States {
		o.vars[name] = o.states[s][i][k]
	}
	return expr.Eval(o.p.Rule.W, o.vars)
}

// spread is how far apart updates may be when the gradient is g give or take
// noise. Around 0 a rule that divides by the gradient turns and peaks.
func (o old) spread(i, k int, g, noise float64) float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for step := -4.0; step <= 4; step++ {
		w := o.updated(i, k, g+noise*step/4)
		low, high = math.Min(low, w), math.Max(high, w)
	}
	if math.Abs(g) <= noise {
		w := o.updated(i, k, 0)
		low, high = math.Min(low, w), math.Max(high, w)
	}
	return high - low
}
