package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/spec"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Explain the code of an error or a warning",
		Long: `explain says what the code at the end of an error or a warning means, why it is
one, and what to do. Without a code it lists them all.`,
		Example: "  dnngen explain E0301\n  dnngen explain",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(cmd, "explain takes one code")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var list []string
			for _, c := range spec.Codes() {
				list = append(list, c.ID+"\t"+c.Title)
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) == 0 {
				for _, c := range spec.Codes() {
					fmt.Fprintf(out, "%s  %s\n", c.ID, c.Title)
				}
				return nil
			}
			// As messages have it, in brackets.
			id := strings.Trim(args[0], "[]")
			code, ok := spec.Explain(id)
			if !ok {
				return usageError(cmd, "there is no code %q; `dnngen explain` lists them", id)
			}
			fmt.Fprint(out, code)
			return nil
		},
	}
}
