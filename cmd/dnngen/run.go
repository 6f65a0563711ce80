package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/internal/workspace"
)

func runCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "run SPEC [-- TRAINER ARGUMENTS]",
		Short: "Compile a spec and train",
		Long: `run compiles a spec to a trainer, kept in the user's cache, and becomes it: what
stands after -- goes to the trainer, and its exit status is that of run. Data
files that the spec names are looked for in the working directory, then beside
the spec.`,
		Example: `  dnngen run examples/digits.yaml
  dnngen run examples/digits.yaml -- --epochs 5 --device cpu:go
  dnngen run examples/digits.yaml -- info`,
		Args: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				args = args[:at]
			}
			return oneSpec(cmd, args)
		},
		ValidArgsFunction: completeSpec,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, bin, err := trainerOf(cmd, args[0], o)
			if err != nil {
				return err
			}
			var env []string
			if args[0] != stdinName { // nothing can be read from there again
				env = []string{
					"DNNGEN_DATA=" + filepath.Dir(args[0]),
					fmt.Sprintf("DNNGEN_COMMAND=%s run %s --", self(), quoted(args[0])),
				}
			}
			return become(bin, args[1:], env...)
		},
	}
}

// self is how messages call this program: by its import path where `go run`
// made it for this one time.
func self() string {
	if exe, err := os.Executable(); err == nil && strings.Contains(filepath.ToSlash(exe), "/go-build") {
		return "go run " + workspace.Module + "/cmd/dnngen"
	}
	return "dnngen"
}

// quoted returns a path as a shell takes it.
func quoted(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:,@%\\", r)
	}
	if path != "" && strings.TrimFunc(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
