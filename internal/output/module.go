package output

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Module is the Go module that a directory stands in.
type Module struct {
	// Own tells that there is none but the one that dnngen makes for the
	// directory itself.
	Own bool
	// ImportPath is that of a package in the directory; empty for an Own module.
	ImportPath string
	// Path is the module's; Requires lists the modules that it names.
	Path     string
	Requires []string
}

// FindModule looks for the module of a directory, which need not be there yet.
func FindModule(dir string) (*Module, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if ours, err := Dir(abs).ours(modFile); err != nil {
		return nil, err
	} else if ours {
		return &Module{Own: true}, nil
	}
	for root := abs; ; root = filepath.Dir(root) {
		name := filepath.Join(root, modFile)
		text, err := os.ReadFile(name)
		if err == nil {
			return readModule(name, text, abs)
		}
		if !missing(err) {
			return nil, err
		}
		if root == filepath.Dir(root) {
			return &Module{Own: true}, nil
		}
	}
}

// readModule reads the go.mod of the given name and finds the import path of a
// package in dir.
func readModule(name string, text []byte, dir string) (*Module, error) {
	mod, err := modfile.ParseLax(name, text, nil)
	if err != nil {
		return nil, err
	}
	if mod.Module == nil {
		return nil, fmt.Errorf("%s names no module", name)
	}
	relative, err := filepath.Rel(filepath.Dir(name), dir)
	if err != nil {
		return nil, err
	}
	m := &Module{Path: mod.Module.Mod.Path}
	m.ImportPath = path.Join(m.Path, filepath.ToSlash(relative))
	if err := module.CheckImportPath(m.ImportPath); err != nil {
		return nil, fmt.Errorf("%s is no place for a Go package: %w; choose another directory with -o", dir, err)
	}
	for _, r := range mod.Require {
		m.Requires = append(m.Requires, r.Mod.Path)
	}
	return m, nil
}

// Provides reports whether the module is, or requires, the module of a path.
func (m *Module) Provides(modulePath string) bool {
	return m.Path == modulePath || slices.Contains(m.Requires, modulePath)
}
