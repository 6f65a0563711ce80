// Package faultfs breaks file systems, for tests: FS makes single calls fail,
// Disk forgets what was not synced when the power is lost, and Crashes tries a
// piece of code against every such end.
package faultfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// ErrStopped is what calls return after the process was "killed".
var ErrStopped = errors.New("the process was stopped")

// Call is one call that an FS saw.
type Call struct {
	Op    string // "mkdir", "create", "append", "open", "readdir", "rename", "syncdir", "remove", "truncate", "write", "sync", "close"
	Name  string
	Bytes int // of a write
}

// Fault is what happens at one call.
type Fault struct {
	At     int   // the call, counted from 1
	Err    error // what it returns
	Torn   bool  // a write keeps the first half of its bytes; other calls do nothing
	Sticky bool  // all later calls do nothing and return Err, too
}

// Stop is the fault of a process that is killed just before a call.
func Stop(at int) Fault { return Fault{At: at, Err: ErrStopped, Sticky: true} }

// FS passes calls on to another file system, records them, and fails where it
// is told to.
type FS struct {
	inner fsys.FS

	mu     sync.Mutex
	calls  []Call
	faults []Fault
}

var _ fsys.FS = (*FS)(nil)

// Wrap returns an FS over inner with the given faults.
func Wrap(inner fsys.FS, faults ...Fault) *FS { return &FS{inner: inner, faults: faults} }

// Calls returns the calls seen so far, failed ones among them.
func (f *FS) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// call records a call. It returns the fault that the call meets, or nil.
func (f *FS) call(op, name string, bytes int) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{op, name, bytes})
	n := len(f.calls)
	for i := range f.faults {
		switch fault := &f.faults[i]; {
		case fault.At == n:
			return fault
		case fault.Sticky && fault.At < n:
			return &Fault{At: n, Err: fault.Err}
		}
	}
	return nil
}

// do makes a call that fails as a whole or not at all.
func (f *FS) do(op, name string, run func() error) error {
	if fault := f.call(op, name, 0); fault != nil {
		return &fs.PathError{Op: op, Path: name, Err: fault.Err}
	}
	return run()
}

func (f *FS) MkdirAll(dir string) error {
	return f.do("mkdir", dir, func() error { return f.inner.MkdirAll(dir) })
}

func (f *FS) Create(name string) (file fsys.File, err error) {
	err = f.do("create", name, func() error {
		file, err = f.inner.Create(name)
		return err
	})
	return f.wrap(file, name, err)
}

func (f *FS) Append(name string) (file fsys.File, err error) {
	err = f.do("append", name, func() error {
		file, err = f.inner.Append(name)
		return err
	})
	return f.wrap(file, name, err)
}

func (f *FS) wrap(inner fsys.File, name string, err error) (fsys.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{fs: f, inner: inner, name: name}, nil
}

func (f *FS) Open(name string) (r io.ReadCloser, err error) {
	err = f.do("open", name, func() error {
		r, err = f.inner.Open(name)
		return err
	})
	return r, err
}

func (f *FS) ReadDir(dir string) (entries []fs.DirEntry, err error) {
	err = f.do("readdir", dir, func() error {
		entries, err = f.inner.ReadDir(dir)
		return err
	})
	return entries, err
}

func (f *FS) Rename(old, new string) error {
	return f.do("rename", old, func() error { return f.inner.Rename(old, new) })
}

func (f *FS) SyncDir(dir string) error {
	return f.do("syncdir", dir, func() error { return f.inner.SyncDir(dir) })
}

func (f *FS) Remove(name string) error {
	return f.do("remove", name, func() error { return f.inner.Remove(name) })
}

func (f *FS) Truncate(name string, size int64) error {
	return f.do("truncate", name, func() error { return f.inner.Truncate(name, size) })
}

type file struct {
	fs    *FS
	inner fsys.File
	name  string
	lost  bool // a sync failed
}

func (f *file) Write(b []byte) (int, error) {
	fault := f.fs.call("write", f.name, len(b))
	if fault == nil {
		return f.inner.Write(b)
	}
	n := 0
	if fault.Torn {
		// What the inner file system says to the half does not matter: the
		// write has failed.
		n, _ = f.inner.Write(b[:len(b)/2])
	}
	return n, &fs.PathError{Op: "write", Path: f.name, Err: fault.Err}
}

// Sync, after it failed once, says that all is well and syncs nothing, as
// kernels do that drop the pages they could not write.
func (f *file) Sync() error {
	if fault := f.fs.call("sync", f.name, 0); fault != nil {
		f.lost = true
		return &fs.PathError{Op: "sync", Path: f.name, Err: fault.Err}
	}
	if f.lost {
		return nil
	}
	return f.inner.Sync()
}

// Close always closes the inner file, so that tests over real files leave none
// open.
func (f *file) Close() error {
	fault := f.fs.call("close", f.name, 0)
	err := f.inner.Close()
	if fault != nil {
		return &fs.PathError{Op: "close", Path: f.name, Err: fault.Err}
	}
	return err
}
