package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dnngen/dnngen/runtime/wording"
)

// unknownCommand is the error for an argument that is neither a command nor a
// file.
func unknownCommand(root *cobra.Command, name string) error {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	if guess := wording.Nearest(name, names); guess != "" {
		return usageError(root, "there is no command, and no file, %q; did you mean %q?", name, guess)
	}
	return usageError(root, "there is no command, and no file, %q", name)
}

// flagError rewords what pflag says of a flag, and suggests one.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if cmd.Name() == "run" && strings.HasPrefix(text, "unknown") {
		text += " (the trainer's flags stand after --)"
	}
	if name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --"); unknown {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if guess := wording.Nearest(name, names); guess != "" {
			text += "; did you mean --" + guess + "?"
		}
	}
	return usageError(cmd, "%s", text)
}
