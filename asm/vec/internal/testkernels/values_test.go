//go:build amd64 && !noasm

package testkernels_test

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/dnngen/dnngen/asm/internal/emulate"
	"github.com/dnngen/dnngen/asm/internal/ran"
	tk "github.com/dnngen/dnngen/asm/vec/internal/testkernels"
)

// machine is an instruction set with its kernels.
type machine struct {
	name    string
	lanes   int
	kernels []tk.Kernel
	run     func(k tk.Kernel) func(out, in *float32, n int)
}

var machines = []machine{
	{"avx2", 8, tk.Kernels, func(k tk.Kernel) func(out, in *float32, n int) { return k.AVX2 }},
	{"avx512", 16, tk.Kernels, func(k tk.Kernel) func(out, in *float32, n int) { return k.AVX512 }},
}

// emulated returns the machine with an emulator in place of the processor.
func (m machine) emulated(t *testing.T) machine {
	t.Helper()
	text, err := os.ReadFile("kernels_" + m.name + "_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	p, err := emulate.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	m.kernels = slices.Clone(m.kernels)
	if n, err := p.Replace(&m.kernels); err != nil || n != len(m.kernels) {
		t.Fatalf("%d of %d kernels are emulated: %v", n, len(m.kernels), err)
	}
	return m
}

// onEach runs a test on every instruction set that the processor has, and on an
// emulator of every one.
func onEach(t *testing.T, test func(t *testing.T, m machine)) {
	for _, m := range machines {
		t.Run(m.name, func(t *testing.T) {
			ran.Here(t, m.name)
			test(t, m)
		})
		t.Run(m.name+"/emulated", func(t *testing.T) { test(t, m.emulated(t)) })
	}
}

// TestEmulator compares what each kernel writes on the processor and on the emulator,
// bit for bit but for NaN: which of two is the result is the vendor's to say.
func TestEmulator(t *testing.T) {
	for _, m := range machines {
		t.Run(m.name, func(t *testing.T) {
			ran.Here(t, m.name)
			e := m.emulated(t)
			for i, k := range m.kernels {
				rng := rand.New(rand.NewPCG(7, uint64(i)))
				in := make([]float32, tk.Stride*20)
				got, want := make([]float32, tk.Stride*40), make([]float32, tk.Stride*40)
				for range 100 {
					for j := range in {
						if in[j] = float32(rng.NormFloat64()); rng.IntN(2) == 0 {
							in[j] = odd[rng.IntN(len(odd))]
						}
					}
					n := 1 + rng.IntN(m.lanes)
					m.run(k)(&want[0], &in[0], n)
					m.run(e.kernels[i])(&got[0], &in[0], n)
					for j := range want {
						if !equal(got[j], want[j], false) {
							t.Fatalf("%s: element %d is %v (%#x), emulated %v (%#x)", k.Name, j, want[j], bits(want[j]), got[j], bits(got[j]))
						}
					}
				}
			}
		})
	}
}

func kernel(t *testing.T, m machine, name string) func(out, in *float32, n int) {
	t.Helper()
	i := slices.IndexFunc(m.kernels, func(k tk.Kernel) bool { return k.Name == name })
	if i < 0 {
		t.Fatalf("no kernel %q", name)
	}
	return m.run(m.kernels[i])
}

// equal compares bits; all NaN are equal, and so are the zeros of both signs
// where loose is set.
func equal(a, b float32, loose bool) bool {
	return bits(a) == bits(b) || a != a && b != b || loose && a == b
}

// run computes the program's results for one lane, its loop being run the
// given number of times.
func (p program) run(vars []float32, times int) []float32 {
	values := append(append([]float32(nil), vars...), make([]float32, len(p.steps))...)
	do := func(i int) {
		s := p.steps[i]
		args := make([]float32, len(s.args))
		for j, a := range s.args {
			if a < 0 {
				args[j] = float32(p.constants[-1-a])
			} else {
				args[j] = values[a]
			}
		}
		if s.into >= 0 {
			values[s.into] = fma(args[0], args[1], values[s.into])
		} else {
			values[p.vars+i] = s.op.run(args)
		}
	}
	for i := range p.steps {
		if i != p.begin || p.begin == p.end {
			if i < p.begin || i >= p.end {
				do(i)
			}
			continue
		}
		for range times {
			for j := p.begin; j < p.end; j++ {
				do(j)
			}
		}
	}
	out := make([]float32, len(p.results))
	for i, r := range p.results {
		out[i] = values[r]
	}
	return out
}

var odd = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 1.5, -1.5, 2.5, 0.75, 3, 1e-3, -250, 127, 128, 1e10, -1e30, 0x1p-126, 0x1p-149, -0x1p-130,
	math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), number(0xffc00001), number(0x7f800123),
}

// TestOperations compares each operation with Go, on ordinary and odd numbers.
func TestOperations(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		for _, p := range programs() {
			rng := rand.New(rand.NewPCG(3, uint64(len(p.steps))))
			run := kernel(t, m, p.name)
			single := len(p.steps) == 1
			// Which zero a maximum of zeros gives is not specified.
			loose := single && (p.steps[0].op.name == "max" || p.steps[0].op.name == "min")
			in := make([]float32, tk.Stride*p.vars)
			out := make([]float32, tk.Stride*len(p.results))
			for range 200 {
				for i := range in {
					in[i] = float32(rng.NormFloat64())
					if single && rng.IntN(2) == 0 {
						in[i] = odd[rng.IntN(len(odd))]
					}
				}
				run(&out[0], &in[0], 3)
				for lane := range tk.Lanes {
					vars := make([]float32, p.vars)
					for i := range vars {
						vars[i] = in[i*tk.Stride+lane]
					}
					for i, want := range p.run(vars, 3) {
						if got := out[i*tk.Stride+lane]; !equal(got, want, loose) {
							t.Fatalf("%s%v: result %d is %v (%#x), want %v (%#x)", p.name, vars, i, got, bits(got), want, bits(want))
						}
					}
				}
			}
		}
	})
}

// input returns 16 random numbers.
func input(seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, tk.Stride)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestSum checks the order of the additions.
func TestSum(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		sum, largest := kernel(t, m, "sum"), kernel(t, m, "maxLane")
		for seed := range uint64(50) {
			x := input(seed)
			w := append([]float32(nil), x...)
			for n := 8; n >= 1; n /= 2 {
				for i := range n {
					w[i] += w[i+n]
				}
			}
			var got float32
			if sum(&got, &x[0], 0); got != w[0] {
				t.Errorf("sum %v, want %v", got, w[0])
			}
			if largest(&got, &x[0], 0); got != slices.Max(x) {
				t.Errorf("largest %v, want %v", got, slices.Max(x))
			}
		}
	})
}

// TestLanes checks the moves of single lanes.
func TestLanes(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		x, out := input(1), make([]float32, tk.Lanes)
		kernel(t, m, "lanes")(&out[0], &x[0], 0)
		for i, y := range out {
			if y != x[1] {
				t.Errorf("lane %d is %v, want %v", i, y, x[1])
			}
		}
	})
}

// TestTail copies with every length and looks for what must not be written.
func TestTail(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		x := input(2)
		for n := range m.lanes + 1 {
			out := make([]float32, tk.Lanes)
			for i := range out {
				out[i] = 99
			}
			kernel(t, m, "tail")(&out[0], &x[0], n)
			for i, y := range out {
				want := float32(99)
				if i < n {
					want = x[i] + 1
				}
				if y != want {
					t.Errorf("length %d: element %d is %v, want %v", n, i, y, want)
				}
			}
		}
		out := make([]float32, tk.Lanes)
		kernel(t, m, "tail5")(&out[0], &x[0], 0)
		for i, y := range out {
			want := float32(0)
			if i < 5 {
				want = x[i]
			}
			if y != want {
				t.Errorf("5 lanes: element %d is %v, want %v", i, y, want)
			}
		}
	})
}

// TestEach checks single numbers read from memory for all lanes.
func TestEach(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		for seed := range uint64(20) {
			x, out := input(seed), make([]float32, tk.Lanes)
			kernel(t, m, "each")(&out[0], &x[0], 0)
			want := fma(x[1], x[0], x[2])
			want = choose(x[0]-want <= 0, x[0], want)
			for i, y := range out {
				if y != want {
					t.Errorf("lane %d is %v, want %v", i, y, want)
				}
			}
		}
	})
}

// TestLoops runs the kernels whose values do not all fit in registers.
func TestLoops(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		x := []float32{0.5, -1, 2, 0.25, 3, -0.125, 1, 4, -2, 0, 1.5, 0.75, -3, 8, -0.5, 1.25}
		out := make([]float32, tk.Stride*40)
		const n = 3
		kernel(t, m, "accumulate")(&out[0], &x[0], n)
		sums := 2*m.lanes - 2
		for i := range sums {
			for lane := range m.lanes {
				s := n * float32(i) * x[lane] // exact
				want := fma(s*s, s+1, s*(s-2))
				if got := out[i*tk.Stride+lane]; got != want {
					t.Fatalf("accumulate: sum %d of %v: got %v, want %v", i, x[lane], got, want)
				}
			}
		}
		kernel(t, m, "crossing")(&out[0], &x[0], n)
		for i := range 40 {
			for lane := range m.lanes {
				want := (x[lane] + float32(i)) * n * (x[lane] + 7)
				if got := out[i*tk.Stride+lane]; got != want {
					t.Fatalf("crossing: value %d of %v: got %v, want %v", i, x[lane], got, want)
				}
			}
		}
	})
}
