// Package emulator compiles emitted kernels with the machine's C++ compiler
// and runs them on the CPU, a fibre for each of a block's threads. It is for
// tests: it finds missing and divergent barriers, reads of what nothing wrote,
// and with the address sanitizer what lies outside the arena's regions.
package emulator

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/cuda/plan"
	"github.com/dnngen/dnngen/internal/golden"
	"github.com/dnngen/dnngen/templates"
)

// Net is a network to compile.
type Net struct {
	Name string // a C++ identifier
	Plan *plan.Plan
}

// Options change how kernels are compiled.
type Options struct {
	Sanitize bool // with the address sanitizer
	Tensor   bool // with the words for tensor cores
	Exact    bool // with float32 for tf32
	// Edit changes the text of the device code: what all networks share, then the
	// networks' own.
	Edit func(text string) string
}

// Program is a compiled set of networks.
type Program struct {
	path  string
	nets  map[string]*plan.Plan
	index map[string]int // of net.kernel
}

// Compiler returns the C++ compiler, and skips the test where there is none.
func Compiler(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"g++", "c++", "clang++"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no C++ compiler: the kernels are not run")
	return ""
}

// Build compiles networks into one program.
func Build(t testing.TB, o Options, nets ...Net) *Program {
	t.Helper()
	plans := map[string]*plan.Plan{}
	var text strings.Builder
	var kernels []string
	for _, n := range nets {
		fmt.Fprintf(&text, "namespace %s {\n%s}\n", n.Name, cuda.Kernels(n.Plan))
		plans[n.Name] = n.Plan
		o.Tensor = o.Tensor || n.Plan.Tensor()
		for _, l := range n.Plan.Launches() {
			kernels = append(kernels, n.Name+"::"+l.Name)
		}
	}
	p := Compile(t, o, text.String(), kernels)
	p.nets = plans
	return p
}

// Compile compiles device code with the given kernels in it.
func Compile(t testing.TB, o Options, text string, kernels []string) *Program {
	t.Helper()
	runtime := string(cuda.Runtime())
	if o.Tensor {
		runtime = string(cuda.TensorRuntime())
	}
	text = runtime + text
	if o.Edit != nil {
		edited := o.Edit(text)
		if edited == text {
			t.Fatal("the edit changes nothing")
		}
		text = edited
	}
	p := &Program{index: map[string]int{}}
	for i, k := range kernels {
		p.index[k] = i
	}
	table := "extern void (*const dnn_kernels[])(float *);\nvoid (*const dnn_kernels[])(float *) = {\n" + strings.Join(kernels, ",\n") + "};\n"
	args := append([]string{"dnn_emu_main.cpp"}, sources...)
	if o.Sanitize {
		// The sanitizer does not know fibres' stacks.
		args = append(args, "-fsanitize=address", "--param", "asan-stack=0")
	}
	if o.Exact {
		args = append(args, "-DDNN_EMU_EXACT")
	}
	p.path = compile(t, text+table, args...)
	return p
}

// Library compiles a network's kernels into a library for the fake driver, and
// returns its path.
func Library(t testing.TB, n *plan.Plan) string {
	t.Helper()
	var text strings.Builder
	if n.Tensor() {
		text.Write(cuda.TensorRuntime())
	} else {
		text.Write(cuda.Runtime())
	}
	fmt.Fprintf(&text, "namespace net {\n%s}\n#include \"fakecuda.h\"\n", cuda.Kernels(n))
	for _, l := range n.Launches() {
		fmt.Fprintf(&text, `extern "C" int %[1]s(const struct fake_launch *l) {
    const int grid[3] = {(int)l->grid[0], (int)l->grid[1], (int)l->grid[2]};
    return l->block[0] != 256 || *dnn_emu_launch(net::%[1]s, *(float **)l->params[0], grid, l->shared, 0) != 0 ? 719 : 0;
}
`, l.Name)
	}
	return compile(t, text.String(), append([]string{"-shared", "-fPIC"}, sources...)...)
}

// sources are the kernels and what runs them.
var sources = []string{"kernels.cpp", "dnn_emu.cpp", "dnn_emu_mma.cpp"}

// compile compiles emulated code and returns what came of it.
func compile(t testing.TB, text string, args ...string) string {
	t.Helper()
	compiler, dir := Compiler(t), t.TempDir()
	write(t, filepath.Join(dir, "kernels.cpp"), []byte(text))
	for _, name := range []string{"dnn_emu.h", "dnn_emu.cpp", "dnn_emu_mma.h", "dnn_emu_mma.cpp", "dnn_emu_main.cpp"} {
		b, err := templates.CUDA.ReadFile("cuda/" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), b)
	}
	out := filepath.Join(dir, "emulated")
	args = append([]string{"-std=c++11", "-O1", "-DDNN_EMU", "-Wall", "-Werror", "-Wno-unused-function", "-Wno-unused-variable",
		"-I", filepath.Join(golden.Root(t), "internal", "fakecuda", "src"), "-o", out}, args...)
	cmd := exec.Command(compiler, args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%.4000s", compiler, err, text)
	}
	return out
}

func write(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Device is an arena in an emulator's process.
type Device struct {
	// Schedule is the order in which threads take turns, 0 to 3. Kernels give
	// the same bits under each.
	Schedule int

	prefix string // of the network's kernels
	plan   *plan.Plan
	index  map[string]int
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	err    error // the first
}

// Start starts a process for one network, with all of its arena NaN. It ends
// with the test.
func (p *Program) Start(t testing.TB, net string) *Device {
	t.Helper()
	return p.StartWith(t, net, 0)
}

// StartWith is Start with more float32 behind the network's arena.
func (p *Program) StartWith(t testing.TB, net string, more int) *Device {
	t.Helper()
	pl := p.nets[net]
	d := p.StartArena(t, pl.Total+more)
	d.prefix, d.plan = net+"::", pl
	for _, r := range pl.Regions() {
		if r.Size == 0 {
			continue
		}
		// The sanitizer wants multiples of 8 bytes.
		end := (r.End() + 1) &^ 1
		d.send("p", uint64(4*end), uint64(4*(64-end%64)))
	}
	return d
}

// StartArena starts a process with an arena of the given number of float32.
func (p *Program) StartArena(t testing.TB, total int) *Device {
	t.Helper()
	d := &Device{index: p.index}
	cmd := exec.Command(p.path)
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0")
	cmd.Stderr = &d.stderr
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
		// How a process ends that was stopped on purpose is no news.
		_ = in.Close()
		_ = cmd.Wait()
	})
	d.in, d.out = in, bufio.NewReader(out)
	d.send("a", uint64(4*total))
	return d
}

func (d *Device) send(command string, args ...any) {
	var b bytes.Buffer
	b.WriteString(command)
	for _, a := range args {
		if err := binary.Write(&b, binary.NativeEndian, a); err != nil && d.err == nil {
			d.err = err
		}
	}
	if _, err := d.in.Write(b.Bytes()); err != nil {
		d.fail(err)
	}
}

func (d *Device) receive(v any) {
	if err := binary.Read(d.out, binary.NativeEndian, v); err != nil {
		d.fail(err)
	}
}

func (d *Device) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Err returns what went wrong first, with what the process said.
func (d *Device) Err() error {
	if d.err == nil {
		return nil
	}
	return fmt.Errorf("%w\n%s", d.err, d.stderr.String())
}

// Write copies float32 or int32 values to the arena, Read float32 from it.
func (d *Device) Write(offset int, values any) {
	d.send("w", uint64(4*offset), uint64(binary.Size(values)), values)
}

// Read copies values from the arena; dst is a slice or a pointer.
func (d *Device) Read(offset int, dst any) {
	if d.err == nil {
		d.send("r", uint64(4*offset), uint64(binary.Size(dst)))
		d.receive(dst)
	}
}

// Launch runs kernels, one after the other.
func (d *Device) Launch(list []*plan.Launch) {
	for _, l := range list {
		if d.err != nil {
			return
		}
		d.send("l", int32(d.index[d.prefix+l.Name]), int32(l.Grid[0]), int32(l.Grid[1]), int32(l.Grid[2]), int32(l.Shared), int32(d.Schedule))
		var n int32
		d.receive(&n)
		if n > 0 {
			message := make([]byte, n)
			d.receive(message)
			d.fail(fmt.Errorf("%s: %s", l.Name, message))
		}
	}
}
