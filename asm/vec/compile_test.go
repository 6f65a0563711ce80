package vec_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
)

// compile emits one function of the given body.
func compile(isa vec.ISA, body func(e *vec.Emitter)) (vec.Files, error) {
	e := vec.New(isa, "consts")
	e.Function("f")
	e.SignatureExpr("func(x *float32)")
	body(e)
	return e.Compile("a test", "kernels")
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		isa  vec.ISA
		body func(e *vec.Emitter)
		want string
	}{
		{"a named register", vec.AVX2, func(e *vec.Emitter) {
			e.VADDPS(reg.Y1, reg.Y2, reg.Y3)
			e.RET()
		}, "Y1 is named"},
		{"no return", vec.AVX2, func(e *vec.Emitter) { e.Zero() }, "control runs off the end"},
		{"no label", vec.AVX2, func(e *vec.Emitter) {
			e.Zero()
			e.JMP(operand.LabelRef("away"))
		}, `no label "away"`},
		{"a tail too long", vec.AVX2, func(e *vec.Emitter) {
			e.TailOf(9)
			e.RET()
		}, "tail of 9 lanes; a vector has 8"},
		{"an error of the caller's", vec.AVX512, func(e *vec.Emitter) {
			e.Errorf("row %d is wrong", 3)
			e.RET()
		}, "row 3 is wrong"},
		{"an instruction of AVX-512", vec.AVX2, func(e *vec.Emitter) {
			e.VRNDSCALEPS(operand.U8(0), e.Zero().Reg(), e.Fresh().Reg())
			e.RET()
		}, "is for AVX2 and needs AVX512"},
		{"too many vectors", vec.AVX2, func(e *vec.Emitter) {
			for range 60000 {
				e.Fresh()
			}
			e.RET()
		}, "makes more than 60000 vectors"},
		{"no value", vec.AVX2, func(e *vec.Emitter) {
			e.Add(e.Zero(), nil)
			e.RET()
		}, "none of Vec, Const and Mem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compile(c.isa, c.body)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestDeterministic: the same calls give the same bytes.
func TestDeterministic(t *testing.T) {
	for _, isa := range vec.ISAs {
		var first vec.Files
		for i := range 3 {
			e := vec.New(isa, "consts")
			everything(e)
			files, err := e.Compile("a test", "kernels")
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = files
			} else if !bytes.Equal(first.Asm, files.Asm) || !bytes.Equal(first.Stubs, files.Stubs) {
				t.Errorf("%s: run %d gave other bytes", isa, i)
			}
		}
	}
}

// TestCopiesVanish: a fused operation overwrites the source that dies.
func TestCopiesVanish(t *testing.T) {
	for _, dying := range []int{0, 1, 2} {
		for _, isa := range vec.ISAs {
			files, err := compile(isa, func(e *vec.Emitter) {
				p := e.Load(e.Param("x"), e.GP64())
				m := operand.Mem{Base: p}
				v := []vec.Vec{e.LoadVec(m), e.LoadVec(m), e.LoadVec(m)}
				y := e.Fma(v[0], v[1], v[2])
				for i, x := range v {
					if i != dying {
						y = e.Add(y, x)
					}
				}
				e.StoreVec(y, m)
				e.RET()
			})
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(files.Asm, []byte("VMOVAPS")) {
				t.Errorf("%s: operand %d dies, yet one is copied:\n%s", isa, dying, files.Asm)
			}
		}
	}
}

// TestConstants: equal bits share a place, NaN too.
func TestConstants(t *testing.T) {
	files, err := compile(vec.AVX512, func(e *vec.Emitter) {
		p := e.Load(e.Param("x"), e.GP64())
		for _, c := range []vec.Const{vec.Bits(0x7fc00000), vec.C(1), vec.Bits(0x7fc00000), vec.Bits(0x3f800000), vec.C(0x80000000)} {
			e.StoreVec(e.Reg(c), operand.Mem{Base: p})
		}
		e.RET()
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(files.Asm, []byte("DATA ")); n != 3 {
		t.Errorf("%d constants, want 3:\n%s", n, files.Asm)
	}
}

// TestNames: registers are named at the function's head, in order.
func TestNames(t *testing.T) {
	files, err := compile(vec.AVX2, func(e *vec.Emitter) {
		p := e.Load(e.Param("x"), e.GP64())
		e.Name(p, "x")
		var rows []vec.Vec
		for i := range 12 {
			rows = append(rows, e.LoadVec(operand.Mem{Base: p}))
			e.Name(rows[i].Reg(), "row %d", i)
		}
		for _, v := range rows {
			e.StoreVec(v, operand.Mem{Base: p})
		}
		e.RET()
	})
	if err != nil {
		t.Fatal(err)
	}
	text := string(files.Asm)
	at := 0
	for _, line := range []string{"// AX    x", "// Y0    row 0", "// Y2    row 2", "// Y9    row 9", "// Y10   row 10", "// Y11   row 11"} {
		i := strings.Index(text[at:], line)
		if i < 0 {
			t.Fatalf("no %q in its place:\n%s", line, text)
		}
		at += i
	}
}
