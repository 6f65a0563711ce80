//go:build linux && amd64

package simd

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestWhatIsHere asks the system, which has its own way of knowing, what the
// processor can do: an instruction set that is here and not found would leave
// its kernels untested and unused without a word.
func TestWhatIsHere(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip(err)
	}
	var flags []string
	for line := range strings.Lines(string(text)) {
		if name, list, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			flags = strings.Fields(list)
			break
		}
	}
	if flags == nil {
		t.Fatal("/proc/cpuinfo lists no flags")
	}
	for _, set := range []struct {
		name    string
		flags   []string
		missing error
	}{
		{"AVX2", []string{"avx2", "fma"}, MissingAVX2()},
		{"AVX-512", []string{"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx2", "fma"}, MissingAVX512()},
	} {
		var lacks []string
		for _, f := range set.flags {
			if !slices.Contains(flags, f) {
				lacks = append(lacks, f)
			}
		}
		if (lacks == nil) != (set.missing == nil) {
			t.Errorf("%s: the system finds %v lacking, dnngen: %v", set.name, lacks, set.missing)
		}
	}
}
