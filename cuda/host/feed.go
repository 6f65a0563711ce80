package host

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/gather"
)

// feed is what a GPU needs to make many steps at a call: the training rows, all
// of them or two batches, a table of what is to be done with them, and graphs
// that do it.
type feed struct {
	rows  gather.Rows // the caller's
	count int         // of rows
	order []int32     // the caller's; nil: as they lie
	kept  bool        // all rows lie on the device

	entries, entry int // of the table, and words of one

	passes int  // of a step of the last call
	whole  bool // graphs have whole steps; else passes

	memory driver.Ptr // one allocation for all that follows
	x, y   driver.Ptr // the rows; or the first of two batches
	batch  int        // bytes from one of two batches to the next
	ranks  driver.Ptr // the order
	table  driver.Ptr
	ring   driver.Ptr // losses of a call's steps

	// Pinned memory.
	head   []int64   // a feedHead
	words  []float32 // the table
	losses []float64
	stage  [2]stage // batches on their way, where not all rows are kept
	pinned []*driver.Host

	copies *driver.Stream // the way of batches to the device

	told bool // the device's head names the table

	// pass is fetch, where there is one, and the pass. Graphs have 1, 2, 4, … steps;
	// or passes, where these are launched one by one or a step has too many of them.
	pass, update []runner
	graphs       [7]*driver.Graph
	end          *driver.Graph // the update alone
}

// stage is a batch on its way to the device.
type stage struct {
	rows gather.Rows
	// copied is passed when the batch is on the device, used when the pass that it
	// was for has ended.
	copied, used *driver.Event
	busy         bool // used was recorded
}

// feedHead is DnnFeed of dnn_feed.h. Places are distances from the arena's
// start, in float32.
type feedHead struct {
	table, order, losses         int64
	entry, passes, halted, spare int32
}

// entryHead is DnnEntry of dnn_feed.h.
type entryHead struct{ x, y, row int64 }

const entryHeadWords = int(unsafe.Sizeof(entryHead{}) / 4)

// graphPasses bounds the passes of a graph.
const graphPasses = 64

// share is the part of the free memory that training rows may take: evaluation
// and other programs want some, too.
const share = 0.6

// manyJob is one call of Run.
type manyJob struct {
	steps  []engine.Planned
	losses []float64
	made   int
}

// Hold takes the training rows: to the device, where they fit.
func (g *gpuEngine) Hold(x []float32, y engine.Target, rows int) (kept bool) {
	f := &g.feed
	g.checkTargets(y, rows)
	f.rows = gather.Rows{Inputs: g.Inputs, Outputs: g.Outputs, X: x[:rows*g.Inputs], Y: y.Rows(0, rows, g.Outputs)}
	f.count, f.order = rows, nil
	g.do(g.hold)
	return f.kept
}

func (g *gpuEngine) hold(t *driver.Thread) error {
	f := &g.feed
	if err := f.release(t); err != nil {
		return err
	}
	f.passes = 0
	f.entries = g.Steps
	if g.Full {
		f.entries = max(f.entries, g.passesOf(f.count))
	}
	f.entry = entryHeadWords + (g.Code.Step.Size+1)/2*2
	free, _, err := t.MemInfo()
	if err != nil {
		return err
	}
	if float64(g.layFeed(0, f.count, true)) <= share*float64(free) {
		f.memory, err = t.Alloc(g.layFeed(0, f.count, true))
		f.kept = err == nil
	}
	if !f.kept {
		// Also where another program was quicker to take what was free.
		f.memory, err = t.Alloc(g.layFeed(0, g.Batch, false))
	}
	if err != nil {
		return err
	}
	if f.kept {
		g.layFeed(f.memory, f.count, true)
	} else {
		g.layFeed(f.memory, g.Batch, false)
	}
	if err := g.pinFeed(t); err != nil {
		return err
	}
	if f.kept {
		return errors.Join(driver.CopyIn(t, f.x, f.rows.X), driver.CopyIn(t, f.y, f.rows.Y.Value), driver.CopyIn(t, f.y, f.rows.Y.Class))
	}
	return nil
}

// layFeed says what lies where behind start, for all rows or for two batches of
// them, and returns the size in bytes.
func (g *gpuEngine) layFeed(start driver.Ptr, rows int, all bool) int {
	f, at := &g.feed, start
	place := func(p *driver.Ptr, words int) {
		*p = at
		at += driver.Ptr((4*words + 255) / 256 * 256)
	}
	place(&f.x, rows*g.Inputs)
	place(&f.y, g.targetWords(rows))
	if f.batch = int(at - start); all {
		place(&f.ranks, rows)
	} else {
		at += driver.Ptr(f.batch)
	}
	place(&f.table, f.entries*f.entry)
	place(&f.ring, 2*g.Steps)
	return int(at - start)
}

// targetWords is the size of the targets of rows.
func (g *gpuEngine) targetWords(rows int) int {
	if g.Classes {
		return rows
	}
	return rows * g.Outputs
}

// pinFeed allocates the host's side.
func (g *gpuEngine) pinFeed(t *driver.Thread) (err error) {
	f := &g.feed
	pin := func(bytes int) *driver.Host {
		if err != nil {
			return nil
		}
		var h *driver.Host
		if h, err = t.HostAlloc(bytes); err == nil {
			f.pinned = append(f.pinned, h)
		}
		return h
	}
	head, words, losses := pin(int(unsafe.Sizeof(feedHead{}))), pin(4*f.entries*f.entry), pin(8*g.Steps)
	if err != nil {
		return err
	}
	f.head, f.words, f.losses = driver.View[int64](head), driver.View[float32](words), driver.View[float64](losses)
	clear(f.words)
	if f.kept {
		return nil
	}
	for i := range f.stage {
		s := &f.stage[i]
		x, y := pin(4*g.Batch*g.Inputs), pin(4*g.targetWords(g.Batch))
		if err != nil {
			return err
		}
		s.busy = false
		s.rows = gather.Rows{Inputs: g.Inputs, Outputs: g.Outputs, X: driver.View[float32](x)}
		if g.Classes {
			s.rows.Y.Class = driver.View[int32](y)
		} else {
			s.rows.Y.Value = driver.View[float32](y)
		}
		for _, e := range []**driver.Event{&s.copied, &s.used} {
			if *e != nil {
				continue
			}
			if *e, err = t.NewEvent(false); err != nil {
				return err
			}
		}
	}
	if f.copies == nil {
		f.copies, err = t.NewStream()
	}
	return err
}

// release gives back what belonged to the rows before.
func (f *feed) release(t *driver.Thread) error {
	err := errors.Join(f.forget(), t.Free(f.memory))
	for _, h := range f.pinned {
		err = errors.Join(err, h.Free())
	}
	f.memory, f.pinned, f.kept = 0, nil, false
	return err
}

// Order sets the order of the rows.
func (g *gpuEngine) Order(rows []int32) {
	f := &g.feed
	f.order = rows
	if f.kept && rows != nil {
		g.do(g.doOrder)
	}
}

func (g *gpuEngine) doOrder(t *driver.Thread) error {
	return driver.CopyIn(t, g.feed.ranks, g.feed.order)
}

// Run makes steps on the rows that Hold named.
func (g *gpuEngine) Run(steps []engine.Planned, losses []float64) int {
	passes := g.passesOf(steps[0].Hi - steps[0].Lo)
	n := min(len(steps), max(1, g.Steps/passes))
	for i, p := range steps[:n] {
		if p.Lo < 0 || p.Hi > g.feed.count {
			panic(fmt.Sprintf("a step of the rows %d to %d, of %d", p.Lo, p.Hi, g.feed.count))
		}
		g.checkRows(p.Hi - p.Lo)
		if g.passesOf(p.Hi-p.Lo) != passes {
			n = i
			break
		}
	}
	g.many = manyJob{steps: steps[:n], losses: losses[:n]}
	g.do(g.march)
	made := g.many.made
	g.many = manyJob{} // the slices are the caller's
	return made
}

func (g *gpuEngine) doRun(*driver.Thread) error {
	f, j := &g.feed, &g.many
	n := len(j.steps)
	err := errors.Join(f.shape(g.passesOf(j.steps[0].Hi-j.steps[0].Lo)), g.freshen())
	if err != nil {
		return err
	}
	g.tabulate()
	f.told = true
	err = errors.Join(
		driver.CopyInAsync(g.stream, g.at(g.Feed.Offset), f.head),
		driver.CopyInAsync(g.stream, f.table, f.words[:n*f.passes*f.entry]))
	if err == nil {
		if f.kept {
			err = g.launch(n)
		} else {
			err = g.streamRows()
		}
	}
	if err == nil {
		err = errors.Join(driver.CopyOutAsync(g.stream, f.losses[:n], f.ring), g.fetchScaling())
	}
	// Also where something failed: pinned memory must not be in use any more.
	if err := errors.Join(err, g.stream.Synchronize()); err != nil {
		return err
	}
	for i, p := range j.steps {
		mean := g.judged(f.losses[i] / float64(g.losses(p.Hi-p.Lo)))
		j.losses[i], j.made = mean, i+1
		if math.IsNaN(mean) || math.IsInf(mean, 0) {
			return nil
		}
	}
	return nil
}

// passesOf is the number of passes of a step.
func (g *gpuEngine) passesOf(rows int) int { return (rows + g.Batch - 1) / g.Batch }

// shape makes place for graphs of steps with so many passes.
func (f *feed) shape(passes int) error {
	if f.passes == passes {
		return nil
	}
	f.passes = passes
	f.whole = passes == 1 || f.kept && passes <= graphPasses
	return f.forget()
}

// forget gives the graphs back.
func (f *feed) forget() (err error) {
	for i, graph := range f.graphs {
		if graph != nil {
			err = errors.Join(err, graph.Destroy())
			f.graphs[i] = nil
		}
	}
	return err
}

// tabulate writes the table of the steps to be made.
func (g *gpuEngine) tabulate() {
	f := &g.feed
	from := func(p driver.Ptr) int64 { return (int64(p) - int64(g.arena)) / 4 }
	head := (*feedHead)(unsafe.Pointer(&f.head[0]))
	*head = feedHead{table: from(f.table), losses: from(f.ring), passes: int32(f.passes)}
	if f.kept && f.order != nil {
		head.order = from(f.ranks)
	}
	for i, p := range g.many.steps {
		for k := range f.passes {
			at := i*f.passes + k
			lo := p.Lo + k*g.Batch
			rows := min(g.Batch, p.Hi-lo)
			words := f.words[at*f.entry : (at+1)*f.entry]
			head := (*entryHead)(unsafe.Pointer(&words[0]))
			*head = entryHead{x: from(f.x), y: from(f.y), row: int64(lo)}
			if !f.kept {
				offset := int64(at % 2 * f.batch / 4)
				*head = entryHead{x: from(f.x) + offset, y: from(f.y) + offset}
			}
			g.describe(words[entryHeadWords:], rows, p.Hi-p.Lo, k == 0)
			g.Scalars(g.counted(p.Hyper), words[entryHeadWords+stepWords:])
		}
	}
}

// forgetTable has the next pass take the batch that lies in the arena.
func (g *gpuEngine) forgetTable() error {
	f := &g.feed
	if !f.told {
		return nil
	}
	f.told = false
	clear(f.head) // no launch reads it any more
	return driver.CopyInAsync(g.stream, g.at(g.Feed.Offset), f.head)
}

// launch asks for steps whose rows are on the device.
func (g *gpuEngine) launch(steps int) error {
	f := &g.feed
	if f.whole {
		return g.repeat(steps)
	}
	for range steps {
		if err := errors.Join(g.repeat(f.passes), g.finish()); err != nil {
			return err
		}
	}
	return nil
}

// repeat launches graphs of so many steps, or passes.
func (g *gpuEngine) repeat(times int) error {
	f := &g.feed
	each := 1
	if f.whole {
		each = f.passes
	}
	for times > 0 {
		k := 0
		for k+1 < len(f.graphs) && 2<<k <= times && 2<<k*each <= graphPasses {
			k++
		}
		if f.graphs[k] == nil {
			graph, err := g.stream.Capture(func() error { return f.record(g.stream, 1<<k*each) })
			if err != nil {
				return err
			}
			f.graphs[k] = graph
		}
		if err := f.graphs[k].Launch(g.stream); err != nil {
			return err
		}
		times -= 1 << k
	}
	return nil
}

// record runs passes, with the update at the end of each step where these are
// whole.
func (f *feed) record(s *driver.Stream, passes int) error {
	for i := range passes {
		if err := run(s, f.pass); err != nil {
			return err
		}
		if f.whole && (i+1)%f.passes == 0 {
			if err := run(s, f.update); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish launches the update alone.
func (g *gpuEngine) finish() (err error) {
	f := &g.feed
	if f.end == nil {
		if f.end, err = g.stream.Capture(func() error { return run(g.stream, f.update) }); err != nil {
			return err
		}
	}
	return f.end.Launch(g.stream)
}

// streamRows asks for steps whose rows come from the host: while one batch is
// trained, the next one is on its way.
func (g *gpuEngine) streamRows() error {
	f := &g.feed
	for i, p := range g.many.steps {
		for k := range f.passes {
			lo := p.Lo + k*g.Batch
			if err := g.send(i*f.passes+k, lo, min(lo+g.Batch, p.Hi)); err != nil {
				return err
			}
		}
		if !f.whole {
			if err := g.finish(); err != nil {
				return err
			}
		}
	}
	return nil
}

// send copies the rows of a pass to the device, and launches the pass.
func (g *gpuEngine) send(at, lo, hi int) error {
	f := &g.feed
	s := &f.stage[at%2]
	if s.busy { // the copy that it was for ended before
		if err := s.used.Synchronize(); err != nil {
			return err
		}
	}
	if f.order != nil {
		f.rows.Batch(&s.rows, f.order[lo:hi])
	} else {
		f.rows.Copy(&s.rows, lo, hi)
	}
	offset := driver.Ptr(at % 2 * f.batch)
	err := driver.CopyInAsync(f.copies, f.x+offset, s.rows.X[:(hi-lo)*g.Inputs])
	if err == nil && g.Classes {
		err = driver.CopyInAsync(f.copies, f.y+offset, s.rows.Y.Class[:hi-lo])
	} else if err == nil {
		err = driver.CopyInAsync(f.copies, f.y+offset, s.rows.Y.Value[:(hi-lo)*g.Outputs])
	}
	if err != nil {
		return err
	}
	if err := errors.Join(s.copied.Record(f.copies), g.stream.Wait(s.copied), g.repeat(1), s.used.Record(g.stream)); err != nil {
		return err
	}
	s.busy = true
	return nil
}
