// Command kernels assembles the kernels of networks, and prints what each takes
// of a GPU, as the assembler says, with an estimate of a step's time on an H200.
// It needs no GPU, and measures nothing.
//
//	go run ./bench/kernels [-sm 90] bench/kernels/*.yaml
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

func main() {
	log.SetFlags(0)
	sm := flag.Int("sm", 90, "architecture to assemble for")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("usage: go run ./bench/kernels [-sm 90] SPEC...")
	}
	tools := toolchain.Find(context.Background())
	for _, file := range flag.Args() {
		if err := table(tools, file, *sm); err != nil {
			log.Fatal(err)
		}
	}
}

// table prints the kernels of a step of one network, in the precision of its
// spec.
func table(tools *toolchain.Toolchain, file string, sm int) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	net, _, err := spec.Parse(file, text, spec.Options{})
	if err != nil {
		return err
	}
	p, err := lower.Lower(net)
	if err != nil {
		return err
	}
	var plans []*plan.Plan
	var own *plan.Plan
	for _, precision := range p.Precisions {
		pl, err := plan.With(p, plan.Options{Precision: precision})
		if err != nil {
			return err
		}
		plans = append(plans, pl)
		if precision.Name == p.Settings.Precision {
			own = pl
		}
	}
	source := append([]byte(engine.Define(own.Precision.Name)), cuda.Text(plans)...)
	_, usage, warnings, err := tools.Usage(context.Background(), source, sm)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Println(w)
	}
	of := map[string]toolchain.Usage{}
	for _, u := range usage {
		of[u.Kernel] = u
	}
	if len(own.Fused) > 0 {
		own = own.Use(own.Fused[0])
	}
	fmt.Printf("%s, %s, batch %d, sm_%d, by %v\n\n", p.Name, own.Precision.Name, p.Batch, sm, tools)
	fmt.Println("| kernel | blocks | registers | spilled | shared memory, bytes | estimate, µs | bound |")
	fmt.Println("|---|---|---|---|---|---|---|")
	total := 0.0
	for _, l := range step(own) {
		u, e := of[l.Name], estimate(own, l)
		total += e.seconds
		fmt.Printf("| %s | %d | %d | %d | %d | %.1f | %s |\n", l.Name, l.Blocks(), u.Registers, u.Spilled, u.Shared+l.Shared, 1e6*e.seconds, e.bound)
	}
	fmt.Printf("\nstep: %.1f µs by this estimate\n\n", 1e6*total)
	return nil
}

// step lists the launches of a training step.
func step(p *plan.Plan) (list []*plan.Launch) {
	if p.Fetch != nil {
		list = append(list, p.Fetch)
	}
	list = append(list, p.Pass...)
	return append(list, p.Update...)
}

// What an H200 is taken to do. Clock and multiprocessors are NVIDIA's figures;
// the rest are the assumptions of the estimate.
const (
	clock           = 1.755e9 // a second
	multiprocessors = 132
	fmaBytes        = 2048 // fused multiply-adds by mma.sync a clock and multiprocessor, times the bytes of an operand
	fmaFP32         = 128
	sharedBytes     = 128    // of shared memory a clock and multiprocessor
	memoryBytes     = 4.3e12 // a second
	launchSeconds   = 2e-6   // from the end of a kernel of a graph to the work of the next
)

// guess is an estimate of a kernel's time, and what bounds it.
type guess struct {
	seconds float64
	bound   string
}

// work is what a kernel does: multiply-adds and bytes of shared memory of a
// block, bytes of memory of all.
type work struct{ fma, shared, memory float64 }

// estimate is the longest of the times that tensor cores, shared memory and
// memory need if each alone were busy all the time, and the launch.
func estimate(p *plan.Plan, l *plan.Launch) guess {
	var fma, shared busy
	memory := 0.0
	for _, j := range l.Jobs() {
		w := count(p, j)
		fma.give(j.Blocks(), w.fma)
		shared.give(j.Blocks(), w.shared)
		memory += w.memory
	}
	rate := float64(fmaFP32)
	if p.Tensor() {
		rate = fmaBytes / float64(p.Precision.Bytes)
	}
	best := guess{bound: "launch"}
	for _, g := range []guess{
		{fma.longest() / rate / clock, "multiply-adds"},
		{shared.longest() / sharedBytes / clock, "shared memory"},
		{memory / memoryBytes, "memory"},
	} {
		if g.seconds > max(best.seconds, launchSeconds/4) {
			best = g
		}
	}
	best.seconds += launchSeconds
	return best
}

// busy is the work of each multiprocessor.
type busy [multiprocessors]float64

// give hands out blocks of so much work, each to a multiprocessor that has the least.
func (b *busy) give(blocks int, each float64) {
	for each > 0 && blocks > 0 {
		least := slices.Min(b[:])
		var idle []int
		for i, v := range b {
			if v == least {
				idle = append(idle, i)
			}
		}
		rounds := 1
		if len(idle) == len(b) { // all are alike: several rounds at once
			rounds = max(blocks/len(b), 1)
		}
		for _, i := range idle[:min(len(idle), blocks)] {
			b[i] += each * float64(rounds)
			blocks -= rounds
		}
	}
}

func (b *busy) longest() float64 { return slices.Max(b[:]) }

func count(p *plan.Plan, l *plan.Launch) work {
	q := p.Program
	rows, size := float64(q.Batch), 4.0
	if p.Tensor() {
		size = float64(p.Precision.Bytes)
	}
	switch w := l.Work.(type) {
	case *plan.Product:
		weight := ir.Param{}
		switch t := w.Step.(type) {
		case *ir.Linear:
			weight = *t.W
		case *ir.GradInput:
			weight = *t.W
		}
		out, in := float64(weight.Shape[0]), float64(weight.Shape[1])
		inner, cols := in, out
		if _, back := w.Step.(*ir.GradInput); back {
			inner, cols = out, in
		}
		g := gemm(w.Tile, w.TM, w.TN, inner, size)
		g.memory = size * (rows*inner + in*out + 2*rows*cols)
		if w.Loss != nil { // what it reads is in the cache
			g.memory += (4 + size) * rows * cols
		}
		return g
	case *plan.GradWeight:
		out, in := float64(w.Step.W.Shape[0]), float64(w.Step.W.Shape[1])
		g := gemm(w.Tile, w.TM, w.TN, float64(w.Rows), size)
		g.memory = size*rows*(out+in) + 4*out*in*float64(l.Grid[2])
		return g
	case *plan.Fused:
		return fused(p, w, l)
	case *plan.Update:
		bytes := 0.0
		for _, r := range w.Params {
			bytes += float64(r.Size()) * (8*float64(1+len(q.Rule.States)) + 4*float64(r.Parts) + size)
		}
		return work{memory: bytes}
	case *plan.Fetch:
		return work{memory: 8 * rows * float64(q.Input)}
	case *plan.Convert:
		return work{memory: (4 + size) * rows * float64(q.Input)}
	case *plan.Loss:
		return work{memory: (8 + size) * rows * float64(q.Output)}
	case *plan.Map:
		return work{memory: 3 * size * rows * float64(w.Map.Width)}
	}
	return work{}
}

// gemm counts a tile's work: on tensor cores a warp loads fragments of 512 bytes,
// which it shares among its own only.
func gemm(t plan.Tile, tm, tn int, inner, size float64) work {
	if t.Rows == 0 {
		rows, cols := float64(16*tm), float64(16*tn)
		return work{fma: rows * cols * inner, shared: 4 * inner * (rows + cols + 16*(rows+cols)/2)}
	}
	rows, cols := float64(t.Rows), float64(t.Cols)
	wm, wn := 2.0, 2.0 // WM and WN of DnnGemm
	if t.Cols == 128 {
		wn = 4
	} else if t.Rows == 128 {
		wm = 4
	}
	fragments := wn*rows/16 + wm*cols/16 // of a step over 32 bytes of the inner dimension
	shared := inner*size/32*512*fragments + inner*size*(rows+cols)
	if wm*wn == 4 {
		shared += 2 * 4 * rows * cols // two teams' sums
	}
	return work{fma: rows * cols * inner, shared: shared}
}

// fused counts the work of a block in a fused pass: all its tiles.
func fused(p *plan.Plan, f *plan.Fused, l *plan.Launch) work {
	up := func(n int) float64 { return float64((n + 15) / 16 * 16) }
	size, rows, groups := float64(f.Precision.Bytes), float64(f.Rows), float64(f.Groups())
	share := 8 / groups
	var w work
	product := func(inner, cols float64, m *ir.Map) {
		w.fma += rows * inner * cols
		steps := inner * size / 32
		each := float64(int((cols/16 + share - 1) / share))
		w.shared += 512 * steps * groups * (share*float64(int(each+3)/4) + cols/16)
		touched := 1.0
		if m != nil {
			touched = float64(len(m.In) + len(m.Out))
		}
		w.shared += size * rows * cols * touched
	}
	q := p.Program
	for _, list := range [][]ir.Step{q.Forward, q.Backward} {
		for _, s := range list {
			switch t := s.(type) {
			case *ir.Linear:
				product(up(t.W.Shape[1]), up(t.W.Shape[0]), t.Map)
			case *ir.GradInput:
				product(up(t.W.Shape[0]), up(t.W.Shape[1]), t.Map)
			}
		}
	}
	for _, a := range f.Grads {
		w.fma += rows * up(a.Step.W.Shape[0]) * up(a.Step.W.Shape[1])
		w.shared += 512 * rows * size / 32 * 8 * float64(a.TM+a.TN)
	}
	tiles := float64((q.Batch + f.Rows*l.Grid[0] - 1) / (f.Rows * l.Grid[0]))
	w.fma, w.shared = w.fma*tiles, w.shared*tiles
	w.memory = 4 * float64(q.Batch) * float64(q.Input+q.Output+1) // and their order
	return w
}
