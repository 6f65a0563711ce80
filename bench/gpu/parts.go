//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/wording"
	"github.com/dnngen/dnngen/spec"
)

// network is one whose steps are timed.
type network struct {
	Name       string   `json:"name"`
	Spec       string   `json:"spec"`
	Precisions []string `json:"precisions"`
	Reach      float64  `json:"reach_seconds,omitempty"` // a step at most, on an H200; 0: ahead of PyTorch
}

var networks = []network{
	{"narrow", "bench/kernels/narrow.yaml", []string{"bf16"}, 100e-6},
	{"digits", "bench/kernels/digits.yaml", []string{"bf16"}, 20e-6},
	{"wide", "bench/kernels/wide.yaml", []string{"bf16"}, 1.7e-3},
	{"w3", "bench/workloads/w3.yaml", []string{"fp32", "tf32"}, 0},
	{"w5", "bench/workloads/w5.yaml", []string{"fp32", "tf32"}, 0},
}

// tools of compute-sanitizer.
var tools = []string{"memcheck", "racecheck", "initcheck", "synccheck"}

// parts lists all that can be asked, in the order in which it is.
func (s *inquiry) parts() (list []part) {
	for _, p := range op.Precisions {
		list = append(list, part{"golden:" + p.Name, func(ctx context.Context, own part) (record.Check, *record.Steps) {
			return s.test(ctx, own, "^TestGPU$/^"+p.Name+"$"), nil
		}})
	}
	for _, n := range s.prepared.Networks {
		for _, precision := range n.Precisions {
			list = append(list, part{"time:" + n.Name + ":" + precision, func(ctx context.Context, own part) (record.Check, *record.Steps) {
				return s.time(ctx, own, n, precision)
			}})
		}
	}
	for _, tool := range tools {
		list = append(list, part{"sanitizer:" + tool, func(ctx context.Context, own part) (record.Check, *record.Steps) {
			return s.sanitizer(ctx, own, tool), nil
		}})
	}
	return list
}

func failed(format string, args ...any) record.Check {
	return record.Check{Done: true, Failed: true, Result: "FAILED: " + fmt.Sprintf(format, args...)}
}

// Lines of a test's log.
var (
	skipped = regexp.MustCompile(`(?m)^\s+\w+\.go:\d+: (.*)\n--- SKIP`)
	passes  = regexp.MustCompile(`(?m)^\s+--- PASS: TestGPU/\w+/`)
)

// test runs a test of package cuda, in whose folder it looks for its files. One
// that skips, or runs nothing, has checked nothing.
func (s *inquiry) test(ctx context.Context, p part, pattern string, env ...string) record.Check {
	log, err := os.Create(s.log(p))
	if err != nil {
		return failed("%v", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, testProgram), "-test.run", pattern, "-test.v", "-test.timeout", "2h")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "cuda", log, log
	cmd.Env = append(append(os.Environ(), "GPU_PROGRAM="+filepath.Join(s.dir, networksFile)), env...)
	// It starts a program for each training, which must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = errors.Join(cmd.Run(), log.Close())
	text, readErr := os.ReadFile(s.log(p))
	switch {
	case err != nil || readErr != nil:
		return failed("%v, see %s", errors.Join(err, readErr), s.log(p))
	case skipped.Match(text):
		return record.Check{Result: "skipped: " + string(skipped.FindSubmatch(text)[1])}
	}
	n := len(passes.FindAll(text, -1))
	if n == 0 {
		return failed("no test was run, see %s", s.log(p))
	}
	return record.Check{Done: true, Result: "passed: " + wording.Count(n, "network")}
}

// sanitizer runs part of the tests under a tool of compute-sanitizer: each network
// is a process of its own under it.
func (s *inquiry) sanitizer(ctx context.Context, p part, tool string) record.Check {
	program, err := exec.LookPath("compute-sanitizer")
	if err != nil {
		if program, err = exec.LookPath("/usr/local/cuda/bin/compute-sanitizer"); err != nil {
			return record.Check{Result: "skipped: compute-sanitizer is not installed"}
		}
	}
	report := strings.TrimSuffix(s.log(p), ".log") + "-%p.txt" // %p: the process
	return s.test(ctx, p, "^TestGPU$/^(fp32|bf16|fp16)$/^(case0|net)",
		"CUDA_NETS=4", fmt.Sprintf("CUDA_WRAPPER=%s --tool %s --error-exitcode 9 --log-file %s", program, tool, report))
}

// time measures a network in one precision, beside PyTorch.
func (s *inquiry) time(ctx context.Context, p part, n network, precision string) (record.Check, *record.Steps) {
	steps, err := s.measure(ctx, p, n, precision)
	if err != nil {
		return failed("%v", err), nil
	}
	steps.GPUReport.Table(os.Stdout)
	fmt.Println()
	if steps.Own() == nil {
		return failed("a whole step takes too long for a round"), steps
	}
	return record.Check{Done: true, Result: fmt.Sprintf("passed: the losses of %s agree", wording.Count(steps.Checked, "step"))}, steps
}

func (s *inquiry) measure(ctx context.Context, p part, n network, precision string) (*record.Steps, error) {
	text, err := os.ReadFile(n.Spec)
	if err != nil {
		return nil, err
	}
	net, _, err := spec.Parse(n.Spec, text, spec.Options{})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(op.Precisions, func(o *op.Precision) bool { return o.Name == precision })
	if i < 0 {
		return nil, fmt.Errorf("there is no precision %s", precision)
	}
	dir, err := os.MkdirTemp(s.temp, n.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it lies in a temporary directory
	job := compare.Job{Net: net, Trainer: filepath.Join(s.dir, n.Name), DataDir: filepath.Dir(n.Spec), Temp: dir, Seconds: s.seconds}
	report, err := compare.RunGPU(ctx, job, op.Precisions[i], peers(precision))
	if err != nil {
		return nil, err
	}
	return &record.Steps{Part: p.name, Shape: shape(net), Reach: n.Reach, GPUReport: report}, nil
}

// peers are the ways in which PyTorch makes a step on a GPU.
func peers(precision string) (list []compare.Peer) {
	for _, p := range compare.GPUPeers {
		list = append(list, compare.Peer{
			Name: p.Name, Threads: 1, Elsewhere: true, Env: []string{"PEER_THREADS=1"},
			Command: []string{lab.Python(), filepath.Join("bench", "peers", "torch_peer.py"), p.Mode, "cuda", precision},
		})
	}
	return list
}

// shape writes a network as its widths, loss and batch: "784-512-10 relu
// cross_entropy, batch 128". Equal widths in a row are written once.
func shape(net *spec.Network) string {
	widths := []int{net.Input}
	var activations []string
	for _, l := range net.Layers {
		if l.Activation == nil {
			widths = append(widths, l.Out)
		} else if !slices.Contains(activations, l.Activation.Name) {
			activations = append(activations, l.Activation.Name)
		}
	}
	var runs []string
	for i := 0; i < len(widths); {
		same := i
		for same < len(widths) && widths[same] == widths[i] {
			same++
		}
		text := strconv.Itoa(widths[i])
		if same-i > 2 {
			text = fmt.Sprintf("%d × %d", widths[i], same-i)
		} else if same-i == 2 {
			text += "-" + text
		}
		runs = append(runs, text)
		i = same
	}
	return fmt.Sprintf("%s %s, batch %d", strings.Join(runs, "-"), strings.Join(append(activations, net.Loss.Name), " "), net.Train.Batch)
}
