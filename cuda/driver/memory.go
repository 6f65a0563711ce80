package driver

import (
	"errors"
	"fmt"
	"unsafe"
)

// Ptr is an address in a device's memory; 0 is none. Adding bytes to it gives
// an address inside the allocation.
type Ptr uint64

// Element is what memory may be seen as.
type Element interface {
	~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64 | ~float32 | ~float64
}

// MemInfo returns how much of the device's memory is free and how much there
// is, in bytes. Others who use the device count in.
func (t *Thread) MemInfo() (free, total uint64, err error) {
	err = t.call(fnMemGetInfo, uintptr(unsafe.Pointer(&t.words[0])), uintptr(unsafe.Pointer(&t.words[1])))
	if err != nil {
		return 0, 0, err
	}
	return t.words[0], t.words[1], nil
}

// Alloc returns bytes of device memory, aligned to 256, with anything in it.
// Where there is not enough, the error says how much there is
// (Error.OutOfMemory).
func (t *Thread) Alloc(bytes int) (Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("cannot allocate %d bytes of device memory", bytes)
	}
	if err := t.call(fnMemAlloc, uintptr(unsafe.Pointer(&t.words[0])), uintptr(bytes)); err != nil {
		return 0, t.shortage(err, bytes)
	}
	p := Ptr(t.words[0])
	t.keep(kindMemory, uintptr(p))
	return p, nil
}

// shortage adds to an out-of-memory error what was asked for and what is free.
func (t *Thread) shortage(err error, bytes int) error {
	var e *Error
	if !errors.As(err, &e) || !e.OutOfMemory() || e.Earlier != nil {
		return err
	}
	e.Detail = fmt.Sprintf("%d bytes asked for", bytes)
	if free, total, err := t.MemInfo(); err == nil {
		e.Detail += fmt.Sprintf(", %d of the device's %d are free", free, total)
	}
	return e
}

// Free gives device memory back that Alloc returned. Freeing 0 does nothing.
func (t *Thread) Free(p Ptr) error {
	if p == 0 {
		return nil
	}
	return t.release(kindMemory, uintptr(p))
}

// Host is memory of the host that the device reaches by itself: copies from and
// to it run beside the host's work. Go's garbage collector knows nothing of it.
type Host struct {
	t     *Thread
	start unsafe.Pointer
	bytes int
}

// HostAlloc returns bytes of pinned memory, with anything in it.
func (t *Thread) HostAlloc(bytes int) (*Host, error) {
	if bytes <= 0 {
		return nil, fmt.Errorf("cannot allocate %d bytes of pinned memory", bytes)
	}
	t.pointer = nil
	if err := t.call(fnMemHostAlloc, uintptr(unsafe.Pointer(&t.pointer)), uintptr(bytes), 0); err != nil {
		return nil, t.shortage(err, bytes)
	}
	h := &Host{t: t, start: t.pointer, bytes: bytes}
	t.pointer = nil
	t.keep(kindHost, uintptr(h.start))
	t.pinned = append(t.pinned, h)
	return h, nil
}

// View shows pinned memory as a slice of as many whole elements as fit. The
// slice must not be touched after Free or the context's Close.
func View[T Element](h *Host) []T {
	var zero T
	if h.start == nil {
		return nil
	}
	return unsafe.Slice((*T)(h.start), h.bytes/int(unsafe.Sizeof(zero)))
}

// Free gives pinned memory back.
func (h *Host) Free() error {
	if h.start == nil {
		return errors.New("pinned memory was given back before")
	}
	start := h.start
	h.start = nil
	for i, other := range h.t.pinned {
		if other == h {
			h.t.pinned = append(h.t.pinned[:i], h.t.pinned[i+1:]...)
			break
		}
	}
	return h.t.release(kindHost, uintptr(start))
}

// isPinned reports whether bytes of memory lie in one pinned allocation.
func (t *Thread) isPinned(p unsafe.Pointer, bytes int) bool {
	for _, h := range t.pinned {
		offset := uintptr(p) - uintptr(h.start) // wraps around where p lies before
		if offset <= uintptr(h.bytes) && uintptr(bytes) <= uintptr(h.bytes)-offset {
			return true
		}
	}
	return false
}

// Memset sets bytes of device memory to a value, and waits until it is done.
func (t *Thread) Memset(p Ptr, value byte, bytes int) error {
	if bytes == 0 {
		return nil
	}
	if err := t.call(fnMemsetD8, uintptr(p), uintptr(value), uintptr(bytes)); err != nil {
		return err
	}
	return t.settle()
}

// settle waits for the default stream: copies and fills without a stream go
// there, and may return before the device has finished.
func (t *Thread) settle() error { return t.quick(fnStreamSynchronize, 0) }

// CopyIn copies src to the device and waits until it is there. It does not wait
// for work on streams.
func CopyIn[T Element](t *Thread, dst Ptr, src []T) error {
	if len(src) == 0 {
		return nil
	}
	return t.copyIn(dst, unsafe.Pointer(&src[0]), sizeOf(src))
}

func (t *Thread) copyIn(dst Ptr, src unsafe.Pointer, bytes int) error {
	if err := t.call(fnMemcpyHtoD, uintptr(dst), uintptr(src), uintptr(bytes)); err != nil {
		return err
	}
	return t.settle()
}

// CopyOut copies from the device to dst and waits until it is there. It does
// not wait for work on streams.
func CopyOut[T Element](t *Thread, dst []T, src Ptr) error {
	if len(dst) == 0 {
		return nil
	}
	return t.copyOut(unsafe.Pointer(&dst[0]), src, sizeOf(dst))
}

func (t *Thread) copyOut(dst unsafe.Pointer, src Ptr, bytes int) error {
	return t.call(fnMemcpyDtoH, uintptr(dst), uintptr(src), uintptr(bytes))
}

// CopyInAsync has the stream copy src to the device. src lies in pinned memory
// (View) and stays as it is until the stream has passed the copy.
func CopyInAsync[T Element](s *Stream, dst Ptr, src []T) error {
	if len(src) == 0 {
		return nil
	}
	return s.copyIn(dst, unsafe.Pointer(&src[0]), sizeOf(src))
}

// CopyOutAsync has the stream copy from the device to dst, which lies in pinned
// memory and is not read until the stream has passed the copy.
func CopyOutAsync[T Element](s *Stream, dst []T, src Ptr) error {
	if len(dst) == 0 {
		return nil
	}
	return s.copyOut(unsafe.Pointer(&dst[0]), src, sizeOf(dst))
}

var errNotPinned = errors.New("a copy beside the host's work needs pinned memory on the host's side")

func (s *Stream) copyIn(dst Ptr, src unsafe.Pointer, bytes int) error {
	if !s.t.isPinned(src, bytes) {
		return errNotPinned
	}
	return s.t.quick(fnMemcpyHtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), s.handle)
}

func (s *Stream) copyOut(dst unsafe.Pointer, src Ptr, bytes int) error {
	if !s.t.isPinned(dst, bytes) {
		return errNotPinned
	}
	return s.t.quick(fnMemcpyDtoHAsync, uintptr(dst), uintptr(src), uintptr(bytes), s.handle)
}

// Copy has the stream copy bytes from one place of the device to another.
func (s *Stream) Copy(dst, src Ptr, bytes int) error {
	if bytes == 0 {
		return nil
	}
	return s.t.quick(fnMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), s.handle)
}

// Memset has the stream set bytes of device memory to a value.
func (s *Stream) Memset(p Ptr, value byte, bytes int) error {
	if bytes == 0 {
		return nil
	}
	return s.t.quick(fnMemsetD8Async, uintptr(p), uintptr(value), uintptr(bytes), s.handle)
}

func sizeOf[T Element](s []T) int {
	var zero T
	return len(s) * int(unsafe.Sizeof(zero))
}
