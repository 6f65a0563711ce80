package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var root = filepath.Join("..", "..")

// TestTablesAreWhatTheResultsGive: nobody edits figures by hand.
func TestTablesAreWhatTheResultsGive(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(root, "bench", "results"))
	if len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		t.Skip("nothing was measured yet")
	}
	if err := run(root, true); err != nil {
		t.Error(err)
	}
}

func TestBetween(t *testing.T) {
	got, err := between([]byte("a\n"+begin+"old\n"+end+"\nb"), "x.md", "new\n")
	if want := "a\n" + begin + "new\n" + end + "\nb"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"", begin, end, end + begin} {
		if _, err := between([]byte(text), "x.md", "new"); err == nil || !strings.Contains(err.Error(), "x.md") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}
