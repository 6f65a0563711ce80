// Package fsys is the one small interface through which files are written,
// and the atomic way to replace a file through it.
//
// Because every write of a program goes through FS, tests can make each single
// call fail, tear or be the last one before a power loss: see the package
// faultfs.
package fsys

import (
	"bytes"
	"io"
	"io/fs"
)

// FS is what the programs need of a file system. Names are paths in the form
// of the operating system. Errors say which operation failed on which path.
type FS interface {
	// MkdirAll makes dir and the parents that it lacks. What it made survives
	// a loss of power.
	MkdirAll(dir string) error
	// Create makes or empties a file for writing.
	Create(name string) (File, error)
	// Append opens a file for writing at its end, and makes it where it is
	// missing.
	Append(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (io.ReadCloser, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(dir string) ([]fs.DirEntry, error)
	// Rename gives a file a new name in one step; a file that had this name
	// is replaced.
	Rename(old, new string) error
	// SyncDir makes the creations, renames and removals in dir survive a loss
	// of power.
	SyncDir(dir string) error
	// Remove deletes a file.
	Remove(name string) error
	// Truncate cuts a file to size bytes.
	Truncate(name string, size int64) error
}

// File is a file opened for writing. After a failed Sync nothing is known
// about what was written: the file is given up, Sync is not tried again.
type File interface {
	io.Writer
	// Sync makes what was written survive a loss of power. It says nothing
	// about the file's name: that needs FS.SyncDir.
	Sync() error
	Close() error
}

// ReadFile reads a whole file. Where the file tells its size, memory is asked
// for once.
func ReadFile(fsys FS, name string) ([]byte, error) {
	r, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := readAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return b, err
}

func readAll(r io.Reader) ([]byte, error) {
	s, ok := r.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return io.ReadAll(r)
	}
	info, err := s.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return io.ReadAll(r)
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}
