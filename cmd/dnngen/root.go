package main

import (
	"github.com/spf13/cobra"
)

// rootCommand assembles the subcommands; `dnngen SPEC` is `dnngen gen SPEC`.
func rootCommand() *cobra.Command {
	format := "text"
	root := &cobra.Command{
		Use:   "dnngen SPEC",
		Short: "Compile a network spec to a specialised trainer",
		Long: `dnngen compiles a small YAML spec of a deep network (layers, activations, loss,
optimizer, data) to a specialised trainer: Go code with every shape a constant.

Exit status: 0 done, 1 failed, 2 usage, 3 spec, 4 data, 7 resources or device,
130 and 143 interrupted; run passes on the trainer's own.`,
		Example: `  dnngen run examples/digits.yaml        compile and train
  dnngen build net.yaml -o net           one binary to copy anywhere
  dnngen gen net.yaml -o internal/net    a package for your own program`,
		Args:          cobra.MaximumNArgs(1),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&format, "error-format", format, "how a spec's problems are shown: text, short or json")
	gen := genCommand(&format)
	root.Flags().AddFlagSet(gen.Flags())
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return gen.RunE(cmd, args)
	}
	root.AddCommand(gen, buildCommand(&format), runCommand(&format))
	return root
}
