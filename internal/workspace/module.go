package workspace

import (
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/dnngen/dnngen"
	"github.com/dnngen/dnngen/internal/ir"
)

// ModuleFiles returns the go.mod and the go.sum that make a directory outside
// any module one where emitted code compiles: the module requires what trainers
// link, and finds dnngen's part of it in the workspace.
func (w *Workspace) ModuleFiles(module, header string) ([]ir.File, error) {
	text, err := dnngen.Source.ReadFile("go.mod")
	if err != nil {
		return nil, err
	}
	sums, err := dnngen.Source.ReadFile("go.sum")
	if err != nil {
		return nil, err
	}
	own, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nmodule %s\n\ngo %s\n\n", header, modfile.AutoQuote(module), own.Go.Version)
	b.WriteString("// dnngen brings the sources that it compiles with; `dnngen gen` brings them again\n// where they are gone.\n")
	fmt.Fprintf(&b, "replace %s => %s\n\n", Module, modfile.AutoQuote(w.Dir))
	fmt.Fprintf(&b, "require %s v0.0.0\n\nrequire (\n", Module)
	for _, r := range own.Require {
		fmt.Fprintf(&b, "\t%s %s // indirect\n", r.Mod.Path, r.Mod.Version)
	}
	b.WriteString(")\n")
	return []ir.File{
		{Path: "go.mod", Content: []byte(b.String())},
		{Path: "go.sum", Content: sums},
	}, nil
}
