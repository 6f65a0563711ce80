package main

import (
	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/spec"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a spec",
		Long: `schema prints the JSON Schema (draft 2020-12) of a spec, by which editors complete
and check one. A first line in the spec makes most of them use it:

  # yaml-language-server: $schema=dnngen.schema.json`,
		Example: "  dnngen schema > dnngen.schema.json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := cmd.OutOrStdout().Write(spec.Schema())
			return err
		},
	}
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, "%s takes no argument %q", cmd.Name(), args[0])
	}
	return nil
}
