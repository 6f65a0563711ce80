package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/cuda/toolchain"
	"github.com/dnngen/dnngen/runtime/device"
	"github.com/dnngen/dnngen/spec"
)

// options are the flags that every command has.
type options struct{ format string }

// rootCommand assembles the subcommands; `dnngen SPEC` is `dnngen gen SPEC`.
func rootCommand(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:   "dnngen SPEC",
		Short: "Compile a network spec to a specialised trainer",
		Long: `dnngen compiles a small YAML spec of a deep network (layers, activations, loss,
optimizer, data) to a specialised trainer: Go code with every shape a constant.

Without a command it is gen: it emits the trainer's source. Where a command
takes a SPEC, - is standard input.

Environment:
  ` + toolchain.Variable + `    where nvcc, clang and ptxas are looked for, which compile the GPU's
                 kernels: directories as in PATH, or none
  ` + device.Variable + `  the device that trainers take where --device names none
  NO_COLOR       no colours

Exit status: 0 done, 1 failed, 2 usage, 3 spec, 4 data, 7 resources or device,
129, 130 and 143 interrupted; run passes on the trainer's own.`,
		Example: `  dnngen init starter                     a commented project to begin with
  dnngen run examples/digits.yaml         compile and train
  dnngen build net.yaml -o net            one binary to copy anywhere
  dnngen gen net.yaml -o internal/net     a package for your own program`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		ValidArgsFunction: completeSpec,
		Version:           version().Dnngen,
	}
	root.CompletionOptions.DisableDefaultCmd = true // completion.go has it
	root.SetVersionTemplate("dnngen {{.Version}}\n")
	root.PersistentFlags().Var((*formatFlag)(&o.format), "error-format", "how problems are shown: "+strings.Join(spec.Formats, ", "))
	must(root.RegisterFlagCompletionFunc("error-format", cobra.FixedCompletions(spec.Formats, cobra.ShellCompDirectiveNoFileComp)))
	gen := genCommand(o)
	root.Flags().AddFlagSet(gen.Flags())
	root.AddCommand(gen, buildCommand(o), runCommand(o), checkCommand(o), benchCommand(o), verifyCommand(o),
		initCommand(), schemaCommand(), explainCommand(), completionCommand(), versionCommand())
	for _, c := range root.Commands() {
		c.DisableFlagsInUseLine = true // the flags that matter stand in it
	}
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && !exists(args[0]) {
			return unknownCommand(cmd, args[0])
		}
		return oneSpec(cmd, args)
	}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return gen.RunE(cmd, args)
	}
	root.SetFlagErrorFunc(flagError)
	return root
}

// formatFlag is the value of --error-format.
type formatFlag string

func (f *formatFlag) String() string { return string(*f) }
func (f *formatFlag) Type() string   { return "FORMAT" }
func (f *formatFlag) Set(s string) error {
	if !slices.Contains(spec.Formats, s) {
		return errors.New("it is one of " + strings.Join(spec.Formats, ", "))
	}
	*f = formatFlag(s)
	return nil
}

// must is for errors that only a mistake in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func exists(name string) bool {
	if name == stdinName {
		return true
	}
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// completeSpec lets shells offer specs.
func completeSpec(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// oneSpec allows exactly one argument; the root command may have none.
func oneSpec(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 1, len(args) == 0 && !cmd.HasParent():
		return nil
	case len(args) == 0:
		return usageError(cmd, "%s needs a spec", cmd.Name())
	}
	hint := ""
	if slices.ContainsFunc(args, func(s string) bool { return s == "true" || s == "false" }) {
		hint = "; a flag takes its truth value behind =, as in --json=false"
	}
	return usageError(cmd, "%s takes one spec, not %d arguments: %s%s", cmd.Name(), len(args), strings.Join(args, " "), hint)
}

// usageError says what is wrong with a command line, and where to read on.
func usageError(cmd *cobra.Command, format string, args ...any) error {
	text, see := fmt.Sprintf(format, args...), "; see"
	if strings.HasSuffix(text, "?") {
		see = " See"
	}
	return fail(exitUsage, "%s%s `%s --help`", text, see, cmd.CommandPath())
}
