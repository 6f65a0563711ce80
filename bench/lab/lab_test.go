package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLastWords(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"error: no such file\n", "error: no such file"},
		{"fatal error: runtime: out of memory\n\ngoroutine 1 [running]:\nmain.main()\n", "fatal error: runtime: out of memory"},
		{"exit\npanic: index\n\ngoroutine 1\n", "panic: index"},
		{"Traceback (most recent call last):\n  File \"x.py\"\nValueError: no\n", "ValueError: no"},
		{"one\ntwo", "one\ntwo"},
	} {
		if got := LastWords(test.text); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

func TestReadKnowsItsForm(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.json")
	var v, got struct{ Rows int }
	v.Rows = 3
	if err := Write(file, v); err != nil {
		t.Fatal(err)
	}
	if err := Read(file, &got); err != nil || got != v {
		t.Errorf("%+v, error %v", got, err)
	}
	if err := os.WriteFile(file, []byte(`{"Rows": 3, "Scaled": true}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Read(file, &got); err == nil || !strings.Contains(err.Error(), "Scaled") {
		t.Errorf("a file of another form: error %v", err)
	}
}

func TestEachKeepsWhatWasMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.json")
	type list struct{ Done []string }
	if err := Write(file, list{[]string{"an earlier run"}}); err != nil {
		t.Fatal(err)
	}
	died := errors.New("a peer died")
	var results list
	names, dies := []string{"w1", "w2", "w3"}, "w3"
	each := func() error {
		results.Done = nil
		return Each(file, &results, names, func(name string) error {
			if name == dies {
				return died
			}
			results.Done = append(results.Done, name)
			return nil
		})
	}
	holds := func(file, want string) {
		t.Helper()
		var got list
		if err := Read(file, &got); err != nil || strings.Join(got.Done, ", ") != want {
			t.Errorf("%s holds %v, error %v; want %s", file, got.Done, err, want)
		}
	}
	if err := each(); !errors.Is(err, died) || !strings.Contains(err.Error(), file+Partial) {
		t.Errorf("error %v", err)
	}
	holds(file, "an earlier run")
	holds(file+Partial, "w1, w2")
	dies = ""
	if err := each(); err != nil {
		t.Error(err)
	}
	holds(file, "w1, w2, w3")
	if _, err := os.Stat(file + Partial); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a part is left: %v", err)
	}
	dies = "w1"
	if err := each(); err != died {
		t.Errorf("without a part: error %v", err)
	}
	// What cannot be written after the first says so, too.
	var grows struct{ Last any }
	err := Each(file, &grows, []any{"w1", func() {}}, func(last any) error {
		grows.Last = last
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "; what was measured before is in "+file+Partial) {
		t.Errorf("unwritable results: error %v", err)
	}
	// Nothing is measured for a part that cannot be written.
	if err := errors.Join(os.Remove(file+Partial), os.Mkdir(file+Partial, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := each(); err == nil || errors.Is(err, died) {
		t.Errorf("a directory in the part's place: error %v", err)
	}
	dies, file = "w2", ""
	if err := each(); err != died {
		t.Errorf("without a file: error %v", err)
	}
}

// An empty list of things leaves the file as it is.
func TestEachOfNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.json")
	if err := Each(file, nil, nil, func(string) error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("results of nothing are written: %v", err)
	}
}

// Where results cannot be written, that is said before hours are spent on them.
func TestEachLooksBeforeItMeasures(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{dir, filepath.Join(dir, "none", "x.json")} {
		err := Each(file, nil, []string{"w1"}, func(string) error {
			t.Errorf("%s: something was measured", file)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v", file, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, error %v", left, err)
	}
}

// TestMain makes this program a command that is too busy for Ctrl-C, and the
// program that the command starts, for TestInterrupted.
func TestMain(m *testing.M) {
	switch os.Getenv("LAB_COMMAND") {
	case "":
		os.Exit(m.Run())
	case "child":
		time.Sleep(time.Hour)
	}
	Main("lab", func(ctx context.Context, temp string) error {
		child := exec.CommandContext(ctx, os.Args[0])
		child.Env = append(os.Environ(), "LAB_COMMAND=child")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			return err
		}
		fmt.Println(temp)
		time.Sleep(time.Hour) // an interpreter in the middle of a long step
		return nil
	})
}
