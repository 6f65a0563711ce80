package data

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFormatsAreNamed: a format that is read is named where people look for one.
// An emitted package asks for rows with targets, which .npy has not.
func TestFormatsAreNamed(t *testing.T) {
	for _, file := range []string{"data.go", "../trainer/help.go", "../../gen/golang/model_train.go"} {
		text, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range formats {
			name := strings.TrimSuffix(f.suffix, ".gz")
			if name == ".npy" && strings.HasSuffix(file, "model_train.go") {
				continue
			}
			if !strings.Contains(string(text), "FILE"+name) {
				t.Errorf("%s does not name %s", file, f.suffix)
			}
		}
	}
}
