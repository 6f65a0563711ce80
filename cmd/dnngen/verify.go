package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/internal/verify"
	"github.com/dnngen/dnngen/runtime/wording"
)

func verifyCommand(o *options) *cobra.Command {
	var asJSON bool
	var device string
	cmd := &cobra.Command{
		Use:   "verify SPEC [--device D] [--json]",
		Short: "Check on this machine that a spec's trainer computes what it should",
		Long: `verify builds a spec's trainer and checks it on this machine, a line a check:

  the gradients, in float64 against central differences and in the trainer;
  every device that is here against the float64 interpreter, and against each other;
  that a training gives the same bits again, and with any number of threads;
  that a training which was cut or interrupted goes on to the same bits.

It trains on the spec's own rows where they can be read, and on drawn ones
elsewhere. The exit status is 1 where a check fails, and 7 where the device is
not here.`,
		Example:           "  dnngen verify examples/digits.yaml",
		Args:              oneSpec,
		ValidArgsFunction: completeSpec,
		RunE: func(cmd *cobra.Command, args []string) error {
			net, bin, err := trainerOf(cmd, args[0], o)
			if err != nil {
				return err
			}
			temp, err := os.MkdirTemp("", "dnngen-verify-")
			if err != nil {
				return fail(exitResources, "%w", err)
			}
			dir := filepath.Dir(args[0])
			job := verify.Job{Net: net, Trainer: bin, DataDir: dir, Temp: temp, Device: device}
			failures := 0
			err = verify.Run(cmd.Context(), job, func(c verify.Check) {
				if !c.OK {
					failures++
				}
				printCheck(cmd, c, asJSON)
			})
			err = errors.Join(err, os.RemoveAll(temp))
			var none *verify.NoDevice
			switch {
			case errors.As(err, &none):
				return fail(exitResources, "verify: %w", err)
			case err != nil:
				return fail(exitFailed, "verify: %w", err)
			case failures > 0:
				return fail(exitFailed, "%s: %s failed", args[0], wording.Count(failures, "check"))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&device, "device", "", "check the device `D` alone, such as cpu:go")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each check")
	return cmd
}

func printCheck(cmd *cobra.Command, c verify.Check, asJSON bool) {
	out := cmd.OutOrStdout()
	if asJSON {
		// Strings and a truth value: it cannot fail but in writing, which the
		// command's output keeps.
		_ = json.NewEncoder(out).Encode(c)
		return
	}
	verdict := "OK  "
	if !c.OK {
		verdict = "FAIL"
	}
	fmt.Fprintf(out, "%s  %-38s  %s\n", verdict, c.Name, c.Figures)
}
