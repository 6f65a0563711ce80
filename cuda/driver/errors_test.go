//go:build linux && (amd64 || arm64) && !nogpu

package driver

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestMissing(t *testing.T) {
	f := fake(t, "")
	for _, c := range []struct {
		settings string
		cause    Cause
		says     string
	}{
		{"devices=0", NoDevice, "no GPU"},
		{"init_code=100", NoDevice, "no GPU"},
		{"init_code=803", Broken, "cuInit: CUDA error 803"},
		{"version=10020", TooOld, "supports CUDA 10.2, needed is 11.4"},
		{"version=11030", TooOld, "supports CUDA 11.3"},
		{"fail_at=1,fail_code=34", Broken, "cuDriverGetVersion: CUDA error 34"},
	} {
		f.Reset(c.settings)
		_, err := open(f.Path)
		var missing *Missing
		if !errors.As(err, &missing) || missing.Cause != c.cause || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.settings, err, c.says)
		}
	}
	_, err := open("libcuda-that-is-not-there.so.1")
	var missing *Missing
	if !errors.As(err, &missing) || missing.Cause != NoLibrary || !strings.Contains(err.Error(), "not-there") {
		t.Errorf("no library: got %v", err)
	}
	if _, err := open("libc.so.6"); !errors.As(err, &missing) || missing.Cause != Broken {
		t.Errorf("a library that is no driver: got %v", err)
	}
}

func TestOpenRemembers(t *testing.T) {
	d1, err1 := Open()
	d2, err2 := Open()
	if d1 != d2 || err1 != err2 || (d1 == nil) == (err1 == nil) {
		t.Errorf("got %v, %v and then %v, %v", d1, err1, d2, err2)
	}
}

func TestDevices(t *testing.T) {
	f := fake(t, "devices=3,cc=86,memory=123456789,sms=7")
	d, err := open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	list := d.Devices()
	if len(list) != 3 || d.Version() != 12040 {
		t.Fatalf("CUDA %d, devices %v", d.Version(), list)
	}
	for i, dev := range list {
		if dev.Ordinal != i || !strings.HasPrefix(dev.Name, "Fake GPU") || dev.Major != 8 || dev.Minor != 6 || dev.TotalMem != 123456789 ||
			dev.SMs != 7 || dev.SharedPerBlockOptin != 227<<10 || dev.WarpSize != 32 || !dev.Cooperative {
			t.Errorf("device %d is %+v", i, dev)
		}
	}
	list[0].Name = "changed"
	if d.Devices()[0].Name == "changed" {
		t.Error("the list of devices can be changed from outside")
	}
}

func TestOutOfMemory(t *testing.T) {
	f := fake(t, "memory=1000000,host_memory=5000")
	inContext(t, f, func(th *Thread) error {
		if _, err := th.Alloc(400_000); err != nil {
			return err
		}
		_, err := th.Alloc(700_000)
		var e *Error
		if !errors.As(err, &e) || !e.OutOfMemory() || e.Sticky() || !strings.Contains(err.Error(), "700000 bytes asked for, 600000 of the device's 1000000 are free") {
			t.Errorf("got %v", err)
		}
		if _, err := th.HostAlloc(6000); !errors.As(err, &e) || !e.OutOfMemory() {
			t.Errorf("pinned: got %v", err)
		}
		for _, bytes := range []int{0, -1} {
			if _, err := th.Alloc(bytes); err == nil {
				t.Errorf("%d bytes were allocated", bytes)
			}
			if _, err := th.HostAlloc(bytes); err == nil {
				t.Errorf("%d bytes were pinned", bytes)
			}
		}
		_, err = th.Alloc(600_000) // the context lives on
		return err
	})
}

func TestKernelFails(t *testing.T) {
	f := fake(t, "")
	for _, kernel := range []string{"broken", "outside"} {
		f.Reset("")
		d, err := open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := d.NewContext(d.Devices()[0])
		if err != nil {
			t.Fatal(err)
		}
		var p Ptr
		err = c.Do(func(th *Thread) (err error) {
			if p, err = th.Alloc(64); err != nil {
				return err
			}
			m, err := th.Load(images)
			if err != nil {
				return err
			}
			k, err := m.Kernel(kernel)
			if err != nil {
				return err
			}
			var args []any
			if kernel == "outside" {
				args = append(args, p)
			}
			l, err := k.Bind(Config{}, args...)
			if err != nil {
				return err
			}
			s, err := th.NewStream()
			if err != nil {
				return err
			}
			if err := l.Run(s); err != nil {
				t.Errorf("the launch itself fails: %v", err)
			}
			return s.Synchronize()
		})
		if !Lost(err) || !strings.Contains(err.Error(), "cuStreamSynchronize: CUDA error 700, CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access") {
			t.Errorf("%s: got %v", kernel, err)
		}
		calls := f.Get("calls")
		err = c.Do(func(th *Thread) error { return CopyOut(th, make([]float32, 1), p) })
		var e *Error
		if !Lost(err) || !errors.As(err, &e) || e.Earlier == nil || !strings.Contains(err.Error(), "cuMemcpyDtoH_v2: not called, the device failed before: cuStreamSynchronize") {
			t.Errorf("%s: afterwards, got %v", kernel, err)
		}
		if f.Get("calls") != calls {
			t.Error("a lost device was called")
		}
		if err := c.Close(); !Lost(err) {
			t.Errorf("Close: got %v", err)
		}
		if f.Get("contexts") != 0 {
			t.Error("the context was kept")
		}
		if wrong := f.Wrong(); kernel == "outside" && !strings.Contains(wrong, "wrote beside 64 bytes of device memory") {
			t.Errorf("the write outside was not seen: %q", wrong)
		}
		f.Reset("")
	}
}

func TestClose(t *testing.T) {
	f := fake(t, "")
	d, err := open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.NewContext(d.Devices()[0])
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.NewContext(d.Devices()[0])
	if err != nil {
		t.Fatal(err)
	}
	var h *Host
	if err := c.Do(func(th *Thread) (err error) { h, err = th.HostAlloc(64); return err }); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if View[byte](h) != nil {
		t.Error("pinned memory that was given back can still be seen")
	}
	if err := c.Do(func(*Thread) error { t.Error("a closed context runs"); return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Do after Close: got %v", err)
	}
	if err := other.Do(func(th *Thread) error { _, err := th.Alloc(64); return err }); err != nil {
		t.Errorf("the other context of the device: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if alive := f.Alive(); len(alive) > 0 {
		t.Errorf("left behind: %v", alive)
	}
}

func TestDoPassesPanicsOn(t *testing.T) {
	f := fake(t, "")
	d, err := open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.NewContext(d.Devices()[0])
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if r := recover(); r != "as planned" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = c.Do(func(*Thread) error { panic("as planned") })
	}()
	if err := c.Do(func(th *Thread) error { return th.Synchronize() }); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	// A function that ends the goroutine ends the context.
	for range 2 {
		if err := c.Do(func(*Thread) error { runtime.Goexit(); return nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("after Goexit: %v", err)
		}
	}
	if alive := f.Alive(); len(alive) > 0 {
		t.Errorf("left behind: %v", alive)
	}
}

func TestManyGoroutines(t *testing.T) {
	f := fake(t, "devices=2")
	d, err := open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 4 {
		c, err := d.NewContext(d.Devices()[i%2])
		if err != nil {
			t.Fatal(err)
		}
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				for range 20 {
					err := c.Do(func(th *Thread) error {
						p, err := th.Alloc(256)
						if err != nil {
							return err
						}
						return errors.Join(CopyIn(th, p, []byte{1, 2, 3}), th.Free(p))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Go(func() {
			users.Wait()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if alive := f.Alive(); len(alive) > 0 {
		t.Errorf("left behind: %v", alive)
	}
}

// TestNext tells results after which another image may do from those after which
// none can.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		err  error
		next bool
	}{
		{&Error{Code: 209}, true},
		{&Error{Code: 218}, true},
		{&Error{Code: 222}, true},
		{&Error{Code: 223}, true}, // CUDA_DISABLE_PTX_JIT is set
		{errNoRTC, true},
		{&Error{Code: 2}, false},
		{&Error{Code: 700}, false},
		{&Error{Code: 209, Earlier: &Error{Code: 700}}, false},
	} {
		if next(c.err) != c.next {
			t.Errorf("after %v another image may do: %t", c.err, !c.next)
		}
	}
}
