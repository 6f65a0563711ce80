package asm_test

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/asm"
	"github.com/dnngen/dnngen/asm/internal/ran"
	"github.com/dnngen/dnngen/asm/internal/runner"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/scratch"
)

// program is a running program that holds the engines of some networks.
type program struct {
	enc *gob.Encoder
	dec *gob.Decoder
}

// runnerPath is the package that runs emitted engines.
const runnerPath = "asm/internal/runner"

// build emits networks, compiles them into one program and starts it.
func build(t testing.TB, nets map[string]*ir.Program) *program {
	t.Helper()
	m := scratch.New(t, runnerPath, "asm/internal/emulate")
	var packages []string
	for name, p := range nets {
		files, err := asm.Emit(p, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		base := "asm/nets/" + name
		for _, f := range files {
			m.Put(base+"/"+f.Path, f.Content)
		}
		m.Register(base, name, asm.Devices, runnerPath,
			fmt.Sprintf(`runner.RegisterKernels(%q, map[string]runner.Kernels{"cpu:avx2": {&vectorAVX2, textAVX2}, "cpu:avx512": {&vectorAVX512, textAVX512}})`, name))
		m.Put(base+"/text.go", fmt.Appendf(nil, "package %s\n\nimport _ \"embed\"\n\n//go:embed simd_avx2_amd64.s\nvar textAVX2 []byte\n\n//go:embed simd_avx512_amd64.s\nvar textAVX512 []byte\n", name))
		packages = append(packages, base)
	}
	return start(t, m.Program(runnerPath, packages))
}

func start(t testing.TB, binary string) *program {
	cmd := exec.Command(binary)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
	})
	return &program{gob.NewEncoder(in), gob.NewDecoder(out)}
}

// run makes one training.
func (p *program) run(t testing.TB, q runner.Request) runner.Response {
	t.Helper()
	if err := p.enc.Encode(q); err != nil {
		t.Fatal(err)
	}
	var r runner.Response
	if err := p.dec.Decode(&r); err != nil {
		t.Fatalf("%s on %s: %v", q.Net, q.Device, err)
	}
	if r.Err != "" {
		t.Fatalf("%s on %s: %s", q.Net, q.Device, r.Err)
	}
	if !q.Emulate {
		ran.On(strings.TrimPrefix(q.Device, "cpu:"))
	}
	return r
}
