package emulate

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLoadsAll: every file of emitted kernels in the repository is understood.
func TestLoadsAll(t *testing.T) {
	n := 0
	for _, pattern := range []string{
		"generated/*/*.s", "examples/*/internal/net/*.s", "runtime/simd/*.s",
		"asm/vec/internal/testkernels/*.s", "asm/vmath/internal/testkernels/*.s",
	} {
		files, err := filepath.Glob(filepath.Join("../../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(files))
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Load(text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			n++
		}
	}
	t.Logf("%d files", n)
}
