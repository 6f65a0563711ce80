package emulate

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestLoadsAll: every file of emitted kernels in the repository is understood.
func TestLoadsAll(t *testing.T) {
	for _, pattern := range []string{
		"generated/*/*.s", "examples/*/internal/net/*.s", "runtime/simd/*.s",
		"asm/vec/internal/testkernels/*.s", "asm/vmath/internal/testkernels/*.s",
	} {
		files, err := filepath.Glob(filepath.Join("../../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(files))
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Load(text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// text is a file of one function.
func text(frame string, lines ...string) []byte {
	return []byte("TEXT ·f(SB), NOSPLIT, $" + frame + "\n" + strings.Join(lines, "\n") + "\n")
}

// TestRefuses: what is not known is an error that names the line.
func TestRefuses(t *testing.T) {
	for _, c := range []struct{ frame, line, want string }{
		{"0-0", "VFROBPS Z0, Z1", "the instruction is not known"},
		{"0-0", "VADDPS.RN_SAE Z0, Z1, Z2", "form"},
		{"0-0", "VADDPS.Z Z0, Z1, K1, Z2", "form"},
		{"0-0", "VADDPS Z0, Z1, K1, Z2", "form"},
		{"0-0", "VADDPS Z0, Y1, Z2", "form"},
		{"0-0", "VADDPS Z0, Z1", "form"},
		{"0-0", "VSHUFF32X4 $1, Y0, Y1, Y2", "form"},
		{"0-0", "VADDSS Z0, Z1, Z2", "form"},
		{"0-0", "VADDPS Z0, Z1, Z32", "register"},
		{"0-0", "VMOVUPS.Z (AX), K0, Z0", "form"},
		{"0-0", "VMOVUPS (AX)(X1*4), Z0", "register"},
		{"0-0", "VMOVUPS (AX)(CX*3), Z0", "operand"},
		{"0-0", "VMOVUPS consts<>+0(SB), Z0", "past the symbol"},
		{"0-8", "MOVQ a+8(FP), AX", "past the arguments"},
		{"8-0", "MOVQ 8(SP), AX", "past the frame"},
		{"0-0", "MOVQ AX, BP", "BP"},
		{"0-0", "MOVQ AX, SP", "form"},
		{"0-0", "JNE nowhere", "label"},
		{"0-0", "BYTE $0x0f; BYTE $0x0b", "PREFETCHW"},
		{"0-0", "BYTE $0x0f; BYTE $0x0d; BYTE $0x81; BYTE $0; BYTE $0; BYTE $0; BYTE $0", "form"},
		{"0-0", "BYTE $0x0f; BYTE $0x0d; BYTE $0x81; BYTE $0x00; BYTE $0x00; BYTE $0x00; BYTE $0x00", "PREFETCHW"}, // /0
		{"0-0", "BYTE $0x0f; BYTE $0x0d; BYTE $0x89; BYTE $0x00; BYTE $0x00; BYTE $0x00", "one instruction"},
		{"0-0", "VMOVUPS (AX), Z0\nRET", "VZEROUPPER"},
		{"0-0", "DATA consts<>+4(SB)/4, $0x00000000", "next number"},
		{"0-0", "PCALIGN $16", "not known"},
	} {
		_, err := Load(text(c.frame, c.line, "VZEROUPPER", "RET"))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line 2") && !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", c.line, err)
		}
	}
	for _, lines := range [][]string{{"ADDQ $1, AX"}, {"end:"}, {"JMP end", "end:"}} {
		if _, err := Load(text("0-0", lines...)); err == nil {
			t.Errorf("%q was accepted", lines)
		}
	}
	if _, err := Load(text("0-0", "BYTE $0x41; BYTE $0x0f; BYTE $0x0d; BYTE $0x8c; BYTE $0x24; BYTE $0x80; BYTE $0x00; BYTE $0x00; BYTE $0x00", "RET")); err != nil {
		t.Error(err)
	}
	p, err := Load(text("0-16", "RET"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []any{func() {}, func(a *int, b string) {}, func(a *int, b, c float64) {}, func(a, b *int) int { return 0 }} {
		if _, err := p.Func("f", reflect.TypeOf(f)); err == nil {
			t.Errorf("%T was accepted", f)
		}
	}
}

// TestFaults: what a kernel must not do ends with the line that does it.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"JNE done", "done:"}, "undefined"},
		{[]string{"ADDQ $1, AX", "SHLQ $3, AX", "JGT done", "done:"}, "undefined"},
		{[]string{"MOVQ (AX), CX"}, "line 2: MOVQ (AX), CX"}, // AX holds no address yet
		{[]string{"LEAQ 8(SP), AX", "VMOVUPS Z0, (AX)"}, "beside the frame"},
		{[]string{"LEAQ (SP), AX", "MOVQ CX, -8(AX)"}, "beside the frame"},
	} {
		p, err := Load(text("24-0", append(c.lines, "VZEROUPPER", "RET")...))
		if err != nil {
			t.Fatal(err)
		}
		f, err := p.Func("f", reflect.TypeFor[func()]())
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.Contains(r, c.want) {
					t.Errorf("%q: %v", c.lines, r)
				}
			}()
			f.Interface().(func())()
		}()
	}
}

// TestIntegers runs instructions on general registers, and the jumps and moves that
// read what they leave in the flags.
func TestIntegers(t *testing.T) {
	const less, greater, equal = 1, 2, 4
	p, err := Load([]byte(`TEXT ·order(SB), NOSPLIT, $0-24
	MOVQ $0x00, CX
	MOVQ $1, R8
	MOVQ $2, R9
	CMPQ a+0(FP), $-3
	MOVQ a+0(FP), AX
	CMPQ AX, b+8(FP)
	CMOVQLT R8, CX
	CMOVQGT R9, CX
	JNE done
	MOVQ $4, CX
done:
	MOVQ CX, ret+16(FP)
	RET

TEXT ·mix(SB), NOSPLIT, $16-24
	MOVQ a+0(FP), AX
	IMUL3Q $-7, AX, CX
	SHLQ $4, CX
	SHRQ $1, CX
	MOVQ CX, 8(SP)
	ADDQ $5, 8(SP)
	DECQ 8(SP)
	MOVQ 8(SP), DX
	NEGQ DX
	ANDQ $-64, DX
	XORQ AX, DX
	SUBQ b+8(FP), DX
	LEAQ 3(DX)(AX*4), DX
	MOVQ DX, ret+16(FP)
	RET

TEXT ·mask(SB), NOSPLIT, $0-16
	MOVQ a+0(FP), AX
	XORL CX, CX
	BTSL AX, CX
	DECL CX
	MOVQ CX, ret+8(FP)
	RET

TEXT ·count(SB), NOSPLIT, $0-16
	MOVQ a+0(FP), AX
	XORQ CX, CX
	TESTQ AX, AX
	JZ done
loop:
	ADDQ $3, CX
	DECQ AX
	JNZ loop
done:
	MOVQ CX, ret+8(FP)
	RET
`))
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string, like any) any {
		f, err := p.Func(name, reflect.TypeOf(like))
		if err != nil {
			t.Fatal(err)
		}
		return f.Interface()
	}
	two, unary := func(a, b int) int { return 0 }, func(a int) int { return 0 }
	order, mix := get("order", two).(func(a, b int) int), get("mix", two).(func(a, b int) int)
	mask, count := get("mask", unary).(func(a int) int), get("count", unary).(func(a int) int)
	values := []int{0, 1, -1, 5, -64, 1 << 40, -1 << 40, 1<<63 - 1, -1 << 63}
	for _, a := range values {
		for _, b := range values {
			want := equal
			if a < b {
				want = less
			} else if a > b {
				want = greater
			}
			if got := order(a, b); got != want {
				t.Errorf("%d and %d compare as %d, want %d", a, b, got, want)
			}
			d := int(uint(a*-7<<4) >> 1)
			d = -(d+5-1)&-64 ^ a
			if got, want := mix(a, b), d-b+3+a*4; got != want {
				t.Errorf("mix(%d, %d) is %d, want %d", a, b, got, want)
			}
		}
	}
	for a := range 40 {
		if got, want := mask(a), int(uint32(1)<<(a%32)-1); got != want {
			t.Errorf("mask(%d) is %#x, want %#x", a, got, want)
		}
		if got := count(a); got != 3*a {
			t.Errorf("count(%d) is %d", a, got)
		}
	}
}
