package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/internal/workspace"
	"github.com/dnngen/dnngen/spec"
)

func buildCommand(o *options) *cobra.Command {
	var out, tags string
	cmd := &cobra.Command{
		Use:   "build SPEC [-o BIN]",
		Short: "Compile a spec to one trainer binary",
		Long: `build emits a trainer and compiles it with the go command: one binary that
trains, evaluates and predicts, to be copied to any machine of its kind. GOOS
and GOARCH choose another kind, as they do for the go command.

For Linux the trainer looks for NVIDIA's driver when it starts, and needs glibc,
as the driver does; --tags nogpu leaves that out and gives a static program, and
--tags noasm leaves out the assembly. In your own module the same tags go to
go build. The GPU's kernels are compiled by nvcc, or clang 19 or newer, if one is
found; ` + toolchain.Variable + ` names the directories to look in, or none. Without one the
trainer compiles them where it runs. run, bench and verify compile them only on a
machine that has a GPU.

Where the training rows that the spec names are here, in files of up to
` + comparedText + `, the network is compared with them, as check does.

The binary appears whole or not at all. It replaces a trainer that dnngen built
before, and no other file.`,
		Example: `  dnngen build examples/digits.yaml -o digits && ./digits
  GOARCH=arm64 dnngen build net.yaml -o net-arm64`,
		Args:              oneSpec,
		ValidArgsFunction: completeSpec,
		RunE: func(cmd *cobra.Command, args []string) error {
			net, err := load(cmd, args[0], o, countSmall)
			if err != nil {
				return err
			}
			if out == "" {
				out = gen.PackageName(net.Name) + workspace.Suffix()
			}
			w, err := openWorkspace()
			if err != nil {
				return err
			}
			if err := build(cmd, w, net, workspace.Job{Out: out, Tags: tags}); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "built %s\n", out)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "`BIN` to write (default: ./ and the network's name)")
	must(cmd.MarkFlagFilename("output"))
	cmd.Flags().StringVar(&tags, "tags", "", "build `TAGS` for the go command, separated by commas: nogpu leaves CUDA out,\nnoasm the assembly")
	must(cmd.RegisterFlagCompletionFunc("tags", cobra.FixedCompletions([]string{"nogpu", "noasm"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func openWorkspace() (*workspace.Workspace, error) {
	w, err := workspace.Open()
	if err != nil {
		return nil, fail(exitResources, "%w", err)
	}
	return w, nil
}

// trainerOf compiles a spec's file as buildCached does.
func trainerOf(cmd *cobra.Command, file string, o *options) (net *spec.Network, bin string, err error) {
	if net, err = load(cmd, file, o, nil); err != nil {
		return nil, "", err
	}
	_, bin, err = buildCached(cmd, net)
	return net, bin, err
}

// buildCached compiles a network for this machine, to a trainer in the user's
// cache. CUDA kernels, which take a minute for deep networks, are left out where
// there is no GPU to run them.
func buildCached(cmd *cobra.Command, net *spec.Network) (w *workspace.Workspace, bin string, err error) {
	if w, err = openWorkspace(); err != nil {
		return nil, "", err
	}
	bin = w.Binary(workspace.ImportPath(net.Name, net.File, net.Text))
	return w, bin, build(cmd, w, net, workspace.Job{Out: bin, Host: true, Quiet: true, Source: !workspace.GPU("/")})
}

// build compiles a network; the job lacks what follows from the network.
func build(cmd *cobra.Command, w *workspace.Workspace, net *spec.Network, job workspace.Job) error {
	job.ImportPath = workspace.ImportPath(net.Name, net.File, net.Text)
	job.Log = cmd.ErrOrStderr()
	job.Precisions = net.Train.Precisions()
	var err error
	if job.Files, err = gen.Generate(net, gen.Options{ImportPath: job.ImportPath}); err != nil {
		return fail(exitFailed, "%w", err)
	}
	err = w.Build(cmd.Context(), job)
	var signal *interrupted
	switch {
	case err == nil:
		w.Trim(time.Now())
		return nil
	case errors.As(err, &signal):
		return err
	case errors.Is(err, workspace.ErrNoGo), errors.Is(err, workspace.ErrUnready):
		return fail(exitResources, "%w", err)
	}
	return fileError(err)
}
