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

// flagError rewords what pflag says of a flag, and suggests one, or lists those that
// there are.
func flagError(cmd *cobra.Command, err error) error {
	text, own := err.Error(), "its"
	if cmd.Name() == "run" && strings.HasPrefix(text, "unknown") {
		text += " (the trainer's flags stand after --)"
		own = "run's"
	}
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown { // of -json, pflag says that there is no j
		if _, name, unknown = strings.Cut(err.Error(), "unknown shorthand flag: "); unknown {
			_, name, _ = strings.Cut(name, " in -")
			name, _, _ = strings.Cut(name, "=")
		}
	}
	if !unknown {
		return usageError(cmd, "%s", text)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if guess := wording.Nearest(name, names); guess != "" {
		return usageError(cmd, "%s; did you mean --%s?", text, guess)
	}
	return usageError(cmd, "%s; %s flags are --%s", text, own, strings.Join(names, ", --"))
}
