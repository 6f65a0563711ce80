// Package workspace makes a place where the go command can build emitted
// trainers: a copy of the sources that a trainer links, in the user's cache,
// with the emitted package inside it.
package workspace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dnngen/dnngen"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/runtime/fsys"
)

// Module is the import path of the workspace's module: the emitted package
// sees the runtime under its usual name.
const Module = "github.com/dnngen/dnngen"

// Workspace is an extracted copy of the trainer's sources.
type Workspace struct{ Dir string }

// ErrNoGo tells that there is no go command to build with.
var ErrNoGo = errors.New("the go command is not on the PATH; dnngen compiles trainers with it (https://go.dev/dl)")

// Open extracts the sources that this dnngen carries, unless they are there
// already. Their directory bears the hash of its content.
func Open() (*Workspace, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache directory: %w", err)
	}
	files, sum, err := sources()
	if err != nil {
		return nil, err
	}
	w := &Workspace{Dir: filepath.Join(cache, "dnngen", sum[:16])}
	// The marker is written last: without it an extraction was cut short.
	marker := filepath.Join(w.Dir, "complete")
	if _, err := os.Stat(marker); err == nil {
		return w, nil
	}
	for _, f := range append(files, ir.File{Path: "complete"}) {
		if err := write(w.Dir, f); err != nil {
			return nil, fmt.Errorf("extract sources: %w", err)
		}
	}
	return w, nil
}

// sources lists the embedded files that a build needs, and their hash.
func sources() ([]ir.File, string, error) {
	var files []ir.File
	hash := sha256.New()
	err := fs.WalkDir(dnngen.Source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/testdata/") {
			return err
		}
		content, err := dnngen.Source.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(content))
		hash.Write(content)
		files = append(files, ir.File{Path: name, Content: content})
		return nil
	})
	return files, hex.EncodeToString(hash.Sum(nil)), err
}

// write puts a file below dir, whole or not at all; a file that is there with
// the same content stays untouched, so that builds find it unchanged.
func write(dir string, f ir.File) error {
	name := filepath.Join(dir, filepath.FromSlash(f.Path))
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, f.Content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return fsys.WriteAtomic(fsys.OS(), name, func(w io.Writer) error {
		_, err := w.Write(f.Content)
		return err
	})
}

// ImportPath is where a trainer's package stands in the workspace. It depends
// on the spec's text alone: building one spec again finds its parts compiled.
func ImportPath(name, text string) string {
	sum := sha256.Sum256([]byte(text))
	return path.Join(Module, "trainers", strings.ToLower(name)+"-"+hex.EncodeToString(sum[:8]))
}

// Binary is where the trainer of a spec is kept that was built to run at once.
func (w *Workspace) Binary(name, text string) string {
	return filepath.Join(w.Dir, "bin", path.Base(ImportPath(name, text)))
}

// Build compiles the main package of the emitted files, whose package has the
// import path that ImportPath gave, to the binary out. What the go command
// says goes to stderr.
func (w *Workspace) Build(ctx context.Context, importPath string, files []ir.File, out string, stderr io.Writer) error {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return ErrNoGo
	}
	relative := strings.TrimPrefix(importPath, Module+"/")
	main := ""
	for _, f := range files {
		if err := write(w.Dir, ir.File{Path: path.Join(relative, f.Path), Content: f.Content}); err != nil {
			return fmt.Errorf("write the trainer's source: %w", err)
		}
		if path.Base(f.Path) == "main.go" {
			main = path.Join(importPath, path.Dir(f.Path))
		}
	}
	out, err = filepath.Abs(out)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, goCommand, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, main)
	cmd.Dir = w.Dir
	cmd.Env = append(cleanEnv(os.Environ()), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}

// cleanEnv drops what would change how the workspace is built.
func cleanEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == "GOFLAGS" || name == "GOWORK" || name == "CGO_ENABLED" || name == "GO111MODULE"
	})
}
