package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

func runCommand(format *string) *cobra.Command {
	return &cobra.Command{
		Use:   "run SPEC [-- TRAINER FLAGS]",
		Short: "Compile a spec and train",
		Long: `run compiles a spec to a trainer, kept in the user's cache, and becomes it: what
stands after -- goes to the trainer, and its exit status is that of run.`,
		Example: `  dnngen run examples/digits.yaml
  dnngen run examples/digits.yaml -- --epochs 5 --device cpu:go`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); len(args) > 1 && at != 1 {
				return fail(exitUsage, "one spec is run at a time; the trainer's flags stand after --")
			}
			net, err := load(cmd, args[0], *format)
			if err != nil {
				return err
			}
			w, err := openWorkspace()
			if err != nil {
				return err
			}
			bin := w.Binary(net.Name, net.Text)
			if err := build(cmd, w, net, bin); err != nil {
				return err
			}
			return become(bin, args[1:],
				"DNNGEN_DATA="+filepath.Dir(args[0]),
				fmt.Sprintf("DNNGEN_COMMAND=%s run %s --", cmd.Root().Name(), args[0]))
		},
	}
}
