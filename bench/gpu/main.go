//go:build unix

// Command gpu asks a machine with an NVIDIA GPU whether results are right there,
// whether the code is clean under NVIDIA's checker, and how fast a step is, beside
// PyTorch. bench/gpu.sh runs it, and says how.
//
//	gpu prepare DIR
//	gpu [-limit D] [-seconds S] [-json FILE] DIR [PART...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
)

// Exit statuses beside 0 and 1.
const (
	statusUsage = 2
	statusLeft  = 3 // something was left out for want of time
	statusNoGPU = 7 // as a trainer's
)

func main() {
	limit := flag.Duration("limit", 0, "begin and go on with parts for `D`, such as 9m; 0: as long as they take")
	seconds := flag.Float64("seconds", 10, "spend about `S` seconds on the rounds of each network")
	out := flag.String("json", "", "copy the results to `FILE` where something was timed")
	flag.Parse()
	lab.Main("gpu", func(ctx context.Context, temp string) error {
		switch {
		case flag.NArg() == 2 && flag.Arg(0) == "prepare":
			return prepare(ctx, temp, flag.Arg(1))
		case flag.NArg() == 0:
			return &lab.Exit{Status: statusUsage, Why: "name the directory that was prepared"}
		}
		dir, err := filepath.Abs(flag.Arg(0))
		if err != nil {
			return err
		}
		s := &inquiry{dir: dir, temp: temp, seconds: *seconds, out: *out}
		if err := lab.Read(filepath.Join(dir, preparedFile), &s.prepared); err != nil {
			return &lab.Exit{Status: statusUsage, Why: fmt.Sprintf("%v; prepare the directory first", err)}
		}
		return s.run(ctx, *limit, flag.Args()[1:])
	})
}

// inquiry is one run of the command.
type inquiry struct {
	prepared  prepared
	dir, temp string
	seconds   float64
	out       string
	results   record.GPU
}

// part is something to ask, "golden:bf16". Its words select it: "golden" stands for
// all parts that begin so.
type part struct {
	name string
	run  func(ctx context.Context, p part) (record.Check, *record.Steps)
}

func (p part) is(name string) bool { return p.name == name || strings.HasPrefix(p.name, name+":") }

// log is where all that a part's programs say is kept.
func (s *inquiry) log(p part) string {
	return filepath.Join(s.dir, "logs", strings.ReplaceAll(p.name, ":", "-")+".log")
}

// resultsFile has the results of all runs in the prepared directory.
const resultsFile = "results.json"

// run asks the parts that are named; without names, those that are not done yet.
func (s *inquiry) run(ctx context.Context, limit time.Duration, names []string) error {
	begun := time.Now()
	all := s.parts()
	for _, name := range names {
		if !slices.ContainsFunc(all, func(p part) bool { return p.is(name) }) {
			return &lab.Exit{Status: statusUsage, Why: fmt.Sprintf("there is no part %q; there are %s", name, titles(all))}
		}
	}
	if err := s.findGPU(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, begun.Add(limit))
		defer cancel()
	}
	var left []part
	for _, p := range all {
		named := slices.ContainsFunc(names, p.is)
		if !named && (len(names) > 0 || s.done(p)) {
			continue
		}
		if ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "running: %s\n", p.name)
			start := time.Now()
			check, steps := p.run(ctx, p)
			check.Part, check.Took = p.name, time.Since(start).Seconds()
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err() // Ctrl-C: what it was about to find is not known
			}
			if ctx.Err() == nil {
				s.results.Note(check, steps)
				if err := s.keep(); err != nil {
					return err
				}
				continue
			}
		}
		left = append(left, p)
		if !s.done(p) {
			s.results.Note(record.Check{Part: p.name, Result: "left out: there was no time; run it again"}, nil)
		}
	}
	if err := s.keep(); err != nil {
		return err
	}
	fmt.Print(s.results.Table())
	fmt.Printf("logs: %s\n", filepath.Join(s.dir, "logs"))
	for _, c := range s.results.Checks {
		if c.Failed {
			return &lab.Exit{Status: 1, Why: c.Part + " failed"}
		}
	}
	if len(left) > 0 {
		return &lab.Exit{Status: statusLeft, Why: "no time was left for " + titles(left)}
	}
	return nil
}

func titles(list []part) string {
	var names []string
	for _, p := range list {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// findGPU asks a trainer whether it can use a GPU here.
func (s *inquiry) findGPU(ctx context.Context) error {
	if len(s.prepared.Networks) == 0 {
		return fmt.Errorf("%s names no network", preparedFile)
	}
	_, err := lab.Time(ctx, nil, filepath.Join(s.dir, s.prepared.Networks[0].Name), "info", "--device", "cuda")
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == statusNoGPU {
		return &lab.Exit{Status: statusNoGPU, Why: fmt.Sprintf("there is no GPU that dnngen can use, and nothing was run: %v", err)}
	}
	return err
}

// begin reads the results that are there, and says where the new ones come from.
// Results of another GPU or of other code are not gone on with.
func (s *inquiry) begin(ctx context.Context) error {
	for _, name := range []string{s.out, filepath.Join(s.dir, resultsFile)} {
		if err := lab.Writable(name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "logs"), 0o755); err != nil {
		return err
	}
	s.results.Stamp = lab.Stamped("gpu")
	s.results.Command, s.results.Commit = "bench/gpu.sh", s.prepared.Commit
	s.results.Device, s.results.Driver = "a GPU that nvidia-smi does not name", "unknown"
	if r, err := lab.Time(ctx, nil, "nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"); err == nil {
		line, _, _ := strings.Cut(string(r.Stdout), "\n")
		if name, driver, ok := strings.Cut(line, ", "); ok {
			s.results.Device, s.results.Driver = name, strings.TrimSpace(driver)
		}
	}
	var before record.GPU
	err := lab.Read(filepath.Join(s.dir, resultsFile), &before)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	is, was := &s.results, &before
	if is.Device != was.Device || is.Driver != was.Driver || is.Commit != was.Commit || is.Machine != was.Machine {
		return fmt.Errorf("%s is of %s, driver %s, %s, commit %s, and this is %s, driver %s, %s, commit %s: remove it, or prepare another directory",
			filepath.Join(s.dir, resultsFile), was.Device, was.Driver, was.Machine.CPU, was.Commit, is.Device, is.Driver, is.Machine.CPU, is.Commit)
	}
	s.results.Checks, s.results.Steps = before.Checks, before.Steps
	return nil
}

func (s *inquiry) done(p part) bool {
	return slices.ContainsFunc(s.results.Checks, func(c record.Check) bool { return c.Part == p.name && c.Done })
}

// keep writes what is known so far, in the order of the parts.
func (s *inquiry) keep() error {
	order := map[string]int{}
	for i, p := range s.parts() {
		order[p.name] = i
	}
	slices.SortFunc(s.results.Checks, func(a, b record.Check) int { return order[a.Part] - order[b.Part] })
	slices.SortFunc(s.results.Steps, func(a, b record.Steps) int { return order[a.Part] - order[b.Part] })
	if err := lab.Write(filepath.Join(s.dir, resultsFile), &s.results); err != nil {
		return err
	}
	if s.out == "" || len(s.results.Steps) == 0 {
		return nil
	}
	return lab.Write(s.out, &s.results)
}

// prepared is what a directory holds for a machine that may have neither Go nor a
// compiler.
type prepared struct {
	Commit   string    `json:"commit"`
	Networks []network `json:"networks"`
}

const preparedFile = "prepared.json"

// Names of programs in a prepared directory, beside one for each network and this one.
const (
	testProgram  = "cuda.test" // the tests of package cuda
	networksFile = "networks"  // the engines that TestGPU trains
)

// prepare compiles all that is to be run on a GPU.
func prepare(ctx context.Context, temp, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	// What was measured before was measured of other programs, and until all are there
	// anew nothing is prepared.
	for _, name := range []string{preparedFile, resultsFile, networksFile} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	p := prepared{Commit: commit(ctx), Networks: networks}
	dnngen, err := lab.Dnngen(ctx, temp)
	if err != nil {
		return err
	}
	for _, n := range p.Networks {
		if err := said(exec.CommandContext(ctx, dnngen, "build", n.Spec, "-o", filepath.Join(dir, n.Name))); err != nil {
			return fmt.Errorf("%s: %w", n.Spec, err)
		}
	}
	fmt.Fprintln(os.Stderr, "the tests of package cuda, and their networks")
	tests := exec.CommandContext(ctx, "go", "test", "-c", "-o", filepath.Join(dir, testProgram), "-ldflags", "-s -w", "./cuda")
	tests.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := said(tests); err != nil {
		return err
	}
	// It compiles the networks, and trains none.
	networks := exec.CommandContext(ctx, filepath.Join(dir, testProgram), "-test.run", "^TestGPU$/^$", "-test.timeout", "1h")
	networks.Dir, networks.Env = "cuda", append(os.Environ(), "GPU_PROGRAM="+filepath.Join(dir, networksFile))
	if err := said(networks); err != nil {
		return err
	}
	return lab.Write(filepath.Join(dir, preparedFile), p)
}

// said runs a program, whose words are for whoever prepares.
func said(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// commit names what is checked out, with a mark where files were changed.
func commit(ctx context.Context) string {
	r, err := lab.Time(ctx, nil, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(r.Stdout))
}
