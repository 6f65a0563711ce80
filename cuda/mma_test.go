package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/internal/emulator"
	"github.com/dnngen/dnngen/cuda/plan"
)

// tensorType is a type that tensor cores multiply.
type tensorType struct {
	name   string // of its instructions
	policy string // its struct in dnn_mma.h
	inner  int    // k of one product
	word   int    // bytes of a number
	digits int    // of the significand
	encode func(v float64) uint32
}

var tensorTypes = []tensorType{
	{"bf16", "DnnBf16", 16, 2, 8, func(v float64) uint32 { return math.Float32bits(float32(v)) >> 16 }},
	{"f16", "DnnF16", 16, 2, 11, encodeF16},
	{"tf32", "DnnTf32", 8, 4, 11, func(v float64) uint32 { return math.Float32bits(float32(v)) }},
}

// encodeF16 encodes a small whole number: 1 has the exponent 15.
func encodeF16(v float64) uint32 {
	if v == 0 {
		return 0
	}
	fraction, exponent := math.Frexp(math.Abs(v))
	h := uint32(exponent+14)<<10 + uint32(fraction*2048) - 1024
	if v < 0 {
		h |= 0x8000
	}
	return h
}

// fragment is one row of the PTX ISA's tables: which element of a matrix
// number i of a lane is.
type fragment func(lane, i int) (row, col int)

// The tables of m16n8k16 for 16-bit types and of m16n8k8 for tf32.
var (
	fragmentA16 fragment = func(lane, i int) (int, int) {
		row, col := lane/4, lane%4*2+i&1
		if i/2%2 == 1 {
			row += 8
		}
		if i >= 4 {
			col += 8
		}
		return row, col
	}
	fragmentB16 fragment = func(lane, i int) (int, int) {
		row := lane%4*2 + i&1
		if i >= 2 {
			row += 8
		}
		return row, lane / 4
	}
	fragmentA32 fragment = func(lane, i int) (int, int) {
		row, col := lane/4, lane%4
		if i == 1 || i == 3 {
			row += 8
		}
		if i >= 2 {
			col += 4
		}
		return row, col
	}
	fragmentB32 fragment = func(lane, i int) (int, int) { return lane%4 + 4*i, lane / 4 }
	fragmentC   fragment = func(lane, i int) (int, int) { return lane/4 + i/2*8, lane%4*2 + i&1 }
)

// pack is a lane's registers of a matrix.
func (ty tensorType) pack(at fragment, lane, registers int, element func(row, col int) float64) []uint32 {
	list := make([]uint32, registers)
	perWord := 4 / ty.word
	for i := range registers * perWord {
		list[i/perWord] |= ty.encode(element(at(lane, i))) << (i % perWord * 16)
	}
	return list
}

// whole draws small whole numbers: sums of their products are exact.
func whole(r *rand.Rand, n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = float64(r.IntN(15) - 7)
	}
	return list
}

// Words of a lane in TestFragments: a, b, c.
const laneWords = 4 + 2 + 4

// TestFragments multiplies registers that are filled as the PTX ISA has it.
func TestFragments(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	var kernels []string
	for _, ty := range tensorTypes {
		kernels = append(kernels, "multiply_"+ty.name)
		fmt.Fprintf(&text, `DNN_KERNEL(multiply_%s, 256, 1) {
    float *p = m + dnn_thread() * %d;
    unsigned a[4];
    float c[4];
    for (int i = 0; i < 4; i++) a[i] = dnn_bits(p[i]);
    for (int i = 0; i < 4; i++) c[i] = p[6 + i];
    dnn_mma_%s(c, a, dnn_bits(p[4]), dnn_bits(p[5]));
    for (int i = 0; i < 4; i++) p[6 + i] = c[i];
}
`, ty.name, laneWords, ty.name)
	}
	prog := emulator.Compile(t, emulator.Options{Tensor: true}, text.String(), kernels)
	r := rand.New(rand.NewPCG(3, 4))
	for i, ty := range tensorTypes {
		t.Run(ty.name, func(t *testing.T) {
			const warps = plan.Threads / 32
			fa, fb := fragmentA16, fragmentB16
			if ty.word == 4 {
				fa, fb = fragmentA32, fragmentB32
			}
			var words []uint32
			var want [][]float64
			for range warps {
				a, b, c := whole(r, 16*ty.inner), whole(r, ty.inner*8), whole(r, 16*8)
				for lane := range 32 {
					words = append(words, ty.pack(fa, lane, 4, func(row, col int) float64 { return a[row*ty.inner+col] })...)
					words = append(words, ty.pack(fb, lane, 2, func(row, col int) float64 { return b[row*8+col] })...)
					for i := range 4 {
						row, col := fragmentC(lane, i)
						words = append(words, math.Float32bits(float32(c[row*8+col])))
					}
				}
				for row := range 16 {
					for col := range 8 {
						for k := range ty.inner {
							c[row*8+col] += a[row*ty.inner+k] * b[k*8+col]
						}
					}
				}
				want = append(want, c)
			}
			d := prog.StartArena(t, len(words))
			d.Schedule = i % 4
			d.Write(0, words)
			d.Launch([]*plan.Launch{{Name: kernels[i], Grid: [3]int{1, 1, 1}}})
			got := make([]float32, len(words))
			d.Read(0, got)
			if err := d.Err(); err != nil {
				t.Fatal(err)
			}
			for thread := range plan.Threads {
				for i := range 4 {
					row, col := fragmentC(thread%32, i)
					if v, w := got[thread*laneWords+6+i], want[thread/32][row*8+col]; float64(v) != w {
						t.Fatalf("warp %d, row %d, column %d is %g, want %g", thread/32, row, col, v, w)
					}
				}
			}
		})
	}
}

// Matrices of TestMatrices, in the arena: a [32, inner], b [inner, 32], and the
// products of four warps.
const (
	matrixA   = 0
	matrixB   = matrixA + 32*32
	matrixOut = matrixB + 32*32
	matrixAll = matrixOut + 4*16*16
)

// matrixText is a kernel that copies a and b to shared memory, as they are and
// turned, and multiplies rows and columns 16 to 31 in every combination.
func matrixText(ty tensorType) string {
	return fmt.Sprintf(`DNN_KERNEL(matrices_%[1]s, 256, 1) {
    typedef %[2]s P;
    enum { INNER = 2 * P::K, LEAD = 32 + 16 / sizeof(P::Word) };
    DNN_DYNAMIC(memory);
    P::Word *const a = (P::Word *)memory, *const a_turned = a + 32 * LEAD, *const b = a + 64 * LEAD, *const b_turned = a + 96 * LEAD;
    for (int i = dnn_thread(); i < 32 * INNER; i += DNN_THREADS) {
        const int outer = i / INNER, k = i %% INNER;
        P::put(a + outer * LEAD + k, m[%[3]d + i]);
        P::put(a_turned + k * LEAD + outer, m[%[3]d + i]);
        P::put(b + outer * LEAD + k, m[%[4]d + k * 32 + outer]);
        P::put(b_turned + k * LEAD + outer, m[%[4]d + k * 32 + outer]);
    }
    DNN_SYNC();
    const int warp = dnn_thread() / 32, lane = dnn_thread() %% 32;
    if (warp >= 4) return;
    float c[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
    for (int k = 0; k < INNER; k += P::K) {
        unsigned x[4], y[4];
        if (warp %% 2 == 0)
            P::a(x, a, LEAD, 16, k);
        else
            P::a_turned(x, a_turned, LEAD, 16, k);
        if (warp / 2 == 0)
            P::b(y, b, LEAD, 16, k);
        else
            P::b_turned(y, b_turned, LEAD, 16, k);
        for (int j = 0; j < 2; j++) P::mma(c[j], x, y[2 * j], y[2 * j + 1]);
    }
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + i / 2 * 8, col = 8 * j + lane %% 4 * 2 + i %% 2;
            m[%[5]d + (warp * 16 + row) * 16 + col] = c[j][i];
        }
}
`, ty.name, ty.policy, matrixA, matrixB, matrixOut)
}

// matrixFault runs the kernel of a type on whole numbers and returns what is
// wrong with its products.
func matrixFault(t *testing.T, prog *emulator.Program, ty tensorType, schedule int) string {
	r := rand.New(rand.NewPCG(5, 6))
	inner := 2 * ty.inner
	a, b := whole(r, 32*inner), whole(r, inner*32)
	narrow := func(list []float64) (out []float32) {
		for _, v := range list {
			out = append(out, float32(v))
		}
		return out
	}
	d := prog.StartArena(t, matrixAll)
	d.Schedule = schedule
	d.Write(matrixA, narrow(a))
	d.Write(matrixB, narrow(b))
	d.Launch([]*plan.Launch{{Name: "matrices_" + ty.name, Grid: [3]int{1, 1, 1}, Shared: 4 * 32 * (32*ty.word + 16)}})
	got := make([]float32, 4*16*16)
	d.Read(matrixOut, got)
	if err := d.Err(); err != nil {
		return err.Error()
	}
	for warp := range 4 {
		for row := range 16 {
			for col := range 16 {
				want := 0.0
				for k := range inner {
					want += a[(16+row)*inner+k] * b[k*32+16+col]
				}
				if v := got[(warp*16+row)*16+col]; float64(v) != want {
					return fmt.Sprintf("combination %d: row %d, column %d is %g, want %g", warp, row, col, v, want)
				}
			}
		}
	}
	return ""
}

// TestMatrices loads fragments from shared memory in every way.
func TestMatrices(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	var kernels []string
	for _, ty := range tensorTypes {
		text.WriteString(matrixText(ty))
		kernels = append(kernels, "matrices_"+ty.name)
	}
	prog := emulator.Compile(t, emulator.Options{Tensor: true, Sanitize: true}, text.String(), kernels)
	for i, ty := range tensorTypes {
		if fault := matrixFault(t, prog, ty, i); fault != "" {
			t.Errorf("%s: %s", ty.name, fault)
		}
	}
	for _, bug := range []struct{ name, old, new, want string }{
		{"fragments of a swapped", "c, a, b0, b1);\n    }\n    static DNN_METHOD float get(const Word *p) { return dnn_of_bf16",
			"c, {a[1], a[0], a[3], a[2]}, b0, b1);\n    }\n    static DNN_METHOD float get(const Word *p) { return dnn_of_bf16", "combination 0"},
		{"fragments of b swapped", "dnn_mma_bf16(c, a, b0, b1);\n    }\n    static DNN_METHOD float get", "dnn_mma_bf16(c, a, b1, b0);\n    }\n    static DNN_METHOD float get", "combination 0"},
		{"a not turned", "dnn_ldmatrix_trans(r, dnn_address(p + (k + lane / 16", "dnn_ldmatrix(r, dnn_address(p + (k + lane / 16", "combination 1"},
		{"b turned", "dnn_ldmatrix(r, dnn_address(p + (col + lane / 16 * 8 + lane % 8) * lead + k + lane / 8 % 2 * 8", "dnn_ldmatrix_trans(r, dnn_address(p + (col + lane / 16 * 8 + lane % 8) * lead + k + lane / 8 % 2 * 8", "combination 0"},
		{"an address between rows", "dnn_ldmatrix(r, dnn_address(p + (row + lane % 16) * lead + k", "dnn_ldmatrix(r, dnn_address(p + 1 + (row + lane % 16) * lead + k", "no multiple of 16"},
		{"an address outside", "dnn_ldmatrix(r, dnn_address(p + (row + lane % 16) * lead + k", "dnn_ldmatrix(r, dnn_address(p + (row + 512 + lane % 16) * lead + k", "outside shared memory"},
		{"lanes that are elsewhere", "dnn_ldmatrix_trans(r, dnn_address(p + (k + lane % 16)", "if (lane == 3) dnn_ldmatrix(r, dnn_address(p));\n        else dnn_ldmatrix_trans(r, dnn_address(p + (k + lane % 16)", "divergence: thread"},
	} {
		t.Run(strings.ReplaceAll(bug.name, " ", "_"), func(t *testing.T) {
			prog := emulator.Compile(t, emulator.Options{Tensor: true, Edit: func(s string) string {
				return strings.Replace(s, bug.old, bug.new, 1)
			}}, matrixText(tensorTypes[0]), kernels[:1])
			if fault := matrixFault(t, prog, tensorTypes[0], 0); !strings.Contains(fault, bug.want) {
				t.Errorf("got %q, want %q in it", fault, bug.want)
			}
		})
	}
}

// nearest rounds to a number of digits, to even or away from zero, with
// exponents that do not go below least.
func nearest(v float64, digits, least int, away bool) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	_, exponent := math.Frexp(v)
	unit := math.Ldexp(1, max(exponent, least)-digits)
	if away {
		return math.Round(v/unit) * unit
	}
	return math.RoundToEven(v/unit) * unit
}

// TestConversions compares the conversions with rounding in float64.
func TestConversions(t *testing.T) {
	t.Parallel()
	text := `DNN_KERNEL(convert, 256, 1) {
    const int i = dnn_block_x() * 256 + dnn_thread(), n = dnn_grid_x() * 256;
    const float v = m[i];
    const unsigned pairs[2] = {dnn_bf16_pair(v, -v), dnn_f16_pair(v, -v)};
    m[n + i] = dnn_of_bf16(pairs[0] & 0xffff);
    m[2 * n + i] = -dnn_of_bf16(pairs[0] >> 16);
    m[3 * n + i] = dnn_of_f16(pairs[1] & 0xffff);
    m[4 * n + i] = -dnn_of_f16(pairs[1] >> 16);
    m[5 * n + i] = dnn_tf32(v);
}
`
	prog := emulator.Compile(t, emulator.Options{Tensor: true}, text, []string{"convert"})
	x := arguments()
	r := rand.New(rand.NewPCG(7, 8))
	for range 20 * plan.Threads {
		x = append(x, math.Float32frombits(r.Uint32()))
		tie := math.Float32frombits(r.Uint32()&^0x1fff | 0x1000) // between two numbers of tf32
		x = append(x, tie, math.Float32frombits(math.Float32bits(tie)&^0xffff|0x8000), float32(r.NormFloat64()*1e-5))
	}
	n := len(x)
	d := prog.StartArena(t, 6*n)
	d.Write(0, x)
	d.Launch([]*plan.Launch{{Name: "convert", Grid: [3]int{n / plan.Threads, 1, 1}}})
	got := make([]float32, 5*n)
	d.Read(n, got)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	for i, v := range x {
		bf16 := float32(nearest(float64(v), 8, -125, false)) // overflows to infinity by itself
		f16 := nearest(float64(v), 11, -13, false)
		if math.Abs(f16) > 65504 {
			f16 = math.Inf(int(math.Copysign(1, f16)))
		}
		tf32 := float32(nearest(float64(v), 11, -125, true))
		for k, want := range []float32{bf16, bf16, float32(f16), float32(f16), tf32} {
			if g := got[k*n+i]; g != want && (g == g || want == want) {
				t.Fatalf("conversion %d of %g (%#x) is %g, want %g", k, v, math.Float32bits(v), g, want)
			}
		}
	}
}

// TestCopies copies to shared memory asynchronously, in groups.
func TestCopies(t *testing.T) {
	t.Parallel()
	const text = `DNN_KERNEL(copies, 256, 1) {
    DNN_DYNAMIC(memory);
    const int thread = dnn_thread();
    float *const s = (float *)memory;
    for (int group = 0; group < 2; group++) {
        dnn_copy(dnn_address(s + (group * 256 + thread) * 4), m + (group * 256 + thread) * 4, thread < 200);
        dnn_copy_commit();
    }
    dnn_copy_wait<1>();
    DNN_SYNC();
    m[2048 + thread] = s[1023 - thread];
    dnn_copy_wait<0>();
    DNN_SYNC();
    m[2304 + thread] = s[2047 - thread] + s[1024 + 4 * (thread % 200)];
}
`
	fault := func(o emulator.Options, text string) string {
		o.Tensor = true
		d := emulator.Compile(t, o, text, []string{"copies"}).StartArena(t, 2560)
		x := make([]float32, 2048)
		for i := range x {
			x[i] = float32(i + 1)
		}
		d.Write(0, x)
		d.Launch([]*plan.Launch{{Name: "copies", Grid: [3]int{1, 1, 1}, Shared: 8192}})
		got := make([]float32, 512)
		d.Read(2048, got)
		if err := d.Err(); err != nil {
			return err.Error()
		}
		at := func(i int) float32 {
			if i%1024 >= 800 {
				return 0
			}
			return x[i]
		}
		for i := range 256 {
			if got[i] != at(1023-i) || got[256+i] != at(2047-i)+at(1024+4*(i%200)) {
				return fmt.Sprintf("element %d is %g, and of the second group %g", i, got[i], got[256+i])
			}
		}
		return ""
	}
	if got := fault(emulator.Options{Sanitize: true}, text); got != "" {
		t.Error(got)
	}
	for _, bug := range []struct{ name, old, new, want string }{
		{"a wait for too few groups", "wait<1>", "wait<2>", "element"},
		{"no barrier after a wait", "<1>();\n    DNN_SYNC();", "<1>();", "element"},
		{"nobody waits", "dnn_copy_wait<0>();", "", "before its copies"},
		{"an address between words", "m + (group", "m + 1 + (group", "no multiple of 16"},
		{"an address outside", "dnn_address(s +", "dnn_address(s + 1024 +", "outside shared memory"},
	} {
		if got := fault(emulator.Options{}, strings.Replace(text, bug.old, bug.new, 1)); !strings.Contains(got, bug.want) {
			t.Errorf("%s: got %q, want %q in it", bug.name, got, bug.want)
		}
	}
}

// clangPath returns the newest clang that compiles CUDA, and skips the test
// where there is none.
func clangPath(t *testing.T) string {
	t.Helper()
	for v := 22; v >= 16; v-- {
		if path, err := exec.LookPath(fmt.Sprintf("clang-%d", v)); err == nil {
			return path
		}
	}
	t.Skip("no clang-16 or newer: the kernels are not compiled for a GPU")
	return ""
}

// compilePTX compiles device code for an architecture and returns the PTX.
func compilePTX(t *testing.T, clang, arch, text string) string {
	t.Helper()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "kernels.cu"), filepath.Join(dir, "kernels.ptx")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(clang, "-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch="+arch, "-nocudainc", "-nocudalib",
		"-S", "-O2", "-Wall", "-Werror", "-Wno-unknown-cuda-version", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-unused-const-variable", "-o", out, source)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%.4000s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTensorPTX compiles the words for tensor cores for a GPU: the code of each
// type has its instructions, and code without them needs none.
func TestTensorPTX(t *testing.T) {
	t.Parallel()
	clang := clangPath(t)
	if plain := string(cuda.Runtime()); strings.Contains(plain, "mma.sync") || strings.Contains(plain, "cp.async") {
		t.Error("what all kernels share needs tensor cores")
	}
	common := []string{"ldmatrix.sync.aligned.m8n8.x4.shared.b16"}
	turned := []string{"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16"}
	want := map[string][]string{
		"bf16": append(turned, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "cvt.rn.bf16.f32", "cvt.rn.bf16x2.f32"),
		"f16":  append(turned, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "cvt.rn.f16.f32", "cvt.rn.f16x2.f32", "cvt.f32.f16"),
		"tf32": {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "cvt.rna.tf32.f32"},
	}
	for _, ty := range tensorTypes {
		for _, arch := range []string{"sm_80", "sm_90"} {
			ptx := compilePTX(t, clang, arch, string(cuda.TensorRuntime())+matrixText(ty)+fmt.Sprintf(`
DNN_KERNEL(words, 256, 1) {
    DNN_DYNAMIC(memory);
    typedef %s P;
    P::Word *const p = (P::Word *)memory + 2 * dnn_thread();
    P::put2(p, m[0], m[1]);
    DNN_SYNC_WARP();
    m[2] = P::get(p + 1);
    dnn_copy(dnn_address(p), m, true);
    dnn_copy_commit();
    dnn_copy_wait<1>();
}
`, ty.policy))
			list := append(append([]string{".target " + arch, "bar.warp.sync", "cp.async.cg.shared.global", "cp.async.commit_group", "cp.async.wait_group 1"},
				common...), want[ty.name]...)
			for _, w := range list {
				if !strings.Contains(ptx, w) {
					t.Errorf("%s, %s: no %s", ty.name, arch, w)
				}
			}
			if strings.Contains(ptx, ".local") {
				t.Errorf("%s, %s: a variable on the stack", ty.name, arch)
			}
		}
	}
}
