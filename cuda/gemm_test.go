package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/nettest"
	"github.com/dnngen/dnngen/internal/op"
)

// Shapes of the products of TestGemm, which fill neither a tile nor a slab nor 16
// bytes, and where their matrices lie.
const (
	gemmRows, gemmCols, gemmInner = 150, 137, 45
	gemmLead                      = 48 // of rows of inner operands
	gemmLeadCols                  = 144
	gemmPart                      = 64 // rows of a part of the gradient

	gemmA    = 0                               // [rows][inner]
	gemmB    = gemmA + gemmRows*gemmLead       // [cols][inner]
	gemmBT   = gemmB + gemmCols*gemmLead       // [inner][cols]
	gemmDZ   = gemmBT + gemmInner*gemmLeadCols // [rows][cols]
	gemmOut  = gemmDZ + gemmRows*gemmLeadCols  // [rows][cols]
	gemmDW   = gemmOut + gemmRows*gemmCols     // [parts][cols][inner]
	gemmDB   = gemmDW + 3*gemmCols*gemmInner   // [parts][cols]
	gemmSums = gemmDB + 3*gemmCols             // [row tiles][cols]
	gemmAll  = (gemmSums + 5*gemmCols + 63) / 64 * 64
)

// gemmText are kernels of one tile size: a product with weights as they are, one
// with weights turned, and a weight's gradient.
func gemmText(policy string, rows, cols int) string {
	words := func(at int) string { return fmt.Sprintf("(%s::Word *)(m + %d)", policy, at) }
	return fmt.Sprintf(`DNN_KERNEL(product_%[1]s_%[2]d_%[3]d, 256, 1) {
    const Keep epilogue = {m};
    dnn_tensor_linear<%[1]s, %[2]d, %[3]d, false>(dnn_block(), %[4]s, %[10]d, %[5]s, %[10]d, %[8]d, %[9]d, %[11]d, epilogue, m + %[13]d);
}
DNN_KERNEL(turned_%[1]s_%[2]d_%[3]d, 256, 1) {
    const Keep epilogue = {m};
    dnn_tensor_linear<%[1]s, %[2]d, %[3]d, true>(dnn_block(), %[4]s, %[10]d, %[6]s, %[12]d, %[8]d, %[9]d, %[11]d, epilogue, m + %[13]d);
}
DNN_KERNEL(gradient_%[1]s_%[2]d_%[3]d, 256, 1) {
    dnn_tensor_gradient<%[1]s, %[2]d, %[3]d, %[9]d, %[11]d, true>(dnn_block(), %[7]s, %[12]d, %[4]s, %[10]d, %[8]d, %[14]d, true, m + %[15]d,
                                                                  m + %[16]d, (float *)0);
}
`, policy, rows, cols, words(gemmA), words(gemmB), words(gemmBT), words(gemmDZ), gemmRows, gemmCols, gemmLead, gemmInner, gemmLeadCols,
		gemmSums, gemmPart, gemmDW, gemmDB)
}

// operands packs a matrix as a precision has it, with NaN between the rows.
func (ty tensorType) operands(rows, cols, lead int, at func(row, col int) float64) []uint32 {
	list := make([]uint32, rows*lead*ty.word/4)
	for i := range list {
		list[i] = math.MaxUint32
	}
	for r := range rows {
		for c := range cols {
			bit := (r*lead + c) * ty.word % 4 * 8
			w := &list[(r*lead+c)*ty.word/4]
			*w = *w&^(uint32(1<<(8*ty.word)-1)<<bit) | ty.encode(at(r, c))<<bit
		}
	}
	return list
}

// TestGemm multiplies whole numbers, whose sums are exact, with every tile size.
func TestGemm(t *testing.T) {
	t.Parallel()
	text := strings.Builder{}
	fmt.Fprintf(&text, `struct Keep {
    float *m;
    static constexpr int STRIDE = 1, WIDTH = %d, SUM = DNN_UNIT_SUM;
    static constexpr bool PAIRS = false;
    DNN_METHOD float unit(int row, int unit, const float *acc) const { return m[%d + row * %d + unit] = acc[0]; }
};
`, gemmCols, gemmOut, gemmCols)
	type kernel struct {
		ty         tensorType
		rows, cols int
	}
	var list []kernel
	var names []string
	for _, ty := range tensorTypes {
		for _, rows := range []int{32, 64, 128} {
			for _, cols := range []int{32, 64, 128} {
				if ty.word == 4 && rows != cols || ty.name == "f16" && rows*cols != 64*64 {
					continue // the other type of as many bytes has it
				}
				list = append(list, kernel{ty, rows, cols})
				text.WriteString(gemmText(ty.policy, rows, cols))
				for _, what := range []string{"product", "turned", "gradient"} {
					names = append(names, fmt.Sprintf("%s_%s_%d_%d", what, ty.policy, rows, cols))
				}
			}
		}
	}
	prog := emulator.Compile(t, emulator.Options{Tensor: true}, text.String(), names)
	r := rand.New(rand.NewPCG(8, 9))
	a, b, dz := whole(r, gemmRows*gemmInner), whole(r, gemmCols*gemmInner), whole(r, gemmRows*gemmCols)
	out, sums := make([]float64, gemmRows*gemmCols), make([]float64, gemmCols)
	dw, db := make([]float64, gemmCols*gemmInner), make([]float64, gemmCols)
	for i := range gemmRows {
		for j := range gemmCols {
			for k := range gemmInner {
				out[i*gemmCols+j] += a[i*gemmInner+k] * b[j*gemmInner+k]
				dw[j*gemmInner+k] += dz[i*gemmCols+j] * a[i*gemmInner+k]
			}
			sums[j] += out[i*gemmCols+j]
			db[j] += dz[i*gemmCols+j]
		}
	}
	for i, k := range list {
		t.Run(fmt.Sprintf("%s_%d_%d", k.ty.name, k.rows, k.cols), func(t *testing.T) {
			d := prog.StartArena(t, gemmAll)
			d.Schedule = i % 4
			d.Write(gemmA, k.ty.operands(gemmRows, gemmInner, gemmLead, func(r, c int) float64 { return a[r*gemmInner+c] }))
			d.Write(gemmB, k.ty.operands(gemmCols, gemmInner, gemmLead, func(r, c int) float64 { return b[r*gemmInner+c] }))
			d.Write(gemmBT, k.ty.operands(gemmInner, gemmCols, gemmLeadCols, func(r, c int) float64 { return b[c*gemmInner+r] }))
			d.Write(gemmDZ, k.ty.operands(gemmRows, gemmCols, gemmLeadCols, func(r, c int) float64 { return dz[r*gemmCols+c] }))
			ceil := func(n, d int) int { return (n + d - 1) / d }
			grid := [3]int{ceil(gemmRows, k.rows), ceil(gemmCols, k.cols), 1}
			side := func(width int, turned bool) int { // of DnnGemm::BYTES
				if turned {
					return 64 * (width + 8)
				}
				return width * 80
			}
			for n, name := range names[3*i : 3*i+3] {
				launch := &plan.Launch{Name: name, Grid: grid, Shared: 3 * (side(k.rows, n == 2) + side(k.cols, n > 0))}
				if n == 2 {
					launch.Grid = [3]int{ceil(gemmInner, k.cols), ceil(gemmCols, k.rows), 3}
				}
				d.Launch([]*plan.Launch{launch})
				if n < 2 {
					expect(t, d, name, gemmOut, 1, out)
					expect(t, d, name+"'s sums", gemmSums, grid[0], sums)
					continue
				}
				expect(t, d, name, gemmDW, 3, dw)
				expect(t, d, name+"'s bias", gemmDB, 3, db)
			}
		})
	}
}

// smallIn is small in a precision, with a hidden layer more.
func smallIn(t *testing.T, name string, precision int) *training {
	b := nettest.New(name, 37).Linear(36, true)
	for _, name := range []string{"swiglu", "prelu"} {
		row, set, ok := op.Find(op.Activations, name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		b.Activation(row, set)
	}
	b.Linear(41, true)
	row, set, ok := op.Find(op.Activations, "tanh")
	if !ok {
		t.Fatal("no tanh")
	}
	b.Activation(row, set).Linear(5, true).Batch(70)
	loss, set, ok := op.Find(op.Losses, "cross_entropy")
	if !ok {
		t.Fatal("no cross_entropy")
	}
	momentum := op.Values{"momentum": 0.9}
	return newTraining(name, planIn(t, b.Loss(loss, set).Optimizer(op.Optimizers[0], momentum).Network(), precision), 1)
}

// TestPlantedTensorBugs breaks the device code of tensor cores and wants it
// noticed.
func TestPlantedTensorBugs(t *testing.T) {
	t.Parallel()
	fault := func(precision int, edit func(string) string) string {
		tr := smallIn(t, "small", precision)
		tr.plan.Fused = nil
		prog := emulator.Build(t, emulator.Options{Edit: edit}, emulator.Net{Name: tr.name, Plan: tr.plan})
		var first *result
		for schedule := range 4 {
			d := prog.Start(t, tr.name)
			d.Schedule = schedule
			r, err := tr.run(d)
			if err == nil {
				err = tr.checkOperands(r, op.Precisions[precision])
			}
			if err != nil {
				return err.Error()
			}
			if first == nil {
				first = r
			} else if !first.same(r) {
				return "another order of threads gives other bits"
			}
		}
		return ""
	}
	const bf16, fp16 = 2, 3
	if got := fault(bf16, nil); got != "" {
		t.Fatalf("without a bug: %s", got)
	}
	for _, bug := range []struct {
		name, old, new string
		precision      int
	}{
		{"a slab is read before it is there", "dnn_copy_wait<STAGES - 2>();", "dnn_copy_wait<STAGES - 1>();", bf16},
		{"no barrier before a slab is read", "DNN_SYNC(); // slab s", "// slab s", bf16},
		{"the second team's part is read before it is there", "DNN_SYNC(); // the second team's part", "// the second team's part", bf16},
		{"the last slab is overwritten", "DNN_SYNC(); // the last slab", "// the last slab", bf16},
		{"both teams take the same steps", "(s + team) * P::K", "s * P::K", bf16},
		{"a slab is overwritten", "stages + next % STAGES", "stages + next % 2", bf16},
		{"no zeros behind the inner dimension", "const int left = TURNED || end - k > CHUNK ? CHUNK : end - k;", "const int left = CHUNK;", bf16},
		{"rows behind the last", "const bool inside = o < outers && k < end;", "const bool inside = o < outers;", bf16},
		{"fragments of two columns swapped", "y[j / 2][j % 2 * 2], y", "y[j / 2][2 - j % 2 * 2], y", bf16},
		{"the bias adds up too often", "if (SUMS && warp % WN == 0)", "if (SUMS && warp % WN == 0) P::mma(sums[i], x[i], P::ONES, P::ONES);\n                if (SUMS && warp % WN == 0)", bf16},
		{"operands of the weights are forgotten", "keep.put(m, t, i, *at);", "", bf16},
		{"the second of a pair is stored first", " + unit, v[0], w[0]);", " + unit, w[0], v[0]);", bf16},
		{"gradients keep their scale", "if (scaling) g /= scaling->scale;", "", fp16},
	} {
		t.Run(strings.ReplaceAll(bug.name, " ", "_"), func(t *testing.T) {
			if fault(bug.precision, func(s string) string { return strings.Replace(s, bug.old, bug.new, 1) }) == "" {
				t.Error("nothing is noticed")
			}
		})
	}
}

// TestScaling follows the scale of fp16's gradients: too large a one is halved
// until a step can be made, and the steps before are as if they had not been.
func TestScaling(t *testing.T) {
	t.Parallel()
	const fp16 = 3
	tr := smallIn(t, "small", fp16)
	tr.plan.Fused = nil
	prog := emulator.Build(t, emulator.Options{}, emulator.Net{Name: tr.name, Plan: tr.plan})
	want, err := tr.run(prog.Start(t, tr.name))
	if err != nil {
		t.Fatal(err)
	}
	d := prog.Start(t, tr.name)
	e := emulator.NewTrainer(d, tr.params)
	if s := e.Scaling(); s != (emulator.Scaling{Scale: 65536}) {
		t.Errorf("a training begins with %+v", s)
	}
	// A gradient of the loss is at most 1/70, so this scale overflows.
	e.SetScaling(emulator.Scaling{Scale: 1 << 26})
	before := e.Slot(0, 0)
	first := e.Step(tr.steps[0], rate, tr.momentum())
	if s := e.Scaling(); s != (emulator.Scaling{Scale: 1 << 25, LeftOut: 1}) {
		t.Errorf("after an overflow: %+v", s)
	}
	if !(&result{raw: before}).same(&result{raw: e.Slot(0, 0)}) {
		t.Error("a step with an overflow changes a parameter")
	}
	if first != want.losses[0] {
		t.Errorf("the loss of a step with an overflow is %g, want %g", first, want.losses[0])
	}
	// From testScale on, the training is the one that never saw an overflow.
	e.SetScaling(emulator.Scaling{Scale: testScale, Good: 1998, LeftOut: 1})
	got := &result{slots: want.slots}
	for _, b := range tr.steps {
		got.losses = append(got.losses, e.Step(b, rate, tr.momentum()))
	}
	if s := e.Scaling(); s != (emulator.Scaling{Scale: 2 * testScale, Good: 2, LeftOut: 1}) {
		t.Errorf("after 2000 steps: %+v", s)
	}
	got.raw = e.Infer(tr.steps[0].X, tr.steps[0].Rows)
	for i, l := range got.losses {
		if apart(l, want.losses[i]) > 1e-3 {
			t.Errorf("loss %d is %g, want %g", i, l, want.losses[i])
		}
	}
	// A loss that is not finite is not the scale's fault.
	broken := tr.steps[0]
	broken.X = append([]float32{float32(math.NaN())}, broken.X[1:]...)
	scaling := e.Scaling()
	if loss := e.Step(broken, rate, tr.momentum()); loss == loss || e.Scaling() != scaling {
		t.Errorf("a loss of %g leaves %+v, was %+v", loss, e.Scaling(), scaling)
	}
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
}
