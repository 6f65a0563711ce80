package spec

import (
	"path/filepath"
	"testing"
)

// TestReference keeps the language's page of the documentation up to date.
func TestReference(t *testing.T) {
	golden(t, filepath.Join("..", "docs", "language.md"), string(Reference()))
}
