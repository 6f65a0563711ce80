//go:build linux && (amd64 || arm64) && !nogpu

package driver

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/internal/fakecuda"
)

// ptx is as much of a module as the fake driver reads: names, arguments, limits.
const ptx = `.version 7.0
.target sm_80
.address_size 64
.visible .global .align 4 .b8 counter[16];
.visible .entry axpy(
	.param .u64 y,
	.param .u64 x,
	.param .f32 a,
	.param .u32 n
)
.maxntid 256, 1, 1
{
}
.visible .entry broken()
{
}
.visible .entry outside(.param .u64 p)
{
}
.visible .entry by_value(.param .align 8 .b8 s[24], .param .u64 to)
{
}
`

const kernels = `#include "fakecuda.h"
#include <string.h>

int axpy(const struct fake_launch *l) {
	float *y = *(float **)l->params[0], *x = *(float **)l->params[1], a = *(float *)l->params[2];
	unsigned n = *(unsigned *)l->params[3];
	if (l->grid[0] * l->block[0] < n) return 719;
	for (unsigned i = 0; i < n; i++) y[i] += a * x[i];
	return 0;
}
int broken(const struct fake_launch *l) { (void)l; return 700; }
int outside(const struct fake_launch *l) { (*(float **)l->params[0])[-1] = 1; return 0; }
int by_value(const struct fake_launch *l) { memcpy(*(void **)l->params[1], l->params[0], 24); return 0; }
`

var images = []Image{
	{Form: Cubin, Major: 9, Minor: 0, Specific: true, Data: []byte("\x7fELF that no fake loads")},
	{Form: PTX, Major: 8, Data: []byte(ptx)},
}

// fake opens the fake driver for a test, with kernels that work.
func fake(t testing.TB, settings string) *fakecuda.Fake {
	t.Helper()
	f := fakecuda.Open(t, settings)
	f.Load(fakecuda.Kernels(t, kernels))
	return f
}

// inContext runs a function in a context of the first device.
func inContext(t testing.TB, f *fakecuda.Fake, run func(*Thread) error) {
	t.Helper()
	d, err := open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.NewContext(d.Devices()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(run); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// session uses everything that there is, once, and checks what came of it.
func session(library string) (err error) {
	d, err := open(library)
	if err != nil {
		return err
	}
	c, err := d.NewContext(d.Devices()[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Do(func(t *Thread) error {
		m, err := t.Load(images)
		if err != nil {
			return err
		}
		k, err := m.Kernel("axpy")
		if err != nil {
			return err
		}
		if _, err := k.Resources(); err != nil {
			return err
		}
		if err := k.SetMaxShared(100 << 10); err != nil {
			return err
		}
		if _, err := k.BlocksPerSM(256, 1024); err != nil {
			return err
		}
		counter, size, err := m.Global("counter")
		if err != nil {
			return err
		}
		if err := t.Memset(counter, 0, size); err != nil {
			return err
		}
		if err := axpy(t, k); err != nil {
			return err
		}
		return m.Unload()
	})
}

// axpy computes y = 1 + 2·x·(1 direct + 3 replays) on the device.
func axpy(t *Thread, k *Kernel) error {
	const n = 1000
	x, err := t.Alloc(4 * n)
	if err != nil {
		return err
	}
	y, err := t.Alloc(4*n + 64)
	if err != nil {
		return err
	}
	staging, err := t.HostAlloc(4 * n)
	if err != nil {
		return err
	}
	ones, values := make([]float32, n), View[float32](staging)
	for i := range n {
		ones[i], values[i] = 1, float32(i)
	}
	if err := CopyIn(t, y+64, ones); err != nil {
		return err
	}
	s, err := t.NewStream()
	if err != nil {
		return err
	}
	copies, err := t.NewStream()
	if err != nil {
		return err
	}
	begin, err := t.NewEvent(true)
	if err != nil {
		return err
	}
	end, err := t.NewEvent(true)
	if err != nil {
		return err
	}
	if err := CopyInAsync(copies, x, values); err != nil {
		return err
	}
	if err := begin.Record(copies); err != nil {
		return err
	}
	if err := s.Wait(begin); err != nil {
		return err
	}
	l, err := k.Bind(Config{Grid: Dim{X: 4}, Block: Dim{X: 256}, Shared: 64 << 10}, y+64, x, float32(2), uint32(n))
	if err != nil {
		return err
	}
	if err := l.Run(s); err != nil {
		return err
	}
	g, err := s.Capture(func() error { return l.Run(s) })
	if err != nil {
		return err
	}
	for range 3 {
		if err := g.Launch(s); err != nil {
			return err
		}
	}
	if err := CopyOutAsync(s, values, y+64); err != nil {
		return err
	}
	if err := end.Record(s); err != nil {
		return err
	}
	if err := end.Synchronize(); err != nil {
		return err
	}
	if passed, err := end.Passed(); err != nil || !passed {
		return errors.Join(err, errors.New("an event that was waited for is not passed"))
	}
	took, err := end.Since(begin)
	if err != nil {
		return err
	}
	if took <= 0 {
		return fmt.Errorf("the work took %v", took)
	}
	got := make([]float32, n)
	if err := CopyOut(t, got, y+64); err != nil {
		return err
	}
	for i, v := range got {
		if want := 1 + 8*float32(i); v != want || values[i] != want {
			return fmt.Errorf("y[%d] = %v and %v, want %v", i, v, values[i], want)
		}
	}
	if err := s.Memset(y, 0, 64); err != nil {
		return err
	}
	if err := s.Copy(y, x, 32); err != nil {
		return err
	}
	if err := s.Synchronize(); err != nil {
		return err
	}
	// Half is given back here, the rest by Close.
	return errors.Join(g.Destroy(), end.Destroy(), copies.Destroy(), t.Free(x), staging.Free())
}

func TestSession(t *testing.T) {
	f := fake(t, "")
	if err := session(f.Path); err != nil {
		t.Fatal(err)
	}
	if alive := f.Alive(); len(alive) > 0 {
		t.Errorf("left behind: %v", alive)
	}
	if f.Get("launches") != 2 || f.Get("replays") != 3 {
		t.Errorf("%d launches, %d replays of a graph", f.Get("launches"), f.Get("replays"))
	}
}

// TestEveryCallFails lets each call of a session fail in turn, for reasons that
// a caller treats differently: nothing panics or hangs, the call is named, no
// rule is broken, and what can be given back is.
func TestEveryCallFails(t *testing.T) {
	f := fake(t, "")
	if err := session(f.Path); err != nil {
		t.Fatal(err)
	}
	calls := f.Get("calls")
	if calls < 80 {
		t.Fatalf("a session makes only %d calls", calls)
	}
	for _, code := range []int{2, 200, 304, 999} {
		for n := 1; n <= calls; n++ {
			f.Reset(fmt.Sprintf("fail_at=%d,fail_code=%d", n, code))
			err := session(f.Path)
			checkFailure(t, f, fmt.Sprintf("call %d gives %d", n, code), err)
		}
	}
}

func checkFailure(t *testing.T, f *fakecuda.Fake, what string, err error) {
	t.Helper()
	if wrong := f.Wrong(); wrong != "" {
		t.Errorf("%s: broke a rule: %s", what, wrong)
	}
	alive := f.Alive()
	var refused *Error
	var missing *Missing
	switch {
	case err == nil:
		// The driver does not tell a kernel's arguments, or an image is refused and
		// the next is loaded.
		if len(alive) > 0 {
			t.Errorf("%s: no error, and left behind: %v", what, alive)
		}
	case errors.As(err, &missing):
		if len(alive) > 0 {
			t.Errorf("%s: %v, and left behind: %v", what, err, alive)
		}
	case errors.As(err, &refused):
		if !strings.HasPrefix(refused.Call, "cu") {
			t.Errorf("%s: %v names no call", what, err)
		}
		gives := strings.Contains(refused.Call, "Free") || strings.Contains(refused.Call, "Destroy") ||
			strings.Contains(refused.Call, "Unload") || strings.Contains(refused.Call, "Release") || refused.Sticky()
		if len(alive) > 0 && !gives {
			t.Errorf("%s: %v, and left behind: %v", what, err, alive)
		}
	default:
		t.Errorf("%s: got %v (%T), want an *Error or a *Missing", what, err, err)
	}
}

// TestDeviceIsLost takes the device away at each call: the first error says
// so, the later ones refer to it, and the context is given back all the same.
func TestDeviceIsLost(t *testing.T) {
	f := fake(t, "")
	if err := session(f.Path); err != nil {
		t.Fatal(err)
	}
	for n := range f.Get("calls") {
		f.Reset(fmt.Sprintf("lost_at=%d", n+1))
		err := session(f.Path)
		if wrong := f.Wrong(); wrong != "" {
			t.Errorf("lost at call %d: broke a rule: %s", n+1, wrong)
		}
		if f.Get("contexts") != 0 {
			t.Errorf("lost at call %d: the context was kept", n+1)
		}
		if f.Last() == "cuDevicePrimaryCtxRelease_v2" && err != nil && !Lost(err) && f.Get("calls") > n+1 {
			t.Errorf("lost at call %d: %v does not say that the device is lost", n+1, err)
		}
	}
}
