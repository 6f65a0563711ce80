package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/gen"
)

func checkCommand(o *options) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check SPEC [--json]",
		Short: "Validate a spec and summarise its network",
		Long: `check validates a spec, counts the inputs and the classes of its training rows
where these are here, looks for missing cells and for targets that the loss does
not take, and prints the model summary: for each layer its shape and parameters,
the operations of one training step (FLOP), the bytes that its parameters,
optimizer state and buffers take, also on a GPU, and the kernels that it became:
what is fused into what.`,
		Example: `  dnngen check examples/digits.yaml
  dnngen check net.yaml --json --error-format json`,
		Args:              oneSpec,
		ValidArgsFunction: completeSpec,
		RunE: func(cmd *cobra.Command, args []string) error {
			net, err := load(cmd, args[0], o, countWhole)
			if err != nil {
				return err
			}
			s, err := gen.Summarize(net)
			if err != nil {
				return fail(exitFailed, "%w", err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
			}
			return s.Print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as one JSON object")
	return cmd
}
