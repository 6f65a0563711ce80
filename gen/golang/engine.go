package golang

import (
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/internal/ir"
)

// maxShards is the number of row ranges that a batch is cut into. It is fixed,
// and sums over shards are made in order, so that the bits of a training do
// not depend on how many workers share the shards.
const maxShards = 16

// inferRows is the number of rows that inference walks at a time.
const inferRows = 32

// workerShare is the number of multiply-adds below which another worker is no
// gain: some 50 µs of portable code, against ten barriers of half a
// microsecond.
const workerShare = 100_000

// stepWork counts the multiply-adds of a step's matrix products.
func (e *emitter) stepWork() int {
	work := 0
	for _, steps := range [][]ir.Step{e.p.Forward, e.p.Backward} {
		for _, s := range steps {
			switch s := s.(type) {
			case *ir.Linear:
				work += s.W.Size()
			case *ir.GradInput:
				work += s.W.Size()
			case *ir.GradWeight:
				work += s.W.Size()
			}
		}
	}
	return work * e.p.Batch
}

func (e *emitter) shards() int { return min(maxShards, e.p.Batch) }

// engineFile holds the portable engine: its memory, and the order of a step.
func (e *emitter) engineFile() *jen.File {
	f := e.file()
	d := fileDoc{f}
	f.Const().DefsFunc(func(g *jen.Group) {
		g.Comment("// shards is the number of row ranges that a batch is cut into. It is fixed: the")
		g.Comment("// bits of a training do not depend on how many workers share the shards.")
		g.Id("shards").Op("=").Lit(e.shards())
		g.Comment("// inferRows is the number of rows that inference walks at a time.")
		g.Id("inferRows").Op("=").Lit(inferRows)
		g.Comment("// stepWork is the number of multiply-adds in the matrix products of a step.")
		g.Id("stepWork").Op("=").Lit(e.stepWork())
		if e.p.Full {
			g.Comment("// chunkRows is the number of rows that gradient descent walks at a time.")
			g.Id("chunkRows").Op("=").Lit(e.p.Batch)
		}
	})
	doc(d, "parameters are the learned tensors, in PyTorch's layouts.")
	f.Type().Id("parameters").StructFunc(func(g *jen.Group) {
		for _, q := range e.p.Params {
			g.Id(field(q)).Index().Float32().Comment(fmt.Sprintf("// %s %s", q.Name, dims(q)))
		}
	})
	doc(d, "portable runs the network in plain Go, on any machine: the device \"cpu:go\".")
	f.Type().Id("portable").StructFunc(e.fields)
	e.newFunc(f)
	e.stepFunc(f)
	e.workFunc(f)
	e.inferFunc(f)
	e.accessFuncs(f)
	e.traceFunc(f)
	e.gradientsFunc(f)
	doc(d, "share returns the range of part i when n things are shared among parts.")
	f.Func().Id("share").Params(jen.List(id("n"), id("i"), id("parts")).Int()).Params(jen.List(id("lo"), id("hi")).Int()).Block(
		jen.Return(id("i").Op("*").Id("n").Op("/").Id("parts"),
			jen.Parens(id("i").Op("+").Lit(1)).Op("*").Id("n").Op("/").Id("parts")),
	)
	return f
}

func (e *emitter) fields(g *jen.Group) {
	g.Id("parameters")
	g.Id("slots").Index(n(1 + len(e.p.Rule.States))).Index(n(len(e.p.Params))).Index().Float32().
		Comment("// 0: the parameters; then the optimizer's states")
	g.Id("grads").Index(n(len(e.p.Params))).Index().Float32().Comment("// of parameters that are not updated as their gradient is made")
	g.Line()
	g.Id("pool").Op("*").Qual(poolPath, "Pool")
	g.Id("work").Func().Params(id("worker").Int()).Comment("// the method of that name, bound once")
	if e.p.Full {
		g.Id("finish").Func().Params(id("worker").Int()).Comment("// likewise")
	}
	g.Id("infers").Qual("sync", "Pool").Comment("// of *inference")
	g.Line()
	g.Comment("// The step being run: its batch, and what all of its elements share.")
	g.Id("x").Index().Float32().Comment(fmt.Sprintf("// [rows, %d]", e.p.Input))
	g.Id("y").Qual(enginePath, "Target")
	g.Id("rows").Int()
	g.Id("scale").Float32().Comment("// of the loss's gradient: one over the number of losses in the mean")
	for _, v := range e.uniform() {
		g.Id(v).Float32()
	}
	g.Id("loss").Float64()
	g.Id("losses").Index(id("shards")).Float64().Comment("// each shard's sum of losses")
	if w := e.sumsWidth(); w > 0 {
		g.Id("sums").Index(id("shards")).Index(n(w)).Float64().Comment("// each shard's gradients of learned activations")
	}
	g.Line()
	g.Comment("// Buffers of the step. Those that never live at once share memory.")
	for _, b := range e.p.Buffers {
		g.Id(b.Name).Index().Float32().Comment(fmt.Sprintf("// [%d, %d]", e.p.Batch, b.Width))
	}
	g.Id("scratch").Index().Index().Float32().Comment(fmt.Sprintf("// for each worker, a row [%d]", e.scratchWidth()))
}

// scratchWidth is the widest row that a step holds aside.
func (e *emitter) scratchWidth() int {
	width := 1
	for _, s := range e.p.Backward {
		switch s := s.(type) {
		case *ir.GradInput:
			width = max(width, s.W.Shape[1])
		case *ir.GradWeight:
			width = max(width, s.X.Width)
		}
	}
	return width
}

// sumsOf lists the maps that sum the gradient of a learned parameter.
func (e *emitter) sumsOf() []*ir.Map {
	var list []*ir.Map
	for _, s := range e.p.Backward {
		if m := ir.FusedMap(s); m != nil && len(m.Sum) > 0 {
			list = append(list, m)
		}
	}
	return list
}

func (e *emitter) sumsWidth() int {
	width := 0
	for _, m := range e.sumsOf() {
		width += m.Param.Size()
	}
	return width
}

// sumsAt is the first column of a map's sums.
func (e *emitter) sumsAt(m *ir.Map) int {
	at := 0
	for _, other := range e.sumsOf() {
		if other == m {
			break
		}
		at += other.Param.Size()
	}
	return at
}

func (e *emitter) newFunc(f *jen.File) {
	doc(fileDoc{f}, "portableThreads returns how many workers share a step where so many are asked for,",
		fmt.Sprintf("and for 0 one for each %d of its multiply-adds, if the machine has them.", workerShare))
	f.Func().Id("portableThreads").Params(id("asked").Int()).Int().Block(
		jen.Return(jen.Qual(poolPath, "Useful").Call(id("asked"), id("stepWork"), n(workerShare))),
	).Line()
	doc(fileDoc{f}, "newPortable makes an engine whose parameters are all 0.")
	f.Func().Id("newPortable").Params(id("o").Qual(enginePath, "Options")).
		Params(jen.Qual(enginePath, "Engine"), jen.Error()).BlockFunc(func(g *jen.Group) {
		g.Id("e").Op(":=").Op("&").Id("portable").Values(jen.Dict{
			id("pool"): jen.Qual(poolPath, "New").Call(
				id("portableThreads").Call(id("o").Dot("Threads")),
			),
		})
		g.Id("e").Dot("work").Op("=").Id("e").Dot("doWork")
		if e.p.Full {
			g.Id("e").Dot("finish").Op("=").Id("e").Dot("doFinish")
		}
		sizes := make([]jen.Code, len(e.p.Params))
		for i, q := range e.p.Params {
			sizes[i] = n(q.Size())
		}
		g.Id("sizes").Op(":=").Index(jen.Op("...")).Int().Values(sizes...)
		g.For(jen.List(id("i"), id("size")).Op(":=").Range().Id("sizes")).BlockFunc(func(g *jen.Group) {
			g.For(id("slot").Op(":=").Range().Id("e").Dot("slots")).Block(
				id("e").Dot("slots").Index(id("slot")).Index(id("i")).Op("=").Make(floats(), id("size")),
			)
			if e.p.Full {
				g.Id("e").Dot("grads").Index(id("i")).Op("=").Make(floats(), id("size"))
			}
		})
		if !e.p.Full {
			for _, u := range e.p.Updates {
				g.Id("e").Dot("grads").Index(n(u.Param.Index)).Op("=").Make(floats(), n(u.Param.Size()))
			}
		}
		for _, q := range e.p.Params {
			g.Id("e").Dot(field(q)).Op("=").Id("e").Dot("slots").Index(n(0)).Index(n(q.Index))
		}
		batch := e.p.Batch
		g.Id("arena").Op(":=").Make(floats(), n(e.p.ArenaWidth*batch))
		for _, b := range e.p.Buffers {
			g.Id("e").Dot(b.Name).Op("=").Id("arena").Index(n(b.Column * batch).Op(":").Lit((b.Column + b.Width) * batch))
		}
		g.Id("e").Dot("scratch").Op("=").Make(jen.Index().Index().Float32(), id("e").Dot("pool").Dot("Threads").Call())
		g.For(id("w").Op(":=").Range().Id("e").Dot("scratch")).Block(
			id("e").Dot("scratch").Index(id("w")).Op("=").Make(floats(), n(e.scratchWidth())),
		)
		g.Id("e").Dot("infers").Dot("New").Op("=").Func().Params().Any().Block(
			jen.Return(jen.New(id("inference"))),
		)
		g.Return(id("e"), jen.Nil())
	}).Line()
}

// stepFunc writes Step.
func (e *emitter) stepFunc(f *jen.File) {
	d := fileDoc{f}
	lines := []string{
		fmt.Sprintf("Step makes one step on rows examples x [rows, %d] and returns the mean loss before", e.p.Input),
		"the update. A loss that is not a number, or infinite, leaves everything as it was.",
	}
	doc(d, lines...)
	f.Func().Params(id("e").Op("*").Id("portable")).Id("Step").Params(
		id("x").Index().Float32(), id("y").Qual(enginePath, "Target"), id("rows").Int(), id("h").Qual(enginePath, "Hyper"),
	).Float64().BlockFunc(func(g *jen.Group) {
		g.Id("e").Dot("setScalars").Call(id("h"))
		g.Id("e").Dot("scale").Op("=").Lit(1).Op("/").Float32().Call(times(id("rows"), e.lossWidth()))
		if !e.p.Full {
			g.List(id("e").Dot("x"), id("e").Dot("y"), id("e").Dot("rows")).Op("=").List(id("x"), id("y"), id("rows"))
			g.Id("e").Dot("pool").Dot("Run").Call(id("e").Dot("work"))
			g.Return(id("e").Dot("loss").Op("/").Float64().Call(times(id("rows"), e.lossWidth())))
			return
		}
		g.For(jen.List(id("_"), id("grad")).Op(":=").Range().Id("e").Dot("grads")).Block(jen.Clear(id("grad")))
		g.Id("sum").Op(":=").Lit(0.0)
		g.For(id("lo").Op(":=").Lit(0), id("lo").Op("<").Id("rows"), id("lo").Op("+=").Id("chunkRows")).Block(
			define("hi", jen.Min(id("lo").Op("+").Id("chunkRows"), id("rows"))),
			jen.List(id("e").Dot("x"), id("e").Dot("y"), id("e").Dot("rows")).Op("=").List(
				from(id("x"), id("lo"), e.p.Input),
				id("y").Dot("Rows").Call(id("lo"), id("hi"), n(e.p.Output)),
				id("hi").Op("-").Id("lo"),
			),
			id("e").Dot("pool").Dot("Run").Call(id("e").Dot("work")),
			id("sum").Op("+=").Id("e").Dot("loss"),
		)
		g.If(finite(id("sum"))).Block(
			id("e").Dot("pool").Dot("Run").Call(id("e").Dot("finish")),
		)
		g.Return(id("sum").Op("/").Float64().Call(times(id("rows"), e.lossWidth())))
	}).Line()
	if e.p.Full {
		doc(d, "doFinish is what each worker does once the gradients of all chunks are summed.")
		f.Func().Params(id("e").Op("*").Id("portable")).Id("doFinish").Params(id("worker").Int()).BlockFunc(func(g *jen.Group) {
			g.Id("threads").Op(":=").Id("e").Dot("pool").Dot("Threads").Call()
			g.For(jen.List(id("i"), id("g")).Op(":=").Range().Id("e").Dot("grads")).Block(
				jen.List(id("lo"), id("hi")).Op(":=").Id("share").Call(jen.Len(id("g")), id("worker"), id("threads")),
				id("e").Dot("update").Call(id("i"), id("lo"), id("g").Index(id("lo").Op(":").Id("hi"))),
			)
		}).Line()
	}
}

// finite is true for numbers that are neither NaN nor infinite: their
// difference with themselves is 0.
func finite(x code) code { return x.Clone().Op("-").Add(x.Clone()).Op("==").Lit(0) }

// group is a run of steps that a worker makes on one shard after another
// without waiting for the other workers.
type group []ir.Step

// groups cuts steps over rows where one of them writes to a place that an
// earlier one of the group uses for another buffer: workers are then at
// different rows of different buffers.
func groups(steps []ir.Step) []group {
	var list []group
	var touched []*ir.Buffer
	for i, s := range steps {
		fresh := i == 0
		if _, ok := s.(*ir.GradWeight); ok {
			fresh = true
		} else if i > 0 {
			_, after := steps[i-1].(*ir.GradWeight)
			fresh = after || overlapsAny(ir.Writes(s), touched)
		}
		if fresh {
			list, touched = append(list, nil), nil
		}
		list[len(list)-1] = append(list[len(list)-1], s)
		touched = append(append(touched, ir.Reads(s)...), ir.Writes(s)...)
	}
	return list
}

func overlapsAny(writes, touched []*ir.Buffer) bool {
	for _, w := range writes {
		for _, t := range touched {
			if w != t && t.Column >= 0 && w.Column < t.Column+t.Width && t.Column < w.Column+w.Width {
				return true
			}
		}
	}
	return false
}

// workFunc writes what each worker does in a step.
func (e *emitter) workFunc(f *jen.File) {
	doc(fileDoc{f},
		"doWork is what each worker does in a step: its shards of rows on the way forward and",
		"back, its rows of each weight's gradient. Wait keeps the workers together where one",
		"needs what another made.")
	f.Func().Params(id("e").Op("*").Id("portable")).Id("doWork").Params(id("worker").Int()).BlockFunc(func(g *jen.Group) {
		g.Id("threads").Op(":=").Id("e").Dot("pool").Dot("Threads").Call()
		forward := groups(e.p.Forward)
		for i, steps := range forward {
			last := i == len(forward)-1
			separate := last && overlapsAny([]*ir.Buffer{e.p.Loss.Grad}, touchedBy(steps))
			e.shardLoop(g, func(g *jen.Group) {
				for _, s := range steps {
					e.call(g, id("e"), fmt.Sprintf("forward%d", layerOf(s)), s, id("lo"))
				}
				if last && !separate {
					e.callLoss(g)
				}
			})
			e.wait(g)
			if separate {
				e.shardLoop(g, e.callLoss)
				e.wait(g)
			}
		}
		g.If(id("worker").Op("==").Lit(0)).Block(
			id("e").Dot("loss").Op("=").Lit(0),
			jen.For(jen.List(id("_"), id("sum")).Op(":=").Range().Id("e").Dot("losses")).Block(
				id("e").Dot("loss").Op("+=").Id("sum"),
			),
		)
		e.wait(g)
		g.If(id("e").Dot("loss").Op("-").Id("e").Dot("loss").Op("!=").Lit(0)).Block(jen.Return())
		for _, steps := range groups(e.p.Backward) {
			if s, ok := steps[0].(*ir.GradWeight); ok {
				g.Id("e").Dot(fmt.Sprintf("gradWeight%d", s.Layer)).Call(id("worker"), id("threads"))
			} else {
				e.shardLoop(g, func(g *jen.Group) {
					for _, s := range steps {
						e.callBackward(g, s, id("lo"), id("s"))
					}
				})
			}
			e.wait(g)
		}
		if maps := e.sumsOf(); len(maps) > 0 {
			g.If(id("worker").Op("==").Lit(0)).BlockFunc(func(g *jen.Group) {
				for _, m := range maps {
					e.addSums(g, m)
				}
			})
		}
	}).Line()
}

// addSums adds the shards' sums of a learned parameter to its gradient and,
// where a step is one batch, updates it.
func (e *emitter) addSums(g *jen.Group, m *ir.Map) {
	q, at := m.Param, e.sumsAt(m)
	grad := id("e").Dot("grads").Index(n(q.Index))
	g.For(id("k").Op(":=").Range().Add(grad.Clone())).BlockFunc(func(g *jen.Group) {
		g.Id("sum").Op(":=").Lit(0.0)
		g.For(id("s").Op(":=").Range().Id("e").Dot("sums")).Block(
			id("sum").Op("+=").Id("e").Dot("sums").Index(id("s")).Index(offset(id("k"), at)),
		)
		op := "="
		if e.p.Full {
			op = "+="
		}
		g.Add(grad.Clone()).Index(id("k")).Op(op).Float32().Call(id("sum"))
	})
	if !e.p.Full {
		g.Id("e").Dot("update").Call(n(q.Index), n(0), grad.Clone())
	}
}

func offset(k code, at int) code {
	if at == 0 {
		return k
	}
	return n(at).Op("+").Add(k)
}

func touchedBy(steps []ir.Step) []*ir.Buffer {
	var list []*ir.Buffer
	for _, s := range steps {
		list = append(append(list, ir.Reads(s)...), ir.Writes(s)...)
	}
	return list
}

func (e *emitter) wait(g *jen.Group) { g.Id("e").Dot("pool").Dot("Wait").Call() }

// shardLoop walks a worker's shards.
func (e *emitter) shardLoop(g *jen.Group, body func(*jen.Group)) {
	g.For(id("s").Op(":=").Id("worker"), id("s").Op("<").Id("shards"), id("s").Op("+=").Id("threads")).BlockFunc(func(g *jen.Group) {
		g.List(id("lo"), id("hi")).Op(":=").Id("share").Call(id("e").Dot("rows"), id("s"), id("shards"))
		body(g)
	})
}

// call writes the call of a step's function on the rows from lo on.
func (e *emitter) call(g *jen.Group, receiver code, name string, s ir.Step, lo code, more ...jen.Code) {
	var args []jen.Code
	for _, b := range buffersOf(s) {
		args = append(args, from(receiver.Clone().Dot(b.Name), lo.Clone(), b.Width))
	}
	args = append(args, id("hi").Op("-").Id("lo"))
	g.Id("e").Dot(name).Call(append(args, more...)...)
}

// callBackward writes the call of a backward step that walks rows.
func (e *emitter) callBackward(g *jen.Group, s ir.Step, lo, shard code) {
	var more []jen.Code
	if m := ir.FusedMap(s); m != nil && len(m.Sum) > 0 {
		more = append(more, id("e").Dot("sums").Index(shard.Clone()).Index(n(e.sumsAt(m)).Op(":")))
	}
	name := fmt.Sprintf("backward%d", layerOf(s))
	if in, ok := s.(*ir.GradInput); ok {
		name = fmt.Sprintf("gradInput%d", layerOf(s))
		if in.Out == nil {
			more = append(more, id("e").Dot("scratch").Index(id("worker")))
		}
	}
	e.call(g, id("e"), name, s, lo, more...)
}

func (e *emitter) callLoss(g *jen.Group) {
	l := e.p.Loss
	g.Id("e").Dot("losses").Index(id("s")).Op("=").Id("lossAndGradient").Call(
		from(id("e").Dot(l.Raw.Name), id("lo"), l.Raw.Width),
		from(id("e").Dot(l.Grad.Name), id("lo"), l.Grad.Width),
		id("e").Dot("y").Dot("Rows").Call(id("lo"), id("hi"), n(e.p.Output)),
		id("hi").Op("-").Id("lo"), id("e").Dot("scale"),
	)
}
