package vec_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/dnngen/dnngen/asm/vec"
)

// everything emits one function that uses every operation.
func everything(e *vec.Emitter) {
	e.Function("everything")
	e.SignatureExpr("func(x *float32, n int)")
	p := e.Load(e.Param("x"), e.GP64())
	n := e.Load(e.Param("n"), e.GP64()).(reg.GPVirtual)
	at := func(i int) operand.Mem { return operand.Mem{Base: p, Disp: i * e.ISA().Bytes()} }
	x, y := e.LoadVec(at(0)), e.Broadcast(at(1))
	k := vec.C(1.5)
	i := 0
	store := func(v vec.Vec) { e.StoreVec(v, at(i)); i++ }
	store(e.Add(x, y))
	store(e.Add(k, y))
	store(e.Sub(x, k))
	store(e.Sub(k, x))
	store(e.Mul(k, x))
	store(e.Div(k, x))
	store(e.Div(x, y))
	store(e.Sqrt(x))
	store(e.Fma(x, y, k))
	store(e.Fma(x, k, y))
	store(e.Fma(k, x, vec.C(2)))
	store(e.Fma(x, y, x))
	store(e.Fms(x, y, k))
	store(e.Fnma(x, y, x))
	store(e.Max(x, k))
	store(e.Min(x, y))
	store(e.Neg(x))
	store(e.Abs(x))
	store(e.ToInt(x))
	store(e.FromInt(x))
	store(e.CopySign(x, y))
	store(e.AndNot(x, y))
	store(e.Or(x, y))
	store(e.Xor(x, y))
	store(e.AddInt(x, y))
	store(e.SubInt(x, k))
	store(e.Shl(x, 3))
	store(e.Sar(x, 3))
	store(e.Where(x, vec.Le, k, k, y))
	store(e.Where(x, vec.Le, k, x, vec.C(0)))
	store(e.Where(x, vec.Le, k, vec.C(0), x))
	store(e.Where(x, vec.Le, k, k, vec.C(2)))
	store(e.Where(x, vec.Le, k, y, k))
	store(e.BroadcastLane(x))
	store(e.Reg(vec.Bits(0x7fc00000)))
	store(e.Zero())
	t := e.TailReg(n)
	e.StoreTail(e.KeepTail(e.LoadTail(at(0), t), e.TailOf(3)), at(1), t)
	w := make(vec.Wide, e.PerWide())
	for i := range w {
		w[i] = e.Zero()
		e.FmaInto(w[i], x, y)
		e.AddInto(w[i], k)
	}
	e.StoreLane(e.Sum(w), at(2))
	e.StoreLane(e.MaxLane(w), at(2))
	e.RET()
}

// TestAssembles emits every operation for every instruction set and runs the
// assembler over it.
func TestAssembles(t *testing.T) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(string(bytes.TrimSpace(goroot)), "pkg", "include")
	for _, isa := range vec.ISAs {
		t.Run(isa.String(), func(t *testing.T) {
			e := vec.New(isa, "consts")
			everything(e)
			files, err := e.Compile("a test", "kernels")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			name := filepath.Join(dir, "k_amd64.s")
			if err := os.WriteFile(name, files.Asm, 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "tool", "asm", "-p", "kernels", "-I", include, "-o", filepath.Join(dir, "k.o"), name)
			cmd.Env = append(os.Environ(), "GOARCH=amd64")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, files.Asm)
			}
		})
	}
}
