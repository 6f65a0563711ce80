package faultfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
)

func write(t *testing.T, f fsys.FS, name, text string) fsys.File {
	t.Helper()
	w, err := f.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return w
}

func read(f fsys.FS, name string) string {
	b, err := fsys.ReadFile(f, name)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

func TestFaultMeetsItsCall(t *testing.T) {
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d, faultfs.Fault{At: 3, Err: syscall.ENOSPC, Torn: true})
	w := write(t, f, "a", "whole")
	n, err := w.Write([]byte("torn apart"))
	if n != 5 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the torn write gave %d, %v", n, err)
	}
	if _, err := w.Write([]byte("!")); err != nil {
		t.Errorf("the fault was not sticky, but: %v", err)
	}
	if got := read(d, "a"); got != "wholetorn !" {
		t.Errorf("the file holds %q", got)
	}
	want := []faultfs.Call{{"create", "a", 0}, {"write", "a", 5}, {"write", "a", 10}, {"write", "a", 1}}
	if got := f.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls %v", got)
	}
}

// After a stop no call has an effect, whatever it is.
func TestStop(t *testing.T) {
	d := faultfs.NewDisk()
	w := write(t, d, "kept", "kept")
	f := faultfs.Wrap(d, faultfs.Stop(2))
	inside, err := f.Append("kept")
	if err != nil {
		t.Fatal(err)
	}
	_, writeErr := inside.Write([]byte("x"))
	_, openErr := f.Open("kept")
	_, createErr := f.Create("kept")
	_, appendErr := f.Append("other")
	_, listErr := f.ReadDir(".")
	for i, err := range []error{
		writeErr, openErr, createErr, appendErr, listErr, inside.Sync(), inside.Close(),
		f.MkdirAll("dir"), f.Rename("kept", "b"), f.SyncDir("."), f.Remove("kept"), f.Truncate("kept", 0),
	} {
		if !errors.Is(err, faultfs.ErrStopped) {
			t.Errorf("call %d after the stop: %v", i, err)
		}
	}
	if got := read(d, "kept"); got != "kept" {
		t.Errorf("the file holds %q", got)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// A sync that failed loses the data for good: the next one says that all is
// well, and is not to be trusted.
func TestFailedSyncLosesData(t *testing.T) {
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d, faultfs.Fault{At: 3, Err: syscall.EIO})
	w := write(t, f, "a", "data")
	if err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if got := read(d.PowerLoss(0), "a"); got != "" {
		t.Errorf("the file holds %q", got)
	}
}

func TestPowerLossKeepsWhatIsSynced(t *testing.T) {
	d := faultfs.NewDisk()
	w := write(t, d, "a", "synced")
	if err := errors.Join(w.Sync(), d.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(" not synced")); err != nil {
		t.Fatal(err)
	}
	write(t, d, "b", "no name")
	if err := d.Rename("a", "c"); err != nil {
		t.Fatal(err)
	}
	least, most := d.PowerLoss(0), d.PowerLoss(1)
	if got := read(least, "a"); got != "synced" {
		t.Errorf("a holds %q", got)
	}
	if got := read(most, "c"); got != "synced not synced" {
		t.Errorf("c holds %q", got)
	}
	if _, err := least.Open("b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("b: %v", err)
	}
}

// Losses between the extremes tear files at sectors, leave zeros, and keep
// names without bytes; the same number gives the same loss.
func TestPowerLossVaries(t *testing.T) {
	d := faultfs.NewDisk()
	w := write(t, d, "a", strings.Repeat("1", 2000))
	if err := errors.Join(w.Sync(), d.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	w = write(t, d, "a", strings.Repeat("2", 1500))
	if _, err := w.Write(bytes.Repeat([]byte("3"), 1500)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for loss := range uint64(200) {
		got := read(d.PowerLoss(loss), "a")
		if got != read(d.PowerLoss(loss), "a") {
			t.Fatal("the same loss twice is not the same")
		}
		switch {
		case len(got) != 0 && len(got) != 1500 && len(got) != 2000 && len(got) != 3000:
			t.Fatalf("a size that the file never had: %d", len(got))
		case strings.Contains(got, "\x00"):
			seen["zeros"] = true
		case strings.Contains(got, "1") && strings.Contains(got, "2"):
			seen["old and new"] = true
		case len(got) == 0:
			seen["empty"] = true
		case strings.Contains(got, "3") && !strings.Contains(got, "2"):
			seen["reordered"] = true
		}
	}
	for _, want := range []string{"zeros", "old and new", "empty"} {
		if !seen[want] {
			t.Errorf("no loss gave %s", want)
		}
	}
}

func TestCloneIsApart(t *testing.T) {
	d := faultfs.NewDisk()
	w := write(t, d, "a", "one")
	c := d.Clone()
	if _, err := w.Write([]byte(" two")); err != nil {
		t.Fatal(err)
	}
	if got := read(c, "a"); got != "one" {
		t.Errorf("the copy holds %q", got)
	}
	if _, err := c.PowerLoss(0).Open("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy forgot what is not synced: %v", err)
	}
}

func TestDisk(t *testing.T) {
	d := faultfs.NewDisk()
	if err := d.MkdirAll("runs/x"); err != nil {
		t.Fatal(err)
	}
	write(t, d, "runs/b", "12345")
	if err := d.Truncate("runs/b", 2); err != nil {
		t.Fatal(err)
	}
	if got := read(d, "runs/b"); got != "12" {
		t.Errorf("after the cut: %q", got)
	}
	if w, err := d.Append("runs/b"); err != nil {
		t.Fatal(err)
	} else if _, err := w.Write([]byte("3")); err != nil {
		t.Fatal(err)
	}
	if got := read(d, "runs/b"); got != "123" {
		t.Errorf("after the append: %q", got)
	}
	if err := d.Truncate("runs/b", 4); err != nil || read(d, "runs/b") != "123\x00" {
		t.Errorf("after the growth: %q, %v", read(d, "runs/b"), err)
	}
	entries, err := d.ReadDir("runs")
	if err != nil || len(entries) != 2 || entries[0].Name() != "b" || entries[0].IsDir() || !entries[1].IsDir() {
		t.Fatalf("the directory has %v, %v", entries, err)
	}
	if i, err := entries[0].Info(); err != nil || i.Size() != 4 || !i.Mode().IsRegular() {
		t.Errorf("the file is %v, %v", i, err)
	}
	for what, err := range map[string]error{
		"mkdir in a file": d.MkdirAll("runs/b/c"),
		"create":          second(d.Create("runs/x")),
		"create in none":  second(d.Create("none/a")),
		"append in none":  second(d.Append("none/a")),
		"rename":          d.Rename("none", "runs/a"),
		"rename to none":  d.Rename("runs/b", "none/a"),
		"remove":          d.Remove("none"),
		"truncate":        d.Truncate("none", 1),
		"readdir":         second(d.ReadDir("none")),
		"syncdir":         d.SyncDir("none"),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestCrashesReportsTheFirstHarm(t *testing.T) {
	harm := errors.New("harm")
	_, err := faultfs.Crashes(faultfs.NewDisk(), 1, func(f fsys.FS) error {
		w, err := f.Create("a")
		if err != nil {
			return err
		}
		_, err = w.Write([]byte("data"))
		return err
	}, func(d *faultfs.Disk, ended bool) error {
		if ended && read(d, "a") == "da" {
			return harm
		}
		return nil
	})
	if !errors.Is(err, harm) || !strings.Contains(err.Error(), "stopped at call 2 (write a, torn true)") {
		t.Errorf("got %v", err)
	}
	if _, err := faultfs.Crashes(faultfs.NewDisk(), 1, func(fsys.FS) error { return harm }, nil); !errors.Is(err, harm) {
		t.Errorf("a run that fails by itself: %v", err)
	}
}
