// Command peak writes the kernels of runtime/simd that do nothing but fused
// multiply-adds, on registers alone: what a core can do at most.
package main

import (
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"

	"github.com/dnngen/dnngen/asm/vec"
)

const (
	// chains is the number of independent sums: more than a multiply-add takes
	// cycles, times the units that make them.
	chains = 12
	unroll = 4
)

func main() {
	for _, isa := range vec.ISAs {
		if err := write(isa); err != nil {
			fmt.Fprintln(os.Stderr, "peak:", err)
			os.Exit(1)
		}
	}
}

func write(isa vec.ISA) error {
	e := vec.New(isa, "peak"+isa.String())
	e.ConstraintExpr("amd64,!noasm")
	name := map[vec.ISA]string{vec.AVX2: "peakAVX2", vec.AVX512: "peakAVX512"}[isa]
	e.Function(name)
	e.Attributes(attr.NOSPLIT)
	e.SignatureExpr("func(rounds int)")
	e.Doc(fmt.Sprintf("%s makes %d fused multiply-adds of %d numbers in each round.", name, chains*unroll, e.Lanes()))
	left := e.GP64()
	e.Load(e.Param("rounds"), left)
	e.Name(left, "rounds left")
	var sums []vec.Vec
	for range chains {
		sums = append(sums, e.Zero())
	}
	x := e.Zero()
	e.Label("round")
	for range unroll {
		for _, s := range sums {
			e.FmaInto(s, x, x)
		}
	}
	e.DECQ(left)
	e.JNZ(operand.LabelRef("round"))
	e.VZEROUPPER()
	e.RET()
	files, err := e.Compile("go generate ./runtime/simd", "simd")
	if err != nil {
		return err
	}
	base := "peak_" + isa.String() + "_amd64"
	if err := os.WriteFile(base+".s", files.Asm, 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+".go", files.Stubs, 0o644)
}
