package asm_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/runner"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/engines"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// randomNets is the number of random networks of a test run; the environment
// variable ASM_NETS sets another.
func randomNets(t *testing.T) int {
	if s := os.Getenv("ASM_NETS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 12
}

// training is a program with what it is trained on.
type training struct {
	name  string
	p     *ir.Program
	steps []nettest.Batch
	init  [][]float32
	hyper engine.Hyper
}

func (tr *training) request(device string, threads int) runner.Request {
	q := request(tr.p, tr.name, device, threads)
	q.Params = tr.init
	for i, b := range tr.steps {
		h := tr.hyper
		h.Step = int64(i + 1)
		q.Steps = append(q.Steps, engines.Step{X: b.X, Target: engine.Target{Class: b.Class, Value: b.Value}, Rows: b.Rows, Hyper: h})
	}
	q.Infer, q.InferRows = tr.steps[0].X, tr.steps[0].Rows
	return q
}

// newTraining draws data for a program: full batches, a short one, and one row.
func newTraining(name string, p *ir.Program, seed uint64) *training {
	full := p.Batch
	if p.Full {
		full = 150
	}
	tr := &training{name: name, p: p, init: nettest.Params(p, seed), hyper: engine.Hyper{LR: 0.01, Momentum: float32(p.Settings.Momentum)}}
	for i, rows := range []int{full, (full + 2) / 3, full, 1} {
		tr.steps = append(tr.steps, nettest.Data(p, rows, seed+uint64(i)))
	}
	return tr
}

// specialNet is a network with the numbers of rows of its steps.
type specialNet struct {
	name, spec string
	rows       []int
}

// special are networks that take the ways which random ones seldom do. Of 1500
// rows, which make twelve tiles of 128, the first shards have two.
var special = []specialNet{
	{"tiles", `input: 20
layers: [{linear: 24}, tanh, {linear: 40}, relu, {linear: 10}]
loss: cross_entropy
train: {batch: 600, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}`, []int{600, 64, 65, 200, 1}},
	{"tileslearned", `input: 7
layers: [{linear: 24}, prelu, {linear: 20}, {prelu: {per: channel}}, {linear: 6}, {swish: {learn: true}}, {linear: 1}]
loss: huber
train: {batch: 1700, optimizer: {adam: {lr: 0.01}}}`, []int{1700, 700, 129, 3}},
	{"chunks", `input: 210
layers: [{linear: 300}, swiglu, {linear: 33}, softplus, {linear: 17}]
loss: mse
train: {batch: 600, optimizer: {adamw: {lr: 0.01}}}`, []int{600, 512, 513, 7}},
	{"fullwide", `input: 190
layers: [{linear: 300}, gelu, {linear: 120}, prelu, {linear: 1}]
loss: bce_with_logits
train: {batch: full, optimizer: {sgd: {lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.001}}}`, []int{700, 256, 257, 5}},
	{"fullnarrow", `input: 3
layers: [{linear: 17}, selu, {linear: 2}]
loss: cross_entropy
train: {batch: full, optimizer: {sgd: {lr: 0.1}}}`, []int{1500, 700, 64, 5}},
	{"gates", `input: 40
layers: [swiglu, glu, {linear: 72}, swiglu, swiglu, relu, {linear: 20}, glu]
loss: l1
train: {batch: 21, optimizer: {sgd: {lr: 0.1, momentum: 0.5}}}`, []int{21, 16, 17, 1}},
	{"onefunction", `input: 7
layers: [{linear: 70}, tanh, {linear: 40}, relu, {linear: 3}]
loss: mse
train: {batch: 10, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}`, []int{10, 9, 10}},
	{"onerow", `input: 37
layers: [{linear: 150}, {prelu: {per: channel}}, {linear: 64}, swiglu, {linear: 35}, mish, {linear: 3}]
loss: mse
train: {batch: 1, optimizer: {adam: {lr: 0.01}}}`, []int{1, 1, 1}},
	{"onerowwide", `input: 300
layers: [{linear: 520}, relu, {linear: 130}, swish, {linear: 1}]
loss: l1
train: {batch: 1, optimizer: {sgd: {lr: 0.01}}}`, []int{1, 1, 1}},
	{"wide", `input: 130
layers: [{linear: 257}, relu, {linear: 190}, elu, {linear: 100}]
loss: cross_entropy
train: {batch: 77, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}`, []int{77, 13, 76}},
	{"deep", `input: 1601
layers: [{linear: 40}, tanh, {linear: 2600}, swish, {linear: 37}, {prelu: {per: channel}}, {linear: 2}]
loss: cross_entropy
train: {batch: 60, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}`, []int{60, 59, 11, 1}},
	{"deepchunks", `input: 300
layers: [{linear: 200}, swiglu, {linear: 2600}, swiglu, {linear: 7}, relu, {linear: 1}]
loss: mse
train: {batch: 520, optimizer: {sgd: {lr: 0.1, momentum: 0.9, nesterov: true}}}`, []int{520, 33}},
	{"noeps", `input: 5
layers: [{linear: 19}, tanh, {linear: 21}, sigmoid, {linear: 3}]
loss: mse
train: {batch: 9, optimizer: {adam: {lr: 0.01, eps: 0}}}`, []int{9, 9, 4}},
	{"noepskept", `input: 3
layers: [{linear: 15}, prelu, {linear: 3}]
loss: mse
train: {batch: 600, optimizer: {adam: {lr: 0.01, eps: 0}}}`, []int{600, 600, 5}},
	{"outputactivation", `input: 5
layers: [{linear: 19}, tanh, {linear: 1}, softplus, {prelu: {alpha: 0.5}}]
loss: mse
train: {batch: 40, optimizer: {sgd: {lr: 0.01, momentum: 0.9}}}`, []int{40, 33, 16, 15}},
}

// specials returns the trainings of the special networks.
func specials(t *testing.T) []*training {
	var list []*training
	for i, s := range special {
		net, _, err := spec.Parse(s.name+".yaml", []byte("name: "+s.name+"\noutput: identity\n"+s.spec+"\n"), spec.Options{})
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatal(err)
		}
		tr := newTraining(s.name, p, uint64(100+i))
		tr.steps = nil
		for k, rows := range s.rows {
			tr.steps = append(tr.steps, nettest.Data(p, rows, uint64(i*10+k)))
		}
		list = append(list, tr)
	}
	return list
}

// TestRandom trains random and special networks and compares them with the float64
// interpreter, and all devices and thread counts with each other, bit by bit. Devices
// that this machine lacks are emulated; for random networks, all are.
func TestRandom(t *testing.T) {
	programs := map[string]*ir.Program{}
	var list []*training
	for seed := range uint64(randomNets(t)) {
		limits := nettest.Limits{Width: 40, Linear: 3}
		if seed%3 == 0 {
			limits.Width = 140
		}
		net := nettest.Random(seed+1000, limits)
		p, err := lower.Lower(net)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("net%d", seed)
		programs[name] = p
		list = append(list, newTraining(name, p, seed))
	}
	for _, tr := range specials(t) {
		programs[tr.name] = tr.p
		list = append(list, tr)
	}
	prog := build(t, programs)
	for _, tr := range list {
		t.Run(tr.name, func(t *testing.T) {
			var first *runner.Response
			for _, device := range devices() {
				for _, threads := range []int{1, 2, 3} {
					r := prog.run(t, tr.request(device, threads))
					if first == nil {
						first = &r
						tr.compare(t, r)
						continue
					}
					if err := sameBits(first, &r); err != nil {
						t.Errorf("%s with %d threads: %v", device, threads, err)
					}
				}
			}
			if first == nil {
				t.Skip("NOT TESTED: this machine has no vector instruction set")
			}
			emulated := lacking()
			if !slices.ContainsFunc(special, func(s specialNet) bool { return s.name == tr.name }) {
				// These are small: the emulator is compared with the processor too.
				emulated = append(emulated, devices()...)
			}
			for _, device := range emulated {
				t.Run(device+"/emulated", func(t *testing.T) {
					q := tr.request(device, 2)
					q.Emulate = true
					r := prog.run(t, q)
					if err := sameBits(first, &r); err != nil {
						t.Error(err)
					}
					tr.checkNotFinite(t, prog, first, q)
				})
			}
			tr.checkRows(t, prog, first.Raw)
			for _, device := range devices() {
				tr.checkNotFinite(t, prog, first, tr.request(device, 2))
			}
		})
	}
}

// sameBits compares two trainings.
func sameBits(a, b *runner.Response) error {
	if !slices.Equal(a.Losses, b.Losses) {
		return fmt.Errorf("losses %v, not %v", b.Losses, a.Losses)
	}
	for s := range a.Slots {
		for i := range a.Slots[s] {
			if at := firstDifference(a.Slots[s][i], b.Slots[s][i]); at >= 0 {
				return fmt.Errorf("slot %d tensor %d element %d is %g, not %g", s, i, at, b.Slots[s][i][at], a.Slots[s][i][at])
			}
		}
	}
	if at := firstDifference(a.Raw, b.Raw); at >= 0 {
		return fmt.Errorf("raw output %d is %g, not %g", at, b.Raw[at], a.Raw[at])
	}
	return nil
}

func firstDifference(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// checkRows infers row by row: a row's outputs do not depend on the others.
func (tr *training) checkRows(t *testing.T, prog *program, raw []float32) {
	q := tr.request(devices()[0], 1)
	for r := range min(q.InferRows, 3) {
		one := q
		one.Infer, one.InferRows = q.Infer[r*tr.p.Input:(r+1)*tr.p.Input], 1
		got := prog.run(t, one).Raw
		if at := firstDifference(got, raw[r*tr.p.Output:(r+1)*tr.p.Output]); at >= 0 {
			t.Errorf("row %d alone gives %g", r, got)
		}
	}
}

// checkNotFinite trains again with a step in between whose last row is not a
// number: its loss says so, and nothing else changes.
func (tr *training) checkNotFinite(t *testing.T, prog *program, want *runner.Response, q runner.Request) {
	t.Helper()
	bad := q.Steps[0]
	bad.X = slices.Clone(bad.X)
	bad.X[bad.Rows*tr.p.Input-1] = float32(math.NaN())
	q.Steps = slices.Insert(q.Steps, 1, bad)
	got := prog.run(t, q)
	if !math.IsNaN(got.Losses[1]) {
		t.Errorf("%s: a row that is not a number has the loss %g", q.Device, got.Losses[1])
	}
	got.Losses = slices.Delete(got.Losses, 1, 2)
	if err := sameBits(want, &got); err != nil {
		t.Errorf("%s: after a loss that is not a number: %v", q.Device, err)
	}
}

// compare compares a training with the interpreter's.
func (tr *training) compare(t *testing.T, r runner.Response) {
	m := eval.New(tr.p)
	for i, v := range tr.init {
		copy(m.Params[i], nettest.Float64(v))
	}
	for i, b := range tr.steps {
		x, y := b.Float64()
		want := m.Step(x, y, b.Rows, float64(tr.hyper.LR), float64(tr.hyper.Momentum))
		if !near(r.Losses[i], want) {
			t.Errorf("loss %d is %.9g, want %.9g", i, r.Losses[i], want)
		}
	}
	tensors := append([][][]float64{m.Params}, m.States...)
	for s := range tensors {
		for i, q := range tr.p.Params {
			for j, want := range tensors[s][i] {
				if got := r.Slots[s][i][j]; !near(float64(got), want) {
					t.Errorf("slot %d %s[%d] is %.9g, want %.9g", s, q.Name, j, got, want)
					break
				}
			}
		}
	}
	x, _ := tr.steps[0].Float64()
	for i, want := range m.Infer(x, tr.steps[0].Rows) {
		if !near(float64(r.Raw[i]), want) {
			t.Errorf("raw %d is %.9g, want %.9g", i, r.Raw[i], want)
			break
		}
	}
}

// near allows for a few steps of float32 rounding.
func near(got, want float64) bool {
	return math.Abs(got-want) <= 2e-4*(1+math.Abs(want)) || math.IsNaN(got) && math.IsNaN(want) || got == want
}
