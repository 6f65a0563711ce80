package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/spec"
)

// Which networks walk tiles of rows, in how many shards, and which steps their
// workers share in which way.
func TestChoices(t *testing.T) {
	for _, test := range []struct {
		name, layers string
		batch        string
		tiled, alone bool
		rows, shards int
		first        plan.Sharing // of the first layer
	}{
		{"narrow", "[{linear: 64}, relu, {linear: 64}, relu, {linear: 64}, relu, {linear: 16}]", "16384", true, false, 128, 30, plan.Unshared},
		{"narrow, few rows", "[{linear: 64}, relu, {linear: 16}]", "600", true, false, 128, 5, plan.Unshared},
		{"fewer rows than tiles are worth", "[{linear: 64}, relu, {linear: 16}]", "511", false, false, 511, 1, plan.Shared},
		{"gradient descent", "[{linear: 8}, tanh, {linear: 16}]", "full", true, false, 128, 30, plan.Unshared},
		{"smaller tiles fit", "[{linear: 144}, relu, {linear: 144}, relu, {linear: 64}, relu, {linear: 16}]", "4096", true, false, 64, 24, plan.Unshared},
		{"wide", "[{linear: 512}, relu, {linear: 512}, relu, {linear: 16}]", "4096", false, false, 512, 1, plan.Claimed},
		{"small", "[{linear: 8}, tanh, {linear: 16}]", "32", false, true, 32, 1, plan.Unshared},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := planned(t, 64, test.layers, test.batch)
			if p.Tiled != test.tiled || p.Alone != test.alone || p.Rows != test.rows || p.Shards != test.shards {
				t.Errorf("tiled %v, alone %v, %d rows, %d shards; want %v, %v, %d, %d",
					p.Tiled, p.Alone, p.Rows, p.Shards, test.tiled, test.alone, test.rows, test.shards)
			}
			if got := p.Forward[0].How(); got != test.first {
				t.Errorf("the first layer is shared in way %d, want %d", got, test.first)
			}
		})
	}
}

// planned plans a network trained by plain gradient descent.
func planned(t *testing.T, input int, layers, batch string) *plan.Plan {
	t.Helper()
	text := fmt.Sprintf("name: net\ninput: %d\nlayers: %s\nloss: mse\noutput: identity\ntrain: {batch: %s, optimizer: {sgd: {lr: 0.1}}}\n", input, layers, batch)
	net, _, err := spec.Parse("net.yaml", []byte(text), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	program, err := lower.Lower(net)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(program)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Into which blocks the depth of a product is cut, and in how many pieces its
// groups are shared.
func TestBlocks(t *testing.T) {
	for _, test := range []struct {
		depth, width int
		batch        string
		want         []int // depths of the blocks
		pieces       int
	}{
		{1535, 512, "128", []int{1535}, 0},
		{1536, 512, "128", []int{768, 768}, 4}, // of 16 groups
		{4096, 4096, "512", []int{1024, 1024, 1024, 1024}, 1},
		{2561, 2048, "128", []int{864, 864, 833}, 1},
		{4096, 512, "14", []int{4096}, 0}, // one tile reads each panel once
		{4096, 512, "15", []int{1024, 1024, 1024, 1024}, 2},
		{1700, 8, "512", []int{1700}, 0}, // tiled
		{1536, 2, "15", []int{1536}, 0},  // alone, in one function
		{4000, 8, "20", []int{1008, 1008, 1008, 976}, 2},
	} {
		p := planned(t, test.depth, fmt.Sprintf("[{linear: %d}]", test.width), test.batch)
		m := p.Forward[0].(*plan.Multiply)
		var got []int
		at := 0
		for i, b := range m.Blocks {
			if b.First != at {
				t.Errorf("%d by %d, batch %s: block %d begins at %d, not %d", test.depth, test.width, test.batch, i, b.First, at)
			}
			at += b.Kernel.Depth
			if i > 1 && b.Kernel.Depth == m.Blocks[1].Kernel.Depth && b.Kernel != m.Blocks[1].Kernel {
				t.Errorf("%d by %d, batch %s: block %d has a kernel of its own, and does what block 1 does", test.depth, test.width, test.batch, i)
			}
			got = append(got, b.Kernel.Depth)
		}
		if !slices.Equal(got, test.want) || m.Pieces != test.pieces {
			t.Errorf("%d by %d, batch %s: blocks of %d, %d pieces; want %d, %d", test.depth, test.width, test.batch, got, m.Pieces, test.want, test.pieces)
		}
	}
}

// A gradient by inputs is made in blocks only where its pieces have rows enough to
// transpose their weights for themselves.
func TestTransposedBlocks(t *testing.T) {
	for _, test := range []struct {
		inputs, depth  int
		batch          string
		blocks, pieces int
	}{
		{512, 4096, "127", 4, 1},
		{511, 4096, "127", 4, 1},
		{480, 4096, "128", 1, 0}, // 15 groups
		{480, 4096, "256", 4, 2},
		{128, 2048, "512", 2, 4},
		{96, 2048, "512", 1, 0},
		{512, 4096, "14", 1, 0}, // one tile
	} {
		p := planned(t, 20, fmt.Sprintf("[{linear: %d}, relu, {linear: %d}, relu, {linear: 3}]", test.inputs, test.depth), test.batch)
		found := false
		for _, s := range p.Backward[1] {
			m, ok := s.(*plan.Multiply)
			found = found || ok
			if ok && (len(m.Blocks) != test.blocks || m.Pieces != test.pieces) {
				t.Errorf("%d deep, of %d inputs, batch %s: %d blocks, %d pieces; want %d, %d",
					test.depth, test.inputs, test.batch, len(m.Blocks), m.Pieces, test.blocks, test.pieces)
			}
		}
		if !found {
			t.Errorf("%d deep: no gradient by inputs", test.depth)
		}
	}
}

// The sums of products in blocks have room for all rows of a group, whatever holds
// them: kernels write where they are told to, and would write over what is behind.
func TestSums(t *testing.T) {
	for _, test := range []struct {
		name, layers string
		batch        string
	}{
		{"slab without transposed weights", "[{linear: 64}, tanh]", "500"},
		{"slab with transposed weights", "[{linear: 40}, tanh, {linear: 1700}, relu, {linear: 20}]", "512"},
		{"few rows more than a tile", "[{linear: 40}, tanh, {linear: 9000}, swish, {linear: 33}, relu, {linear: 5}]", "15"},
		{"kept sums", "[{linear: 64}, {prelu: {per: channel}}, {linear: 3400}, swiglu, {linear: 37}, prelu, {linear: 2}]", "60"},
	} {
		p := planned(t, 4000, test.layers, test.batch)
		blocked, slab := 0, 0
		check := func(steps []plan.Step, rows int) {
			for _, s := range steps {
				m, ok := s.(*plan.Multiply)
				if !ok {
					continue
				}
				behind := 0
				if t := m.Blocks[0].Transpose; t != nil {
					behind = t.Size
				}
				if len(m.Blocks) > 1 {
					blocked++
					switch need := m.Panels * rows * kernel.Lanes; {
					case m.Sums == nil:
						behind += need
					case m.Sums != m.Acc && m.Sums.Size() < need:
						t.Errorf("%s: the sums of %s take %d numbers, and have %d", test.name, m.Name, need, m.Sums.Size())
					}
				}
				slab = max(slab, behind)
			}
		}
		check(p.Forward, p.Rows)
		for _, phase := range p.Backward {
			check(phase, p.Rows)
		}
		if p.SlabSize != slab {
			t.Errorf("%s: a slab of %d numbers, want %d", test.name, p.SlabSize, slab)
		}
		check(p.Infer.Steps, p.Infer.Rows)
		check(p.InferRow.Steps, 1)
		if blocked == 0 {
			t.Errorf("%s: no product in blocks", test.name)
		}
	}
}
