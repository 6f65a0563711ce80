package autograd

import (
	"runtime"
	"sync"
)

// piece is how many elements a loop runs over before the next one starts: the
// operands of a formula then stay in the first-level cache.
const piece = 1024

// grain is the least number of elements for which a second goroutine is worth
// its while; PyTorch's at::parallel_for has the same.
const grain = 32768

// column is an operand of a run: element i stands at
// data[offset + stride·i], or at data[i mod cycle] where there is a cycle.
type column struct {
	data           []float32
	offset, stride int
	cycle          int
}

func plain(data []float32) column { return column{data: data, stride: 1} }

// job is one run of a program.
type job struct {
	program *program
	n       int
	in, out []column
	numbers []float64 // of the scalar variables, in the order of program.scalars.Vars
}

// workers run programs. A workers is used by one goroutine at a time.
//
// Its goroutines wait on channels and not in a spinning pool: while they wait,
// their processors belong to the goroutines of the matrix products.
type workers struct {
	threads int
	start   []chan struct{} // of all workers but the caller; made when first needed
	busy    sync.WaitGroup
	job     job
	scalars []float32 // of the job
	scratch []scratch // of each worker
}

// scratch is a worker's memory.
type scratch struct {
	memory  []float32
	slots   [][]float32
	in, out [][]float32
}

func newWorkers(threads int) *workers {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &workers{threads: threads, scratch: make([]scratch, threads)}
}

func (w *workers) close() {
	for _, c := range w.start {
		close(c)
	}
}

// work runs a worker's shares until its channel is closed.
func (w *workers) work(worker int) {
	for range w.start[worker-1] {
		w.share(worker)
		w.busy.Done()
	}
}

// share runs a worker's part of the job.
func (w *workers) share(worker int) {
	pieces := (w.job.n + piece - 1) / piece
	lo, hi := worker*pieces/w.threads*piece, min((worker+1)*pieces/w.threads*piece, w.job.n)
	w.scratch[worker].run(&w.job, w.scalars, lo, hi)
}

// run computes all elements of a job.
func (w *workers) run(j job) {
	w.job = j
	w.scalars = w.scalars[:0]
	for _, v := range j.program.scalars.Run(j.numbers) {
		w.scalars = append(w.scalars, float32(v))
	}
	if w.threads == 1 || j.n < 2*grain {
		w.scratch[0].run(&w.job, w.scalars, 0, j.n)
		return
	}
	if w.start == nil {
		for worker := 1; worker < w.threads; worker++ {
			w.start = append(w.start, make(chan struct{}))
		}
		for worker := 1; worker < w.threads; worker++ {
			go w.work(worker)
		}
	}
	w.busy.Add(len(w.start))
	for _, c := range w.start {
		c <- struct{}{}
	}
	w.share(0)
	w.busy.Wait()
}

// run computes the elements lo to hi, piece by piece.
func (s *scratch) run(j *job, scalars []float32, lo, hi int) {
	p := j.program
	s.prepare(p.slots, len(j.in), len(j.out))
	for ; lo < hi; lo += piece {
		n := min(piece, hi-lo)
		for i := range j.in {
			s.in[i] = j.in[i].load(s.memory[(p.slots+i)*piece:][:n], lo)
		}
		for i := range j.out {
			s.out[i] = j.out[i].room(s.memory[(p.slots+len(j.in)+i)*piece:][:n], lo)
		}
		for i := range p.code {
			in := &p.code[i]
			var args [3][]float32
			var numbers [3]float32
			for k, a := range in.args {
				if a.kind == isScalar {
					numbers[k] = scalars[a.index]
				} else if a.kind != nowhere {
					args[k] = s.at(a, n)
				}
			}
			in.run(s.at(in.dst, n), &args, &numbers)
		}
		for _, c := range p.copies {
			dst := s.at(c.dst, n)
			if from := c.args[0]; from.kind == isScalar {
				fill(dst, scalars[from.index])
			} else {
				copy(dst, s.at(from, n))
			}
		}
		for i := range j.out {
			j.out[i].store(s.out[i], lo)
		}
	}
}

func (s *scratch) prepare(slots, in, out int) {
	if need := (slots + in + out) * piece; len(s.memory) < need {
		s.memory = make([]float32, need)
		s.slots, s.in, s.out = nil, nil, nil
	}
	for len(s.slots) < slots {
		s.slots = append(s.slots, nil)
	}
	for i := range slots {
		s.slots[i] = s.memory[i*piece:][:piece]
	}
	for len(s.in) < in {
		s.in = append(s.in, nil)
	}
	for len(s.out) < out {
		s.out = append(s.out, nil)
	}
}

// at returns the piece that an operand stands for.
func (s *scratch) at(o operand, n int) []float32 {
	switch o.kind {
	case inInput:
		return s.in[o.index]
	case inOutput:
		return s.out[o.index]
	}
	return s.slots[o.index][:n]
}

// load returns len(room) elements from lo on: the column's own memory where
// they stand side by side, else room, filled.
func (c *column) load(room []float32, lo int) []float32 {
	n := len(room)
	switch {
	case c.cycle > 0:
		at := lo % c.cycle
		for rest := room; len(rest) > 0; at = 0 {
			rest = rest[copy(rest, c.data[at:c.cycle]):]
		}
		return room
	case c.stride == 1:
		return c.data[c.offset+lo:][:n]
	}
	for i := range room {
		room[i] = c.data[c.offset+c.stride*(lo+i)]
	}
	return room
}

// room returns where elements from lo on are to be written: the column's own
// memory where it can.
func (c *column) room(room []float32, lo int) []float32 {
	if c.stride == 1 {
		return c.data[c.offset+lo:][:len(room)]
	}
	return room
}

// store puts elements that were written to room into their places.
func (c *column) store(room []float32, lo int) {
	if c.stride == 1 {
		return
	}
	for i, v := range room {
		c.data[c.offset+c.stride*(lo+i)] = v
	}
}

func fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}
