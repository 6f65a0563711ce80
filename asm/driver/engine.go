package driver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/asm/vec"
)

// engineFile holds the engine: its memory, the order of a step, and access to
// its parameters.
func (e *emitter) engineFile() *jen.File {
	f := e.file(Constraint)
	e.devicesFunc(f)
	e.types(f)
	e.newFunc(f)
	if e.Tiled {
		e.tiledStep(f)
	} else {
		e.layeredStep(f)
	}
	e.scalarsFunc(f)
	e.inferFunc(f)
	e.accessFuncs(f)
	return f
}

func (e *emitter) devicesFunc(f *jen.File) {
	doc(f, "simdDevices returns the devices that run on vector units, the best first.")
	device := func(isa vec.ISA, missing string) jen.Code {
		return jen.Values(jen.Dict{
			id("Name"):    jen.Lit("cpu:" + isa.String()),
			id("Missing"): jen.Qual(simdPath, missing),
			id("Threads"): id("vectorThreads"),
			id("New"): jen.Func().Params(id("o").Qual(enginePath, "Options")).Params(jen.Qual(enginePath, "Engine"), jen.Error()).Block(
				jen.Return(id("newVector").Call(jen.Op("&").Id(table(isa)), id("o"))),
			),
		})
	}
	f.Func().Id("simdDevices").Params().Index().Qual(enginePath, "Device").Block(
		jen.Return(jen.Index().Qual(enginePath, "Device").Values(
			jen.Line().Add(device(vec.AVX512, "MissingAVX512")),
			jen.Line().Add(device(vec.AVX2, "MissingAVX2")),
			jen.Line(),
		)),
	).Line()
	e.threadsFunc(f)
}

func (e *emitter) threadsFunc(f *jen.File) {
	asked := id("asked")
	workers := jen.Qual(poolPath, "All").Call(asked)
	switch {
	case e.Alone:
		asked, workers = jen.Empty(), n(1)
		doc(f, "vectorThreads returns 1: a step is too short to be worth sharing.")
	case e.Work > 0:
		workers = jen.Qual(poolPath, "Useful").Call(asked, n(e.Work), n(plan.WorkerShare))
		doc(f, "vectorThreads returns how many workers share a step where so many are asked for, and",
			fmt.Sprintf("for 0 one for each %d of its %d multiply-adds, if the machine has them.", plan.WorkerShare, e.Work))
	default:
		doc(f, "vectorThreads returns how many workers share a step where so many are asked for, and",
			"for 0 as many as the machine offers.")
	}
	f.Func().Id("vectorThreads").Params(jen.Add(asked).Int()).Int().Block(jen.Return(workers)).Line()
}

// lossWidth is the number of losses of a row.
func (e *emitter) lossWidth() int {
	if e.Loss.Source.Classes() {
		return 1
	}
	return e.Loss.Z.Layout.Width
}

func (e *emitter) types(f *jen.File) {
	f.Const().DefsFunc(func(g *jen.Group) {
		g.Comment(fmt.Sprintf("// vectorRows is the number of rows that the buffers of %s hold.", map[bool]string{true: "a tile", false: "a step"}[e.Tiled]))
		g.Id("vectorRows").Op("=").Lit(e.Rows)
		if e.Tiled {
			g.Comment("// vectorShards is the most gradients that are made apart and added up. How many")
			g.Comment("// a step makes depends on its rows alone: the bits of a training do not depend")
			g.Comment("// on the number of workers.")
			g.Id("vectorShards").Op("=").Lit(e.Shards)
			g.Comment("// vectorGrads is the number of float32 of a shard's gradients.")
			g.Id("vectorGrads").Op("=").Lit(e.GradSize)
		}
		g.Comment("// vectorInferRows is the number of rows that inference walks at a time.")
		g.Id("vectorInferRows").Op("=").Lit(e.Infer.Rows)
	})
	doc(f, "vector runs the network on the vector units of amd64. Matrices lie in panels of 16",
		"columns, [columns/16][rows][16], weights in panels of 16 outputs,",
		"[outputs/16][inputs][16], with zeros where there is nothing.")
	f.Type().Id("vector").StructFunc(func(g *jen.Group) {
		g.Id("k").Op("*").Id("vectorKernels")
		g.Id("pool").Op("*").Qual(poolPath, "Pool")
		g.Id("memory").Op("*").Qual(arenaPath, "Arena")
		g.Id("work").Func().Params(id("worker").Int()).Comment("// the method doWork, bound once")
		if e.Keep && !e.Tiled {
			g.Id("finish").Func().Params(id("worker").Int()).Comment("// the method doFinish, bound once")
		}
		for _, i := range []*plan.Inference{e.Infer, e.InferRow} {
			g.Id(i.Name).Qual("sync", "Pool").Comment("// of *" + batchOf(i))
		}
		g.Line()
		g.Id("slots").Index(n(1 + len(e.Rule.States))).Add(floats()).Comment("// 0: all parameters; then the optimizer's states, laid out alike")
		for _, q := range e.Params {
			g.Id(field(q)).Add(floats()).Comment("// " + paramShape(q))
			for _, state := range e.Rule.States {
				if !e.Keep {
					g.Id(stateField(q, state)).Add(floats())
				}
			}
		}
		if e.GradSize > 0 {
			g.Id("grads").Add(floats()).Comment("// " + e.gradsDoc())
		}
		g.Id("scalars").Add(floats()).Comment(fmt.Sprintf("// %s, the same for all elements of an update", strings.Join(e.Rule.Scalars, ", ")))
		if e.SlabSize > 0 && e.Tiled {
			g.Id("slab").Add(floats()).Comment("// transposed weights")
		} else if e.SlabSize > 0 {
			g.Id("slabs").Index().Add(floats()).Comment("// by worker: " + e.slabDoc())
		}
		if e.Tiled {
			g.Line()
			g.Id("x").Add(floats()).Comment("// the step's batch")
			g.Id("y").Qual(enginePath, "Target")
			g.Id("rows").Int()
			g.Id("scale").Float32()
			g.Id("losses").Index(id("vectorShards")).Float64().Comment("// sums by shard")
			g.Id("batches").Index().Id("vectorBatch").Comment("// by worker: its tile")
		} else {
			g.Id("losses").Index(n((e.Rows + e.Loss.CallRows() - 1) / e.Loss.CallRows())).Float64().Comment(fmt.Sprintf("// sums of %d rows each", e.Loss.CallRows()))
			g.Id("batch").Id("vectorBatch")
		}
		g.Id("total").Float64().Comment("// sum of the step's losses")
	})
	doc(f, "vectorBatch holds rows on their way through the layers and back.")
	f.Type().Id("vectorBatch").StructFunc(func(g *jen.Group) {
		g.Id("batch").Add(floats()).Comment(fmt.Sprintf("// [rows, %d] as given", e.Program.Input))
		if e.Loss.Source.Classes() {
			g.Id("class").Index().Int32().Comment("// [rows]")
		} else {
			g.Id("value").Add(floats()).Comment(fmt.Sprintf("// [rows, %d]", e.Loss.Z.Layout.Width))
		}
		g.List(id("rows"), id("tiles")).Int()
		g.Id("scale").Float32().Comment("// one over the number of losses in the mean")
		if e.GradSize > 0 {
			g.Id("grads").Add(floats()).Comment("// where gradients are kept")
		}
		if e.Keep {
			g.Id("more").Int().Comment("// 1 to add to the gradients, 0 to replace them")
		}
		g.Line()
		for _, t := range e.Tensors {
			g.Id(t.Name).Add(floats()).Comment("// " + shapeOf(t))
		}
	})
}

// slabDoc says what a worker's slab holds.
func (e *emitter) slabDoc() string {
	const weights, sums = "transposed weights of one group of inputs", "sums that wait for the next block of a product's depth"
	kept := slices.ContainsFunc(slices.Concat(append([][]plan.Step{e.Forward}, e.Backward...)...), func(s plan.Step) bool {
		m, ok := s.(*plan.Multiply)
		return ok && len(m.Blocks) > 1 && m.Sums == nil
	})
	switch {
	case !kept:
		return weights
	case len(e.Transposes) == 0:
		return sums
	}
	return weights + ", " + sums
}

// gradsDoc says which gradients are kept.
func (e *emitter) gradsDoc() string {
	if !e.Keep {
		return "gradients of learned activations"
	}
	text := "gradients, laid out as the parameters"
	if partial, _ := e.sums(); len(partial) > 0 {
		text += ", then partial sums"
	}
	if e.Tiled {
		text = "by shard: " + text
	}
	return text
}

func (e *emitter) newFunc(f *jen.File) {
	doc(f, "newVector makes an engine whose parameters are all 0.")
	f.Func().Id("newVector").Params(id("k").Op("*").Id("vectorKernels"), id("o").Qual(enginePath, "Options")).
		Params(jen.Qual(enginePath, "Engine"), jen.Error()).BlockFunc(func(g *jen.Group) {
		g.Id("p").Op(":=").Qual(poolPath, "New").Call(id("vectorThreads").Call(id("o").Dot("Threads")))
		shards := 1
		once, perWorker := e.TensorSize, e.SlabSize
		if e.Tiled {
			shards = e.Shards
			once, perWorker = perWorker, once
		}
		size := n((1+len(e.Rule.States))*e.ParamSize + shards*e.GradSize + plan.ScalarSize(e.Rule) + once)
		if perWorker > 0 {
			size.Op("+").Add(id("p").Dot("Threads").Call().Op("*").Lit(perWorker))
		}
		g.List(id("memory"), id("err")).Op(":=").Qual(arenaPath, "New").Call(size)
		g.If(id("err").Op("!=").Nil()).Block(id("p").Dot("Close").Call(), jen.Return(jen.Nil(), id("err")))
		g.Id("e").Op(":=").Op("&").Id("vector").Values(jen.Dict{id("k"): id("k"), id("pool"): id("p"), id("memory"): id("memory")})
		g.Id("e").Dot("work").Op("=").Id("e").Dot("doWork")
		if e.Keep && !e.Tiled {
			g.Id("e").Dot("finish").Op("=").Id("e").Dot("doFinish")
		}
		g.For(id("i").Op(":=").Range().Id("e").Dot("slots")).Block(
			id("e").Dot("slots").Index(id("i")).Op("=").Add(take(e.ParamSize)),
		)
		for _, q := range e.Params {
			piece := func(slot int) code {
				return id("e").Dot("slots").Index(n(slot)).Index(n(q.Offset).Op(":").Lit(q.Offset + q.Size()))
			}
			g.Id("e").Dot(field(q)).Op("=").Add(piece(0))
			for i, state := range e.Rule.States {
				if !e.Keep {
					g.Id("e").Dot(stateField(q, state)).Op("=").Add(piece(1 + i))
				}
			}
		}
		if e.GradSize > 0 {
			g.Id("e").Dot("grads").Op("=").Add(take(shards * e.GradSize))
		}
		g.Id("e").Dot("scalars").Op("=").Add(take(len(e.Rule.Scalars)))
		switch {
		case e.SlabSize > 0 && e.Tiled:
			g.Id("e").Dot("slab").Op("=").Add(take(e.SlabSize))
		case e.SlabSize > 0:
			g.Id("e").Dot("slabs").Op("=").Make(jen.Index().Add(floats()), id("p").Dot("Threads").Call())
			g.For(id("i").Op(":=").Range().Id("e").Dot("slabs")).Block(id("e").Dot("slabs").Index(id("i")).Op("=").Add(take(e.SlabSize)))
		}
		if e.Tiled {
			g.Id("e").Dot("batches").Op("=").Make(jen.Index().Id("vectorBatch"), id("p").Dot("Threads").Call())
			g.For(id("i").Op(":=").Range().Id("e").Dot("batches")).Block(
				id("e").Dot("batches").Index(id("i")).Dot("reserve").Call(id("memory")),
			)
		} else {
			g.Id("e").Dot("batch").Dot("reserve").Call(id("memory"))
			if e.GradSize > 0 {
				g.Id("e").Dot("batch").Dot("grads").Op("=").Id("e").Dot("grads")
			}
		}
		for _, i := range []*plan.Inference{e.Infer, e.InferRow} {
			g.Id("e").Dot(i.Name).Dot("New").Op("=").Func().Params().Any().Block(jen.Return(id("new" + upper(batchOf(i))).Call()))
		}
		g.Return(id("e"), jen.Nil())
	}).Line()
	doc(f, "reserve takes the memory of the buffers.")
	if slices.ContainsFunc(e.Tensors, func(t *plan.Tensor) bool { return t.Gap > 0 }) {
		doc(f, "", "A core fetches ahead of what it reads. Gaps keep it from lines that another core",
			"is about to write.")
	}
	f.Func().Params(id("b").Op("*").Id("vectorBatch")).Id("reserve").Params(id("memory").Op("*").Qual(arenaPath, "Arena")).BlockFunc(func(g *jen.Group) {
		for _, t := range e.Tensors {
			if t.Over == nil {
				g.Id("b").Dot(t.Name).Op("=").Add(take(t.Size()))
			}
			if t.Gap > 0 {
				g.Id("memory").Dot("Skip").Call(n(t.Gap))
			}
		}
		for _, t := range e.Tensors {
			if t.Over != nil {
				g.Id("b").Dot(t.Name).Op("=").Add(inBatch(t.Over.Name)).Comment("// not read any more once this is made")
			}
		}
	}).Line()
}

func take(size int) code { return id("memory").Dot("Floats").Call(n(size)) }

// stepMethod starts Step and checks its arguments.
func (e *emitter) stepMethod(f *jen.File, body func(g *jen.Group)) {
	doc(f, fmt.Sprintf("Step makes one step on rows examples x [rows, %d] and returns the mean loss before", e.Program.Input),
		"the update. A loss that is not a number, or infinite, leaves everything as it was.")
	method(f, "Step").Params(
		id("x").Add(floats()), id("y").Qual(enginePath, "Target"), id("rows").Int(), id("h").Qual(enginePath, "Hyper"),
	).Float64().BlockFunc(func(g *jen.Group) {
		if e.Loss.Source.Classes() {
			g.For(jen.List(id("_"), id("c")).Op(":=").Range().Id("y").Dot("Class").Index(jen.Op(":").Id("rows"))).Block(
				jen.If(id("uint32").Call(id("c")).Op(">=").Lit(e.Program.Output)).Block(
					jen.Panic(jen.Lit("class index out of range")),
				),
			)
		} else {
			g.Id("_").Op("=").Id("y").Dot("Value").Index(jen.Op(":").Add(times(id("rows"), e.Loss.Z.Layout.Width)))
		}
		g.Id("_").Op("=").Id("x").Index(jen.Op(":").Add(times(id("rows"), e.Program.Input)))
		g.Id("e").Dot("setScalars").Call(id("h"))
		body(g)
	}).Line()
}

// mean is the loss that Step returns.
func (e *emitter) mean() code {
	return own("total").Op("/").Float64().Call(times(id("rows"), e.lossWidth()))
}

func (e *emitter) scale() code {
	return jen.Lit(1).Op("/").Float32().Call(times(id("rows"), e.lossWidth()))
}

// finite is true for numbers that are neither NaN nor infinite: their
// difference with themselves is 0.
func finite(x code) code { return x.Clone().Op("-").Add(x.Clone()).Op("==").Lit(0) }

func notFinite(x code) code { return x.Clone().Op("-").Add(x.Clone()).Op("!=").Lit(0) }

func wait() code { return own("pool").Dot("Wait").Call() }

// targetRows writes b's targets: rows lo to hi of y, from the start where lo
// is nil.
func (e *emitter) targetRows(g *jen.Group, y, lo, hi code) {
	name, field, width := "class", "Class", 1
	if !e.Loss.Source.Classes() {
		name, field, width = "value", "Value", e.Loss.Z.Layout.Width
	}
	first := jen.Empty()
	if lo != nil {
		first = times(lo, width)
	}
	g.Id("b").Dot(name).Op("=").Add(y).Dot(field).Index(first.Op(":").Add(times(hi, width)))
}

// sums lists the parameters whose gradient is made of partial sums, and all
// whose gradients are added to from the start.
func (e *emitter) sums() (partial, added []*plan.Param) {
	for _, phase := range e.Backward {
		for _, s := range phase {
			if a, ok := s.(*plan.Apply); ok && a.Sum != nil {
				added = append(added, a.Sum)
				if a.Sum.Panels > 0 {
					partial = append(partial, a.Sum)
				}
			}
		}
	}
	return partial, added
}

func gradRange(grads code, q *plan.Param) code {
	return grads.Index(n(q.Grad).Op(":").Lit(q.Grad + q.Size()))
}

func partRange(grads code, q *plan.Param) code {
	return grads.Index(n(q.Parts).Op(":").Lit(q.Parts + q.Panels*kernel.Lanes))
}

// clearSums empties the gradients that are only ever added to.
func (e *emitter) clearSums(g *jen.Group, grads code) {
	_, added := e.sums()
	for _, q := range added {
		if q.Panels > 0 {
			g.Clear(partRange(grads.Clone(), q))
		} else {
			g.Clear(gradRange(grads.Clone(), q))
		}
	}
}

// fold adds up partial sums.
func (e *emitter) fold(g *jen.Group, grads code) {
	partial, _ := e.sums()
	for _, q := range partial {
		g.Qual(simdPath, "Fold").Call(gradRange(grads.Clone(), q), partRange(grads.Clone(), q))
	}
}
