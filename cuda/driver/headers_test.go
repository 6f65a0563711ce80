package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/cuda/internal/headers"
)

// source is the text of this package.
func source(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// cudaHeader returns NVIDIA's cuda.h, and the directories of headers to which it
// belongs. One of CUDA 12.8 or older does not have all that is named here.
func cudaHeader(t *testing.T) (dirs []string, text string) {
	t.Helper()
	dirs = headers.Find(t, "cuda.h")
	for _, dir := range dirs {
		if file, err := os.ReadFile(filepath.Join(dir, "cuda.h")); err == nil {
			text = string(file)
			break // the one that a compiler finds
		}
	}
	version := regexp.MustCompile(`(?m)^#define CUDA_VERSION (\d+)`).FindStringSubmatch(text)
	if version == nil {
		t.Fatal("cuda.h has no version")
	}
	if n, _ := strconv.Atoi(version[1]); n < 12090 {
		t.Skipf("NOTICE: nothing is compared with cuda.h of CUDA %s, which is too old", versionText(n))
	}
	return dirs, text
}

// TestDriverHeader compares functions and numbers with NVIDIA's cuda.h.
func TestDriverHeader(t *testing.T) {
	dirs, _ := cudaHeader(t)
	constants := headers.Constants(source(t), "CU_", "CUDA_")
	if n := strings.Count(constants, "\n"); n < len(attributes)+len(sticky) {
		t.Errorf("only %d numbers have a name of cuda.h behind them", n)
	}
	// With this defined, a plain name is a function's first form.
	text := "#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n" + headers.Functions("CUresult", symbols[:]...) + constants
	if why := headers.Refused(t, dirs, text); why != "" {
		t.Error(why)
	}
}

// revised are functions that have a newer form which this package does not need.
var revised = map[string]bool{
	"cuEventElapsedTime": true, // CUDA 12.8: it no longer tells errors of pending work
}

// TestRevisions compares the forms of functions with those that programs in C get:
// cuda.h defines the plain name as the newest.
func TestRevisions(t *testing.T) {
	dirs, _ := cudaHeader(t)
	text := "#include <cuda.h>\n#define TEXT(name) #name\n#define NOW(name) TEXT(name)\n"
	for _, f := range symbols {
		if revised[f.Name()] {
			continue
		}
		plain := regexp.MustCompile(`_v\d$`).ReplaceAllString(f.Name(), "")
		text += headers.Equal(fmt.Sprintf("__builtin_strcmp(NOW(%s), %q)", plain, f.Name()), 0)
	}
	if why := headers.Refused(t, dirs, text); why != "" {
		t.Error(why)
	}
}

// TestStickyHeader finds the results of which cuda.h says that the process must end.
func TestStickyHeader(t *testing.T) {
	_, header := cudaHeader(t)
	results := regexp.MustCompile(`(?s)/\*\*((?:[^*]|\*[^/])*)\*/\s*(CUDA_ERROR_\w+)\s*=\s*(\d+)`).FindAllStringSubmatch(header, -1)
	found := 0
	for _, r := range results {
		if !regexp.MustCompile(`process[\s*]+must[\s*]+be[\s*]+terminated`).MatchString(r[1]) {
			continue
		}
		found++
		var number int
		if _, err := fmt.Sscan(r[3], &number); err != nil || !sticky[number] {
			t.Errorf("after %s (%s) the process must end", r[2], r[3])
		}
	}
	if found < 8 {
		t.Errorf("cuda.h says so of %d results of %d", found, len(results))
	}
}

// TestRTCHeader compares functions and numbers with NVIDIA's nvrtc.h.
func TestRTCHeader(t *testing.T) {
	dirs := headers.Find(t, "nvrtc.h")
	constants := headers.Constants(source(t), "NVRTC_")
	if constants == "" {
		t.Error("no number has a name of nvrtc.h behind it")
	}
	if why := headers.Refused(t, dirs, "#include <nvrtc.h>\n"+headers.Functions("nvrtcResult", rtcSymbols[:]...)+constants); why != "" {
		t.Error(why)
	}
}
