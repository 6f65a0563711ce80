package driver

import (
	"errors"
	"math"
	"time"
	"unsafe"
)

// Flags of cuda.h.
const (
	streamNonBlocking    = 1 // CU_STREAM_NON_BLOCKING
	captureThreadLocal   = 1 // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
	eventDisableTiming   = 2 // CU_EVENT_DISABLE_TIMING
	graphInstantiateFlag = 0
)

// Stream is a queue of work for the device: what is asked of one stream happens
// in order, what is asked of two in any.
type Stream struct {
	t      *Thread
	handle uintptr
}

// NewStream makes a stream that waits for no other, the default one included.
func (t *Thread) NewStream() (*Stream, error) {
	if err := t.call(fnStreamCreate, uintptr(unsafe.Pointer(&t.words[0])), streamNonBlocking); err != nil {
		return nil, err
	}
	s := &Stream{t, uintptr(t.words[0])}
	t.keep(kindStream, s.handle)
	return s, nil
}

// Handle is the driver's CUstream, for libraries that work in the stream.
func (s *Stream) Handle() uintptr { return s.handle }

// Synchronize waits until the stream is empty. Errors of kernels show here.
func (s *Stream) Synchronize() error { return s.t.quick(fnStreamSynchronize, s.handle) }

// Wait lets the stream go on only after the event was recorded.
func (s *Stream) Wait(e *Event) error { return s.t.quick(fnStreamWaitEvent, s.handle, e.handle, 0) }

// Destroy gives the stream back; its work is still done.
func (s *Stream) Destroy() error { return s.t.release(kindStream, s.handle) }

// Event is a mark in a stream.
type Event struct {
	t      *Thread
	handle uintptr
}

// NewEvent makes an event; one that is timed costs a little more.
func (t *Thread) NewEvent(timed bool) (*Event, error) {
	flags := uintptr(eventDisableTiming)
	if timed {
		flags = 0
	}
	if err := t.call(fnEventCreate, uintptr(unsafe.Pointer(&t.words[0])), flags); err != nil {
		return nil, err
	}
	e := &Event{t, uintptr(t.words[0])}
	t.keep(kindEvent, e.handle)
	return e, nil
}

// Record puts the mark at the end of what was asked of the stream so far.
func (e *Event) Record(s *Stream) error { return e.t.quick(fnEventRecord, e.handle, s.handle) }

// Synchronize waits until the device has passed the mark.
func (e *Event) Synchronize() error { return e.t.quick(fnEventSynchronize, e.handle) }

// Passed reports whether the device has passed the mark.
func (e *Event) Passed() (bool, error) {
	err := e.t.quick(fnEventQuery, e.handle)
	if code(err) == codeNotReady {
		return false, nil
	}
	return err == nil, err
}

// Since returns the device's time from one timed event to this one, both
// passed. Its resolution is about half a microsecond.
func (e *Event) Since(start *Event) (time.Duration, error) {
	if err := e.t.quick(fnEventElapsedTime, uintptr(unsafe.Pointer(&e.t.words[0])), start.handle, e.handle); err != nil {
		return 0, err
	}
	ms := math.Float32frombits(*(*uint32)(unsafe.Pointer(&e.t.words[0])))
	return time.Duration(float64(ms) * float64(time.Millisecond)), nil
}

// Destroy gives the event back.
func (e *Event) Destroy() error { return e.t.release(kindEvent, e.handle) }

// Graph is a sequence of work, recorded once, that one call repeats.
type Graph struct {
	t      *Thread
	handle uintptr
}

// Capture records what f asks of the stream, instead of doing it: launches and
// asynchronous copies and fills, with the arguments that they have now. f must
// not wait for anything.
func (s *Stream) Capture(f func() error) (*Graph, error) {
	t := s.t
	if err := t.call(fnStreamBeginCapture, s.handle, captureThreadLocal); err != nil {
		return nil, err
	}
	failed := f()
	t.words[0] = 0
	err := t.call(fnStreamEndCapture, s.handle, uintptr(unsafe.Pointer(&t.words[0])))
	template := uintptr(t.words[0])
	if failed != nil {
		err = failed // what ended the capture says more than that it is broken
	}
	if err != nil {
		if template != 0 {
			err = errors.Join(err, t.call(fnGraphDestroy, template))
		}
		return nil, err
	}
	err = t.call(fnGraphInstantiate, uintptr(unsafe.Pointer(&t.words[0])), template, graphInstantiateFlag)
	g := &Graph{t, uintptr(t.words[0])}
	if err == nil {
		t.keep(kindGraph, g.handle)
	}
	if err := errors.Join(err, t.call(fnGraphDestroy, template)); err != nil {
		return nil, err
	}
	return g, nil
}

// Launch has the stream do what was recorded. It does not allocate.
func (g *Graph) Launch(s *Stream) error { return g.t.quick(fnGraphLaunch, g.handle, s.handle) }

// Destroy gives the graph back.
func (g *Graph) Destroy() error { return g.t.release(kindGraph, g.handle) }
