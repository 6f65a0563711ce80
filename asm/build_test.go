package asm_test

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/asm"
	"github.com/dnngen/dnngen/asm/internal/ran"
	"github.com/dnngen/dnngen/asm/internal/runner"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/internal/ir"
)

const module = "github.com/dnngen/dnngen"

// program is a running program that holds the engines of some networks.
type program struct {
	enc *gob.Encoder
	dec *gob.Decoder
}

// build emits networks, compiles them into one program and starts it. They
// stand in a module of their own, beside links to what they import.
func build(t testing.TB, nets map[string]*ir.Program) *program {
	t.Helper()
	root, dir := golden.Root(t), t.TempDir()
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	put := func(path string, content []byte) {
		name := filepath.Join(dir, filepath.FromSlash(path))
		check(os.MkdirAll(filepath.Dir(name), 0o755))
		check(os.WriteFile(name, content, 0o644))
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		check(err)
		put(name, content)
	}
	check(os.MkdirAll(filepath.Join(dir, "asm", "internal"), 0o755))
	for _, name := range []string{"runtime", "asm/internal/runner"} {
		check(os.Symlink(filepath.Join(root, filepath.FromSlash(name)), filepath.Join(dir, filepath.FromSlash(name))))
	}
	main := "package main\n\nimport (\n\t\"os\"\n\t\"" + module + "/asm/internal/runner\"\n"
	for name, p := range nets {
		files, err := asm.Emit(p, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		base := "asm/nets/" + name
		for _, f := range files {
			put(base+"/"+f.Path, f.Content)
		}
		put(base+"/register.go", []byte(fmt.Sprintf(
			"package %s\n\nimport %q\n\nfunc init() {\n\trunner.Register(%q, simdDevices)\n"+
				"\trunner.RegisterKernels(%[3]q, map[string]any{\"cpu:avx2\": &vectorAVX2, \"cpu:avx512\": &vectorAVX512})\n}\n",
			name, module+"/asm/internal/runner", name)))
		main += fmt.Sprintf("\t_ %q\n", module+"/"+base)
	}
	main += ")\n\nfunc main() {\n\tif err := runner.Serve(os.Stdin, os.Stdout); err != nil {\n\t\tpanic(err)\n\t}\n}\n"
	put("asm/cmd/main.go", []byte(main))
	binary := filepath.Join(dir, "program")
	if keep := os.Getenv("ASM_KEEP"); keep != "" {
		binary = keep // for a profiler, which reads the symbols later
	}
	cmd := exec.Command("go", "build", "-o", binary, "./asm/cmd")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return start(t, binary)
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
	ran.On(strings.TrimPrefix(q.Device, "cpu:"))
	return r
}
