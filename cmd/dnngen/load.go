package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/spec"
)

// maxSpec bounds what is read of a spec; its own limit is lower and is told
// with the spec's name.
const maxSpec = 4 << 20

const (
	stdinName  = "-"     // the argument
	stdinTitle = "stdin" // how messages and emitted code name it
)

// counting is what a command wants to know of the training rows, where these are
// here, to compare the spec with them.
type counting func(*trainingRows, spec.Data, uint64) (spec.Counts, error)

// load reads and validates a spec, and shows its problems on stderr. A nil count
// compares it with no rows.
func load(cmd *cobra.Command, file string, o *options, count counting) (*spec.Network, error) {
	text, err := readSpec(cmd, file)
	if err != nil {
		return nil, err
	}
	dir, title := filepath.Dir(file), file
	if file == stdinName {
		title = stdinTitle
	}
	rows := trainingRows{dir: dir}
	parsing := spec.Options{Infer: rows.inputs}
	if count != nil {
		parsing.Count = func(d spec.Data, seed uint64) (spec.Counts, error) { return count(&rows, d, seed) }
		parsing.Fit = rows.fit
	}
	net, warnings, err := spec.Parse(title, text, parsing)
	stderr := cmd.ErrOrStderr()
	show := spec.Printer{Format: o.format, Color: isTerminal(stderr) && os.Getenv("NO_COLOR") == ""}
	var invalid spec.Errors
	if errors.As(err, &invalid) {
		return nil, errors.Join(err, show.Print(stderr, invalid))
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
	if file == stdinName {
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxSpec))
		if err != nil {
			return nil, fail(exitSpec, "read the spec from standard input: %w", err)
		}
		return text, nil
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(exitSpec, "there is no spec %s; `dnngen init DIR` makes one to begin with", file)
	case err != nil:
		return nil, fail(exitSpec, "%w", err)
	case info.IsDir():
		return nil, fail(exitSpec, "%s is a directory; name the spec in it, a YAML file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fail(exitSpec, "%w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSpec))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fail(exitSpec, "%w", err)
	}
	return text, nil
}

// trainingRows counts in a spec's training rows, which it reads once.
type trainingRows struct {
	dir   string
	fs    fsys.FS // nil: that of the machine
	read  bool
	have  spec.Counts
	err   error
	table *data.Table // all of them, with those that are split off for testing
	train *data.Table // without these
	whole bool        // they have to be whole
}

func (t *trainingRows) inputs(d spec.Data, seed uint64) (int, error) {
	t.open(d, seed)
	return t.have.Inputs, t.err
}

// countWhole counts in rows that have to be whole, and in none on standard input.
func countWhole(t *trainingRows, d spec.Data, seed uint64) (spec.Counts, error) {
	if d.Train == stdinName {
		return spec.Counts{}, nil
	}
	t.whole = true
	if t.open(d, seed); t.err == nil {
		t.err = data.Complete(t.table, declared(d))
	}
	return t.have, t.err
}

// fit prepares rows that have to be whole, and their targets, as the trainer will.
func (t *trainingRows) fit(n *spec.Network) error {
	if !t.whole || t.train == nil {
		return nil
	}
	_, err := data.Fit(t.train, &engine.Network{
		Name: n.Name, Inputs: n.Input, Outputs: n.Output,
		Metrics: string(n.Loss.Metrics), Classes: n.Loss.Rowwise != "", Data: declared(n.Data),
	})
	return err
}

// countSmall counts in rows that are read in no time, and nothing in others, or in
// broken ones: to compile a network takes no data, and the trainer reads them anyway.
func countSmall(t *trainingRows, d spec.Data, seed uint64) (spec.Counts, error) {
	t.fs = smallFiles{fsys.OS()}
	if t.open(d, seed); t.err != nil {
		return spec.Counts{}, nil
	}
	return t.have, nil
}

// Files of up to comparedSize bytes are read where data are not asked for. Help
// tells it as comparedText.
const comparedSize = 16 << 20

var comparedText = fmt.Sprintf("%d MiB", comparedSize>>20)

// smallFiles is a file system in which larger files cannot be read, nor what is no
// file: a pipe is for the trainer, and may have nothing to read yet.
type smallFiles struct{ fsys.FS }

func (s smallFiles) Open(name string) (io.ReadCloser, error) {
	if info, err := os.Stat(name); err == nil && (info.Size() > comparedSize || !info.Mode().IsRegular()) {
		return nil, fmt.Errorf("%s is no file of up to %s", name, comparedText)
	}
	return s.FS.Open(name)
}

func (t *trainingRows) open(d spec.Data, seed uint64) {
	if !t.read {
		t.read = true
		if t.table, t.err = data.Open(d.Train, data.Options{Dir: t.dir, Target: d.Target, FS: t.fs}); t.err == nil {
			t.have, t.err = t.countRows(d, seed)
		}
	}
}

// countRows counts in the rows that the trainer will train on: a category that
// stands in test rows alone makes no input.
func (t *trainingRows) countRows(d spec.Data, seed uint64) (spec.Counts, error) {
	t.train = t.table
	if share, ok := data.Share(d.Test); ok {
		var test *data.Table
		if t.train, test = data.Split(t.table, share, seed); test.Rows() == 0 {
			_, _, _, err := data.Width(test, declared(d)) // says why there are none
			return spec.Counts{}, err
		}
	}
	inputs, classes, _, err := data.Width(t.train, declared(d))
	if err != nil {
		return spec.Counts{}, err
	}
	targets, err := data.Targets(t.train, declared(d))
	return spec.Counts{Inputs: inputs, Classes: classes, Targets: targets}, err
}

// declared is what the runtime reads of a spec's data.
func declared(d spec.Data) engine.Data {
	return engine.Data{
		Train: d.Train, Test: d.Test, Target: d.Target,
		Features: d.Features, Categorical: d.Categorical,
		Scale:   engine.Scale{Kind: d.Scale.Kind, Factor: d.Scale.Factor},
		Missing: engine.Missing{Kind: d.Missing.Kind, Value: d.Missing.Value},
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
