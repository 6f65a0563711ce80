package driver

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

// Context is a device made ready for work, with the one goroutine that may
// touch it. Contexts of one device in one process share its primary context.
type Context struct {
	Device Device

	one  sync.Mutex // held from handing a function over to having its result
	work chan func(*Thread) error
	done chan result
	gone chan struct{} // closed when the goroutine ended
}

type result struct {
	err      error
	panicked any
}

// Thread is what a function that Do runs sees of its context. It must not be
// used outside that function.
type Thread struct {
	driver  *Driver
	device  Device
	handle  uintptr // of the device
	live    map[object]struct{}
	pinned  []*Host
	lost    *Error // the first sticky error
	closing bool

	// Results and texts that the driver writes lie here and not on a stack that
	// may move.
	pointer unsafe.Pointer
	words   [2]uint64
	log     [16 << 10]byte
	args    [5]uintptr // of calls that must not allocate
}

// NewContext makes a device ready. That takes a few tenths of a second and some
// hundred MiB of its memory. The error is an *Error.
func (d *Driver) NewContext(device Device) (*Context, error) {
	c := &Context{
		Device: device,
		work:   make(chan func(*Thread) error),
		done:   make(chan result),
		gone:   make(chan struct{}),
	}
	started := make(chan error)
	go c.serve(&Thread{driver: d, device: device, live: map[object]struct{}{}}, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// serve owns the context from first to last.
func (c *Context) serve(t *Thread, started chan<- error) {
	defer close(c.gone)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := t.attach(); err != nil {
		started <- err
		return
	}
	started <- nil
	defer func() {
		if !t.closing { // a function ended the goroutine: nobody is left to tell
			_ = t.detach()
		}
	}()
	for !t.closing {
		c.run(t, <-c.work)
	}
}

// run runs one function and hands its result over. A panic is the caller's,
// not this goroutine's.
func (c *Context) run(t *Thread, f func(*Thread) error) {
	r := result{err: ErrClosed} // if f ends the goroutine
	defer func() {
		r.panicked = recover()
		c.done <- r
	}()
	r.err = f(t)
}

// Do runs f on the goroutine that owns the context, and returns what f
// returned; where f panics, Do panics. Many goroutines may call Do: one is
// served after the other. f must not call Do. After Close the error is
// ErrClosed.
func (c *Context) Do(f func(*Thread) error) error {
	c.one.Lock()
	defer c.one.Unlock()
	select {
	case c.work <- f:
	case <-c.gone:
		return ErrClosed
	}
	r := <-c.done
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.err
}

// Close waits for the device, gives back all that was made in the context, and
// then the context. What is wrong by then it returns, once: closing again does
// nothing and returns nil.
func (c *Context) Close() error {
	err := c.Do((*Thread).detach)
	if err == ErrClosed {
		return nil
	}
	return err
}

// attach makes the device's primary context the one of this OS thread.
func (t *Thread) attach() error {
	handle, e := t.driver.handle(t.device.Ordinal)
	if e != nil {
		return e
	}
	t.handle = handle
	if e := t.driver.do(fnPrimaryCtxRetain, uintptr(unsafe.Pointer(&t.words[0])), handle); e != nil {
		return e
	}
	if e := t.driver.do(fnCtxSetCurrent, uintptr(t.words[0])); e != nil {
		_ = t.driver.do(fnPrimaryCtxRelease, handle)
		return e
	}
	return nil
}

// detach gives back everything, even where some of it fails, and returns the
// first error.
func (t *Thread) detach() (first error) {
	t.closing = true
	keep := func(err error) {
		if first == nil && err != nil {
			first = err
		}
	}
	keep(t.Synchronize())
	keep(t.freeAll())
	// The reference is given back also where the device was lost.
	if e := t.driver.do(fnCtxSetCurrent, 0); e != nil {
		keep(e)
	}
	if e := t.driver.do(fnPrimaryCtxRelease, t.handle); e != nil {
		keep(e)
	}
	return first
}

// call makes a call of the driver in this context. The error is an *Error.
//
//go:uintptrescapes
func (t *Thread) call(f function, args ...uintptr) error { return t.callFor("", f, args...) }

// callFor is call, on behalf of a kernel.
//
//go:uintptrescapes
func (t *Thread) callFor(kernel string, f function, args ...uintptr) error {
	if t.lost != nil {
		return &Error{Call: symbols[f].Name(), Code: t.lost.Code, Name: t.lost.Name, Kernel: kernel, Earlier: t.lost}
	}
	e := t.driver.do(f, args...)
	if e == nil {
		return nil
	}
	e.Kernel = kernel
	if e.Sticky() {
		t.lost = e
	}
	return e
}

// quick is call without allocating: the arguments are handles, addresses of the
// device and of pinned memory, and numbers, nothing that Go's runtime moves.
func (t *Thread) quick(f function, args ...uintptr) error {
	n := copy(t.args[:], args)
	return t.callFor("", f, t.args[:n]...)
}

// Device is the device of this context.
func (t *Thread) Device() Device { return t.device }

// Driver is the driver of this context.
func (t *Thread) Driver() *Driver { return t.driver }

// Synchronize waits until the device has done all that was asked of it.
func (t *Thread) Synchronize() error { return t.quick(fnCtxSynchronize) }

// kind orders what a context holds: what uses another thing is freed before it.
type kind int

const (
	kindGraph kind = iota
	kindEvent
	kindStream
	kindMemory
	kindHost
	kindModule
	kinds
)

// frees says which function gives an object back.
var frees = [kinds]function{
	kindGraph:  fnGraphExecDestroy,
	kindEvent:  fnEventDestroy,
	kindStream: fnStreamDestroy,
	kindMemory: fnMemFree,
	kindHost:   fnMemFreeHost,
	kindModule: fnModuleUnload,
}

var kindNames = [kinds]string{"graph", "event", "stream", "device memory", "pinned memory", "module"}

// object is something that a context must give back.
type object struct {
	kind   kind
	handle uintptr
}

func (t *Thread) keep(k kind, handle uintptr) { t.live[object{k, handle}] = struct{}{} }

// release gives one object back. It is forgotten even where the driver refuses:
// there is nothing more to do for it.
func (t *Thread) release(k kind, handle uintptr) error {
	o := object{k, handle}
	if _, ok := t.live[o]; !ok {
		return fmt.Errorf("%s %#x is not of this context, or was given back before", kindNames[k], handle)
	}
	delete(t.live, o)
	return t.call(frees[k], handle)
}

// freeAll releases every object, and returns the first error.
func (t *Thread) freeAll() (first error) {
	for k := range kinds {
		for o := range t.live {
			if o.kind != k {
				continue
			}
			if err := t.release(o.kind, o.handle); err != nil && first == nil {
				first = err
			}
		}
	}
	for _, h := range t.pinned {
		h.start = nil
	}
	return first
}
