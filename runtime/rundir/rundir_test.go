package rundir

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dnngen/dnngen/runtime/fsys"
)

const spec = "name: tiny\n"

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(fsys.OS(), path, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestOnlyOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d := open(t, path)
	_, err := Open(fsys.OS(), path, spec)
	var locked *Locked
	if !errors.As(err, &locked) {
		t.Fatalf("the second owner got %v", err)
	}
	host, _ := os.Hostname()
	if locked.Owner.PID != os.Getpid() || locked.Owner.Host != host || locked.Owner.Since.IsZero() {
		t.Errorf("owner %+v", locked.Owner)
	}
	if msg := err.Error(); !strings.Contains(msg, host) || !strings.Contains(msg, "since 2") {
		t.Errorf("message %q", msg)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// Of many that start at the same moment exactly one gets the directory.
func TestLockRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			d, err := Open(fsys.OS(), path, spec)
			var locked *Locked
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
				t.Cleanup(func() { _ = d.Close() })
			} else if !errors.As(err, &locked) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d owners", won)
	}
}

func TestNextGivesEachItsOwn(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "runs", "tiny")
	seen := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			d, err := Next(fsys.OS(), parent, spec)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = d.Close() })
			mu.Lock()
			defer mu.Unlock()
			if seen[d.Path()] {
				t.Errorf("%s was given twice", d.Path())
			}
			seen[d.Path()] = true
		})
	}
	wg.Wait()
	if !seen[filepath.Join(parent, "001")] {
		t.Errorf("runs %v, want one to be 001", seen)
	}
	newest, err := Newest(fsys.OS(), parent)
	if err != nil || !seen[newest] {
		t.Errorf("the newest run is %s, %v", newest, err)
	}
}

func TestNextCountsOn(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{"007", "9", "notes", "0x8", "1000"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Next(fsys.OS(), parent, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if filepath.Base(d.Path()) != "1001" {
		t.Errorf("got %s", d.Path())
	}
	if _, err := Newest(fsys.OS(), filepath.Join(parent, "007")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no run at all: %v", err)
	}
}

func TestAnotherSpecIsRefused(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	if err := d.WriteSpec(spec); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteJSON(InfoFile, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(fsys.OS(), path, spec+"# changed\n")
	var refused *Refused
	if !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	// A refused directory is free again.
	d = open(t, path)
	if !d.Has(SpecFile) || !d.Has(InfoFile) || d.Trained() {
		t.Errorf("files %v", d.has)
	}
	b, err := os.ReadFile(d.File(InfoFile))
	if err != nil || !json.Valid(b) || b[len(b)-1] != '\n' {
		t.Errorf("info %q, %v", b, err)
	}
}

func TestLeftoversAreSwept(t *testing.T) {
	path := t.TempDir()
	left := filepath.Join(path, CheckpointFile+".tmp-123-1")
	if err := os.WriteFile(left, []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

func TestUnusablePlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fsys.OS(), file, spec); err == nil {
		t.Error("a file as directory: no error")
	}
	if _, err := Open(fsys.OS(), filepath.Join(file, "x"), spec); err == nil {
		t.Error("a directory below a file: no error")
	}
	if _, err := Next(fsys.OS(), file, spec); err == nil {
		t.Error("runs below a file: no error")
	}
}
