package vec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Every form of address has the bytes that an assembler which knows PREFETCHW
// gives it (GNU as 2.40, with 32 bits of displacement).
func TestPrefetchwBytes(t *testing.T) {
	for _, c := range []struct {
		line operand.Mem
		want string
	}{
		{operand.Mem{Base: reg.RCX, Disp: 128}, "0f 0d 89 80 00 00 00"},
		{operand.Mem{Base: reg.R9, Disp: -64}, "41 0f 0d 89 c0 ff ff ff"},
		{operand.Mem{Base: reg.R12, Disp: 128}, "41 0f 0d 8c 24 80 00 00 00"},
		{operand.Mem{Base: reg.RBP, Disp: 128}, "0f 0d 8d 80 00 00 00"},
		{operand.Mem{Base: reg.RBX, Index: reg.RDI, Scale: 1, Disp: 4096}, "0f 0d 8c 3b 00 10 00 00"},
		{operand.Mem{Base: reg.R13, Index: reg.R14, Scale: 1, Disp: 384}, "43 0f 0d 8c 35 80 01 00 00"},
		{operand.Mem{Base: reg.RCX, Index: reg.R12, Scale: 1, Disp: 384}, "42 0f 0d 8c 21 80 01 00 00"},
	} {
		if got := fmt.Sprintf("% x", prefetchw(c.line)); got != c.want {
			t.Errorf("%s is %s, want %s", c.line.Asm(), got, c.want)
		}
	}
}

// What Compile prints are these bytes, in registers that it allocated, and the
// instruction that they stand for.
func TestPrefetchwIsPrinted(t *testing.T) {
	emit := func(scale uint8) (Files, error) {
		e := New(AVX2, "consts")
		e.Function("f")
		e.SignatureExpr("func(x *float32, n int)")
		x, n := e.GP64(), e.GP64()
		e.Load(e.Param("x"), x)
		e.Load(e.Param("n"), n)
		e.PREFETCHW(operand.Mem{Base: x, Index: n, Scale: scale, Disp: 64})
		e.RET()
		return e.Compile("a test", "kernels")
	}
	f, err := emit(1)
	if err != nil {
		t.Fatal(err)
	}
	const want = "\tBYTE $0x0f; BYTE $0x0d; BYTE $0x8c; BYTE $0x08; BYTE $0x40; BYTE $0x00; BYTE $0x00; BYTE $0x00 // PREFETCHW 64(AX)(CX*1)\n"
	if !strings.Contains(string(f.Asm), want) {
		t.Errorf("want %s in\n%s", want, f.Asm)
	}
	if _, err := emit(8); err == nil || !strings.Contains(err.Error(), "cannot address 64(AX)(CX*8)") {
		t.Errorf("a scaled index: %v", err)
	}
}
