package main

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/internal/output"
	"github.com/dnngen/dnngen/internal/workspace"
	"github.com/dnngen/dnngen/spec"
)

func genCommand(o *options) *cobra.Command {
	var dir string
	var check bool
	cmd := &cobra.Command{
		Use:   "gen SPEC [-o DIR]",
		Short: "Emit a trainer's source: a package, and a main beside it",
		Long: `gen emits a Go package for the network, and a main under cmd/ beside it. The
same spec gives the same bytes, and a file that did not change is not written.
A file that dnngen did not write is never overwritten; one that it wrote before
and does not write any more is removed. Where the training rows that the spec
names are here, in files of up to ` + comparedText + `, the network is compared with
them, as check does.

In a Go module the package becomes part of it. In a directory that is in none,
gen also writes a go.mod, so that the directory is a module of its own, which
compiles with the sources that dnngen brings.`,
		Example: `  dnngen gen net.yaml -o internal/net
  dnngen gen --check net.yaml -o internal/net    exit 1 and a diff where it is stale
  dnngen net.yaml -o net && cd net && go build ./cmd/...`,
		Args:              oneSpec,
		ValidArgsFunction: completeSpec,
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "", "`DIR` to write to (default: ./ and the network's name)")
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; exit 1 and show a diff where what is there is stale or edited")
	must(cmd.MarkFlagDirname("output"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		net, err := load(cmd, args[0], o, countSmall)
		if err != nil {
			return err
		}
		if dir == "" {
			dir = gen.PackageName(net.Name)
		}
		files, err := emit(cmd, net, dir)
		if err != nil {
			return err
		}
		if check {
			return checkOutput(cmd, output.Dir(dir), files, args[0])
		}
		changes, err := output.Dir(dir).Write(files)
		for _, c := range changes {
			fmt.Fprintf(cmd.OutOrStdout(), "%-9s %s\n", c.What, filepath.Join(dir, filepath.FromSlash(c.Path)))
		}
		if err != nil {
			return fileError(err)
		}
		return nil
	}
	return cmd
}

// emit compiles a network to the files that belong into dir.
func emit(cmd *cobra.Command, net *spec.Network, dir string) ([]gen.File, error) {
	module, err := output.FindModule(dir)
	if err != nil {
		return nil, fileError(err)
	}
	importPath := module.ImportPath
	var extra []gen.File
	if module.Own {
		w, err := openWorkspace()
		if err != nil {
			return nil, err
		}
		// The first element keeps a network that is named as a package of the
		// standard library apart from it.
		importPath = path.Join("trainer", gen.PackageName(net.Name))
		if extra, err = w.ModuleFiles(importPath, gen.Header(net.File)); err != nil {
			return nil, fail(exitFailed, "%w", err)
		}
	} else if !module.Provides(workspace.Module) {
		fmt.Fprintf(cmd.ErrOrStderr(), "dnngen: the module %s does not require dnngen yet; run `go get -tool %s/cmd/dnngen` in it\n",
			module.Path, workspace.Module)
	}
	files, err := gen.Generate(net, gen.Options{ImportPath: importPath})
	if err != nil {
		return nil, fail(exitFailed, "%w", err)
	}
	files = append(files, extra...)
	slices.SortFunc(files, func(a, b gen.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

var errStale = errors.New("what is there is not what the spec gives; run dnngen gen without --check")

func checkOutput(cmd *cobra.Command, dir output.Dir, files []gen.File, file string) error {
	diff, err := dir.Diff(files)
	if err != nil {
		return fileError(err)
	}
	if diff == "" {
		return nil
	}
	fmt.Fprint(cmd.OutOrStdout(), diff)
	return fail(exitFailed, "%s: %w", file, errStale)
}
