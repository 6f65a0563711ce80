package cuda

import (
	"fmt"

	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
)

// policies names the struct of dnn_mma.h that stands for a precision.
var policies = map[string]string{"tf32": "DnnTf32", "bf16": "DnnBf16", "fp16": "DnnF16"}

// fusedSource writes the kernel of a fused pass.
type fusedSource struct {
	*source
	*plan.Fused
	kernel string
	sums   map[*ir.Param]int // number of the TileSum
	grads  map[*ir.GradWeight]int
	past   []access // since the last barrier
}

func (s *source) fused(l *plan.Launch, f *plan.Fused) {
	w := &fusedSource{source: s, Fused: f, kernel: l.Name, sums: map[*ir.Param]int{}, grads: map[*ir.GradWeight]int{}}
	for i, sum := range f.Sums {
		w.sums[sum.Param] = i
	}
	for i, g := range f.Grads {
		w.grads[g.Step] = i
	}
	p := s.Program
	s.comment("A training pass in %s, %d rows at a time, with %d bytes of shared memory.", f.Precision.Name, f.Rows, l.Shared)
	for i, step := range p.Forward {
		w.stepEpilogue(w.epilogueName("forward", i), step)
	}
	w.lossStruct()
	for i, step := range p.Backward {
		w.stepEpilogue(w.epilogueName("backward", i), step)
	}
	s.openFor(l.Name, 1)
	s.line("typedef %s P;", s.policy())
	s.line("DNN_DYNAMIC(s);")
	s.line("const DnnBatch batch = dnn_batch<%d, %d, %d>(m, (const DnnFeed *)(%s), %s, %s, %s);", p.Input, w.targets(), s.Step.Size,
		at(s.Feed.Offset), at(s.X.Offset), at(s.Y.Offset), at(s.Step.Offset))
	s.line("const int rows = dnn_rows(batch.step);")
	s.line("const float scale = %s;", s.scaleOf("batch.step"))
	s.line("const bool first = %s;", s.firstOf("batch.step"))
	s.line("float none = 0.0f;")
	w.before()
	s.line("double loss = 0.0;")
	s.line("DNN_SYNC();")
	s.line("for (int row = dnn_block_x() * %d; row < rows; row += dnn_grid_x() * %d) {", f.Rows, f.Rows)
	x := w.buffer(p.X)
	s.line("dnn_rows_in<P, %d, %d, %d>(%s, batch, row, rows);", f.Rows, p.Input, x.Lead, w.rowsOf(p.X))
	w.note(true, nil, []*ir.Buffer{p.X})
	s.line("dnn_rows_ahead<%d, %d>(batch.x, batch, row + dnn_grid_x() * %d, rows);", f.Rows, p.Input, f.Rows)
	s.line("dnn_rows_ahead<%d, %d>(batch.y, batch, row + dnn_grid_x() * %d, rows);", f.Rows, w.targets(), f.Rows)
	for i, step := range p.Forward {
		w.step(w.epilogueName("forward", i), step)
	}
	w.loss()
	for i, step := range p.Backward {
		w.step(w.epilogueName("backward", i), step)
	}
	s.line("DNN_SYNC();")
	s.line("}")
	w.after()
	s.line("}")
}

func (w *fusedSource) epilogueName(pass string, i int) string {
	return fmt.Sprintf("of_%s_%s%d", w.kernel, pass, i)
}

func (w *fusedSource) buffer(b *ir.Buffer) plan.Matrix { return w.Buffers[b] }

// rowsOf is where a buffer's tile begins.
func (w *fusedSource) rowsOf(b *ir.Buffer) string {
	m := w.buffer(b)
	if m.Float {
		return fmt.Sprintf("(float *)(s + %d)", m.Offset)
	}
	return fmt.Sprintf("(P::Word *)(s + %d)", m.Offset)
}

func (w *fusedSource) weight(q *ir.Param) string {
	return fmt.Sprintf("(P::Word *)(s + %d)", w.Weights[q].Offset)
}

// part is where a block leaves its part of a parameter's gradient.
func (w *fusedSource) part(q *ir.Param) string {
	p := w.Param(q)
	return fmt.Sprintf("%s + (long long)dnn_block_x() * %d", at(p.Grad), p.Size())
}

// before writes what precedes the first tile: weights go to shared memory,
// gradients are empty.
func (w *fusedSource) before() {
	for _, a := range w.Grads {
		q := a.Step.W
		w.line("dnn_keep_matrix<P, %d, %d, %d>(%s, %s);", q.Shape[0], q.Shape[1], w.Weights[q].Lead, w.weight(q), at(w.At(q)))
	}
	for _, q := range w.Program.Params {
		if offset, ok := w.Vectors[q]; ok {
			w.line("dnn_keep_vector<%d>((float *)(s + %d), %s);", q.Size(), offset, at(w.At(q)))
		}
	}
	for i, sum := range w.Sums {
		if sum.Whole() {
			w.line("float whole%d = 0.0f;", i)
		} else {
			w.line("dnn_set((float *)(s + %d), %d, 0.0f);", sum.Offset, w.Groups()*sum.Units())
		}
	}
	for i, a := range w.Grads {
		if a.Registers {
			w.line("%s grad%d; // of %s", w.gradType(a), i, a.Step.W.Name)
			continue
		}
		w.line("if (first) dnn_set(%s, %d, 0.0f);", w.part(a.Step.W), a.Step.W.Size())
		if a.Step.Bias != nil {
			w.line("if (first) dnn_set(%s, %d, 0.0f);", w.part(a.Step.Bias), a.Step.Bias.Size())
		}
	}
}

func (w *fusedSource) gradType(a *plan.Accumulator) string {
	g := a.Step
	shape := fmt.Sprintf("P, %d, %d, %d, %d, %d, %t", w.Rows, g.W.Shape[0], g.W.Shape[1], w.buffer(g.DZ).Lead, w.buffer(g.X).Lead, g.Bias != nil)
	if !a.Registers {
		return fmt.Sprintf("DnnFarGrad<%s>", shape)
	}
	return fmt.Sprintf("DnnGrad<%s, %d, %d, %d, %d>", shape, a.WM, a.WN, a.TM, a.TN)
}

// after writes what follows the last tile: the block's parts of all sums.
func (w *fusedSource) after() {
	bias := func(g *ir.GradWeight) string {
		if g.Bias == nil {
			return "(float *)0"
		}
		return w.part(g.Bias)
	}
	for i, a := range w.Grads {
		if a.Registers {
			w.line("grad%d.write(%s, %s, first, %s);", i, w.part(a.Step.W), bias(a.Step), w.bad())
		}
	}
	for i, sum := range w.Sums {
		if sum.Whole() {
			w.line("const double sum%d = dnn_block_sum((double)whole%d);", i, i)
			w.line("if (dnn_thread() == 0) dnn_gain(%s, (float)sum%d, first, %s);", w.part(sum.Param), i, w.bad())
			w.line("DNN_SYNC();")
		} else {
			w.line("dnn_unit_gain<%d, %d>((const float *)(s + %d), %d, %s, first, %s);", w.Groups(), sum.Units(), sum.Offset, sum.Param.Size(), w.part(sum.Param), w.bad())
		}
	}
	w.line("loss = dnn_block_sum(loss);")
	w.line("if (dnn_thread() == 0) ((double *)(%s))[dnn_block_x()] = loss;", at(w.Partial.Offset))
}

// access is a step's use of a buffer. A group's is of its own rows.
type access struct {
	buffer       *ir.Buffer
	write, group bool
	warpSynced   bool // a barrier of the warp has followed
}

// note writes a barrier where a step reads what was written since the last one,
// or writes over what others may still read. Where a group is one warp, what it
// does to its rows one after the other needs a barrier of the warp alone.
func (w *fusedSource) note(group bool, reads, writes []*ir.Buffer) {
	var now []access
	for _, b := range reads {
		now = append(now, access{buffer: b, group: group})
	}
	for _, b := range writes {
		now = append(now, access{buffer: b, write: true, group: group})
	}
	block, warp := false, false
	for _, a := range w.past {
		for _, b := range now {
			if !a.write && !b.write || !w.overlap(a.buffer, b.buffer) {
				continue
			}
			if a.group && b.group && a.buffer == b.buffer && w.Groups() == plan.Threads/32 {
				warp = warp || !a.warpSynced
			} else {
				block = true
			}
		}
	}
	switch {
	case block:
		w.line("DNN_SYNC();")
		w.past = nil
	case warp:
		w.line("DNN_SYNC_WARP();")
		for i := range w.past {
			w.past[i].warpSynced = true
		}
	}
	w.past = append(w.past, now...)
}

// overlap tells whether two buffers share memory.
func (w *fusedSource) overlap(a, b *ir.Buffer) bool {
	m, n := w.buffer(a), w.buffer(b)
	return m.Offset < n.Offset+n.Size(w.Rows) && n.Offset < m.Offset+m.Size(w.Rows)
}

// step writes a step of the passes.
func (w *fusedSource) step(name string, step ir.Step) {
	w.line("")
	w.comment("%s", ir.StepString(step))
	_, whole := step.(*ir.GradWeight)
	w.note(!whole, ir.Reads(step), ir.Writes(step))
	switch t := step.(type) {
	case *ir.Linear:
		w.product(name, t.X, t.W, t.Map, t.W.Shape[0], t.W.Shape[1], false)
	case *ir.GradInput:
		w.product(name, t.DZ, t.W, t.Map, t.W.Shape[1], t.W.Shape[0], true)
	case *ir.Map:
		sums, whole := w.sumPlaces(t)
		w.line("dnn_tile_map<%d, %d>(%s{s}, %s, %s);", w.Rows, roundUp16(t.Width*plan.Stride(t)), name, sums, whole)
		w.fill(t)
	case *ir.GradWeight:
		i := w.grads[t]
		a := w.Grads[i]
		dz, x := w.rowsOf(t.DZ), w.rowsOf(t.X)
		if a.Registers {
			w.line("grad%d.add(%s, %s);", i, dz, x)
			return
		}
		db := "(float *)0"
		if t.Bias != nil {
			db = w.part(t.Bias)
		}
		w.line("%s::add(%s, %s, %s, %s, %s);", w.gradType(a), dz, x, w.part(t.W), db, w.bad())
	default:
		panic(fmt.Sprintf("cuda: unknown step %T", step))
	}
}

func roundUp16(n int) int { return (n + 15) / 16 * 16 }

func (w *fusedSource) product(name string, a *ir.Buffer, q *ir.Param, m *ir.Map, cols, inner int, turned bool) {
	sums, whole := w.sumPlaces(m)
	w.line("dnn_tile_product<P, %d, %d, %d, %d, %d, %t>(%s, %s, %s{s}, %s, %s);", w.Rows, roundUp16(inner), roundUp16(cols),
		w.buffer(a).Lead, w.Weights[q].Lead, turned, w.rowsOf(a), w.weight(q), name, sums, whole)
	w.fill(m)
}

func (w *fusedSource) sumPlaces(m *ir.Map) (sums, whole string) {
	if m == nil || len(m.Sum) == 0 {
		return "(float *)0", "none"
	}
	i := w.sums[m.Sum[0].Param]
	if w.Sums[i].Whole() {
		return "(float *)0", fmt.Sprintf("whole%d", i)
	}
	return fmt.Sprintf("(float *)(s + %d)", w.Sums[i].Offset), "none"
}

// units is how many units the columns of a map's accumulator come to, with those
// that fill them up.
func units(m *ir.Map) int { return roundUp16(m.Width*plan.Stride(m)) / plan.Stride(m) }

// fill writes zeros where a map's units end before its output's columns do.
func (w *fusedSource) fill(m *ir.Map) {
	if m == nil {
		return
	}
	for _, o := range m.Out {
		b := w.buffer(o.View.Buffer)
		if end := units(m) * o.View.Stride; end < b.Cols && o.View.Offset == 0 && !b.Float {
			w.line("dnn_zero_columns<P, %d, %d, %d, %d>(%s);", w.Rows, end, b.Cols, b.Lead, w.rowsOf(o.View.Buffer))
		}
	}
}

func (w *fusedSource) lossStruct() {
	l := w.Program.Loss
	if l.Classes() {
		return
	}
	w.line("struct of_%s_loss {", w.kernel)
	w.line("static DNN_METHOD float of(float z, float y, float &slope) {")
	values := lower(&w.writer, map[string]string{ir.VarZ: "z", ir.VarY: "y"}, l.Value, l.Slope)
	w.line("slope = %s;", values[1])
	w.line("return %s;", values[0])
	w.line("}")
	w.line("};")
}

func (w *fusedSource) loss() {
	l := w.Program.Loss
	raw, grad := w.buffer(l.Raw), w.buffer(l.Grad)
	call := fmt.Sprintf("dnn_tile_cross_entropy<P, %d, %d, %d, %d>", w.Rows, l.Raw.Width, raw.Lead, grad.Lead)
	if !l.Classes() {
		call = fmt.Sprintf("dnn_tile_loss<P, of_%s_loss, %d, %d, %d, %d>", w.kernel, w.Rows, l.Raw.Width, raw.Lead, grad.Lead)
	}
	w.line("")
	w.comment("%s", l)
	w.note(true, []*ir.Buffer{l.Raw}, []*ir.Buffer{l.Grad})
	w.line("loss += %s(%s, batch, %s, row, rows, scale);", call, w.rowsOf(l.Raw), w.rowsOf(l.Grad))
}

// stepEpilogue writes the struct that takes the columns of a step's product, or
// those of a map alone, two at a time.
func (w *fusedSource) stepEpilogue(name string, step ir.Step) {
	m := ir.FusedMap(step)
	var out *ir.Buffer
	var bias *ir.Param
	switch t := step.(type) {
	case *ir.Linear:
		out, bias = t.Out, t.Bias
	case *ir.GradInput:
		out = t.Out
	case *ir.GradWeight:
		return
	}
	kind, width := "DNN_NO_SUM", 1
	if m != nil && len(m.Sum) > 0 {
		sum := w.Sums[w.sums[m.Sum[0].Param]]
		kind, width = "DNN_UNIT_SUM", sum.Units()
		if sum.Whole() {
			kind = "DNN_WHOLE_SUM"
		}
	}
	w.line("struct %s {", name)
	w.line("typedef %s P;", w.policy())
	w.line("char *s;")
	w.line("static constexpr int STRIDE = %d, UNITS = %d, SUM = %s;", plan.Stride(m), width, kind)
	w.line("DNN_METHOD void pair(int row, int col, float v0, float v1, float (&gain)[2]) const {")
	if bias != nil {
		for k := range 2 {
			w.line("v%d += ((const float *)(s + %d))[col + %d];", k, w.Vectors[bias], k)
		}
	}
	if out != nil {
		w.put2(out, "v0", "v1")
	}
	if m != nil {
		w.mapping(m)
	}
	w.line("}")
	w.line("};")
}

// put2 writes columns col and col + 1.
func (w *fusedSource) put2(b *ir.Buffer, v0, v1 string) {
	m := w.buffer(b)
	place := fmt.Sprintf("%s + row * %d + col", w.rowsOf(b), m.Lead)
	if m.Float {
		w.line("(%s)[0] = %s;", place, v0)
		w.line("(%s)[1] = %s;", place, v1)
		return
	}
	w.line("P::put2(%s, %s, %s);", place, v0, v1)
}

// mapping writes a map of the pair's units: of one, where a unit has both
// columns, else of two.
func (w *fusedSource) mapping(m *ir.Map) {
	stride := plan.Stride(m)
	count := 2 / stride
	var roots []*expr.Node
	for _, o := range m.Out {
		roots = append(roots, o.Expr)
	}
	for _, sum := range m.Sum {
		roots = append(roots, sum.Expr)
	}
	for _, in := range m.In {
		if b := in.View.Buffer; b != nil && count == 2 && in.View.Stride == 1 && !w.buffer(b).Float {
			w.line("float in0_%s, in1_%s;", in.Var, in.Var)
			w.line("P::get2(%s + row * %d + col, in0_%s, in1_%s);", w.rowsOf(b), w.buffer(b).Lead, in.Var, in.Var)
		}
	}
	values := make([][]string, count)
	for u := range count {
		unit := unitOf(stride, u)
		bind := map[string]string{}
		for _, in := range m.In {
			if in.View.Buffer == nil {
				bind[in.Var] = fmt.Sprintf("v%d", u+in.View.Offset)
				continue
			}
			bind[in.Var] = fmt.Sprintf("in%d_%s", u, in.Var)
			if stride == 2 || in.View.Stride != 1 || w.buffer(in.View.Buffer).Float {
				w.line("const float %s = %s;", bind[in.Var], w.get(m, in.View, unit))
			}
		}
		if m.Param != nil {
			index := "0"
			if m.Param.Size() > 1 {
				index = unit
			}
			bind[ir.VarParam] = fmt.Sprintf("in%d_%s", u, ir.VarParam)
			w.line("const float %s = ((const float *)(s + %d))[%s];", bind[ir.VarParam], w.Vectors[m.Param], index)
		}
		values[u] = lower(&w.writer, bind, roots...)
		// Units that fill a row up are zeros.
		if m.Width < units(m) {
			for i, v := range values[u] {
				name := w.fresh()
				w.line("const float %s = %s < %d ? %s : 0.0f;", name, unit, m.Width, v)
				values[u][i] = name
			}
		}
	}
	for i, o := range m.Out {
		if count == 2 && o.View.Stride == 1 {
			w.put2(o.View.Buffer, values[0][i], values[1][i])
			continue
		}
		for u := range count {
			w.put(m, o.View, unitOf(stride, u), values[u][i])
		}
	}
	if len(m.Sum) > 0 {
		for u := range count {
			w.line("gain[%d] = %s;", u, values[u][len(m.Out)])
		}
	}
}

// unitOf is the number of a pair's unit u.
func unitOf(stride, u int) string {
	switch {
	case stride == 2:
		return "(col / 2)"
	case u > 0:
		return fmt.Sprintf("(col + %d)", u)
	}
	return "col"
}

// get reads a unit's column, put writes it. Columns that no row has are skipped.
func (w *fusedSource) get(m *ir.Map, v ir.View, unit string) string {
	b, inside := w.buffer(v.Buffer), ""
	if v.Stride*units(m) > b.Cols {
		inside = fmt.Sprintf("%s >= %d ? 0.0f : ", unit, b.Cols/v.Stride)
	}
	place := fmt.Sprintf("%s + row * %d + %s", w.rowsOf(v.Buffer), b.Lead, column(unit, v.Stride, v.Offset))
	if b.Float {
		return fmt.Sprintf("%s*(%s)", inside, place)
	}
	return fmt.Sprintf("%sP::get(%s)", inside, place)
}

func (w *fusedSource) put(m *ir.Map, v ir.View, unit, value string) {
	b, inside := w.buffer(v.Buffer), ""
	if v.Stride*units(m) > b.Cols {
		inside = fmt.Sprintf("if (%s < %d) ", unit, b.Cols/v.Stride)
	}
	place := fmt.Sprintf("%s + row * %d + %s", w.rowsOf(v.Buffer), b.Lead, column(unit, v.Stride, v.Offset))
	if b.Float {
		w.line("%s*(%s) = %s;", inside, place, value)
		return
	}
	w.line("%sP::put(%s, %s);", inside, place, value)
}
