package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/internal/workspace"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/progress"
	"github.com/dnngen/dnngen/spec"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	json    bool
	svg     string
	seconds float64
	steps   int
}

func benchCommand(o *options) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench SPEC [--json] [--svg FILE]",
		Short: "Time the compiled step beside an interpreted one, in one run",
		Long: `bench trains a spec's network with the same rows, parameters and settings by an
interpreted autograd, by the emitted Go and by every device that is here, in
alternating rounds of one run, and says what each stage of compiling gained:

  dispatch   from the interpreter's tape and BLAS to plain emitted loops
  fusion     activations and derivatives within the loops of the products
  SIMD       AVX2, AVX-512
  threads    one, and all

The losses of the first steps are compared: the exit status is 1 where one of
the contenders computes something else. Times are medians, ± is half the
distance between the quartiles. A contender that a whole step takes too long is
compared with fewer rows and not timed, unless all are so slow.`,
		Example: `  dnngen bench examples/digits.yaml
  dnngen bench net.yaml --json --svg bench.svg`,
		Args:              oneSpec,
		ValidArgsFunction: completeSpec,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(f.seconds >= 1) || f.seconds > 600 || f.steps < 0 {
				return usageError(cmd, "--seconds is from 1 to 600, and --steps is not negative")
			}
			net, err := load(cmd, args[0], o, nil)
			if err != nil {
				return err
			}
			r, err := runBench(cmd, net, filepath.Dir(args[0]), &f)
			if err != nil {
				return err
			}
			return showBench(cmd, r, &f)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&f.svg, "svg", "", "write a bar chart to `FILE`")
	cmd.Flags().Float64Var(&f.seconds, "seconds", 20, "spend about `S` seconds on the rounds")
	cmd.Flags().IntVar(&f.steps, "steps", 0, "make `N` steps in each round; 0: as many as fit")
	must(cmd.MarkFlagFilename("svg", "svg"))
	return cmd
}

// runBench builds the spec's trainer, and the plain one beside it, and lets them
// compete.
func runBench(cmd *cobra.Command, net *spec.Network, dir string, f *benchFlags) (*compare.Report, error) {
	job := compare.Job{Net: net, DataDir: dir, Seconds: f.seconds, Steps: f.steps}
	w, bin, err := buildCached(cmd, net)
	if err != nil {
		return nil, err
	}
	job.Trainer = bin
	plain := workspace.Job{ImportPath: workspace.ImportPath(net.Name, net.File, net.Text+"\n# not fused"), Host: true, Log: cmd.ErrOrStderr()}
	if plain.Files, err = compare.EmitPlain(net, plain.ImportPath); err != nil {
		return nil, fail(exitFailed, "%w", err)
	}
	plain.Out = w.Binary(plain.ImportPath)
	job.Plain = plain.Out
	if err := w.Build(cmd.Context(), plain); err != nil {
		return nil, fail(exitFailed, "%w", err)
	}
	if job.Temp, err = os.MkdirTemp("", "dnngen-bench-"); err != nil {
		return nil, fail(exitResources, "%w", err)
	}
	show := progress.New(cmd.ErrOrStderr(), os.Getenv, false)
	show.Draw("comparing losses", 0)
	job.Round = func(i, rounds int) {
		show.Draw(fmt.Sprintf("round %d/%d", i+1, rounds), float64(i)/float64(rounds))
	}
	r, err := compare.Run(cmd.Context(), job)
	show.Clear()
	err = errors.Join(err, os.RemoveAll(job.Temp))
	var ended *compare.TrainerError
	switch {
	case err == nil:
		return r, nil
	case cmd.Context().Err() != nil:
		return nil, context.Cause(cmd.Context())
	case errors.As(err, &ended) && ended.Code > 0:
		return nil, fail(ended.Code, "%w", err)
	}
	return nil, fail(exitFailed, "bench: %w", err)
}

func showBench(cmd *cobra.Command, r *compare.Report, f *benchFlags) error {
	if f.svg != "" {
		err := fsys.WriteAtomic(fsys.OS(), f.svg, func(w io.Writer) error {
			_, err := w.Write(r.SVG())
			return err
		})
		if err != nil {
			return fileError(err)
		}
	}
	if !f.json {
		r.Table(cmd.OutOrStdout())
		return nil
	}
	return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
}
