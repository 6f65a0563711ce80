package fsys_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
)

const target = "runs/model"

var (
	oldBytes = bytes.Repeat([]byte("old "), 700) // several sectors
	newBytes = bytes.Repeat([]byte("newer "), 900)
)

// writeNew writes newBytes in pieces that end inside sectors.
func writeNew(w io.Writer) error {
	for piece := range slices.Chunk(newBytes, 1000) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

func writeBytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// diskWithOld returns a disk on which the target holds oldBytes, safely.
func diskWithOld(t *testing.T) *faultfs.Disk {
	t.Helper()
	d := faultfs.NewDisk()
	if err := d.MkdirAll("runs"); err != nil {
		t.Fatal(err)
	}
	if err := fsys.WriteAtomic(d, target, writeBytes(oldBytes)); err != nil {
		t.Fatal(err)
	}
	return d
}

func names(t *testing.T, f fsys.FS, dir string) []string {
	t.Helper()
	entries, err := f.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// Whatever call is the last one, before a kill or a loss of power, a reader
// finds the old file or the new one, whole.
func TestWriteAtomicSurvivesEveryCrash(t *testing.T) {
	const losses = 60
	checked, err := faultfs.Crashes(diskWithOld(t), losses, func(f fsys.FS) error {
		return fsys.WriteAtomic(f, target, writeNew)
	}, func(d *faultfs.Disk, ended bool) error {
		b, err := fsys.ReadFile(d, target)
		if err != nil {
			return err
		}
		if !bytes.Equal(b, newBytes) && (!ended || !bytes.Equal(b, oldBytes)) {
			return fmt.Errorf("%d bytes that are neither old nor new", len(b))
		}
		if err := fsys.Sweep(d, "runs"); err != nil {
			return err
		}
		if left := names(t, d, "runs"); !slices.Equal(left, []string{"model"}) {
			return fmt.Errorf("after the sweep there are %v", left)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 500 {
		t.Errorf("only %d crashes were tried", checked)
	}
}

// The model must be able to see a fault: code that leaves out one step of the
// protocol is caught.
func TestCrashesCatchShortcuts(t *testing.T) {
	shortcuts := map[string]func(fsys.FS) error{
		"in place": func(f fsys.FS) error {
			w, err := f.Create(target)
			if err != nil {
				return err
			}
			return errors.Join(writeNew(w), w.Sync(), w.Close())
		},
		"no sync before the rename": func(f fsys.FS) error {
			w, err := f.Create("runs/temp")
			if err != nil {
				return err
			}
			if err := errors.Join(writeNew(w), w.Close()); err != nil {
				return err
			}
			return errors.Join(f.Rename("runs/temp", target), f.SyncDir("runs"))
		},
		"no sync of the directory": func(f fsys.FS) error {
			w, err := f.Create("runs/temp")
			if err != nil {
				return err
			}
			if err := errors.Join(writeNew(w), w.Sync(), w.Close()); err != nil {
				return err
			}
			return f.Rename("runs/temp", target)
		},
	}
	for name, run := range shortcuts {
		_, err := faultfs.Crashes(diskWithOld(t), 60, run, func(d *faultfs.Disk, ended bool) error {
			b, err := fsys.ReadFile(d, target)
			if err == nil && !bytes.Equal(b, newBytes) && (!ended || !bytes.Equal(b, oldBytes)) {
				err = errors.New("neither old nor new")
			}
			return err
		})
		if err == nil {
			t.Errorf("%s: no crash did harm", name)
		}
	}
}

// Every call of WriteAtomic fails once, with each of the errors that disks
// give. The error comes back, the old file stays, and no temporary one is left.
func TestWriteAtomicFails(t *testing.T) {
	record := faultfs.Wrap(diskWithOld(t))
	if err := fsys.WriteAtomic(record, target, writeNew); err != nil {
		t.Fatal(err)
	}
	for i, call := range record.Calls() {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EMFILE, syscall.EDQUOT} {
			for _, torn := range []bool{false, true} {
				d := diskWithOld(t)
				err := fsys.WriteAtomic(faultfs.Wrap(d, faultfs.Fault{At: i + 1, Err: errno, Torn: torn}), target, writeNew)
				if !errors.Is(err, errno) || !strings.Contains(err.Error(), target) {
					t.Fatalf("%s fails by %v: got the error %v", call.Op, errno, err)
				}
				want := oldBytes
				if call.Op == "syncdir" {
					want = newBytes // renamed already
				}
				if b, err := fsys.ReadFile(d, target); err != nil || !bytes.Equal(b, want) {
					t.Errorf("%s fails by %v: %d bytes, %v", call.Op, errno, len(b), err)
				}
				if left := names(t, d, "runs"); len(left) != 1 {
					t.Errorf("%s fails by %v: left %v", call.Op, errno, left)
				}
			}
		}
	}
}

func TestWriteAtomicWriterFails(t *testing.T) {
	d := diskWithOld(t)
	bad := errors.New("cannot encode")
	err := fsys.WriteAtomic(d, target, func(w io.Writer) error {
		_ = writeNew(w)
		return bad
	})
	if !errors.Is(err, bad) {
		t.Fatalf("got %v", err)
	}
	if b, err := fsys.ReadFile(d, target); err != nil || !bytes.Equal(b, oldBytes) {
		t.Errorf("the old file has %d bytes, %v", len(b), err)
	}
	if left := names(t, d, "runs"); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

func TestWriteAtomicByManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "model")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := fsys.WriteAtomic(fsys.OS(), name, writeBytes(bytes.Repeat([]byte{byte(i)}, 10000))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := fsys.ReadFile(fsys.OS(), name)
	if err != nil || len(b) != 10000 || !bytes.Equal(b, bytes.Repeat(b[:1], 10000)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if left := names(t, fsys.OS(), dir); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

// TestWriteAtomicLeavesDevices: a device, here behind a link, is not replaced.
func TestWriteAtomicLeavesDevices(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Skip("no links here:", err)
	}
	err := fsys.WriteAtomic(fsys.OS(), link, func(io.Writer) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "is a device") {
		t.Errorf("error %v", err)
	}
	if target, err := os.Readlink(link); err != nil || target != os.DevNull {
		t.Errorf("the link leads to %q, error %v", target, err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	keep := []string{"a.tmp-12-3x", "b.tmp-12", "c.tmp-", "d.tmp-0x1-2", ".tmp-1-2", "model", "e.tmp-01-2"}
	for _, name := range append(slices.Clone(keep), "model.tmp-4711-1", "model.tmp-1-20") {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.tmp-1-1"), 0o777); err != nil {
		t.Fatal(err)
	}
	keep = append(keep, "dir.tmp-1-1")
	if err := fsys.Sweep(fsys.OS(), dir); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keep)
	if left := names(t, fsys.OS(), dir); !slices.Equal(left, keep) {
		t.Errorf("left %v, want %v", left, keep)
	}
	if err := fsys.Sweep(fsys.OS(), filepath.Join(dir, "missing")); err != nil {
		t.Errorf("a missing directory: %v", err)
	}
	for at := 1; at <= 2; at++ {
		d := diskWithOld(t)
		if w, err := d.Create("runs/model.tmp-1-1"); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		err := fsys.Sweep(faultfs.Wrap(d, faultfs.Fault{At: at, Err: syscall.EIO}), "runs")
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d fails: got %v", at, err)
		}
	}
}

func TestOS(t *testing.T) {
	f := fsys.OS()
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := f.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.MkdirAll(dir); err != nil {
		t.Errorf("again: %v", err)
	}
	name := filepath.Join(dir, "log")
	for range 2 {
		w, err := f.Append(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Sync(), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(name, 7); err != nil {
		t.Fatal(err)
	}
	if b, err := fsys.ReadFile(f, name); string(b) != "line\nli" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := f.MkdirAll(filepath.Join(name, "c")); err == nil {
		t.Error("a directory inside a file")
	}
	if err := f.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := f.SyncDir(dir); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"open":     second(f.Open(name)),
		"create":   second(f.Create(filepath.Join(name, "x"))),
		"append":   second(f.Append(filepath.Join(name, "x"))),
		"readdir":  second(f.ReadDir(name)),
		"read":     second(fsys.ReadFile(f, name)),
		"truncate": f.Truncate(name, 1),
		"rename":   f.Rename(name, name+"2"),
		"syncdir":  f.SyncDir(name),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
