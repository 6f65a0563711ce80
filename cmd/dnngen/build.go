package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/internal/workspace"
	"github.com/dnngen/dnngen/spec"
)

func buildCommand(format *string) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "build SPEC [-o BIN]",
		Short: "Compile a spec to one static trainer binary",
		Long: `build emits a trainer and compiles it with the go command: one static binary
that trains, evaluates and predicts, to be copied to any machine of its kind.`,
		Example: "  dnngen build examples/digits.yaml -o digits && ./digits",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			net, err := load(cmd, args[0], *format)
			if err != nil {
				return err
			}
			if out == "" {
				out = gen.PackageName(net.Name)
			}
			if info, err := os.Stat(out); err == nil && info.IsDir() {
				return fail(exitUsage, "%s is a directory; name the binary with -o", out)
			}
			w, err := openWorkspace()
			if err != nil {
				return err
			}
			if err := build(cmd, w, net, out); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "built %s\n", out)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "binary to write (default: ./ and the network's name)")
	return cmd
}

func openWorkspace() (*workspace.Workspace, error) {
	w, err := workspace.Open()
	if err != nil {
		return nil, fail(exitResources, "%w", err)
	}
	return w, nil
}

// build compiles a network to the binary out.
func build(cmd *cobra.Command, w *workspace.Workspace, net *spec.Network, out string) error {
	importPath := workspace.ImportPath(net.Name, net.Text)
	files, err := gen.Generate(net, gen.Options{ImportPath: importPath})
	if err != nil {
		return fail(exitFailed, "%w", err)
	}
	err = w.Build(cmd.Context(), importPath, files, out, cmd.ErrOrStderr())
	switch {
	case errors.Is(err, workspace.ErrNoGo):
		return fail(exitResources, "%w", err)
	case err != nil:
		return fail(exitFailed, "%w", err)
	}
	return nil
}
