package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/internal/output"
)

func genCommand(format *string) *cobra.Command {
	var dir string
	var check bool
	cmd := &cobra.Command{
		Use:   "gen SPEC [-o DIR]",
		Short: "Emit a trainer's source: a package, and a main beside it",
		Long: `gen emits a Go package for the network, and a main under cmd/ beside it. The
same spec gives the same bytes, and a file that did not change is not written.
A file that dnngen did not write is never overwritten.`,
		Example: `  dnngen gen net.yaml -o internal/net
  dnngen gen --check net.yaml -o internal/net    exit 1 and a diff where it is stale`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "", "directory to write to (default: ./ and the network's name)")
	cmd.Flags().BoolVar(&check, "check", false, "write nothing; exit 1 and show a diff where what is there is stale or edited")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		net, err := load(cmd, args[0], *format)
		if err != nil {
			return err
		}
		if dir == "" {
			dir = gen.PackageName(net.Name)
		}
		importPath, err := output.ImportPath(dir)
		if err != nil {
			return fail(exitFailed, "%w", err)
		}
		files, err := gen.Generate(net, gen.Options{ImportPath: importPath})
		if err != nil {
			return fail(exitFailed, "%w", err)
		}
		target := output.Dir{Path: dir, Source: net.File}
		if check {
			return checkOutput(cmd, target, files, args[0])
		}
		changes, err := target.Write(files)
		for _, c := range changes {
			fmt.Fprintf(cmd.OutOrStdout(), "%-9s %s\n", c.What, filepath.Join(dir, filepath.FromSlash(c.Path)))
		}
		if err != nil {
			return fail(exitFailed, "%w", err)
		}
		return nil
	}
	return cmd
}

var errStale = errors.New("what is there is not what the spec gives; run dnngen gen without --check")

func checkOutput(cmd *cobra.Command, target output.Dir, files []gen.File, file string) error {
	diff, err := target.Diff(files)
	if err != nil {
		return fail(exitFailed, "%w", err)
	}
	if diff == "" {
		return nil
	}
	fmt.Fprint(cmd.OutOrStdout(), diff)
	return fail(exitFailed, "%s: %w", file, errStale)
}
