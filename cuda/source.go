package cuda

import (
	"fmt"

	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/expr"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/templates"
)

// headers are the parts of templates/cuda that kernels are compiled with, in
// order.
var headers = []string{"dnn_rt.h", "dnn_math.h", "dnn_tile.h", "dnn_step.h", "dnn_feed.h", "dnn_library.h"}

// tensorHeaders follow them where kernels use tensor cores: they need sm_80.
var tensorHeaders = []string{"dnn_mma.h", "dnn_gemm.h", "dnn_fused.h"}

// Runtime returns the device code that all networks share: it stands before
// what Kernels writes.
func Runtime() []byte { return read(headers) }

// TensorRuntime is Runtime for kernels that use tensor cores.
func TensorRuntime() []byte { return append(Runtime(), read(tensorHeaders)...) }

func read(headers []string) []byte {
	var text []byte
	for _, name := range headers {
		b, err := templates.CUDA.ReadFile("cuda/" + name)
		if err != nil {
			panic(fmt.Sprintf("cuda: %v", err)) // embedded: it is there
		}
		text = append(text, b...)
		text = append(text, '\n')
	}
	return text
}

// Kernels writes the kernels of a plan, each under the name of its launch.
func Kernels(p *plan.Plan) []byte {
	s := &source{Plan: p}
	s.constants()
	if len(p.Refresh) > 0 {
		s.copies()
	}
	for _, l := range p.Launches() {
		s.kernel(l)
	}
	return s.b.Bytes()
}

// source is the kernels of a plan as they are written.
type source struct {
	*plan.Plan
	writer
	results *[]result // where set, numbers are left there and not stored
}

func (s *source) constants() {
	p := s.Program
	s.comment("%s: %d -> %d. All matrices lie in one arena of %d float32; a kernel's argument", p.Name, p.Input, p.Output, s.Total)
	s.comment("is its start. Rows of a buffer follow each other.")
	for _, q := range s.Params {
		s.comment("    %-12s %v at %d", q.Name, q.Shape, s.At(q.Param))
	}
}

// kernel writes what a launch runs.
func (s *source) kernel(l *plan.Launch) {
	s.line("")
	switch w := l.Work.(type) {
	case *plan.Jobs:
		s.jobs(l, w)
	case *plan.Loss:
		s.loss(l, w)
	case *plan.Convert:
		s.convert(l, w)
	case *plan.Refresh:
		s.comment("operands of the weights, from the parameters that the host wrote")
		s.tensors(l, w.Update)
		s.open(l.Name)
		s.line("dnn_refresh<%s, %d>(%s, copies, m, %dLL);", s.policy(), len(s.Params), tableName(l), s.Slots.Offset)
		s.line("}")
	case *plan.Rescale:
		s.comment("the scale of the next step's gradient")
		s.open(l.Name)
		s.line("dnn_rescale(%s, (const double *)(%s));", s.scaling(), at(s.Loss.Offset))
		s.line("}")
	case *plan.Fetch:
		s.comment("the batch and the step's words, where many steps are one launch")
		s.open(l.Name)
		s.line("dnn_fetch<%d, %d, %d>(m, (const DnnFeed *)(%s), %s, %s, %s);", s.Program.Input, s.targets(), s.Step.Size,
			at(s.Feed.Offset), at(s.X.Offset), at(s.Y.Offset), at(s.Step.Offset))
		s.line("}")
	case *plan.Update:
		s.update(l, w)
	case *plan.Fused:
		s.fused(l, w)
	case *plan.Epilogue, *plan.Tail, *plan.ColumnSums, *plan.Finite:
		s.library(l)
	default:
		block := s.job(l)
		s.open(l.Name)
		block("dnn_block()")
		s.line("}")
	}
}

// convert writes what makes the operands of a batch.
func (s *source) convert(l *plan.Launch, w *plan.Convert) {
	in, out := s.Program.Input, s.targets()
	s.comment("operands of the batch")
	s.open(l.Name)
	if w.Infer {
		s.line("const DnnBatch batch = {%s, 0, %s, 0};", at(s.X.Offset), at(s.Step.Offset))
	} else {
		s.line("float *const y = %s;", at(s.Y.Offset))
		s.line("const DnnBatch batch = dnn_batch<%d, %d, %d>(m, (const DnnFeed *)(%s), %s, y, %s);", in, out, s.Step.Size,
			at(s.Feed.Offset), at(s.X.Offset), at(s.Step.Offset))
		s.line("if (batch.y != y) dnn_gather<%d>(y, batch.y, batch.order, 0, dnn_rows(batch.step));", out)
	}
	s.line("dnn_convert<%s, %d, %d>(batch, %s, dnn_rows(batch.step));", s.policy(), in, s.Lead(in), s.words(s.Inputs.Offset))
	s.line("}")
}

// jobs writes the kernel of launches that stand side by side.
func (s *source) jobs(l *plan.Launch, w *plan.Jobs) {
	var blocks []func(place string)
	for _, j := range w.List {
		blocks = append(blocks, s.job(j))
		s.line("")
	}
	s.open(l.Name)
	first := 0
	for i, j := range w.List {
		s.comment("%s", j.Name)
		s.line("if (dnn_block_x() < %d) {", first+j.Blocks())
		blocks[i](fmt.Sprintf("dnn_job<%d, %d>(%d)", j.Grid[0], j.Grid[1], first))
		s.line("return;")
		s.line("}")
		first += j.Blocks()
	}
	s.line("}")
}

// job writes what a launch's kernel needs that may stand beside others, and returns
// what writes the code of a block, whose place is an expression.
func (s *source) job(l *plan.Launch) (block func(place string)) {
	switch w := l.Work.(type) {
	case *plan.Product:
		return s.product(l, w)
	case *plan.Map:
		s.comment("%s", ir.StepString(w.Map))
		s.comment("%s", s.origin(w.Map.Layer))
		s.epilogue(l.Name, w.Map, nil, nil, w.Infer, w.Sum, false)
		return func(place string) {
			s.line("const %s epilogue = {m};", typeName(l.Name))
			s.line("dnn_map(%s, %s, epilogue, %s);", place, s.rows(), s.partial(w.Sum))
		}
	case *plan.LossSum:
		s.comment("the sum of the step's losses; then it is the next pass's turn")
		return func(string) {
			s.line("const bool first = %s && !dnn_halted((const DnnFeed *)(%s));", s.first(), at(s.Feed.Offset))
			s.line("dnn_loss_sum((const double *)(%s), %d, first, (double *)(%s));", at(s.Partial.Offset), w.Blocks, at(s.Loss.Offset))
			s.line("dnn_advance(m, (DnnFeed *)(%s), (const double *)(%s));", at(s.Feed.Offset), at(s.Loss.Offset))
		}
	case *plan.GradWeight:
		return s.gradWeight(w)
	case *plan.Fold:
		q := w.Sum.Param
		s.comment("the gradient of %s from its %d parts", q.Name, w.Sum.Count)
		return func(place string) {
			s.line("dnn_fold(%s, %s, %d, %d, %s, %s, %s);", place, at(w.Sum.Partial), w.Sum.Count, q.Size(), s.first(), at(q.Grad), s.bad())
		}
	}
	panic(fmt.Sprintf("cuda: unknown work %T", l.Work))
}

// open begins a kernel. Two blocks on a multiprocessor do what one waits for: half
// of the registers are enough for any but a fused pass.
func (s *source) open(name string) { s.openFor(name, 2) }

// openFor begins a kernel of which a multiprocessor runs so many blocks.
func (s *source) openFor(name string, blocks int) {
	s.line("DNN_KERNEL(%s, %d, %d) {", name, plan.Threads, blocks)
}

// at is an address in the arena.
func at(offset int) string { return fmt.Sprintf("m + %dLL", offset) }

func (s *source) rows() string { return fmt.Sprintf("dnn_rows(%s)", at(s.Step.Offset)) }

// targets is the number of targets of a row.
func (s *source) targets() int {
	if s.Program.Loss.Classes() {
		return 1
	}
	return s.Program.Output
}

// scale is the factor of the loss's gradient.
func (s *source) scale() string { return s.scaleOf(at(s.Step.Offset)) }

// scaleOf is scale by a step's words.
func (s *source) scaleOf(words string) string {
	scale := fmt.Sprintf("dnn_scale(%s)", words)
	if s.Precision.Scaled {
		scale += fmt.Sprintf(" * %s->scale", s.scaling())
	}
	return scale
}

// scaling is the address of the scaling, 0 where there is none.
func (s *source) scaling() string {
	if !s.Precision.Scaled {
		return "(DnnScaling *)0"
	}
	return fmt.Sprintf("((DnnScaling *)(%s))", at(s.Scaling.Offset))
}

// bad is where it is noted that a gradient is not finite.
func (s *source) bad() string {
	if !s.Precision.Scaled {
		return "(float *)0"
	}
	return fmt.Sprintf("&%s->bad", s.scaling())
}

// policy is the struct of dnn_mma.h for the precision.
func (s *source) policy() string { return policies[s.Precision.Name] }

// words is the address of operands.
func (s *source) words(offset int) string {
	return fmt.Sprintf("(%s::Word *)(%s)", s.policy(), at(offset))
}

// operands are the address of a buffer of operands and the distance between its
// rows.
func (s *source) operands(b *ir.Buffer, infer bool) (string, int) {
	if b == s.Program.X {
		return s.words(s.Inputs.Offset), s.Lead(b.Width)
	}
	return s.words(s.Buffer(b, infer)), s.Lead(b.Width)
}

// load and store write how a number of a buffer is read and written.
func (s *source) load(b *ir.Buffer, infer bool, column string) string {
	if s.Operand(b) {
		return fmt.Sprintf("%s::get(%s + r * %d + %s)", s.policy(), s.words(s.Buffer(b, infer)), s.Lead(b.Width), column)
	}
	return fmt.Sprintf("m[%dLL + r * %d + %s]", s.Buffer(b, infer), b.Width, column)
}

func (s *source) store(b *ir.Buffer, infer bool, column, value string) {
	if s.results != nil {
		s.line("out[%d] = %s;", len(*s.results), value)
		*s.results = append(*s.results, result{b, infer})
		return
	}
	if s.Operand(b) {
		s.line("%s::put(%s + r * %d + %s, %s);", s.policy(), s.words(s.Buffer(b, infer)), s.Lead(b.Width), column, value)
		return
	}
	s.line("m[%dLL + r * %d + %s] = %s;", s.Buffer(b, infer), b.Width, column, value)
}

// first tells whether gradients are replaced: always, where a step is one pass.
func (s *source) first() string { return s.firstOf(at(s.Step.Offset)) }

// firstOf is first by a step's words.
func (s *source) firstOf(words string) string {
	if !s.Program.Full {
		return "true"
	}
	return fmt.Sprintf("dnn_first(%s)", words)
}

func (s *source) partial(sum *plan.Sum) string {
	if sum == nil {
		return "(float *)0"
	}
	return at(sum.Partial)
}

// origin tells where a layer stands in the spec.
func (s *source) origin(layer int) string {
	l := s.Program.Layers[layer]
	return fmt.Sprintf("%s:%d  %s", s.Program.Source, l.Line, l.Text)
}

// typeName is the name of the struct that belongs to a kernel.
func typeName(kernel string) string { return "of_" + kernel }

// product writes a Linear or a GradInput with its epilogue.
func (s *source) product(l *plan.Launch, w *plan.Product) (block func(place string)) {
	s.comment("%s", ir.StepString(w.Step))
	if w.Loss != nil {
		s.lossType(l.Name, w.Loss.Loss)
	}
	if s.Tensor() {
		return s.tensorProduct(l, w)
	}
	var a, b string
	var cols, inner int
	switch t := w.Step.(type) {
	case *ir.Linear:
		s.comment("%s", s.origin(t.Layer))
		s.epilogue(l.Name, t.Map, t.Out, t.Bias, w.Infer, w.Sum, s.Tensor())
		cols, inner = t.W.Shape[0], t.W.Shape[1]
		a = fmt.Sprintf("const DnnRowMajor<%d> a = {%s};", inner, at(s.Buffer(t.X, w.Infer)))
		b = fmt.Sprintf("const DnnRowMajor<%d> b = {%s};", inner, at(s.At(t.W)))
	case *ir.GradInput:
		s.comment("%s", s.origin(t.Layer))
		s.epilogue(l.Name, t.Map, t.Out, nil, w.Infer, w.Sum, s.Tensor())
		cols, inner = t.W.Shape[1], t.W.Shape[0]
		a = fmt.Sprintf("const DnnRowMajor<%d> a = {%s};", inner, at(s.Buffer(t.DZ, w.Infer)))
		b = fmt.Sprintf("const DnnColMajor<%d> b = {%s};", cols, at(s.At(t.W)))
	}
	return func(place string) {
		s.line("%s", a)
		s.line("%s", b)
		s.line("const %s epilogue = {m};", typeName(l.Name))
		s.line("dnn_linear<%d, %d>(%s, a, b, %s, %d, %d, epilogue, %s);", w.TM, w.TN, place, s.rows(), cols, inner, s.partial(w.Sum))
		s.productLoss(l.Name, w, place)
	}
}

// tensorProduct is product on tensor cores.
func (s *source) tensorProduct(l *plan.Launch, w *plan.Product) (block func(place string)) {
	var x *ir.Buffer
	var weight *ir.Param
	var cols, inner int
	turned := false
	switch t := w.Step.(type) {
	case *ir.Linear:
		s.comment("%s", s.origin(t.Layer))
		s.epilogue(l.Name, t.Map, t.Out, t.Bias, w.Infer, w.Sum, s.Tensor())
		x, weight, cols, inner = t.X, t.W, t.W.Shape[0], t.W.Shape[1]
	case *ir.GradInput:
		s.comment("%s", s.origin(t.Layer))
		s.epilogue(l.Name, t.Map, t.Out, nil, w.Infer, w.Sum, s.Tensor())
		x, weight, cols, inner, turned = t.DZ, t.W, t.W.Shape[1], t.W.Shape[0], true
	}
	a, leadA := s.operands(x, w.Infer)
	b, leadB, _ := s.Copy(weight)
	return func(place string) {
		s.line("const %s epilogue = {m};", typeName(l.Name))
		s.line("dnn_tensor_linear<%s, %d, %d, %t>(%s, %s, %d, %s, %d, %s, %d, %d, epilogue, %s);", s.policy(), w.Tile.Rows, w.Tile.Cols, turned,
			place, a, leadA, s.words(b), leadB, s.rows(), cols, inner, s.partial(w.Sum))
		s.productLoss(l.Name, w, place)
	}
}

// epilogue writes the struct that takes a product's elements, or those of a
// map alone: it adds the bias, stores the product in out, and applies the map. pairs
// tells that neighbours come together.
func (s *source) epilogue(kernel string, m *ir.Map, out *ir.Buffer, bias *ir.Param, infer bool, sum *plan.Sum, pairs bool) {
	stride, width, kind := plan.Stride(m), 0, "DNN_NO_SUM"
	if m != nil {
		width = m.Width
	} else {
		width = out.Width
	}
	if sum != nil {
		kind = "DNN_UNIT_SUM"
		if sum.Whole {
			kind = "DNN_WHOLE_SUM"
		}
	}
	s.line("struct %s {", typeName(kernel))
	s.line("float *m;")
	s.line("static constexpr int STRIDE = %d, WIDTH = %d, SUM = %s;", stride, width, kind)
	var results []result
	paired := pairs && s.paired(m, out)
	if pairs {
		s.line("static constexpr bool PAIRS = %t;", paired)
	}
	if paired {
		s.results = &results
		s.line("DNN_METHOD float values(int row, int unit, const float *acc, float *out) const {")
	} else {
		s.line("DNN_METHOD float unit(int row, int unit, const float *acc) const {")
	}
	s.line("const long long r = row;")
	value := func(k int) string { return fmt.Sprintf("acc[%d]", k) }
	if bias != nil {
		for k := range stride {
			s.line("const float z%d = acc[%d] + m[%dLL + %s];", k, k, s.At(bias), column("unit", stride, k))
		}
		value = func(k int) string { return fmt.Sprintf("z%d", k) }
	}
	if out != nil {
		for k := range stride {
			s.store(out, infer, column("unit", stride, k), value(k))
		}
	}
	if m == nil {
		s.line("return 0.0f;")
	} else {
		s.mapping(m, infer, value)
	}
	s.line("}")
	if s.results = nil; paired {
		s.pairs(results)
	}
	s.line("};")
}

// column is the place of a unit's k-th column.
func column(unit string, stride, k int) string {
	if stride > 1 {
		unit = fmt.Sprintf("%s * %d", unit, stride)
	}
	if k > 0 {
		unit = fmt.Sprintf("%s + %d", unit, k)
	}
	return unit
}

// mapping writes a map of one unit of one row. acc names the columns of the
// accumulator.
func (s *source) mapping(m *ir.Map, infer bool, acc func(k int) string) {
	bind := map[string]string{}
	for _, in := range m.In {
		if in.View.Buffer == nil {
			bind[in.Var] = acc(in.View.Offset)
			continue
		}
		v := "in_" + in.Var
		s.line("const float %s = %s;", v, s.load(in.View.Buffer, infer, column("unit", in.View.Stride, in.View.Offset)))
		bind[in.Var] = v
	}
	if m.Param != nil {
		index := "0"
		if m.Param.Size() > 1 {
			index = "unit"
		}
		s.line("const float in_%s = m[%dLL + %s];", ir.VarParam, s.At(m.Param), index)
		bind[ir.VarParam] = "in_" + ir.VarParam
	}
	var roots []*expr.Node
	for _, o := range m.Out {
		roots = append(roots, o.Expr)
	}
	for _, sum := range m.Sum {
		roots = append(roots, sum.Expr)
	}
	values := lower(&s.writer, bind, roots...)
	for i, o := range m.Out {
		s.store(o.View.Buffer, infer, column("unit", o.View.Stride, o.View.Offset), values[i])
	}
	if len(m.Sum) > 0 {
		s.line("return %s;", values[len(m.Out)])
		return
	}
	s.line("return 0.0f;")
}

// loss writes a loss of its own.
func (s *source) loss(l *plan.Launch, w *plan.Loss) {
	s.lossType(l.Name, w.Loss)
	s.open(l.Name)
	s.line("const int rows = %s;", s.rows())
	if w.Loss.Classes() {
		s.lossCall(l.Name, w.Loss, lossPart{
			row: fmt.Sprintf("dnn_block_x() * %d", plan.Warps), end: "rows", stride: fmt.Sprintf("dnn_grid_x() * %d", plan.Warps), number: "dnn_block_x()",
		})
	} else {
		s.line("const int row = dnn_block_x() * %d;", w.Rows)
		s.lossCall(l.Name, w.Loss, lossPart{row: "row", end: endOf(w.Rows), columns: w.Loss.Raw.Width, column: "0", number: "dnn_block_x()"})
	}
	s.line("}")
}

// productLoss writes the loss that follows on a block's part of a product, where one
// does.
func (s *source) productLoss(kernel string, w *plan.Product, place string) {
	if w.Loss == nil {
		return
	}
	tall, wide := w.Block()
	s.line("DNN_SYNC(); // the block's part of %s is written", w.Loss.Loss.Raw.Name)
	s.line("const DnnBlock block = %s;", place)
	s.line("const int rows = %s, row = block.x * %d;", s.rows(), tall)
	s.lossCall(kernel, w.Loss.Loss, lossPart{
		row: "row", end: endOf(tall), stride: fmt.Sprint(plan.Warps),
		columns: min(wide, w.Loss.Loss.Raw.Width), column: fmt.Sprintf("block.y * %d", wide),
		number: "block.x * block.down + block.y",
	})
}

// lossType writes the struct of an element-wise loss.
func (s *source) lossType(kernel string, loss *ir.Loss) {
	s.comment("%s", loss)
	if loss.Classes() {
		return
	}
	s.line("struct loss_%s {", typeName(kernel))
	s.line("static DNN_METHOD float of(float z, float y, float &slope) {")
	values := lower(&s.writer, map[string]string{ir.VarZ: "z", ir.VarY: "y"}, loss.Value, loss.Slope)
	s.line("slope = %s;", values[1])
	s.line("return %s;", values[0])
	s.line("}")
	s.line("};")
}

// lossPart is a block's part of the losses, in expressions of its kernel.
type lossPart struct {
	row, end string // its rows
	stride   string // of a row-wise loss: the distance to a warp's next row
	// Of an element-wise one: the number of columns, and the first.
	columns int
	column  string
	number  string // which of the parts of the sum it is
}

// endOf is the end of so many rows from row on.
func endOf(rows int) string { return fmt.Sprintf("row + %[1]d < rows ? row + %[1]d : rows", rows) }

// lossCall writes a block's losses.
func (s *source) lossCall(kernel string, loss *ir.Loss, part lossPart) {
	grad := fmt.Sprintf("DnnRows<%d> grad = {%s}", loss.Grad.Width, at(s.Buffer(loss.Grad, false)))
	if s.Operand(loss.Grad) {
		p, lead := s.operands(loss.Grad, false)
		grad = fmt.Sprintf("DnnOperand<%s, %d> grad = {%s}", s.policy(), lead, p)
	}
	call, rest := fmt.Sprintf("dnn_cross_entropy<%d>", loss.Raw.Width), part.stride
	if !loss.Classes() {
		call, rest = fmt.Sprintf("dnn_element_loss<loss_%s, %d, %d>", typeName(kernel), loss.Raw.Width, part.columns), part.column
	}
	s.line("const %s;", grad)
	s.line("%s(%s, %s, grad, %s, %s, %s, %s, (double *)(%s) + %s);", call, at(s.Buffer(loss.Raw, false)), at(s.Y.Offset), part.row, part.end, rest, s.scale(),
		at(s.Partial.Offset), part.number)
}

func (s *source) gradWeight(w *plan.GradWeight) (block func(place string)) {
	t := w.Step
	out, in := t.W.Shape[0], t.W.Shape[1]
	s.comment("d%s %v = %s^T*%s, in parts of %d rows", t.W.Name, t.W.Shape, t.DZ.Name, t.X.Name, w.Rows)
	s.comment("%s", s.origin(t.Layer))
	db := "(float *)0"
	if t.Bias != nil {
		db = at(s.Params[t.Bias.Index].Grad)
	}
	return func(place string) {
		if s.Tensor() {
			dz, leadDZ := s.operands(t.DZ, false)
			x, leadX := s.operands(t.X, false)
			s.line("dnn_tensor_gradient<%s, %d, %d, %d, %d, %t>(%s, %s, %d, %s, %d, %s, %d, %s, %s, %s, %s);", s.policy(), w.Tile.Rows, w.Tile.Cols,
				out, in, t.Bias != nil, place, dz, leadDZ, x, leadX, s.rows(), w.Rows, s.first(), at(s.Params[t.W.Index].Grad), db, s.bad())
			return
		}
		s.line("dnn_weight_gradient<%d, %d, %d, %d, %t>(%s, %s, %s, %s, %d, %s, %s, %s);", w.TM, w.TN, out, in, t.Bias != nil,
			place, at(s.Buffer(t.DZ, false)), at(s.Buffer(t.X, false)), s.rows(), w.Rows, s.first(), at(s.Params[t.W.Index].Grad), db)
	}
}

func tableName(l *plan.Launch) string { return "tensors_of_" + l.Name }

// tensors writes the table of an update's parameters.
func (s *source) tensors(l *plan.Launch, u *plan.Update) {
	s.line("DNN_TABLE DnnTensor %s[] = {", tableName(l))
	for i, q := range u.Params {
		s.line("{%dLL, %dLL, %d, %d, %d}, // %s %v", q.Offset, q.Grad, q.Size(), q.Parts, u.Blocks[i], q.Name, q.Shape)
	}
	s.line("};")
}

// copies writes where the operands of the parameters lie.
func (s *source) copies() {
	s.comment("Operands of the weights.")
	s.line("DNN_TABLE DnnCopy copies[] = {")
	for _, q := range s.Params {
		if at, lead, ok := s.Copy(q.Param); ok {
			s.line("{%dLL, %d, %d}, // %s", at, q.Shape[1], lead, q.Name)
		} else {
			s.line("{0LL, 1, 1}, // %s", q.Name)
		}
	}
	s.line("};")
}

// update writes the rule and the table of parameters.
func (s *source) update(l *plan.Launch, u *plan.Update) {
	r := s.Program.Rule
	s.comment("w = %s", r.W)
	s.line("struct %s {", typeName(l.Name))
	s.line("static DNN_METHOD void apply(float *at, long long slot, float g, const float *scalars) {")
	bind := map[string]string{ir.VarG: "g", ir.VarW: "w"}
	s.line("const float w = at[0];")
	for k, state := range r.States {
		bind[state] = fmt.Sprintf("state%d", k)
		s.line("const float state%d = at[%d * slot]; // %s", k, k+1, state)
	}
	for k, name := range s.Scalars {
		bind[name] = fmt.Sprintf("scalar%d", k)
		s.line("const float scalar%d = scalars[%d]; // %s", k, k, name)
	}
	values := lower(&s.writer, bind, append([]*expr.Node{r.W}, r.Next...)...)
	s.line("at[0] = %s;", values[0])
	for k := range r.States {
		s.line("at[%d * slot] = %s;", k+1, values[1+k])
	}
	s.line("}")
	s.line("};")
	s.tensors(l, u)
	keep := "DnnKeepNothing keep"
	if len(s.Refresh) > 0 {
		keep = fmt.Sprintf("DnnKeep<%s> keep = {copies}", s.policy())
	}
	s.open(l.Name)
	s.line("const %s;", keep)
	s.line("dnn_update<%s, %d, %d>(%s, m, (const double *)(%s), %s, %dLL, %dLL, keep, %s);", typeName(l.Name), len(u.Params), u.Each, tableName(l),
		at(s.Loss.Offset), at(s.Step.Offset+plan.StepWords), s.Slots.Offset, s.Slot, s.scaling())
	s.line("}")
}
