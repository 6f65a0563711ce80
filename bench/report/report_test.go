package main

import (
	"strings"
	"testing"
)

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
