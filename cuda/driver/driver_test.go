//go:build linux && (amd64 || arm64) && !nogpu

package driver

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/fakecuda"
)

func TestCandidates(t *testing.T) {
	var images []Image
	for _, c := range []struct {
		form     Form
		major    int
		minor    int
		specific bool
	}{
		{Source, 0, 0, false}, {PTX, 8, 0, false}, {PTX, 9, 0, true}, {PTX, 10, 0, false}, {Cubin, 8, 0, false}, {Cubin, 8, 6, false},
		{Cubin, 8, 9, false}, {Cubin, 9, 0, false}, {Cubin, 9, 0, true}, {PTX, 7, 0, false},
	} {
		images = append(images, Image{Form: c.form, Major: c.major, Minor: c.minor, Specific: c.specific})
	}
	for arch, want := range map[[2]int]string{
		{9, 0}:  "cubin sm_90a, cubin sm_90, PTX sm_90a, PTX sm_80, PTX sm_70, source",
		{8, 0}:  "cubin sm_80, PTX sm_80, PTX sm_70, source",
		{8, 7}:  "cubin sm_86, cubin sm_80, PTX sm_80, PTX sm_70, source",
		{12, 0}: "PTX sm_100, PTX sm_80, PTX sm_70, source",
		{7, 5}:  "PTX sm_70, source",
		{6, 1}:  "source",
	} {
		var got []string
		for _, i := range Candidates(images, Device{Major: arch[0], Minor: arch[1]}) {
			got = append(got, i.String())
		}
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("sm_%d%d: %s, want %s", arch[0], arch[1], g, want)
		}
	}
}

func TestLoad(t *testing.T) {
	machine := func(arch int) []byte { return fmt.Appendf(nil, "\x7fELF fake sm_%d\n%s", arch, ptx) }
	text := func(from, to string) []byte { return []byte(strings.Replace(ptx, from, to, 1)) }
	good := Image{Form: PTX, Major: 8, Data: []byte(ptx)}
	f := fake(t, "")
	for _, c := range []struct {
		name   string
		images []Image
		loads  string // "" if none does
		says   []string
	}{
		{"machine code", []Image{good, {Form: Cubin, Major: 9, Data: machine(90)}}, "cubin sm_90", nil},
		{"for another device of the major version", []Image{{Form: Cubin, Major: 9, Data: machine(80)}, good}, "PTX sm_80", nil},
		{"PTX", []Image{good}, "PTX sm_80", nil},
		{"nothing", nil, "", []string{"no code for Fake GPU 0 (sm_90)"}},
		{"nothing that fits", []Image{{Form: PTX, Major: 12, Data: []byte(ptx)}}, "", []string{"no code for", "PTX sm_120"}},
		{"broken PTX", []Image{{Form: PTX, Major: 8, Data: []byte("{")}}, "", []string{"PTX sm_80", "cuModuleLoadDataEx: CUDA error 218", "ptxas fatal   : PTX does not parse"}},
		{"new PTX", []Image{{Form: PTX, Major: 9, Data: text("7.0", "9.1")}, good}, "PTX sm_80", nil},
		{"new PTX alone", []Image{{Form: PTX, Major: 9, Data: text("7.0", "9.1")}}, "", []string{"error 222", "newer than the driver"}},
		{"PTX for a newer GPU", []Image{{Form: PTX, Major: 8, Data: text("sm_80", "sm_100")}}, "", []string{"error 209", "newer GPU"}},
		{"empty", []Image{{Form: PTX, Major: 8}}, "", []string{"the image is empty"}},
		{"source", []Image{{Form: Source, Data: []byte("int x;\n//PTX\n" + ptx)}}, "source", nil},
		{"source that does not compile", []Image{{Form: Source, Data: []byte("int x\n")}}, "", []string{"nvrtcCompileProgram: error 6: network.cu(1): error: no line //PTX"}},
	} {
		f.Reset("")
		d, err := open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		d.rtc = func() (*rtc, error) { return openRTC([]string{"libnvrtc-that-is-not-there.so", f.Path}, d.version) }
		ctx, err := d.NewContext(d.Devices()[0])
		if err != nil {
			t.Fatal(err)
		}
		_ = ctx.Do(func(th *Thread) error {
			m, err := th.Load(c.images)
			switch {
			case err != nil && c.loads != "":
				t.Errorf("%s: %v", c.name, err)
			case err == nil && m.Image.String() != c.loads:
				t.Errorf("%s: loaded %v, want %q", c.name, m.Image, c.loads)
			case err == nil && m.Image.Form == PTX && !strings.HasPrefix(m.Log, "ptxas info"):
				t.Errorf("%s: the log is %q", c.name, m.Log)
			}
			for _, s := range c.says {
				if err == nil || !strings.Contains(err.Error(), s) {
					t.Errorf("%s: %v does not say %q", c.name, err, s)
				}
			}
			return nil
		})
		if err := ctx.Close(); err != nil {
			t.Error(err)
		}
		if alive := f.Alive(); len(alive) > 0 || f.Programs() != 0 {
			t.Errorf("%s: left behind: %v, %d programs", c.name, alive, f.Programs())
		}
	}
	rtcIsOlder(t, f)
	if _, err := openRTC([]string{"libnvrtc-that-is-not-there.so"}, 99000); !errors.Is(err, errNoRTC) {
		t.Errorf("no NVRTC: %v", err)
	}
	if _, err := openRTC([]string{"libc.so.6"}, 99000); err == nil || !strings.Contains(err.Error(), "libc.so.6 has no nvrtc") {
		t.Errorf("no NVRTC: %v", err)
	}
}

// rtcIsOlder has the run-time compiler compile for a device that it does not
// know yet, and offers a driver a compiler that is too new for it.
func rtcIsOlder(t *testing.T, f *fakecuda.Fake) {
	t.Helper()
	r, err := openRTC([]string{f.Path}, 12000)
	if err != nil {
		t.Fatal(err)
	}
	d := &Driver{rtc: func() (*rtc, error) { return r, nil }}
	source := []byte("//PTX\ntext")
	if code, form, err := d.compile(source, Device{Major: 12}); err != nil || form != PTX || string(code) != "text\x00" {
		t.Errorf("for a newer device: %v %q, %v", form, code, err)
	}
	if code, form, err := d.compile(source, Device{Major: 8, Minor: 6}); err != nil || form != Cubin || string(code) != "\x7fELF fake sm_86\ntext" {
		t.Errorf("for a device that it knows: %v %q, %v", form, code, err)
	}
	if _, err := r.run(source, "--gpu-architecture=compute_120", rtcPTXSize, rtcPTX); err == nil || err.Error() != "nvrtcCompileProgram: error 5: nvrtc: error: invalid value for --gpu-architecture (-arch)" {
		t.Errorf("for an architecture that it does not know: %v", err)
	}
	if _, err := openRTC([]string{f.Path}, 11080); err == nil || !strings.HasSuffix(err.Error(), " is NVRTC 12.4, and the driver supports CUDA 11.8") {
		t.Errorf("for an older driver: %v", err)
	}
}

// TestRunTimeCompiler compiles with NVRTC itself, where it is installed.
func TestRunTimeCompiler(t *testing.T) {
	r, err := openRTC(rtcLibraries(), 99000)
	if err != nil {
		t.Skipf("NOTICE: %v: it is not tested", err)
	}
	const source = `extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }`
	ptx, err := r.run([]byte(source), "--gpu-architecture=compute_80", rtcPTXSize, rtcPTX)
	if err != nil || !strings.Contains(string(ptx), ".entry twice") || !strings.Contains(string(ptx), ".target sm_80") || ptx[len(ptx)-1] != 0 {
		t.Errorf("%v:\n%s", err, ptx)
	}
	cubin, err := r.run([]byte(source), "--gpu-architecture=sm_80", rtcCubinSize, rtcCubin)
	if err != nil || !strings.HasPrefix(string(cubin), "\x7fELF") || !strings.Contains(string(cubin), ".text.twice") {
		t.Errorf("%v, %d bytes of machine code", err, len(cubin))
	}
	var refused *rtcError
	if _, err := r.run([]byte("int x"), "--gpu-architecture=compute_80", rtcPTXSize, rtcPTX); !errors.As(err, &refused) || !strings.Contains(refused.log, "error") {
		t.Errorf("a broken source: %v", err)
	}
}

func TestKernelArguments(t *testing.T) {
	inContext(t, fake(t, ""), func(th *Thread) error {
		m, err := th.Load(images)
		if err != nil {
			return err
		}
		var e *Error
		if _, err := m.Kernel("absent"); !errors.As(err, &e) || e.Kernel != "absent" || !strings.Contains(err.Error(), "(kernel absent): CUDA error 500") {
			t.Errorf("a kernel that is not there: %v", err)
		}
		if _, _, err := m.Global("absent"); !errors.As(err, &e) {
			t.Errorf("a variable that is not there: %v", err)
		}
		axpy, err := m.Kernel("axpy")
		if err != nil {
			return err
		}
		for says, args := range map[string][]any{
			"takes 4 arguments, not 3":                  {Ptr(1), Ptr(2), float32(3)},
			"takes 4 arguments, not 5":                  {Ptr(1), Ptr(2), float32(3), uint32(4), uint32(5)},
			"argument 2 has 4 bytes, not 8":             {Ptr(1), Ptr(2), float64(3), uint32(4)},
			"argument 1: a int cannot be passed":        {Ptr(1), 2},
			"argument 0: 0 bytes, 0 with those before":  {[]byte{}},
			"argument 0: 5000 bytes, 5000 with those":   {make([]byte, 5000)},
			"argument 0: a []float32 cannot be passed":  {[]float32{1}},
			"argument 3: a *uint32 cannot be passed":    {Ptr(1), Ptr(2), float32(3), new(uint32)},
			"argument 0: a <nil> cannot be passed":      {nil},
			"argument 2: 4000 bytes, 4100 with those b": {make([]byte, 50), make([]byte, 50), make([]byte, 4000)},
		} {
			if _, err := axpy.Bind(Config{}, args...); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "axpy") {
				t.Errorf("got %v, want %q", err, says)
			}
		}
		r, err := axpy.Resources()
		if err != nil || r.MaxThreads != 256 || r.Registers != 32 || r.Local != 0 {
			t.Errorf("resources are %+v, %v", r, err)
		}
		if n, err := axpy.BlocksPerSM(256, 0); err != nil || n != 8 {
			t.Errorf("%d blocks on a multiprocessor, %v", n, err)
		}
		if err := axpy.SetMaxShared(500 << 10); !errors.As(err, &e) || e.Kernel != "axpy" {
			t.Errorf("too much shared memory: %v", err)
		}
		return nil
	})
}

func TestLaunchArguments(t *testing.T) {
	inContext(t, fake(t, ""), func(th *Thread) error {
		m, err := th.Load(images)
		if err != nil {
			return err
		}
		k, err := m.Kernel("by_value")
		if err != nil {
			return err
		}
		to, err := th.Alloc(48)
		if err != nil {
			return err
		}
		s, err := th.NewStream()
		if err != nil {
			return err
		}
		value := []byte("the bytes of one struct!")
		l, err := k.Bind(Config{Cooperative: true}, value, Ptr(0))
		if err != nil {
			return err
		}
		Set(l, 1, to)
		if err := l.Run(s); err != nil {
			return err
		}
		// What was launched keeps its arguments; so does a graph.
		Set(l, 1, to+24)
		g, err := s.Capture(func() error { return l.Run(s) })
		if err != nil {
			return err
		}
		Set(l, 1, Ptr(0))
		if err := g.Launch(s); err != nil {
			return err
		}
		if err := s.Synchronize(); err != nil {
			return err
		}
		got := make([]byte, 48)
		if err := CopyOut(th, got, to); err != nil {
			return err
		}
		if want := bytes.Repeat(value, 2); !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		defer func() {
			if r := recover(); r == nil {
				t.Error("an argument of another size was set")
			}
		}()
		Set(l, 1, float32(1))
		return nil
	})
}

// TestUnwaited shows that the fake does work late: what is not waited for is
// not there yet.
func TestUnwaited(t *testing.T) {
	inContext(t, fake(t, ""), func(th *Thread) error {
		p, err := th.Alloc(64)
		if err != nil {
			return err
		}
		s, err := th.NewStream()
		if err != nil {
			return err
		}
		e, err := th.NewEvent(false)
		if err != nil {
			return err
		}
		if err := s.Memset(p, 7, 64); err != nil {
			return err
		}
		if err := e.Record(s); err != nil {
			return err
		}
		got := make([]byte, 64)
		if err := CopyOut(th, got, p); err != nil {
			return err
		}
		if got[0] == 7 {
			t.Error("a copy that does not wait for the stream sees its work")
		}
		polls := 0
		for passed := false; !passed; polls++ {
			if passed, err = e.Passed(); err != nil {
				return err
			}
		}
		if polls < 2 {
			t.Errorf("the event was passed after %d polls", polls)
		}
		if err := CopyOut(th, got, p); err != nil {
			return err
		}
		if got[0] != 7 || got[63] != 7 {
			t.Errorf("got %v", got)
		}
		return nil
	})
}

func TestCapture(t *testing.T) {
	f := fake(t, "")
	inContext(t, f, func(th *Thread) error {
		p, err := th.Alloc(64)
		if err != nil {
			return err
		}
		s, err := th.NewStream()
		if err != nil {
			return err
		}
		side, err := th.NewStream()
		if err != nil {
			return err
		}
		e, err := th.NewEvent(false)
		if err != nil {
			return err
		}
		stop := errors.New("stop")
		if _, err := s.Capture(func() error { return stop }); !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
		var refused *Error
		if _, err := s.Capture(func() error { return s.Synchronize() }); !errors.As(err, &refused) || refused.Call != "cuStreamSynchronize" || refused.Code != 900 {
			t.Errorf("waiting in a capture: %v", err)
		}
		if _, err := s.Capture(func() error { _, _ = th.Alloc(1); return nil }); !errors.As(err, &refused) || refused.Call != "cuStreamEndCapture" {
			t.Errorf("allocating in a capture: %v", err)
		}
		fork := func() error { return errors.Join(e.Record(s), side.Wait(e), side.Memset(p, 1, 64)) }
		if _, err := s.Capture(fork); !errors.As(err, &refused) || refused.Code != 904 {
			t.Errorf("a branch that does not come back: %v", err)
		}
		g, err := s.Capture(func() error { return errors.Join(fork(), e.Record(side), s.Wait(e)) })
		if err != nil {
			return err
		}
		if err := errors.Join(g.Launch(s), s.Synchronize()); err != nil {
			return err
		}
		got := make([]byte, 1)
		if err := CopyOut(th, got, p); err != nil || got[0] != 1 {
			t.Errorf("the graph did nothing: %v, %v", got, err)
		}
		return nil
	})
	if alive := f.Alive(); len(alive) > 0 {
		t.Errorf("left behind: %v", alive)
	}
}

func TestMisuse(t *testing.T) {
	inContext(t, fake(t, ""), func(th *Thread) error {
		p, err := th.Alloc(64)
		if err != nil {
			return err
		}
		h, err := th.HostAlloc(64)
		if err != nil {
			return err
		}
		s, err := th.NewStream()
		if err != nil {
			return err
		}
		pinned := View[float32](h)
		if len(pinned) != 16 || len(View[float64](h)) != 8 || len(View[byte](h)) != 64 {
			t.Error("views have wrong lengths")
		}
		unpinned := make([]float32, 16)
		if err := CopyInAsync(s, p, unpinned); !errors.Is(err, errNotPinned) {
			t.Errorf("a copy beside the host's work from Go's memory: %v", err)
		}
		if err := CopyOutAsync(s, unpinned, p); !errors.Is(err, errNotPinned) {
			t.Errorf("a copy beside the host's work to Go's memory: %v", err)
		}
		if err := errors.Join(CopyIn(th, p, []byte{}), CopyOut(th, []byte{}, p), CopyInAsync(s, p, pinned[:0]), CopyOutAsync(s, pinned[:0], p),
			th.Memset(p, 1, 0), s.Memset(p, 1, 0), s.Copy(p, p, 0), th.Free(0)); err != nil {
			t.Errorf("nothing to do, and %v", err)
		}
		if err := errors.Join(th.Free(p), h.Free(), s.Destroy()); err != nil {
			t.Error(err)
		}
		for what, err := range map[string]error{"device memory": th.Free(p), "pinned memory": h.Free(), "stream": s.Destroy()} {
			if err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s given back twice: %v", what, err)
			}
		}
		return nil
	})
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	inContext(t, fake(t, ""), func(th *Thread) error {
		m, err := th.Load(images)
		if err != nil {
			return err
		}
		k, err := m.Kernel("axpy")
		if err != nil {
			return err
		}
		p, err := th.Alloc(64)
		if err != nil {
			return err
		}
		h, err := th.HostAlloc(64)
		if err != nil {
			return err
		}
		s, err := th.NewStream()
		if err != nil {
			return err
		}
		e, err := th.NewEvent(true)
		if err != nil {
			return err
		}
		l, err := k.Bind(Config{Block: Dim{X: 16}}, p, p, float32(1), uint32(16))
		if err != nil {
			return err
		}
		g, err := s.Capture(func() error { return l.Run(s) })
		if err != nil {
			return err
		}
		x := View[float32](h)
		clear(x)
		run := func() {
			Set(l, 2, float32(2))
			err = errors.Join(err, CopyInAsync(s, p, x), l.Run(s), g.Launch(s), CopyOutAsync(s, x, p), e.Record(s), s.Wait(e), e.Synchronize(), s.Synchronize())
		}
		if n := testing.AllocsPerRun(100, run); n != 0 && !racing {
			t.Errorf("a step allocates %v times", n)
		}
		return err
	})
}

func TestDoDoesNotAllocate(t *testing.T) {
	f := fake(t, "")
	d, err := open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.NewContext(d.Devices()[0])
	if err != nil {
		t.Fatal(err)
	}
	work := func(th *Thread) error { return th.Synchronize() }
	if n := testing.AllocsPerRun(100, func() { _ = c.Do(work) }); n != 0 && !racing {
		t.Errorf("Do allocates %v times", n)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
