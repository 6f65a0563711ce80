package loop

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
)

// moments returns mean, deviation, least and greatest of n values.
func moments(in engine.Init, n int) (mean, dev, lo, hi float64) {
	values := make([]float32, n)
	draw(values, in, rand.NewPCG(1, 2))
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		mean += float64(v) / float64(n)
		lo, hi = min(lo, float64(v)), max(hi, float64(v))
	}
	for _, v := range values {
		dev += (float64(v) - mean) * (float64(v) - mean) / float64(n)
	}
	return mean, math.Sqrt(dev), lo, hi
}

func TestDistributions(t *testing.T) {
	const n = 100_001 // odd: the last of a pair is dropped
	mean, dev, lo, hi := moments(engine.Init{Kind: "uniform", Scale: 3}, n)
	if math.Abs(mean) > 0.03 || math.Abs(dev-math.Sqrt(3)) > 0.03 || lo < -3 || hi > 3 || lo > -2.99 || hi < 2.99 {
		t.Errorf("uniform: mean %v, deviation %v, from %v to %v", mean, dev, lo, hi)
	}
	mean, dev, lo, hi = moments(engine.Init{Kind: "normal", Scale: 2}, n)
	if math.Abs(mean) > 0.03 || math.Abs(dev-2) > 0.03 || lo > -7 || hi < 7 {
		t.Errorf("normal: mean %v, deviation %v, from %v to %v", mean, dev, lo, hi)
	}
	if mean, dev, _, _ = moments(engine.Init{Kind: "constant", Scale: 0.25}, n); math.Abs(mean-0.25) > 1e-9 || dev > 1e-9 {
		t.Errorf("constant: mean %v, deviation %v", mean, dev)
	}
}

// pieces takes what is written to one tensor.
type pieces struct {
	engine.Engine
	values []float32
	most   int
}

func (p *pieces) Write(_, _, first int, src []float32) {
	copy(p.values[first:], src)
	p.most = max(p.most, len(src))
}

// A large tensor is drawn in pieces, and has the numbers of one drawn at once.
func TestInitInPieces(t *testing.T) {
	const size = 2*engine.MostPiece + 7
	for _, kind := range []string{"uniform", "normal", "constant"} {
		in := engine.Init{Kind: kind, Scale: 0.5}
		n := &engine.Network{Params: []engine.Param{{Shape: []int{size}, Init: in}}}
		got := &pieces{values: make([]float32, size)}
		Init(n, got, 9)
		want := make([]float32, size)
		draw(want, in, rand.NewPCG(9, initStream))
		if !slices.Equal(got.values, want) {
			t.Errorf("%s: pieces differ from the whole", kind)
		}
		if got.most != engine.MostPiece {
			t.Errorf("%s: a piece of %d elements", kind, got.most)
		}
	}
}

// A tensor's values depend on the seed and its index alone: a layer added at
// the end changes none before it.
func TestInitIsStateless(t *testing.T) {
	small := testnet.Options{Inputs: 3, Hidden: 4, Outputs: 2}
	large := testnet.Options{Inputs: 3, Hidden: 4, Outputs: 5}
	read := func(o testnet.Options, seed uint64) [][]float32 {
		n, e := testnet.New(o), testnet.Engine(o)
		Init(n, e, seed)
		return snapshot(n, e)
	}
	a, b, c := read(small, 1), read(large, 1), read(small, 2)
	for i := range 2 {
		for k, v := range a[i] {
			if v != b[i][k] {
				t.Errorf("tensor %d: %v and %v for one seed", i, v, b[i][k])
			}
			if v == c[i][k] {
				t.Errorf("tensor %d: %v for two seeds", i, v)
			}
		}
	}
	if a[0][0] == a[1][0] {
		t.Error("two tensors start alike")
	}
}
