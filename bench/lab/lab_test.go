package lab

import (
	"context"
	"errors"
	"fmt"
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
	died := errors.New("a peer died")
	var results struct{ Done []string }
	err := Each(file, &results, []string{"w1", "w2", "w3"}, func(name string) error {
		if name == "w3" {
			return died
		}
		results.Done = append(results.Done, name)
		return nil
	})
	if !errors.Is(err, died) {
		t.Errorf("error %v", err)
	}
	results.Done = nil
	if err := Read(file, &results); err != nil || strings.Join(results.Done, " ") != "w1 w2" {
		t.Errorf("%v is kept, error %v", results.Done, err)
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
