// Package workspace makes a place where the go command can build emitted
// trainers: a copy of the sources that a trainer links, in the user's cache,
// with the emitted package inside it.
package workspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/dnngen/dnngen"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/runtime/fsys"

	// A trainer's modules are then in the module cache of every machine on which
	// dnngen itself was built, and a build needs no network.
	_ "github.com/dnngen/dnngen/runtime/trainer"
)

// Module is the import path of the workspace's module: the emitted package
// sees the runtime under its usual name.
const Module = "github.com/dnngen/dnngen"

// Workspace is an extracted copy of the trainer's sources.
type Workspace struct{ Dir string }

// Names in the workspace's directory, beside the sources.
const (
	completeMark = "complete" // written last: without it an extraction was cut short
	trainersDir  = "trainers" // emitted packages
	binariesDir  = "bin"      // trainers that were built to run at once
)

// Open extracts the sources that this dnngen carries, unless they are there
// already. Their directory bears the hash of its content, so that two versions
// of dnngen do not share one.
func Open() (*Workspace, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("there is no cache directory to build in: %w", err)
	}
	files, sum, err := sources()
	if err != nil {
		return nil, err
	}
	w := &Workspace{Dir: filepath.Join(cache, "dnngen", sum[:16])}
	mark := filepath.Join(w.Dir, completeMark)
	if _, err := os.Stat(mark); err == nil {
		return w, nil
	}
	for _, f := range append(files, ir.File{Path: completeMark}) {
		if err := write(w.Dir, f); err != nil {
			return nil, fmt.Errorf("extract the runtime's sources: %w", err)
		}
	}
	return w, nil
}

// sources lists the embedded files that a build needs, and their hash.
func sources() ([]ir.File, string, error) {
	var files []ir.File
	hash := sha256.New()
	err := fs.WalkDir(dnngen.Source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "_test.go") {
			return nil
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
	old, err := os.ReadFile(name)
	if err == nil && bytes.Equal(old, f.Content) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	disk := fsys.OS()
	if err := disk.MkdirAll(filepath.Dir(name)); err != nil {
		return err
	}
	return fsys.WriteAtomic(disk, name, func(w io.Writer) error {
		_, err := w.Write(f.Content)
		return err
	})
}

// ImportPath is where the package of a trainer stands in the workspace. It
// depends on what is emitted into it alone, the spec's text and the name of its
// file: building one spec again finds its parts compiled, and two specs that
// are built at once do not meet.
func ImportPath(name, file, text string) string {
	sum := sha256.Sum256([]byte(file + "\x00" + text))
	return path.Join(Module, trainersDir, strings.ToLower(name)+"-"+hex.EncodeToString(sum[:8]))
}

// Binary is where the trainer of a package is kept that was built to run at
// once.
func (w *Workspace) Binary(importPath string) string {
	return filepath.Join(w.Dir, binariesDir, path.Base(importPath)+exeSuffix)
}
