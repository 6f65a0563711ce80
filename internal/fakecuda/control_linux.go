//go:build amd64 || arm64

package fakecuda

import (
	"path/filepath"
	"testing"

	"github.com/ebitengine/purego"
)

// Fake is the fake driver of this process. There is one: tests that use it do
// not run in parallel.
type Fake struct {
	Path string // of the library

	reset, set, kernels func(string)
	get                 func(string) int
	wrong, last         func() string
	programs            func() int
	ok                  func(string) int32
}

// Open loads the fake into this process, as it is before cuInit, and sets it
// up: "devices=2,cc=80,fail_at=7,fail_code=2". The settings are
//
//	devices, cc (90), version (12040), memory (bytes), host_memory (bytes), sms
//	shared (bytes)          that a block may ask for
//	largest (bytes)         device memory is in pieces of at most so much
//	fail_at=N, fail_code=C  the N-th call from now fails
//	lost_at=N, lost_code=C  from the N-th call on, all fail
//	init_code=C             cuInit fails
//
// When the test ends, no rule of the interface may have been broken.
func Open(t testing.TB, settings string) *Fake {
	t.Helper()
	f := &Fake{Path: filepath.Join(Directory(t), library)}
	handle, err := purego.Dlopen(f.Path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		t.Fatal(err)
	}
	var set func(string) int32
	purego.RegisterLibFunc(&f.reset, handle, "fake_reset")
	purego.RegisterLibFunc(&set, handle, "fake_set")
	purego.RegisterLibFunc(&f.ok, handle, "fake_kernels")
	purego.RegisterLibFunc(&f.get, handle, "fake_get")
	purego.RegisterLibFunc(&f.wrong, handle, "fake_wrong")
	purego.RegisterLibFunc(&f.last, handle, "fake_last")
	purego.RegisterLibFunc(&f.programs, handle, "fake_programs")
	f.set = func(s string) {
		if set(s) == 0 {
			t.Fatalf("the fake driver does not know %q", s)
		}
	}
	f.kernels = func(path string) {
		if f.ok(path) == 0 {
			t.Fatalf("the fake driver cannot load %s", path)
		}
	}
	f.reset(settings)
	t.Cleanup(func() {
		if wrong := f.wrong(); wrong != "" {
			t.Errorf("broke a rule of the driver: %s", wrong)
		}
		f.reset("")
	})
	return f
}

// Reset forgets everything and sets the fake up anew.
func (f *Fake) Reset(settings string) { f.reset(settings) }

// Set changes settings; calls are counted anew for fail_at and lost_at.
func (f *Fake) Set(settings string) { f.set(settings) }

// Load makes launches run the functions of a library (see Kernels).
func (f *Fake) Load(kernels string) { f.kernels(kernels) }

// Get returns how much there is of calls, memory (bytes), blocks, pinned,
// streams, events, modules, graphs, templates (graphs before they are
// instantiated), contexts, launches, replays (of graphs) and ops (that wait to
// be done).
func (f *Fake) Get(name string) int { return f.get(name) }

// Alive returns what was not given back, by name.
func (f *Fake) Alive() map[string]int {
	alive := map[string]int{}
	for _, name := range []string{"memory", "blocks", "pinned", "streams", "events", "modules", "graphs", "templates", "contexts", "ops"} {
		if n := f.get(name); n != 0 {
			alive[name] = n
		}
	}
	return alive
}

// Programs is how many programs of the run-time compiler are alive.
func (f *Fake) Programs() int { return f.programs() }

// Wrong is the first rule of the interface that was broken, "" if none was.
func (f *Fake) Wrong() string { return f.wrong() }

// Last is the function of the driver that was called last.
func (f *Fake) Last() string { return f.last() }
