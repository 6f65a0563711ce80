package host

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dnngen/dnngen/cuda/cublaslt"
	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/runtime/engine"
)

// open makes a GPU ready to run the code, with all parameters 0.
func open(c *Code, d *driver.Driver, gpu driver.Device) (engine.Engine, error) {
	context, err := d.NewContext(gpu)
	if err != nil {
		return nil, err
	}
	g := &gpuEngine{Code: c, context: context}
	g.train, g.infer, g.march = g.doStep, g.doInfer, g.doRun
	if err := context.Do(g.prepare); err != nil {
		return nil, errors.Join(err, g.release())
	}
	if g.scaling != nil {
		return scaled{g}, nil
	}
	return g, nil
}

// gpuEngine is an engine.Engine on a GPU.
type gpuEngine struct {
	*Code
	context *driver.Context

	arena  driver.Ptr
	stream *driver.Stream
	// Pinned memory: what goes to the device, and what comes back.
	x, step, raw []float32
	value        []float32 // targets, or
	class        []int32   // the same memory
	loss         []float64

	blas  *cublaslt.Handle // nil where no library is used
	notes []string

	// pass is a forward and a backward pass, with the copies it needs; where a
	// step is one pass, the update follows. update is the update alone.
	pass, update, inference *driver.Graph

	train func(*driver.Thread) error // the method doStep, bound once
	job   job                        // what doStep does

	// refresh makes what belongs to parameters that the host wrote; stale tells
	// that it is due.
	refresh []runner
	stale   bool
	scaling []scaling // one, pinned; none without a scale
	infer   func(*driver.Thread, inferJob) error

	feed  feed
	march func(*driver.Thread) error // the method doRun, bound once
	many  manyJob                    // what doRun does
}

// job is one training step.
type job struct {
	x     []float32
	y     engine.Target
	rows  int
	hyper engine.Hyper
	mean  float64
}

type inferJob struct {
	x, raw []float32
	rows   int
}

// room is what a context needs beside the arena: code, the driver's own.
const room = 64 << 20

func (g *gpuEngine) prepare(t *driver.Thread) error {
	free, total, err := t.MemInfo()
	if err != nil {
		return err
	}
	need := uint64(g.bytes())
	lib, extra := g.library(t, free)
	if need+room > free {
		return fmt.Errorf("the network needs %.1f MiB of the GPU's memory, and of its %.1f MiB only %.1f MiB are free: free some, compile a smaller batch, or take --device cpu",
			mib(need+room), mib(total), mib(free))
	}
	images, err := g.images()
	if err != nil {
		return err
	}
	m, err := t.Load(images)
	if err != nil {
		return err
	}
	if g.arena, err = t.Alloc(4*g.Total + extra); err != nil {
		return err
	}
	if err := t.Memset(g.arena, 0, 4*g.Total); err != nil {
		return err
	}
	if g.stream, err = t.NewStream(); err != nil {
		return err
	}
	pass, err := g.bind(m, g.Pass)
	if err != nil {
		return err
	}
	mixed := pass
	if lib != nil {
		if mixed, err = g.choose(t, m, lib, pass, images); err != nil {
			return err
		}
	}
	if err := g.pin(t); err != nil {
		return err
	}
	err = g.record(m, mixed)
	if g.blas != nil && cublaslt.Status(err) != 0 {
		// The library's products cannot be recorded.
		if err := g.giveUp(t, lib, err); err != nil {
			return err
		}
		return g.record(m, pass)
	}
	return err
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// pin allocates the staging memory.
func (g *gpuEngine) pin(t *driver.Thread) error {
	for _, p := range []struct {
		to   *[]float32
		size int
	}{{&g.x, g.X.Size}, {&g.value, g.Y.Size}, {&g.step, g.Code.Step.Size}, {&g.raw, g.InferRows * g.Outputs}} {
		h, err := t.HostAlloc(4 * p.size)
		if err != nil {
			return err
		}
		*p.to = driver.View[float32](h)
		clear(*p.to)
		if p.to == &g.value {
			g.class = driver.View[int32](h)
		}
	}
	h, err := t.HostAlloc(8)
	if err != nil {
		return err
	}
	g.loss = driver.View[float64](h)
	return g.pinScaling(t)
}

// at is an address in the arena.
func (g *gpuEngine) at(offset int) driver.Ptr { return g.arena + driver.Ptr(4*offset) }

// record makes the graphs of a pass.
func (g *gpuEngine) record(m *driver.Module, pass []runner) (err error) {
	update, err := g.bind(m, g.Update)
	if err != nil {
		return err
	}
	infer, err := g.bind(m, g.Code.Infer)
	if err != nil {
		return err
	}
	var fetch []runner
	if g.Fetch.Kernel != "" {
		if fetch, err = g.bind(m, []Launch{g.Fetch}); err != nil {
			return err
		}
	}
	if g.refresh, err = g.bind(m, g.Refresh); err != nil {
		return err
	}
	g.feed.pass, g.feed.update = slices.Concat(fetch, pass), update
	in := func(to Region, from []float32) error {
		return driver.CopyInAsync(g.stream, g.at(to.Offset), from)
	}
	end := func() error {
		return errors.Join(run(g.stream, update), driver.CopyOutAsync(g.stream, g.loss, g.at(g.Loss)), g.fetchScaling())
	}
	g.pass, err = g.stream.Capture(func() error {
		err := errors.Join(in(g.X, g.x[:g.Batch*g.Inputs]), in(g.Y, g.value), in(g.Code.Step, g.step), run(g.stream, pass))
		if err != nil || g.Full {
			return err
		}
		return end()
	})
	if err != nil {
		return err
	}
	if g.Full {
		if g.update, err = g.stream.Capture(end); err != nil {
			return err
		}
	}
	g.inference, err = g.stream.Capture(func() error {
		return errors.Join(in(g.X, g.x[:g.InferRows*g.Inputs]), in(g.Code.Step, g.step), run(g.stream, infer),
			driver.CopyOutAsync(g.stream, g.raw, g.at(g.Raw)))
	})
	return err
}

// bind makes launches of kernels, whose one argument is the arena.
func (g *gpuEngine) bind(m *driver.Module, list []Launch) ([]runner, error) {
	var out []runner
	for _, l := range list {
		k, err := m.Kernel(l.Kernel)
		if err != nil {
			return nil, err
		}
		if l.Shared > 0 {
			if err := k.SetMaxShared(l.Shared); err != nil {
				return nil, err
			}
		}
		launch, err := k.Bind(driver.Config{Grid: l.Grid, Block: driver.Dim{X: threads}, Shared: l.Shared}, g.arena)
		if err != nil {
			return nil, err
		}
		out = append(out, launch)
	}
	return out, nil
}

// runner is a piece of a pass: the launch of a kernel, or a library's product.
type runner interface {
	Run(s *driver.Stream) error
}

func run(s *driver.Stream, list []runner) error {
	for _, r := range list {
		if err := r.Run(s); err != nil {
			return err
		}
	}
	return nil
}

// do runs f with the context. A GPU that fails cannot go on: the engine's
// methods have no error for that, and panic with an *engine.Failure.
func (g *gpuEngine) do(f func(*driver.Thread) error) {
	if err := g.context.Do(f); err != nil {
		panic(&engine.Failure{Device: fmt.Sprintf("cuda:%d", g.context.Device.Ordinal), Err: err})
	}
}

// Step makes one step and returns the mean loss before the update.
func (g *gpuEngine) Step(x []float32, y engine.Target, rows int, h engine.Hyper) float64 {
	g.checkRows(rows)
	g.checkTargets(y, rows)
	if !g.Classes {
		y.Value = y.Value[:rows*g.Outputs]
	}
	g.job = job{x: x[:rows*g.Inputs], y: y, rows: rows, hyper: h}
	g.do(g.train)
	mean := g.job.mean
	g.job = job{} // the rows are the caller's
	return mean
}

// checkRows and checkTargets refuse what kernels would read beside the rows for.
func (g *gpuEngine) checkRows(rows int) {
	if rows < 1 || rows > g.Batch && !g.Full {
		panic(fmt.Sprintf("a step of %d rows, of at most %d", rows, g.Batch))
	}
}

func (g *gpuEngine) checkTargets(y engine.Target, rows int) {
	if !g.Classes {
		return
	}
	for _, c := range y.Class[:rows] {
		if c < 0 || int(c) >= g.Outputs {
			panic("class index out of range")
		}
	}
}

func (g *gpuEngine) doStep(*driver.Thread) error {
	j := &g.job
	if err := errors.Join(g.freshen(), g.forgetTable()); err != nil {
		return err
	}
	for lo := 0; lo < j.rows; lo += g.Batch {
		rows := min(g.Batch, j.rows-lo)
		copy(g.x, j.x[lo*g.Inputs:(lo+rows)*g.Inputs])
		if g.Classes {
			copy(g.class, j.y.Class[lo:lo+rows])
		} else {
			copy(g.value, j.y.Value[lo*g.Outputs:(lo+rows)*g.Outputs])
		}
		g.describe(g.step, rows, j.rows, lo == 0)
		g.Scalars(g.counted(j.hyper), g.step[stepWords:])
		if err := g.pass.Launch(g.stream); err != nil {
			return err
		}
		// The staging memory is free again when the stream has passed.
		if err := g.stream.Synchronize(); err != nil {
			return err
		}
	}
	if g.Full {
		if err := errors.Join(g.update.Launch(g.stream), g.stream.Synchronize()); err != nil {
			return err
		}
	}
	j.mean = g.judged(g.loss[0] / float64(g.losses(j.rows)))
	return nil
}

// Infer computes raw outputs of any number of rows.
func (g *gpuEngine) Infer(x, raw []float32, rows int) {
	q := inferJob{x[:rows*g.Inputs], raw[:rows*g.Outputs], rows}
	g.do(func(t *driver.Thread) error { return g.infer(t, q) })
}

func (g *gpuEngine) doInfer(_ *driver.Thread, q inferJob) error {
	if err := g.freshen(); err != nil {
		return err
	}
	for lo := 0; lo < q.rows; lo += g.InferRows {
		rows := min(g.InferRows, q.rows-lo)
		copy(g.x, q.x[lo*g.Inputs:(lo+rows)*g.Inputs])
		g.describe(g.step, rows, rows, true)
		if err := errors.Join(g.inference.Launch(g.stream), g.stream.Synchronize()); err != nil {
			return err
		}
		copy(q.raw[lo*g.Outputs:], g.raw[:rows*g.Outputs])
	}
	return nil
}

// tensor returns where the elements of a parameter or of one of its states lie,
// from first on.
func (g *gpuEngine) tensor(slot, i, first, count int) driver.Ptr {
	p := g.Params[i]
	if first < 0 || count > p.Size-first {
		panic(fmt.Sprintf("elements %d to %d of a tensor of %d", first, first+count, p.Size))
	}
	return g.at(g.Slots.Offset + slot*g.Slot + p.Offset + first)
}

// Read copies elements of tensor i of a slot: 0 for the parameter, then the
// optimizer's states.
func (g *gpuEngine) Read(slot, i, first int, dst []float32) {
	from := g.tensor(slot, i, first, len(dst))
	g.do(func(t *driver.Thread) error { return driver.CopyOut(t, dst, from) })
}

// Write sets elements of tensor i of a slot.
func (g *gpuEngine) Write(slot, i, first int, src []float32) {
	to := g.tensor(slot, i, first, len(src))
	g.stale = g.stale || slot == 0
	g.do(func(t *driver.Thread) error { return driver.CopyIn(t, to, src) })
}

// freshen makes what belongs to the parameters, where the host wrote some.
func (g *gpuEngine) freshen() error {
	if !g.stale {
		return nil
	}
	g.stale = false
	return run(g.stream, g.refresh)
}

// Notes are lines on how products are made.
func (g *gpuEngine) Notes() []string { return g.notes }

// Close gives everything back.
func (g *gpuEngine) Close() {
	// There is nothing to be done about a device that cannot be given back.
	_ = g.release()
}

func (g *gpuEngine) release() error {
	var err error
	if g.blas != nil {
		err = g.context.Do(func(t *driver.Thread) error {
			return errors.Join(g.stream.Synchronize(), g.blas.Close())
		})
	}
	return errors.Join(err, g.context.Close())
}
