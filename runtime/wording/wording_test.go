package wording_test

import (
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/wording"
)

func TestCount(t *testing.T) {
	for _, c := range []struct {
		n    int
		noun string
		want string
	}{
		{0, "row", "0 rows"}, {1, "row", "1 row"}, {2, "row", "2 rows"},
		{1, "class", "1 class"}, {3, "class", "3 classes"}, {2, "batch", "2 batches"}, {2, "check", "2 checks"}, {4, "epoch", "4 epochs"},
	} {
		if got := wording.Count(c.n, c.noun); got != c.want {
			t.Errorf("%d %s: %q, want %q", c.n, c.noun, got, c.want)
		}
	}
	if got := wording.Count(uint64(1), "byte"); got != "1 byte" {
		t.Errorf("%q", got)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"relu", "leaky_relu", "species", "Island", "train", "größe", "x1"}
	for _, c := range []struct{ name, want string }{
		{"rleu", "relu"}, {"LeakyRelu", "leaky_relu"}, {"specis", "species"}, {"island", "Island"},
		{"trian", "train"}, {"grösse", "größe"}, {"x2", "x1"}, {"relu", "relu"},
		{"q", ""}, {"X1", "x1"}, {"entirely", ""}, {"", ""}, {"abcd", ""}, {strings.Repeat("x", 300), ""},
	} {
		if got := wording.Nearest(c.name, words); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := wording.Nearest("x", []string{strings.Repeat("x", 300)}); got != "" {
		t.Errorf("%q", got)
	}
	if got := wording.Nearest("x", nil); got != "" {
		t.Errorf("%q", got)
	}
}
