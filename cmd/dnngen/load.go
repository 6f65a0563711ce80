package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/spec"
)

// maxSpec bounds what is read of a spec; its own limit is lower and is told
// with the spec's name.
const maxSpec = 4 << 20

// load reads and validates a spec, and shows its problems on stderr. `-` is
// standard input.
func load(cmd *cobra.Command, file, format string) (*spec.Network, error) {
	if !slices.Contains(spec.Formats, format) {
		return nil, fail(exitUsage, "unknown --error-format %q: text, short or json", format)
	}
	text, err := readSpec(cmd, file)
	if err != nil {
		return nil, fail(exitSpec, "%w", err)
	}
	dir := filepath.Dir(file)
	net, warnings, err := spec.Parse(file, text, spec.Options{
		Infer: func(d spec.Data) (int, error) { return inferInputs(d, dir) },
	})
	stderr := cmd.ErrOrStderr()
	show := spec.Printer{Format: format, Color: isTerminal(stderr) && os.Getenv("NO_COLOR") == ""}
	if invalid, ok := err.(spec.Errors); ok {
		if err := show.Print(stderr, invalid); err != nil {
			return nil, fail(exitFailed, "%w", err)
		}
		return nil, err
	}
	if err != nil {
		return nil, fail(exitSpec, "%w", err)
	}
	if err := show.Print(stderr, warnings); err != nil {
		return nil, fail(exitFailed, "%w", err)
	}
	return net, nil
}

func readSpec(cmd *cobra.Command, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxSpec))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSpec))
}

// inferInputs counts the network's inputs from the training data.
func inferInputs(d spec.Data, dir string) (int, error) {
	table, err := data.Open(d.Train, data.Options{Dir: dir, Target: d.Target})
	if err != nil {
		return 0, err
	}
	inputs, _, _, err := data.Width(table, engine.Data{
		Train: d.Train, Test: d.Test, Target: d.Target,
		Features: d.Features, Categorical: d.Categorical,
		Scale:   engine.Scale{Kind: d.Scale.Kind, Factor: d.Scale.Factor},
		Missing: engine.Missing{Kind: d.Missing.Kind, Value: d.Missing.Value},
	})
	return inputs, err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
