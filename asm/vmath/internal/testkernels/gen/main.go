// Command gen writes the kernels of package testkernels: each function of
// vmath, over slices, for each instruction set.
package main

import (
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/asm/vmath"
)

const header = "go generate ./asm/vmath/internal/testkernels"

var functions = []struct {
	name string
	emit func(*vec.Emitter, vec.Vec) vec.Vec
}{
	{"Exp", vmath.Exp},
	{"Expm1", vmath.Expm1},
	{"Log", vmath.Log},
	{"Tanh", vmath.Tanh},
	{"Sigmoid", vmath.Sigmoid},
	{"Softplus", vmath.Softplus},
	{"Erf", vmath.Erf},
}

func main() {
	for _, isa := range vec.ISAs {
		if err := write(isa); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
}

func write(isa vec.ISA) error {
	e := vec.New(isa, "consts")
	e.ConstraintExpr("amd64,!noasm")
	for _, f := range functions {
		loop(e, f.name, f.emit)
	}
	files, err := e.Compile(header, "testkernels")
	if err != nil {
		return err
	}
	for _, s := range files.Stats {
		fmt.Printf("%-20s %2d registers, %d spills\n", s.Function, s.Used, s.Spills)
	}
	base := "kernels_" + isa.String()
	if err := os.WriteFile(base+"_amd64.s", files.Asm, 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+"_amd64.go", files.Stubs, 0o644)
}

// loop writes a function that applies emit to all elements.
func loop(e *vec.Emitter, name string, emit func(*vec.Emitter, vec.Vec) vec.Vec) {
	e.Function(name + "_" + e.ISA().String())
	e.Attributes(attr.NOSPLIT)
	e.Pragma("noescape")
	e.SignatureExpr("func(dst, src *float32, vectors int)")
	e.Doc(fmt.Sprintf("%s_%s sets dst[i] to %s of src[i] for the given number of vectors of %d.", name, e.ISA(), name, e.Lanes()))
	dst := e.Load(e.Param("dst"), e.GP64())
	src := e.Load(e.Param("src"), e.GP64())
	n := e.Load(e.Param("vectors"), e.GP64()).(reg.GPVirtual)
	e.Name(dst, "dst")
	e.Name(src, "src")
	e.Name(n, "vectors left")
	e.TESTQ(n, n)
	e.JE(operand.LabelRef("done"))
	e.Label("loop")
	x := e.LoadVec(operand.Mem{Base: src})
	e.StoreVec(emit(e, x), operand.Mem{Base: dst})
	e.ADDQ(operand.U8(e.ISA().Bytes()), src)
	e.ADDQ(operand.U8(e.ISA().Bytes()), dst)
	e.DECQ(n)
	e.JNE(operand.LabelRef("loop"))
	e.Label("done")
	e.VZEROUPPER()
	e.RET()
}
