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
	tk "github.com/dnngen/dnngen/asm/vmath/internal/testkernels"
	"github.com/dnngen/dnngen/internal/expr"
)

// emulated returns the kernels of an instruction set on an emulator.
func emulated(t *testing.T, isa string) []tk.Kernel {
	t.Helper()
	text, err := os.ReadFile("kernels_" + isa + "_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	p, err := emulate.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	list := slices.Clone(tk.Kernels)
	if n, err := p.Replace(&list); err != nil || n != len(list) {
		t.Fatalf("%d of %d kernels are emulated: %v", n, len(list), err)
	}
	return list
}

// sameBits compares bits; all NaN are equal.
func sameBits(a, b []float32) (at int, ok bool) {
	for j := range a {
		if math.Float32bits(a[j]) != math.Float32bits(b[j]) && (a[j] == a[j] || b[j] == b[j]) {
			return j, false
		}
	}
	return 0, true
}

// TestEmulated compares every row, on an emulator of every instruction set, with AVX2
// on the processor.
func TestEmulated(t *testing.T) {
	ran.Here(t, "avx2")
	avx2, avx512 := emulated(t, "avx2"), emulated(t, "avx512")
	for i, r := range rows() {
		k := tk.Kernels[i]
		in := rowInputs(r, k.Vars)
		want, got := make([]float32, tk.Stride*k.Roots), make([]float32, tk.Stride*k.Roots)
		k.AVX2(&want[0], &in[0], tk.Elements/8)
		avx2[i].AVX2(&got[0], &in[0], tk.Elements/8)
		if at, ok := sameBits(want, got); !ok {
			t.Errorf("%s: root %d at %d: AVX2 gives %v, emulated %v", r.name, at/tk.Stride, at%tk.Stride, want[at], got[at])
		}
		clear(got)
		avx512[i].AVX512(&got[0], &in[0], tk.Elements/16)
		if at, ok := sameBits(want, got); !ok {
			t.Errorf("%s: root %d at %d: AVX2 gives %v, emulated AVX-512 %v", r.name, at/tk.Stride, at%tk.Stride, want[at], got[at])
		}
	}
}

// TestValues compares every row, on every instruction set, with the float64
// evaluation of its expressions, and the instruction sets with each other.
func TestValues(t *testing.T) {
	ran.Here(t, "avx2")
	avx512 := ran.Missing("avx512") == nil
	for i, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			k := tk.Kernels[i]
			in := rowInputs(r, k.Vars)
			got := make([]float32, tk.Stride*k.Roots)
			k.AVX2(&got[0], &in[0], tk.Elements/8)
			compare(t, r, k, in, got)
			if !avx512 {
				return
			}
			ran.On("avx512")
			other := make([]float32, tk.Stride*k.Roots)
			k.AVX512(&other[0], &in[0], tk.Elements/16)
			if j, ok := sameBits(got, other); !ok {
				t.Fatalf("root %d at %d: AVX2 gives %v, AVX-512 %v", j/tk.Stride, j%tk.Stride, got[j], other[j])
			}
		})
	}
	if !avx512 {
		t.Skip("NOT TESTED on AVX-512: ", ran.Missing("avx512"))
	}
}

// rowInputs draws inputs: logits and weights of both signs, states that are
// roots of squares, and small positive uniform numbers.
func rowInputs(r row, vars []string) []float32 {
	rng := rand.New(rand.NewPCG(1, uint64(len(r.name))))
	in := make([]float32, tk.Stride*len(vars))
	positive := r.name == "primitive log" || r.name == "primitive sqrt"
	for i, name := range vars {
		x := in[i*tk.Stride : i*tk.Stride+tk.Elements]
		for j := range x {
			switch {
			case r.uniform(name):
				x[j] = 0.25 + 0.5/float32(1+i)
			case positive || name == "exp_avg_sq":
				x[j] = rng.Float32()
			case j < 16:
				x[j] = float32(j-8) / 2 // kinks among them
			default:
				x[j] = float32(8 * rng.NormFloat64())
			}
		}
		if r.uniform(name) {
			for j := range x {
				x[j] = x[0]
			}
		}
	}
	return in
}

// compare allows each root an error in proportion to the largest number that
// its evaluation meets.
func compare(t *testing.T, r row, k tk.Kernel, in, got []float32) {
	t.Helper()
	const unit = 0x1p-24 // half the distance of float32 numbers at 1
	nodes := expr.Schedule(r.roots...)
	all := expr.NewProgram(append(append([]*expr.Node(nil), r.roots...), nodes...)...)
	vars := map[string]float64{}
	nonzero := 0
	for j := range tk.Elements {
		for i, name := range k.Vars {
			vars[name] = float64(in[i*tk.Stride+j])
		}
		values := all.Eval(vars)
		largest := 0.0
		for _, v := range values {
			largest = max(largest, math.Abs(v))
		}
		if math.IsInf(largest, 0) || math.IsNaN(largest) {
			continue // float64 itself leaves its range
		}
		for root := range r.roots {
			want, have := values[root], float64(got[root*tk.Stride+j])
			if want != 0 {
				nonzero++
			}
			if math.Abs(want-have) > 8*unit*largest || have != have {
				t.Fatalf("%s at %v: got %v, want %v", r.roots[root], vars, have, want)
			}
		}
	}
	if nonzero < tk.Elements/10 {
		t.Errorf("only %d values are not zero: the inputs test nothing", nonzero)
	}
}
