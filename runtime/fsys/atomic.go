package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// tempMark stands between a file's name and the number of the process that
// writes it: "model.safetensors.tmp-4711-1".
const tempMark = ".tmp-"

// temps numbers the temporary files of this process, so that two goroutines
// that write the same file do not share one.
var temps atomic.Uint64

// WriteAtomic replaces the file name by what write writes. Whatever happens,
// a crash or a loss of power at any moment included, a reader finds the old
// file or the new one, whole. When WriteAtomic returns nil, the new one
// survives a loss of power.
//
// It writes a temporary file beside the target, syncs, closes and renames it,
// and syncs the directory. Where a step fails it removes the temporary file and
// returns the error; the old file is then untouched, except where only the
// last step failed: then the new file is in place, but may not survive a loss
// of power.
func WriteAtomic(fsys FS, name string, write func(io.Writer) error) error {
	temp := fmt.Sprintf("%s%s%d-%d", name, tempMark, os.Getpid(), temps.Add(1))
	err := writeSynced(fsys, temp, write)
	if err == nil {
		err = fsys.Rename(temp, name)
	}
	if err != nil {
		// The first error is the one that tells what is wrong; a temporary file
		// that cannot be removed is found by the next Sweep.
		_ = fsys.Remove(temp)
		return fmt.Errorf("write %s: %w", name, Reason(err))
	}
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Reason returns why a call failed, without the call and the path: for messages
// that name a file by the name that its reader knows.
func Reason(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}

// writeSynced writes a new file and makes its content survive a loss of power.
func writeSynced(fsys FS, name string, write func(io.Writer) error) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	// Close is called once, also after a failure. Its own error counts: some
	// file systems report a failed write only here.
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Sweep removes the temporary files that a killed WriteAtomic left in dir. It
// is called at the start, by the one process that owns the directory, while
// nobody writes there. A directory that is missing has nothing to sweep.
func Sweep(fsys FS, dir string) error {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !isTemp(e.Name()) {
			continue
		}
		err := fsys.Remove(filepath.Join(dir, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isTemp tells whether a name is one that WriteAtomic gives: a mark, a process
// number, a dash, a count. A user's own file with a similar name stays.
func isTemp(name string) bool {
	i := strings.LastIndex(name, tempMark)
	if i <= 0 {
		return false
	}
	pid, count, found := strings.Cut(name[i+len(tempMark):], "-")
	return found && isDecimal(pid) && isDecimal(count)
}

func isDecimal(s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == s
}
