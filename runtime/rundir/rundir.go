// Package rundir keeps the directory of one training: its lock, checkpoint,
// metrics, and what is left when the training is done.
//
// The order of writes is such that a crash, a loss of power or a full disk at
// any moment leaves the last whole checkpoint, and a metrics file that holds
// at least what the checkpoint covers.
package rundir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/modelfile"
)

// Names of the files of a run directory.
const (
	ModelFile      = "model.safetensors"
	CheckpointFile = "checkpoint"
	MetricsFile    = "metrics.jsonl"
	CurvesFile     = "curves.svg"
	SpecFile       = "spec.yaml"
	InfoFile       = "info.json"
	lockFile       = "lock"
)

// Refused says why a directory cannot be used.
type Refused struct {
	Path string
	Msg  string
	Hint string // may be empty
}

func (e *Refused) Error() string {
	s := e.Path + ": " + e.Msg
	if e.Hint != "" {
		s += "; hint: " + e.Hint
	}
	return s
}

// Dir is a run directory, held by this process until Close.
type Dir struct {
	fs   fsys.FS
	path string
	lock *lock
	has  map[string]bool // the files that were there on opening
}

// Open makes the directory where it is missing, locks it and removes what a
// killed writer left. It returns a *Locked where another process holds the
// directory, and a *Refused where it belongs to another spec.
func Open(fsys fsys.FS, path, spec string) (*Dir, error) {
	if err := fsys.MkdirAll(path); err != nil {
		return nil, err
	}
	l, err := acquire(fsys, filepath.Join(path, lockFile))
	if err != nil {
		return nil, err
	}
	d := &Dir{fs: fsys, path: path, lock: l}
	if err := d.open(spec); err != nil {
		// What went wrong first is what counts.
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) open(spec string) error {
	if err := fsys.Sweep(d.fs, d.path); err != nil {
		return err
	}
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		return err
	}
	d.has = make(map[string]bool, len(entries))
	for _, e := range entries {
		d.has[e.Name()] = true
	}
	if !d.has[SpecFile] {
		return nil
	}
	old, err := readFile(d.fs, d.file(SpecFile))
	if err != nil {
		return err
	}
	if !bytes.Equal(old, []byte(spec)) {
		return &Refused{d.path, "holds the " + SpecFile + " of another network", "choose another directory with --run"}
	}
	return nil
}

// Next makes and opens the next directory parent/NNN, numbered from 001. Two
// processes that ask at the same time get two directories: the lock decides.
func Next(fsys fsys.FS, parent, spec string) (*Dir, error) {
	if err := fsys.MkdirAll(parent); err != nil {
		return nil, err
	}
	newest, _, err := newest(fsys, parent)
	if err != nil {
		return nil, err
	}
	// The bound ends the search where something is wrong in another way.
	for i := newest + 1; i <= newest+1000; i++ {
		d, err := Open(fsys, filepath.Join(parent, fmt.Sprintf("%03d", i)), spec)
		var locked *Locked
		switch {
		case errors.As(err, &locked):
			continue
		case err != nil:
			return nil, err
		case !d.Has(MetricsFile) && !d.Trained():
			return d, nil
		}
		if err := d.Close(); err != nil {
			return nil, err
		}
	}
	return nil, &Refused{parent, "found no free number for a new run", ""}
}

// Newest returns the directory parent/NNN with the highest number, or an error
// that wraps fs.ErrNotExist.
func Newest(fsys fsys.FS, parent string) (string, error) {
	_, name, err := newest(fsys, parent)
	if err == nil && name == "" {
		err = &fs.PathError{Op: "look for a run in", Path: parent, Err: fs.ErrNotExist}
	}
	return filepath.Join(parent, name), err
}

func newest(fsys fsys.FS, parent string) (number int, name string, err error) {
	entries, err := fsys.ReadDir(parent)
	if err != nil {
		return 0, "", err
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err == nil && e.IsDir() && n > number && len(e.Name()) >= 3 {
			number, name = n, e.Name()
		}
	}
	return number, name, nil
}

// Path returns the directory's path as it was given.
func (d *Dir) Path() string { return d.path }

// File returns the path of a file in the directory.
func (d *Dir) File(name string) string { return d.file(name) }

func (d *Dir) file(name string) string { return filepath.Join(d.path, name) }

// Has tells whether a file was there when the directory was opened.
func (d *Dir) Has(name string) bool { return d.has[name] }

// Trained tells whether the directory holds something that took a training to
// make: a checkpoint or a model.
func (d *Dir) Trained() bool { return d.has[CheckpointFile] || d.has[ModelFile] }

// Close gives the directory free.
func (d *Dir) Close() error { return d.lock.release() }

// Write replaces a file of the directory, whole or not at all.
func (d *Dir) Write(name string, content []byte) error {
	return fsys.WriteAtomic(d.fs, d.file(name), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// WriteSpec stores the spec's text, unless it is there.
func (d *Dir) WriteSpec(spec string) error {
	if d.has[SpecFile] {
		return nil
	}
	return d.Write(SpecFile, []byte(spec))
}

// WriteJSON stores v, indented, with a newline at the end.
func (d *Dir) WriteJSON(name string, v any) error {
	return fsys.WriteAtomic(d.fs, d.file(name), func(w io.Writer) error {
		return json.NewEncoder(&indenter{w: w}).Encode(v)
	})
}

// SpecSum returns the SHA-256 of a spec's text, in hexadecimal.
func SpecSum(spec string) string { return modelfile.SpecSum(spec) }

// readFile reads a file of this directory, which this program wrote itself.
func readFile(fsys fsys.FS, name string) ([]byte, error) {
	r, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return b, err
}
