package loop

import (
	"math"
	"math/rand/v2"

	"github.com/dnngen/dnngen/runtime/engine"
)

// initStream keeps the random numbers of the parameters apart from those of
// the shuffles, which use the numbers of the epochs.
const initStream = 1 << 63

// Drawn are the parameters that a training begins with. They are nowhere kept,
// but drawn whenever they are asked for.
type Drawn struct {
	net   *engine.Network
	seed  uint64
	piece []float32
}

// Draw returns the parameters of a seed.
func Draw(n *engine.Network, seed uint64) *Drawn { return &Drawn{n, seed, n.Piece()} }

// Pieces draws parameter i from its distribution and hands it to f, from the
// first element to the last, in pieces that are valid until f returns. The values
// depend on the seed and on i alone.
func (d *Drawn) Pieces(i int, f func(first int, values []float32) error) error {
	p, r := d.net.Params[i], rand.NewPCG(d.seed, initStream|uint64(i))
	for lo, hi := range engine.Pieces(p.Size()) {
		values := d.piece[:hi-lo]
		draw(values, p.Init, r)
		if err := f(lo, values); err != nil {
			return err
		}
	}
	return nil
}

// Close does nothing.
func (*Drawn) Close() error { return nil }

// Init gives e the parameters that a training begins with.
func Init(n *engine.Network, e engine.Engine, seed uint64) {
	drawn := Draw(n, seed)
	for i := range n.Params {
		// Only what takes the pieces can fail.
		_ = drawn.Pieces(i, func(first int, values []float32) error {
			e.Write(0, i, first, values)
			return nil
		})
	}
}

// draw draws the next elements of a tensor. They are an even number, except at
// its end.
func draw(dst []float32, in engine.Init, r *rand.PCG) {
	switch in.Kind {
	case "uniform":
		for i := range dst {
			dst[i] = float32((2*unit(r) - 1) * in.Scale)
		}
	case "normal":
		for i := 0; i < len(dst); i += 2 {
			a, b := normalPair(r)
			dst[i] = float32(a * in.Scale)
			if i+1 < len(dst) {
				dst[i+1] = float32(b * in.Scale)
			}
		}
	case "constant":
		for i := range dst {
			dst[i] = float32(in.Scale)
		}
	default:
		panic("loop: unknown distribution " + in.Kind)
	}
}

// unit returns a number of [0, 1) with 53 random bits.
func unit(r *rand.PCG) float64 { return float64(r.Uint64()>>11) * 0x1p-53 }

// normalPair returns two independent numbers of the standard normal
// distribution, by Marsaglia's polar method.
func normalPair(r *rand.PCG) (float64, float64) {
	for {
		u, v := 2*unit(r)-1, 2*unit(r)-1
		s := float64(u*u) + float64(v*v)
		if s > 0 && s < 1 {
			f := math.Sqrt(-2 * math.Log(s) / s)
			return u * f, v * f
		}
	}
}
