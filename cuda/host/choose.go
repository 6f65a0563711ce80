package host

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dnngen/dnngen/cuda/cublaslt"
	"github.com/dnngen/dnngen/cuda/driver"
)

// This file chooses for each product the fastest of the ways to make it.

// way is one way to make a product of the pass: what runs in place of its launch.
// Another kernel for the same product joins in ways.
type way struct {
	name string
	run  []runner
}

// ownWay is the name of the way by the launch itself.
const ownWay = "own"

// algorithms is how many of a library's ways to make a product are tried.
const algorithms = 4

// chooser tries the ways.
type chooser struct {
	*gpuEngine
	t       *driver.Thread
	m       *driver.Module
	lib     *cublaslt.Library
	own     []runner // the pass
	numbers *numbers
	begin   *driver.Event
	end     *driver.Event
}

// choose returns the pass with each product made in the fastest way. Where
// something fails that leaves the device whole, it is the pass as it was.
func (g *gpuEngine) choose(t *driver.Thread, m *driver.Module, lib *cublaslt.Library, own []runner, images []driver.Image) ([]runner, error) {
	c := &chooser{gpuEngine: g, t: t, m: m, lib: lib, own: own, numbers: newNumbers(g.Precision)}
	about := g.about(t.Driver(), t.Device(), lib, images)
	names, _ := recall(about)
	pass, found, err := c.mix(names)
	if err != nil {
		if err := g.giveUp(t, lib, err); err != nil {
			return nil, err
		}
		pass = own
	} else {
		g.note("%s", g.told(lib, names))
		if found {
			if err := keep(about, names); err != nil {
				g.note("which products these are could not be remembered, so that another run may choose otherwise: %v", err)
			}
		}
	}
	return pass, c.empty()
}

// empty leaves the arena as it is before a training.
func (c *chooser) empty() error {
	scratch := c.Libraries.Scratch
	return c.t.Memset(c.arena, 0, 4*(scratch.Offset+scratch.Size))
}

// mix makes the pass of chosen ways. Those that names does not have, or that the
// library does not offer, it finds out and writes to names: then found is true.
func (c *chooser) mix(names map[string]string) (pass []runner, found bool, err error) {
	behind := c.at(c.Libraries.Scratch.Offset + c.Libraries.Scratch.Size)
	if c.blas, err = c.lib.New((behind+255)/256*256, workspace-256); err != nil {
		return nil, false, err
	}
	for _, e := range []**driver.Event{&c.begin, &c.end} {
		if *e, err = c.t.NewEvent(true); err != nil {
			return nil, false, err
		}
		defer func() { err = errors.Join(err, (*e).Destroy()) }()
	}
	chosen := map[int]way{}
	for i := range c.Libraries.Products {
		p := &c.Libraries.Products[i]
		name := c.Pass[p.Launch].Kernel
		ways, err := c.ways(p)
		if err != nil {
			return nil, false, err
		}
		named := func(w way) bool { return w.name == names[name] }
		if !slices.ContainsFunc(ways, named) {
			if names[name], err = c.fastest(p, ways); err != nil {
				return nil, false, err
			}
			found = true
		}
		best := ways[slices.IndexFunc(ways, named)]
		// What a library loads when it first runs cannot be loaded in a capture.
		if err := errors.Join(run(c.stream, best.run), c.stream.Synchronize()); err != nil {
			return nil, false, err
		}
		chosen[p.Launch] = best
	}
	for i, r := range c.own {
		if w, ok := chosen[i]; ok {
			pass = append(pass, w.run...)
		} else {
			pass = append(pass, r)
		}
	}
	return pass, found, nil
}

// ways lists the ways to make a product, that of our own first.
func (c *chooser) ways(p *Library) ([]way, error) {
	ways := []way{{ownWay, c.own[p.Launch : p.Launch+1]}}
	before, err := c.bind(c.m, p.Before)
	if err != nil {
		return nil, err
	}
	after, err := c.bind(c.m, p.After)
	if err != nil {
		return nil, err
	}
	matrix := func(m Matrix) cublaslt.Matrix {
		return cublaslt.Matrix{At: c.at(m.Offset), Lead: m.Lead, Turned: m.Turned}
	}
	found, err := c.blas.Plan(cublaslt.Product{
		Type: libraryTypes[c.Precision], Rows: p.Rows, Cols: p.Cols, Inner: p.Inner,
		Left: matrix(p.Left), Right: matrix(p.Right), To: matrix(p.To),
	}, algorithms)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		list := append([]runner{}, before...)
		ways = append(ways, way{fmt.Sprintf("cublaslt %d", i), append(append(list, f), after...)})
	}
	return ways, nil
}

// faster is how many times as fast as our own a way must be to be taken.
const faster = 1.03

// fastest names the fastest of the ways that agree with the first.
func (c *chooser) fastest(p *Library, ways []way) (best string, err error) {
	best = ownWay
	name, least := c.Pass[p.Launch].Kernel, math.Inf(1)
	var want [][]float64
	for i, w := range ways {
		got, err := c.result(p, w)
		if err != nil {
			return "", err
		}
		if i == 0 {
			want = got
		} else if err := agree(got, want, c.Libraries.Roundoff); err != nil {
			c.note("%s by %v, way %d, is not used: %v", name, c.lib, i-1, err)
			continue
		}
		took, err := c.time(w)
		if err != nil {
			return "", err
		}
		if i == 0 {
			took /= faster
		}
		if took < least {
			best, least = w.name, took
		}
	}
	return best, nil
}

// result makes a product from drawn numbers and returns some of its rows.
func (c *chooser) result(p *Library, w way) (list [][]float64, err error) {
	step := make([]float32, c.Code.Step.Size)
	c.describe(step, c.Batch, c.Batch, true)
	err = errors.Join(c.empty(), driver.CopyIn(c.t, c.at(c.Code.Step.Offset), step),
		c.fill(Values{Offset: c.Slots.Offset, Rows: 1, Lead: c.Slot}))
	for _, v := range append([]Values{c.operands(p.Left, p), c.operands(p.Right, p)}, p.Reads...) {
		err = errors.Join(err, c.fill(v))
	}
	if err = errors.Join(err, run(c.stream, w.run), c.stream.Synchronize()); err != nil {
		return nil, err
	}
	for _, v := range p.Writes {
		rows, err := c.sample(v)
		if err != nil {
			return nil, err
		}
		list = append(list, rows)
	}
	return list, nil
}

// operands are the rows of a product's operand.
func (c *chooser) operands(m Matrix, p *Library) Values {
	rows := p.Inner
	switch {
	case m == p.Left && !m.Turned:
		rows = p.Rows
	case m == p.Right && m.Turned:
		rows = p.Cols
	}
	return Values{Offset: m.Offset, Rows: rows, Lead: m.Lead, Operand: true}
}

// fill draws the numbers of rows.
func (c *chooser) fill(v Values) error {
	words, each := c.numbers.drawn(v.Operand)
	to, bytes := c.at(v.Offset), v.Rows*v.Lead*each
	for at := 0; at < bytes; at += len(words) {
		if err := driver.CopyIn(c.t, to+driver.Ptr(at), words[:min(len(words), bytes-at)]); err != nil {
			return err
		}
	}
	return nil
}

// sampled is how many rows of a matrix are compared.
const sampled = 32

// sample reads rows all over a matrix.
func (c *chooser) sample(v Values) ([]float64, error) {
	n := min(v.Rows, sampled)
	var list []float64
	for i := range n {
		row := i * (v.Rows - 1) / max(n-1, 1)
		sum := make([]float64, v.Cols)
		for part := range v.Parts {
			each := c.numbers.bytes(v.Operand)
			words := make([]byte, v.Cols*each)
			if err := driver.CopyOut(c.t, words, c.at(v.Offset)+driver.Ptr((part*v.Rows+row)*v.Lead*each)); err != nil {
				return nil, err
			}
			for k := range sum {
				sum[k] += c.numbers.read(words[k*each:], v.Operand)
			}
		}
		list = append(list, sum...)
	}
	return list, nil
}

// agree allows for rounding, as the trial of a device does: 16 units of it, and
// at least a thousandth, of the largest number.
func agree(got, want [][]float64, roundoff float64) error {
	tolerance := max(1e-3, 16*roundoff)
	for i, list := range want {
		scale := 0.0
		for _, w := range list {
			if !math.IsInf(w, 0) {
				scale = max(scale, math.Abs(w)) // also where one is NaN
			}
		}
		for k, w := range list {
			g := got[i][k]
			same := g == w || math.IsNaN(g) && math.IsNaN(w)
			if !same && !(math.Abs(g-w) <= tolerance*scale) {
				return fmt.Errorf("a number is %g, and %g by our own kernel", g, w)
			}
		}
	}
	return nil
}

const (
	// A way is timed in rounds, each of some runs of about roundTime together.
	rounds    = 3
	roundTime = 500 * time.Microsecond
	mostRuns  = 16
)

// time returns the least seconds of a run.
func (c *chooser) time(w way) (float64, error) {
	least, runs := math.Inf(1), 1
	for range 1 + rounds {
		err := c.begin.Record(c.stream)
		for range runs {
			err = errors.Join(err, run(c.stream, w.run))
		}
		if err = errors.Join(err, c.end.Record(c.stream), c.end.Synchronize()); err != nil {
			return 0, err
		}
		took, err := c.end.Since(c.begin)
		if err != nil {
			return 0, err
		}
		each := took.Seconds() / float64(runs)
		least = min(least, each)
		runs = min(max(int(roundTime.Seconds()/max(each, 1e-9)), 1), mostRuns)
	}
	return least, nil
}
