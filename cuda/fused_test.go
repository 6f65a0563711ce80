package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// tensors lists the precisions of tensor cores.
func tensors(p *ir.Program) (list []ir.Precision) {
	for _, q := range p.Precisions {
		if q.Major > 0 {
			list = append(list, q)
		}
	}
	return list
}

// precisionOf returns a precision by its name.
func precisionOf(t testing.TB, p *ir.Program, name string) ir.Precision {
	t.Helper()
	for _, q := range p.Precisions {
		if q.Name == name {
			return q
		}
	}
	t.Fatalf("no precision %s", name)
	return ir.Precision{}
}

// fusedPlan returns a plan whose only pass is a fused one, for a GPU of so many
// multiprocessors; nil where there is none.
func fusedPlan(t testing.TB, net *spec.Network, precision func(*ir.Program) ir.Precision, multiprocessors int) *plan.Plan {
	t.Helper()
	p, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	pl, err := plan.With(p, plan.Options{Precision: precision(p), Multiprocessors: multiprocessors})
	if err != nil {
		t.Fatal(err)
	}
	if len(pl.Fused) == 0 {
		return nil
	}
	return pl.Use(pl.Fused[0])
}

// emitted returns a plan as it is emitted: layer by layer, and fused.
func emitted(t testing.TB, pl *plan.Plan) *plan.Plan { return planWith(t, pl, plan.Options{}) }

// libraries has a library asked for all products.
var libraries = plan.Options{LibraryFLOPs: 1}

func withLibraries(t testing.TB, pl *plan.Plan) *plan.Plan { return planWith(t, pl, libraries) }

// planWith plans anew with other options.
func planWith(t testing.TB, pl *plan.Plan, o plan.Options) *plan.Plan {
	t.Helper()
	o.Precision = pl.Precision
	pl, err := plan.With(pl.Program, o)
	if err != nil {
		t.Fatal(err)
	}
	return pl
}

func tf32(t testing.TB) func(*ir.Program) ir.Precision {
	return func(p *ir.Program) ir.Precision { return precisionOf(t, p, "tf32") }
}

// TestNeed wants of a device's memory what its pass takes.
func TestNeed(t *testing.T) {
	loss, set, ok := op.Find(op.Losses, "mse")
	if !ok {
		t.Fatal("no mse")
	}
	for _, width := range []int{64, 4096} {
		net := nettest.New("need", 64).Linear(width, true).Linear(4, true).Batch(512).Loss(loss, set).Network()
		pl := emitted(t, planIn(t, net, 2))
		want := pl.Total
		if width == 64 {
			want = pl.Fused[0].Total
		} else if len(pl.Fused) > 0 {
			t.Fatalf("a weight of %d by 64 fits shared memory", width)
		}
		if got := pl.Need(); got != want || width == 64 && got >= pl.Total {
			t.Errorf("width %d: %d float32 are needed, want %d; layer by layer these are %d", width, got, want, pl.Total)
		}
	}
}

// fusedTraining draws a network, with batches and multiprocessors that make
// tiles of 16 to 128 rows, and one or more of them for a block.
func fusedTraining(t testing.TB, seed uint64, precision func(*ir.Program) ir.Precision) *training {
	t.Helper()
	limits := nettest.Limits{Width: 24, Linear: 3}
	if seed%5 == 0 {
		limits.Width = 70
	}
	net := nettest.Random(seed, limits)
	batch := []int{1, 37, 70, 150, 300}[seed%5]
	if net.Train.Batch != 0 {
		net.Train.Batch = batch
	}
	// The update is what it is layer by layer; this one forgives no error, and
	// does not make much of little ones.
	net.Train.Optimizer = op.Optimizers[0]
	net.Train.OptimizerSet = nettest.Settings(rand.New(rand.NewPCG(seed, 1)), &op.Optimizers[0].Entry)
	pl := fusedPlan(t, net, precision, []int{132, 2, 1, 3}[seed%4])
	if pl == nil {
		t.Fatalf("nothing is fused of\n%s", net.Text)
	}
	return newTraining(fmt.Sprintf("net%d", seed), pl, seed)
}

// emulate compiles trainings and runs each under two orders of threads, on
// batches and on rows that the device gathers, which must give the same bits.
func emulate(t *testing.T, o emulator.Options, list []*training, check func(t *testing.T, tr *training, r *result)) {
	t.Helper()
	var nets []emulator.Net
	for _, tr := range list {
		nets = append(nets, emulator.Net{Name: tr.name, Plan: tr.plan})
	}
	prog := emulator.Build(t, o, nets...)
	for i, tr := range list {
		t.Run(tr.name, func(t *testing.T) {
			first, err := tr.run(prog.Start(t, tr.name))
			if err != nil {
				t.Fatal(err)
			}
			check(t, tr, first)
			other, err := tr.runGathered(t, prog, 1+i%3)
			if err != nil {
				t.Fatal(err)
			}
			if !first.same(other) {
				t.Error("gathered rows, or another order of threads, give other bits")
			}
		})
	}
}

// TestFusedExact trains random networks with tf32 that does not round, which must
// agree with the interpreter as float32 does: what is left are faults.
func TestFusedExact(t *testing.T) {
	t.Parallel()
	var list []*training
	for seed := range uint64(10) {
		list = append(list, fusedTraining(t, seed+6000, tf32(t)))
	}
	emulate(t, emulator.Options{Exact: true}, list, func(t *testing.T, tr *training, r *result) {
		if err := tr.check(r); err != nil {
			t.Errorf("%v\n%s", err, tr.plan.Program.Text)
		}
	})
}

// TestFusedRandom trains random networks in the precisions of tensor cores.
func TestFusedRandom(t *testing.T) {
	t.Parallel()
	var list []*training
	for i := range randomNets(t) {
		list = append(list, fusedTraining(t, uint64(i)+7000, func(p *ir.Program) ir.Precision {
			all := tensors(p)
			return all[i%len(all)]
		}))
	}
	emulate(t, emulator.Options{}, list, func(t *testing.T, tr *training, r *result) {
		if err := tr.checkPerturbed(r, roundoff(tr)); err != nil {
			t.Errorf("%v\n%s", err, tr.plan.Program.Text)
		}
	})
}

func roundoff(tr *training) float64 {
	return tr.plan.Precision.Roundoff
}

// Of the tolerance of checkPerturbed.
const (
	perturbations = 8
	slack         = 4
)

// checkPerturbed compares a training whose operands were rounded with the unit
// roundoff u with the interpreter's. Let D(v) be the distance of a result v (a
// loss, or the change of a tensor, as the root of its mean square) from the
// interpreter's. The tolerance is
//
//	slack * (max D(v_k) + u*|v|) + 1e-5*(1 + |v|)
//
// where v_k are trainings of the interpreter in which each weight and each
// feature is first multiplied by 1 + u*x, x from [-1, 1]: rounding operands may
// do no more harm than rounding what they come from, a few times over. The last
// term is float32's.
func (tr *training) checkPerturbed(r *result, u float64) error {
	random := rand.New(rand.NewPCG(11, 12))
	want := tr.interpret(nil)
	got := measurement{r.losses, nil}
	for s := range r.slots {
		for i := range r.slots[s] {
			v := nettest.Float64(r.slots[s][i])
			if s == 0 {
				subtract(v, nettest.Float64(tr.params[i]))
			}
			got.tensors = append(got.tensors, v)
		}
	}
	lossHarm, harm := make([]float64, len(want.losses)), make([]float64, len(want.tensors))
	for range perturbations {
		m := tr.interpret(func(v float64) float64 { return v * (1 + u*(2*random.Float64()-1)) })
		for i := range lossHarm {
			lossHarm[i] = max(lossHarm[i], math.Abs(m.losses[i]-want.losses[i]))
		}
		for i := range harm {
			harm[i] = max(harm[i], rms(m.tensors[i], want.tensors[i]))
		}
	}
	for i, w := range want.losses {
		tolerance := slack*(lossHarm[i]+u*math.Abs(w)) + 1e-5*(1+math.Abs(w))
		if d := math.Abs(got.losses[i] - w); !(d <= tolerance) {
			return fmt.Errorf("loss %d is %.9g, want %.9g ± %.2g", i, got.losses[i], w, tolerance)
		}
	}
	for i, w := range want.tensors {
		size := rms(w, make([]float64, len(w)))
		tolerance := slack*(harm[i]+u*size) + 1e-5*(1+size)
		if d := rms(got.tensors[i], w); !(d <= tolerance) {
			p := tr.plan.Program.Params
			return fmt.Errorf("slot %d of %s has changed by %.3g, and is off by %.3g, with %.3g allowed", i/len(p), p[i%len(p)].Name, size, d, tolerance)
		}
	}
	return nil
}

// measurement is what a training has come to: its losses, the parameters'
// changes, and the optimizer's states.
type measurement struct {
	losses  []float64
	tensors [][]float64
}

// interpret trains with the interpreter; perturb changes the initial parameters
// and the features.
func (tr *training) interpret(perturb func(float64) float64) measurement {
	m := eval.New(tr.plan.Program)
	change := func(list []float64) {
		for i := range list {
			if perturb != nil {
				list[i] = perturb(list[i])
			}
		}
	}
	var start [][]float64
	for i, v := range tr.params {
		copy(m.Params[i], nettest.Float64(v))
		change(m.Params[i])
		start = append(start, append([]float64(nil), m.Params[i]...))
	}
	var out measurement
	for _, b := range tr.steps {
		x, y := b.Float64()
		change(x)
		out.losses = append(out.losses, m.Step(x, y, b.Rows, float64(float32(rate)), float64(float32(tr.momentum()))))
	}
	for i, v := range m.Params {
		subtract(v, start[i])
		out.tensors = append(out.tensors, v)
	}
	for _, state := range m.States {
		out.tensors = append(out.tensors, state...)
	}
	return out
}

func subtract(v, w []float64) {
	for i := range v {
		v[i] -= w[i]
	}
}

// rms is the root of the mean square of a difference.
func rms(v, w []float64) float64 {
	sum := 0.0
	for i := range v {
		sum += (v[i] - w[i]) * (v[i] - w[i])
	}
	return math.Sqrt(sum / float64(len(v)))
}

// TestFusedGolden trains the reference cases: with tf32 that does not round they
// agree as float32 does. Without CUDA_ALL in the environment it takes half of them.
func TestFusedGolden(t *testing.T) {
	t.Parallel()
	cases := golden.Load(t)
	if os.Getenv("CUDA_ALL") == "" {
		cases = cases[:10]
	}
	trainFused(t, cases, emulator.Options{Exact: true}, func(int) string { return "tf32" }, func(t *testing.T, c *golden.Case, tr *emulator.Trainer, pl *plan.Plan, losses []float64) {
		if err := c.CheckLosses(losses); err != nil {
			t.Error(err)
		}
		for i, q := range pl.Program.Params {
			if err := c.CheckParam(q.Name, tr.Slot(0, i)); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestFusedGoldenRounded trains some of them in the precisions of tensor cores:
// the mean of the losses is the reference's to within the unit roundoff of an
// operand and float32's share.
func TestFusedGoldenRounded(t *testing.T) {
	t.Parallel()
	cases := golden.Load(t)[10:16]
	names := []string{"tf32", "bf16", "fp16"}
	trainFused(t, cases, emulator.Options{}, func(i int) string { return names[i%3] }, func(t *testing.T, c *golden.Case, _ *emulator.Trainer, pl *plan.Plan, losses []float64) {
		got, want := mean(losses), mean(c.Losses)
		if !(math.Abs(got-want) <= (pl.Precision.Roundoff+1e-5)*math.Abs(want)) {
			t.Errorf("in %s the losses' mean is %g, want %g", pl.Precision.Name, got, want)
		}
	})
}

// trainFused trains reference cases by fused passes.
func trainFused(t *testing.T, cases []*golden.Case, o emulator.Options, precision func(i int) string,
	check func(t *testing.T, c *golden.Case, tr *emulator.Trainer, pl *plan.Plan, losses []float64)) {
	t.Helper()
	var nets []emulator.Net
	for i, c := range cases {
		nets = append(nets, emulator.Net{Name: c.Name, Plan: fusedPlan(t, c.Net, func(p *ir.Program) ir.Precision { return precisionOf(t, p, precision(i)) }, 0)})
	}
	prog := emulator.Build(t, o, nets...)
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			d := prog.Start(t, c.Name)
			d.Schedule = i % 4
			tr, losses := trainGolden(d, nets[i].Plan, c)
			check(t, c, tr, nets[i].Plan, losses)
			if err := d.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

// smallFused has a gated unit, a learned slope and a row-wise loss, and two tiles
// for one of its blocks.
func smallFused(t *testing.T) *training {
	b := nettest.New("small", 37)
	for _, l := range []struct {
		out        int
		activation string
	}{{36, "swiglu"}, {20, "prelu"}} {
		row, set, ok := op.Find(op.Activations, l.activation)
		if !ok {
			t.Fatalf("no %s", l.activation)
		}
		b.Linear(l.out, true).Activation(row, set)
	}
	loss, set, ok := op.Find(op.Losses, "cross_entropy")
	if !ok {
		t.Fatal("no cross_entropy")
	}
	net := b.Linear(5, true).Loss(loss, set).Batch(60).Network()
	pl := fusedPlan(t, net, func(p *ir.Program) ir.Precision { return precisionOf(t, p, "bf16") }, 3)
	return newTraining("small", pl, 1)
}

// TestFusedBugs breaks the fused kernel and wants it noticed.
func TestFusedBugs(t *testing.T) {
	t.Parallel()
	tr := smallFused(t)
	check := func(r *result) error { return tr.checkPerturbed(r, roundoff(tr)) }
	if got := tr.fault(t, emulator.Options{Sanitize: true}, check); got != "" {
		t.Fatalf("without a bug: %s", got)
	}
	for _, bug := range []struct {
		name, old, new, want string
		sanitize             bool
	}{
		{"no barrier before the second layer", "\n        DNN_SYNC();\n        dnn_tile_product<P, 16, 32, 32, ", "\n        dnn_tile_product<P, 16, 32, 32, ", "", false},
		{"no barrier before the next tile", "        DNN_SYNC();\n    }\n    grad0.write", "    }\n    grad0.write", "", false},
		{"a barrier for some rows", "const bool inside = row + r < rows;", "const bool inside = row + r < rows;\n        if (inside) DNN_SYNC();", "divergence: thread", false},
		{"fragments of a gradient swapped", "P::mma(w[i][j][0], z, y[j][0], y[j][1]);", "P::mma(w[i][j][0], z, y[j][1], y[j][0]);", "", false},
		{"columns of a gradient swapped", "P::mma(w[i][j][0], z, y[j][0], y[j][1]);", "P::mma(w[i][j][1], z, y[j][0], y[j][1]);", "", false},
		{"a weight not turned", "if (TURNED)", "if (false)", "", false},
		{"rows that are none", "i < ALL && row + r < rows", "i < ALL", "", false},
		{"another row of the order", "return order ? order[i] : i;", "return order ? order[i ^ 1] : i;", "", false},
		{"an order of no pass", "(m + feed->order) + entry->row;", "(m + feed->order);", "", false},
		{"rows that follow no order of a pass", "batch.x += entry->row * IN;", "", "", false},
		{"targets out of order", "(int)dnn_bits(batch.y[batch.row(row + r)])", "(int)dnn_bits(batch.y[row + r])", "", false},
		{"an order read past the end", "(inside ? batch.row(row + r) : 0)", "batch.row(row + r)", "heap-buffer-overflow", true},
		{"words of a step that nobody passes on", "step[dnn_thread()] = batch.step[dnn_thread()];", ";", "", false},
		{"targets read past the end", "const int hit = inside ? (int)dnn_bits(batch.y[batch.row(row + r)]) : 0;", "const int hit = (int)dnn_bits(batch.y[batch.row(row + r)]);", "use-after-poison", true},
		{"a fragment read past the end", "dnn_address(p + (row + lane % 16)", "dnn_address(p + (row + 4096 + lane % 16)", "outside shared memory", false},
		{"rows behind the last have a gradient", "inside && i < OUT ? scale", "i < OUT ? scale", "", false},
		{"no zeros behind the last column", "i < 16 * HALF; i += DnnLane", "i < 0 * HALF; i += DnnLane", "", false},
		{"a block's part in another's place", "dnn_block_x() * 5,", "dnn_block_y() * 5,", "", false},
	} {
		t.Run(strings.ReplaceAll(bug.name, " ", "_"), func(t *testing.T) {
			got := tr.fault(t, emulator.Options{Sanitize: bug.sanitize, Edit: func(s string) string {
				return strings.Replace(s, bug.old, bug.new, 1)
			}}, check)
			if got == "" || !strings.Contains(got, bug.want) {
				t.Errorf("got %q, want %q in it", got, bug.want)
			}
		})
	}
}

// TestFusedClang compiles fused kernels for two generations of GPUs: without
// CUDA_ALL in the environment, those of few reference networks.
func TestFusedClang(t *testing.T) {
	t.Parallel()
	clang := clangPath(t)
	var text strings.Builder
	text.Write(cuda.TensorRuntime())
	kernels := 0
	for i, c := range golden.Load(t) {
		if os.Getenv("CUDA_ALL") == "" && i%12 != 1 {
			continue
		}
		p, err := lower.Lower(c.Net)
		if err != nil {
			t.Fatal(err)
		}
		for _, precision := range tensors(p) {
			pl, err := plan.With(p, plan.Options{Precision: precision})
			if err != nil {
				t.Fatal(err)
			}
			pl = pl.Use(pl.Fused[0])
			name := c.Name + "_" + precision.Name
			fmt.Fprintf(&text, "#undef DNN_KERNEL\n#define DNN_KERNEL(name, threads, blocks) extern \"C\" __global__ void __launch_bounds__(threads, blocks) %s_##name(float *m)\n", name)
			fmt.Fprintf(&text, "namespace %s {\n%s}\n", name, cuda.Kernels(pl))
			kernels += len(pl.Launches())
		}
	}
	for _, arch := range []string{"sm_80", "sm_90"} {
		ptx := compilePTX(t, clang, arch, text.String())
		if n := strings.Count(ptx, ".visible .entry"); n != kernels {
			t.Errorf("%s: %d kernels, want %d", arch, n, kernels)
		}
		if strings.Contains(ptx, ".local") || strings.Count(ptx, ".extern") > strings.Count(ptx, ".extern .shared") {
			t.Errorf("%s: the code has a variable on the stack, or a function that is nowhere", arch)
		}
	}
}
