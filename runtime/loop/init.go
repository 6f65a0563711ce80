package loop

import (
	"math"
	"math/rand/v2"

	"github.com/dnngen/dnngen/runtime/engine"
)

// initStream keeps the random numbers of the parameters apart from those of
// the shuffles, which use the numbers of the epochs.
const initStream = 1 << 63

// Init draws each parameter of e from its distribution. The values of a tensor
// depend on the seed and on the tensor's index alone.
func Init(n *engine.Network, e engine.Engine, seed uint64) {
	for i, p := range n.Params {
		values := make([]float32, p.Size())
		draw(values, p.Init, rand.NewPCG(seed, initStream|uint64(i)))
		e.Write(0, i, values)
	}
}

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
