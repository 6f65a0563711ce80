//go:build linux && (amd64 || arm64) && !nogpu

package cublaslt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/cuda/internal/dynamic"
	"github.com/dnngen/dnngen/internal/fakecuda"
)

// childVariable marks the process that finds the fakes: where libraries are
// looked for is settled when a process starts.
const childVariable = "CUBLASLT_TEST_CHILD"

// child runs the test in a process of its own that finds the fakes, and reports
// whether this is it.
func child(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = slices.Concat(os.Environ(), fakecuda.Variables(fakecuda.Directory(t), fakecuda.BLASDirectory(t)), []string{childVariable + "=1"})
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// control is what the fakes are told and asked.
type control struct {
	set          func(string)
	calls, alive func() int
	wrong        func() string // the first rule that was broken
}

func newControl(t *testing.T) (c control) {
	t.Helper()
	for name, functions := range map[string]map[string]any{
		"libcublasLt.so.12": {"fake_lt_set": &c.set, "fake_lt_calls": &c.calls, "fake_lt_alive": &c.alive},
		"libcuda.so.1":      {"fake_wrong": &c.wrong},
	} {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			t.Fatal(err)
		}
		for symbol, to := range functions {
			purego.RegisterLibFunc(to, handle, symbol)
		}
	}
	return c
}

// matrix is a matrix of whole numbers, so that products are exact in all types.
type matrix struct {
	rows, cols, lead int
	values           []float32 // [rows, lead]
}

func draw(r *rand.Rand, rows, cols, lead int) *matrix {
	m := &matrix{rows, cols, lead, make([]float32, rows*lead)}
	for i := range m.values {
		m.values[i] = float32(r.IntN(17) - 8)
	}
	return m
}

func (m *matrix) turned() *matrix {
	t := &matrix{m.cols, m.rows, m.rows, make([]float32, len(m.values))}
	for i := range m.rows {
		for j := range m.cols {
			t.values[j*m.rows+i] = m.values[i*m.lead+j]
		}
	}
	return t
}

func (m *matrix) put(t *driver.Thread, at driver.Ptr, as Type) error {
	if types[as].bytes == 4 {
		return driver.CopyIn(t, at, m.values)
	}
	words := make([]uint16, len(m.values))
	for i, v := range m.values {
		words[i] = uint16(math.Float32bits(v) >> 16)
		if as == Float16 {
			words[i] = float16(v)
		}
	}
	return driver.CopyIn(t, at, words)
}

// float16 encodes a whole number of few bits.
func float16(v float32) uint16 {
	if v == 0 {
		return 0
	}
	bits := math.Float32bits(v)
	return uint16(bits>>16&0x8000 | (bits>>23&255-112)<<10 | bits>>13&0x3ff)
}

// session makes a product of each type and form, by a launch and by a graph.
func session(l *Library, most int) (err error) {
	d, err := driver.Open()
	if err != nil {
		return err
	}
	c, err := d.NewContext(d.Devices()[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Do(func(t *driver.Thread) (err error) {
		memory, err := t.Alloc(1 << 16)
		if err != nil {
			return err
		}
		s, err := t.NewStream()
		if err != nil {
			return err
		}
		h, err := l.New(memory+1<<15, 1<<15)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		r := rand.New(rand.NewPCG(1, 2))
		for i := range most {
			if err := product(t, s, h, r, memory, Type(i%4), i/4%2 == 1, i/8%2 == 1); err != nil {
				return err
			}
		}
		return nil
	})
}

func product(t *driver.Thread, s *driver.Stream, h *Handle, r *rand.Rand, memory driver.Ptr, as Type, leftTurned, rightTurned bool) error {
	rows, cols, inner := 1+r.IntN(9), 1+r.IntN(9), 1+r.IntN(9)
	left, right := draw(r, rows, inner, inner+r.IntN(3)), draw(r, inner, cols, cols+r.IntN(3))
	want := make([]float32, rows*(cols+1))
	for i := range rows {
		for j := range cols {
			for k := range inner {
				want[i*(cols+1)+j] += left.values[i*left.lead+k] * right.values[k*right.lead+j]
			}
		}
	}
	p := Product{Type: as, Rows: rows, Cols: cols, Inner: inner,
		Left: Matrix{At: memory + 16}, Right: Matrix{At: memory + 4096}, To: Matrix{At: memory + 8192, Lead: cols + 1}}
	for _, side := range []struct {
		m      *matrix
		to     *Matrix
		turned bool
	}{{left, &p.Left, leftTurned}, {right, &p.Right, rightTurned}} {
		m := side.m
		if side.turned {
			m = m.turned()
		}
		side.to.Lead, side.to.Turned = m.lead, side.turned
		if err := m.put(t, side.to.At, as); err != nil {
			return err
		}
	}
	ways, err := h.Plan(p, 3)
	if err != nil {
		return err
	}
	for _, w := range ways {
		graph, err := s.Capture(func() error { return w.Run(s) })
		if err != nil {
			return err
		}
		for name, run := range map[string]func() error{"launch": func() error { return w.Run(s) }, "graph": func() error { return graph.Launch(s) }} {
			got := make([]float32, len(want))
			if err := errors.Join(driver.CopyIn(t, p.To.At, got), run(), s.Synchronize(), driver.CopyOut(t, got, p.To.At)); err != nil {
				return err
			}
			for i, v := range got {
				if v != want[i] {
					return fmt.Errorf("%s of type %d, turned %t and %t: element %d is %g, want %g", name, as, leftTurned, rightTurned, i, v, want[i])
				}
			}
		}
	}
	return nil
}

// TestProducts multiplies with a library and a driver that are not there.
func TestProducts(t *testing.T) {
	if !child(t) {
		return
	}
	l, err := Open(12040)
	if err != nil || l.Name != "libcublasLt.so.12" || l.String() != "cuBLASLt 12.9.3" {
		t.Fatal(l, err)
	}
	if _, err := Open(11080); err == nil || !strings.Contains(err.Error(), "cuBLASLt for CUDA 11 or older is not installed") {
		t.Errorf("for a driver of CUDA 11: %v", err)
	}
	c := newControl(t)
	if err := session(l, 64); err != nil {
		t.Error(err)
	}
	if n := c.alive(); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	c.set("none=1")
	if err := session(l, 1); err == nil || !strings.Contains(err.Error(), "cuBLASLt 12.9.3 knows no way for a product of") {
		t.Errorf("no algorithm: %v", err)
	}
	c.set("wrong=1")
	if err := session(l, 1); err == nil || !strings.Contains(err.Error(), "element 0 is") {
		t.Errorf("a library that is wrong: %v", err)
	}
	// Each call fails once: it is named, and what can be given back is.
	c.set("")
	if err := session(l, 4); err != nil {
		t.Fatal(err)
	}
	for n := range c.calls() {
		c.set(fmt.Sprintf("fail_all=%d,status=15", n+1))
		err := session(l, 4)
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != 15 || !strings.HasPrefix(err.Error(), "cublasLt") || !strings.Contains(err.Error(), "CUBLAS_STATUS_NOT_SUPPORTED") {
			t.Fatalf("call %d fails: %v", n+1, err)
		}
		if left := c.alive(); left != 0 {
			t.Errorf("call %d fails (%v): %d objects are left", n+1, err, left)
		}
	}
	if wrong := c.wrong(); wrong != "" {
		t.Errorf("broke a rule: %s", wrong)
	}
}

// TestLibrary opens the library itself, where it is installed, and describes products
// to it, which needs no GPU. Its log tells how it understood them: in columns, so
// that a matrix that stands row by row is the transpose, and right comes first.
func TestLibrary(t *testing.T) {
	l, err := open(99)
	if err != nil {
		t.Skipf("NOTICE: %v: it is not tested", err)
	}
	if l.Version/10000 < 11 || l.Version/10000 > 13 {
		t.Errorf("%s has the version %d", l.Name, l.Version)
	}
	log := filepath.Join(t.TempDir(), "log")
	handle, err := dynamic.Open(l.Name)
	if err != nil {
		t.Fatal(err)
	}
	logger := func(f dynamic.Function, argument uintptr) {
		if status := f.Call(dynamic.Symbol(handle, f.Name()), argument); status != 0 {
			t.Fatalf("%s: %d", f, status)
		}
	}
	file := append([]byte(log), 0)
	logger("cublasLtLoggerOpenFile(const char *)", uintptr(unsafe.Pointer(&file[0])))
	logger("cublasLtLoggerSetLevel(int)", 5)
	defer logger("cublasLtLoggerSetLevel(int)", 0)
	for _, c := range []struct {
		as                      Type
		leftTurned, rightTurned bool
		says                    []string
	}{
		{Float32, false, false, []string{"Adesc=[type=R_32F rows=128 cols=256 ld=130]", "Bdesc=[type=R_32F rows=256 cols=64 ld=260]", "computeDesc=[computeType=COMPUTE_32F scaleType=R_32F]"}},
		{TF32, true, false, []string{"Adesc=[type=R_32F rows=128 cols=256 ld=130]", "Bdesc=[type=R_32F rows=64 cols=256 ld=66]", "computeDesc=[computeType=COMPUTE_32F_FAST_TF32 scaleType=R_32F transb=OP_T]"}},
		{BFloat16, false, true, []string{"Adesc=[type=R_16BF rows=256 cols=128 ld=258]", "Bdesc=[type=R_16BF rows=256 cols=64 ld=260]", "computeDesc=[computeType=COMPUTE_32F scaleType=R_32F transa=OP_T]"}},
		{Float16, true, true, []string{"Adesc=[type=R_16F rows=256 cols=128 ld=258]", "Bdesc=[type=R_16F rows=64 cols=256 ld=66]", "computeDesc=[computeType=COMPUTE_32F scaleType=R_32F transa=OP_T transb=OP_T]"}},
	} {
		p := Product{Type: c.as, Rows: 64, Cols: 128, Inner: 256, Left: Matrix{At: 288, Lead: 260, Turned: c.leftTurned},
			Right: Matrix{At: 528, Lead: 130, Turned: c.rightTurned}, To: Matrix{At: 1088, Lead: 132}}
		if c.leftTurned {
			p.Left.Lead = 66
		}
		if c.rightTurned {
			p.Right.Lead = 258
		}
		if err := os.Truncate(log, 0); err != nil {
			t.Fatal(err)
		}
		h := &Handle{library: l, bytes: 1 << 20}
		if _, err := h.Plan(p, 4); err == nil || !strings.HasPrefix(err.Error(), symbols[fnHeuristic].Name()) {
			t.Errorf("a product without a handle: %v", err)
		}
		for _, o := range h.own {
			if err := l.call(o.destroy, o.handle); err != nil {
				t.Error(err)
			}
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		asked := ""
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "["+symbols[fnHeuristic].Name()+"]") {
				asked = line
			}
		}
		for _, want := range append(c.says, "Cdesc=[type=R_32F rows=128 cols=64 ld=132]", "Ddesc=[type=R_32F rows=128 cols=64 ld=132]",
			"reductionSchemeMask=REDUCTION_SCHEME_COMPUTE_TYPE", "maxWorkspaceSizeinBytes=1048576", "minBytesAlignmentA=16 minBytesAlignmentB=32 minBytesAlignmentC=64 minBytesAlignmentD=64") {
			if !strings.Contains(asked, want) {
				t.Errorf("%v understood type %d, turned %t and %t, as %q, without %q", l, c.as, c.leftTurned, c.rightTurned, asked, want)
			}
		}
	}
}
