package emulator

import (
	"math"
	"math/rand/v2"

	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/nettest"
)

// feed is where a Trainer lays what it gathers steps from, behind the arena: a
// table of a step's passes, twice as many rows as the largest step has, and last
// an order of them.
type feed struct {
	rows                     int // of the largest step; 0: nothing is gathered
	ring, table, x, y, order int
	entry                    int // float32 of an entry
	random                   *rand.Rand
}

// Of feed: entries of the order before a step's first, and the float32 of
// DnnEntry in dnn_feed.h.
const (
	feedAhead = 3
	entryHead = 6
)

func layFeed(p *plan.Plan, rows int) (f feed, end int) {
	at := p.Total
	take := func(words int) int {
		from := at
		at += (words + 63) / 64 * 64
		return from
	}
	f = feed{rows: rows, entry: entryHead + (p.Layout.Step.Size+1)/2*2, random: rand.New(rand.NewPCG(5, uint64(rows)))}
	f.ring = take(2)
	f.table = take((rows + p.Program.Batch - 1) / p.Program.Batch * f.entry)
	f.x = take(2 * rows * p.Program.Input)
	f.y = take(2 * rows * p.Y.Size / p.Program.Batch)
	f.order = at
	return f, at + feedAhead + rows
}

// FeedWords is the room behind a plan's arena that Trainer.Gather needs.
func FeedWords(p *plan.Plan, rows int) int {
	_, end := layFeed(p, rows)
	return end - p.Total
}

// Gather has steps of up to so many rows gathered by the device, as those of
// many steps in one launch are: by turns in a drawn order, and as they follow each
// other. The rows between are NaN, and so is the place of a batch.
func (t *Trainer) Gather(rows int) { t.feed, _ = layFeed(t.plan, rows) }

// lay writes a step's rows, and the order, for so many passes.
func (t *Trainer) lay(b nettest.Batch, passes int) {
	f, p := &t.feed, t.plan.Program
	in, out := p.Input, t.plan.Y.Size/p.Batch
	t.Write(f.x, nans(2*f.rows*in))
	t.Write(f.y, nans(2*f.rows*out))
	order := make([]int32, feedAhead+b.Rows)
	shuffled := t.step%2 == 1
	places := f.random.Perm(2 * f.rows)
	for i := range b.Rows {
		to := i + min(feedAhead, 2*f.rows-b.Rows)
		if shuffled {
			to = places[i]
			order[feedAhead+i] = int32(to)
		}
		t.Write(f.x+to*in, b.X[i*in:(i+1)*in])
		if b.Class != nil {
			t.Write(f.y+to*out, b.Class[i*out:(i+1)*out])
		} else {
			t.Write(f.y+to*out, b.Value[i*out:(i+1)*out])
		}
	}
	head := struct {
		Table, Order, Losses          int64
		Entry, Passes, Halted, Unused int32
	}{Table: int64(f.table), Losses: int64(f.ring), Passes: int32(passes)}
	if shuffled {
		head.Order = int64(f.order)
		t.Write(f.order, order)
	}
	t.Write(t.plan.Feed.Offset, head)
}

// fetched writes the entry of a pass that begins with row lo of a step of total
// rows, and runs the pass.
func (t *Trainer) fetched(lo, total int, words []float32) {
	f := &t.feed
	first := lo + feedAhead
	if t.step%2 == 0 {
		first = lo + min(feedAhead, 2*f.rows-total)
	}
	at := f.table + lo/t.plan.Program.Batch*f.entry
	t.Write(at, []int64{int64(f.x), int64(f.y), int64(first)})
	t.Write(at+entryHead, words)
	t.Write(t.plan.Layout.Step.Offset, nans(t.plan.Layout.Step.Size))
	if t.plan.Fetch != nil {
		t.Launch([]*plan.Launch{t.plan.Fetch})
	}
	t.Launch(t.plan.Pass)
}

// nans are numbers that are none, also as twice as many of 16 bits.
func nans(n int) []float32 {
	list := make([]float32, n)
	for i := range list {
		list[i] = math.Float32frombits(math.MaxUint32)
	}
	return list
}
