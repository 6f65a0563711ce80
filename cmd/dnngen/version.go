package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versions is what version prints.
type versions struct {
	Dnngen   string `json:"dnngen"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// version reads what the go command noted in this binary.
func version() versions {
	v := versions{Dnngen: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v.Dnngen = info.Main.Version
	}
	return v
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "version prints the versions of dnngen and of the Go that it was built with.",
		Example: "  dnngen version\n  dnngen version --json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			v := version()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "dnngen %s, %s %s\n", v.Dnngen, v.Go, v.Platform)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
