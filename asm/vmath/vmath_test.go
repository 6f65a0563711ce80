//go:build amd64 && !noasm

package vmath_test

import (
	"math"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/emulate"
	"github.com/dnngen/dnngen/asm/internal/ran"

	tk "github.com/dnngen/dnngen/asm/vmath/internal/testkernels"
)

// sweepVariable, set to anything, has the tests try all 2^32 inputs.
const sweepVariable = "DNNGEN_SWEEP"

// function is one function of vmath with its reference and the largest error,
// in units of the last place, that doc.go states.
type function struct {
	name      string
	reference func(float64) float64
	limit     float64
}

var functions = []function{
	{"exp", math.Exp, 0.92},
	{"expm1", math.Expm1, 1.61},
	{"log", math.Log, 0.98},
	{"tanh", math.Tanh, 1.94},
	{"sigmoid", sigmoid, 1.65},
	{"softplus", softplus, 1.93},
	{"erf", math.Erf, 1.43},
	{"tanh softplus", func(x float64) float64 { return math.Tanh(softplus(x)) }, 2.39},
}

// kernels returns the function's kernels.
func (f function) kernels(t testing.TB) tk.Kernel {
	i := slices.IndexFunc(tk.Kernels, func(k tk.Kernel) bool { return k.Name == "primitive "+f.name })
	if i < 0 {
		t.Fatalf("no kernel of %s", f.name)
	}
	return tk.Kernels[i]
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	t := math.Exp(x)
	return t / (1 + t)
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// needAVX2 and needAVX512 skip where the processor lacks the instructions. A
// machine that has them fails where no test ran.
func needAVX2(t testing.TB) {
	t.Helper()
	ran.Here(t, "avx2")
}

func needAVX512(t testing.TB) {
	t.Helper()
	ran.Here(t, "avx512")
}

// spacing returns the distance between the float32 numbers around y, past the
// largest one too.
func spacing(y float64) float64 {
	_, e := math.Frexp(y)
	return math.Ldexp(1, max(e-24, -149))
}

// ulps returns the error of got in units of the last place of want.
func ulps(got float32, want float64) float64 {
	switch {
	case math.IsNaN(want):
		if got != got {
			return 0
		}
		return math.Inf(1)
	case math.IsInf(want, 0), math.IsInf(float64(got), 0):
		if float64(got) == want || float32(want) == got {
			return 0
		}
		if math.IsInf(want, 0) || math.Signbit(float64(got)) != math.Signbit(want) {
			return math.Inf(1)
		}
		// Infinity stands for the number that would follow the largest.
		return math.Abs(0x1p128-math.Abs(want)) / spacing(want)
	case got != got:
		return math.Inf(1)
	}
	return math.Abs(float64(got)-want) / spacing(want)
}

// chunk is the number of inputs that one call of a kernel works on.
const chunk = tk.Elements

// inputs calls visit with chunks of inputs: all of them in a sweep, else a
// sample of every exponent and every number near the special ones.
func inputs(visit func(in []float32)) {
	buf := make([]float32, 0, chunk)
	add := func(b uint32) {
		if buf = append(buf, math.Float32frombits(b)); len(buf) == chunk {
			visit(buf)
			buf = buf[:0]
		}
	}
	if os.Getenv(sweepVariable) != "" {
		var wg sync.WaitGroup
		parts := make(chan uint32)
		for range 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				in := make([]float32, chunk)
				for p := range parts {
					for i := range in {
						in[i] = math.Float32frombits(p*chunk + uint32(i))
					}
					visit(in)
				}
			}()
		}
		for p := range uint32(1 << 32 / chunk) {
			parts <- p
		}
		close(parts)
		wg.Wait()
		return
	}
	const stride = 8191 // odd, so that the low bits vary
	for b := uint64(0); b < 1<<32; b += stride {
		add(uint32(b))
	}
	for _, x := range special {
		for d := int32(-100); d <= 100; d++ {
			add(math.Float32bits(x) + uint32(d))
			add(math.Float32bits(-x) + uint32(d))
		}
	}
	for len(buf) > 0 {
		add(0)
	}
}

// special holds numbers around which functions change their ways.
var special = []float32{
	0, 0x1p-149, 0x1p-126, 0x1p-100, 0x1p-50, 0x1p-25, 0x1p-24, 0x1p-23, 0x1p-12, 0.25, 0.5, math.Ln2, 0.7, 0.75, 0.92,
	1, math.Ln2 / 2, math.Ln2 * 1.5, 1.5, math.Sqrt2, 2, 3.92, 4, 8.66, 9.01, 10, 13, 16.6, 17.3, 20, 25, 30,
	87.33655, 88.3762626647949, 88.72284, 89, 100, 103.27893, 103.97208, 104, 127, 128, 150, 200, 1e4, 1e10, 1e30,
	math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN()),
}

// TestError measures the error against math in float64.
func TestError(t *testing.T) {
	needAVX2(t)
	for _, f := range functions {
		t.Run(f.name, func(t *testing.T) {
			kernel := f.kernels(t)
			var mu sync.Mutex
			worst, at := 0.0, float32(0)
			inputs(func(in []float32) {
				out := make([]float32, len(in))
				kernel.AVX2(&out[0], &in[0], len(in)/8)
				w, a := 0.0, float32(0)
				for i, x := range in {
					if e := ulps(out[i], f.reference(float64(x))); e > w {
						w, a = e, x
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if w > worst {
					worst, at = w, a
				}
			})
			t.Logf("largest error %.3f ulp at %v (%#08x)", worst, at, math.Float32bits(at))
			if worst > f.limit {
				t.Errorf("largest error %.3f ulp at %v; want at most %v", worst, at, f.limit)
			}
		})
	}
}

// TestSameBits compares the instruction sets.
func TestSameBits(t *testing.T) {
	needAVX2(t)
	needAVX512(t)
	for _, f := range functions {
		t.Run(f.name, func(t *testing.T) {
			kernel := f.kernels(t)
			inputs(func(in []float32) {
				a, b := make([]float32, len(in)), make([]float32, len(in))
				kernel.AVX2(&a[0], &in[0], len(in)/8)
				kernel.AVX512(&b[0], &in[0], len(in)/16)
				for i, x := range in {
					if math.Float32bits(a[i]) != math.Float32bits(b[i]) && (a[i] == a[i] || b[i] == b[i]) {
						t.Errorf("%s(%v): AVX2 gives %v, AVX-512 %v", f.name, x, a[i], b[i])
						return
					}
				}
			})
		})
	}
}

// TestSameBitsEmulated compares AVX2 on the processor with an emulator of AVX-512.
func TestSameBitsEmulated(t *testing.T) {
	needAVX2(t)
	if os.Getenv(sweepVariable) != "" {
		t.Skip("a sweep takes days on an emulator")
	}
	text, err := os.ReadFile("internal/testkernels/kernels_avx512_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	p, err := emulate.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		t.Run(f.name, func(t *testing.T) {
			kernel := f.kernels(t)
			emulated := kernel
			if _, err := p.Replace(&emulated); err != nil {
				t.Fatal(err)
			}
			inputs(func(in []float32) {
				a, b := make([]float32, len(in)), make([]float32, len(in))
				kernel.AVX2(&a[0], &in[0], len(in)/8)
				emulated.AVX512(&b[0], &in[0], len(in)/16)
				for i, x := range in {
					if math.Float32bits(a[i]) != math.Float32bits(b[i]) && (a[i] == a[i] || b[i] == b[i]) {
						t.Errorf("%s(%v): AVX2 gives %v, AVX-512 %v", f.name, x, a[i], b[i])
						return
					}
				}
			})
		})
	}
}

// TestSpecial states the values at the ends and at zero, signs included.
func TestSpecial(t *testing.T) {
	needAVX2(t)
	inf, negZero := math.Inf(1), math.Copysign(0, -1)
	for _, c := range []struct {
		name string
		x    float64
		want float64
	}{
		{"exp", -inf, 0},
		{"exp", inf, inf},
		{"exp", 0, 1},
		{"exp", negZero, 1},
		{"exp", 88.72284, inf},
		{"exp", -103.97209, 0},
		{"exp", -103.97207, 0x1p-149},
		{"exp", math.NaN(), math.NaN()},
		{"expm1", -inf, -1},
		{"expm1", inf, inf},
		{"expm1", 0, 0},
		{"expm1", negZero, negZero},
		{"expm1", 0x1p-149, 0x1p-149},
		{"expm1", -100, -1},
		{"expm1", math.NaN(), math.NaN()},
		{"log", 0, -inf},
		{"log", negZero, -inf},
		{"log", 1, 0},
		{"log", inf, inf},
		{"log", -1, math.NaN()},
		{"log", -inf, math.NaN()},
		{"log", -0x1p-149, math.NaN()},
		{"log", math.NaN(), math.NaN()},
		{"tanh", inf, 1},
		{"tanh", -inf, -1},
		{"tanh", 0, 0},
		{"tanh", negZero, negZero},
		{"tanh", 0x1p-149, 0x1p-149},
		{"tanh", math.NaN(), math.NaN()},
		{"sigmoid", inf, 1},
		{"sigmoid", -inf, 0},
		{"sigmoid", 0, 0.5},
		{"sigmoid", 200, 1},
		{"sigmoid", -200, 0},
		{"sigmoid", -103.97207, 0x1p-149},
		{"sigmoid", math.NaN(), math.NaN()},
		{"softplus", inf, inf},
		{"softplus", -inf, 0},
		{"softplus", 1e4, 1e4},
		{"softplus", -200, 0},
		{"softplus", -103.97207, 0x1p-149},
		{"softplus", math.NaN(), math.NaN()},
		{"erf", inf, 1},
		{"erf", -inf, -1},
		{"erf", 0, 0},
		{"erf", negZero, negZero},
		{"erf", math.NaN(), math.NaN()},
		{"tanh softplus", inf, 1},
		{"tanh softplus", -inf, 0},
		{"tanh softplus", 0x1p-149, 0.6},
		{"tanh softplus", math.NaN(), math.NaN()},
	} {
		i := slices.IndexFunc(functions, func(f function) bool { return f.name == c.name })
		in, out := make([]float32, 8), make([]float32, 8)
		for j := range in {
			in[j] = float32(c.x)
		}
		functions[i].kernels(t).AVX2(&out[0], &in[0], 1)
		want := float32(c.want)
		for _, got := range out {
			if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
				t.Errorf("%s(%v) = %v, want %v", c.name, c.x, got, want)
				break
			}
		}
	}
}
