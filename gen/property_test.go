package gen_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/spec"
)

// networks is how many random specs go through the whole compiler;
// DNNGEN_NETWORKS asks for more.
const networks = 200

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
	count := networks
	if s := os.Getenv("DNNGEN_NETWORKS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	} else if testing.Short() {
		count = 20
	}
	limits := nettest.Limits{Width: 40, Linear: 4}
	var programs []*ir.Program
	var jobs []job
	dir := module(t)
	for i := range count {
		net := nettest.Random(uint64(i), limits)
		net.Name = fmt.Sprintf("n%d", i)
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatalf("network %d: %v\n%s", i, err, net.Text)
		}
		programs = append(programs, p)
		jobs = append(jobs, newJob(net, p, uint64(i)))
		files, err := gen.Generate(net, gen.Options{ImportPath: "property/" + net.Name})
		if err != nil {
			t.Fatalf("network %d: %v\n%s", i, err, net.Text)
		}
		for _, f := range files {
			writeFile(t, filepath.Join(dir, net.Name, filepath.FromSlash(f.Path)), f.Content)
		}
	}
	writeFile(t, filepath.Join(dir, "main.go"), harness(t))
	writeFile(t, filepath.Join(dir, "networks.go"), networkList(t, count))
	answers := runHarness(t, dir, jobs)
	for i, p := range programs {
		for _, a := range answers[i] {
			if err := compare(p, jobs[i], a); err != nil {
				t.Errorf("network %d on %s: %v\n%s", i, a.Device, err, p.Text)
			}
		}
	}
}

// module makes a Go module that finds this one's runtime.
func module(t *testing.T) string {
	t.Helper()
	dir, root := t.TempDir(), golden.Root(t)
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("module github.com/dnngen/dnngen"), []byte("module property"), 1)
	text = append(text, fmt.Sprintf("\nrequire github.com/dnngen/dnngen v0.0.0\nreplace github.com/dnngen/dnngen => %s\n", root)...)
	writeFile(t, filepath.Join(dir, "go.mod"), text)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "go.sum"), sum)
	return dir
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// newJob draws parameters and rows: two full steps and a short one.
func newJob(net *spec.Network, p *ir.Program, seed uint64) job {
	rows := p.Batch
	if p.Full {
		rows = 37 // less than a chunk; chunks are crossed by the golden cases
	}
	all := rows + 3
	batch := nettest.Data(p, all, seed)
	short := max(1, rows-2)
	return job{
		Params: nettest.Params(p, seed), X: batch.X, Class: batch.Class, Value: batch.Value,
		Rows: []int{rows, rows, short}, All: all,
		LR: float32(min(p.Settings.LR, 0.05)), Mu: float32(p.Settings.Momentum),
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

// networkList is the harness's list of networks.
func networkList(t *testing.T, count int) []byte {
	t.Helper()
	network := func() *jen.Statement {
		return jen.Op("*").Qual("github.com/dnngen/dnngen/runtime/engine", "Network")
	}
	f := jen.NewFile("main")
	f.Func().Id("networks").Params().Index().Add(network()).Block(
		jen.Return(jen.Index().Add(network()).ValuesFunc(func(g *jen.Group) {
			for i := range count {
				g.Qual(fmt.Sprintf("property/n%d", i), "Network").Call()
			}
		})),
	)
	var b bytes.Buffer
	if err := f.Render(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func runHarness(t *testing.T, dir string, jobs []job) [][]answer {
	t.Helper()
	text, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", "harness", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	run := exec.Command(filepath.Join(dir, "harness"))
	run.Stdin = bytes.NewReader(text)
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	if err := run.Run(); err != nil {
		t.Fatalf("harness: %v\n%s", err, stderr.String())
	}
	var answers [][]answer
	if err := json.Unmarshal(stdout.Bytes(), &answers); err != nil {
		t.Fatal(err)
	}
	return answers
}

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
