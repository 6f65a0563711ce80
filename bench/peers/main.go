// Command peers times the compiled step beside other libraries, in alternating
// rounds of one run, and says which of them are not here. It installs nothing.
//
//	go run ./bench/peers [--json FILE] [--seconds S] SPEC...
//
// FILE is written when all specs are done. After each, what is there so far is written
// to FILE.part, which stays where a later one fails, or Ctrl-C ends the command.
//
// The Python that has the libraries is named by PEER_PYTHON (default python3).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/spec"
)

func main() {
	seconds := flag.Float64("seconds", 20, "spend about `S` seconds on each spec's rounds")
	out := flag.String("json", "", "write the results to `FILE`, those so far to FILE"+lab.Partial)
	flag.Parse()
	lab.Main("peers", func(ctx context.Context, temp string) error {
		if flag.NArg() == 0 {
			return errors.New("name at least one spec")
		}
		dnngen, err := lab.Dnngen(ctx, temp)
		if err != nil {
			return err
		}
		r := record.Peers{Stamp: lab.Stamped("peers")}
		err = lab.Each(*out, &r, flag.Args(), func(file string) error {
			report, err := one(ctx, dnngen, temp, file, *seconds)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			report.Table(os.Stdout)
			fmt.Println()
			r.Reports = append(r.Reports, report)
			return nil
		})
		if err == nil {
			fmt.Printf("peers in Python are run by %s; PEER_PYTHON names another one\n", lab.Python())
		}
		return err
	})
}

// one builds a spec's trainer with dnngen and lets the peers compete with it.
func one(ctx context.Context, dnngen, temp, file string, seconds float64) (*compare.PeerReport, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	net, _, err := spec.Parse(file, text, spec.Options{})
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(temp, net.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	trainer := filepath.Join(dir, "trainer")
	if _, err := lab.Time(ctx, nil, dnngen, "build", file, "-o", trainer); err != nil {
		return nil, err
	}
	job := compare.Job{Net: net, Trainer: trainer, DataDir: filepath.Dir(file), Temp: dir, Seconds: seconds}
	return compare.RunPeers(ctx, job, peers(ctx, temp))
}

// peers lists all peers with one thread and with all.
func peers(ctx context.Context, temp string) (list []compare.Peer) {
	python := lab.Python()
	counts := []int{1}
	if all := runtime.GOMAXPROCS(0); all > 1 {
		counts = append(counts, all)
	}
	script := func(name string) string { return filepath.Join("bench", "peers", name) }
	for _, threads := range counts {
		n := strconv.Itoa(threads)
		env := []string{"ASSUME_NO_MOVING_GC_UNSAFE_RISK_IT_WITH=" + goVersion(), "PEER_THREADS=" + n, "OMP_NUM_THREADS=" + n, "OPENBLAS_NUM_THREADS=" + n, "MKL_NUM_THREADS=" + n, "GOMAXPROCS=" + n}
		add := func(name string, command ...string) {
			list = append(list, compare.Peer{Name: name, Threads: threads, Command: command, Env: env})
		}
		add(compare.TorchEager, python, script("torch_peer.py"), "eager")
		add(compare.TorchCompile, python, script("torch_peer.py"), "compile")
		add(compare.JAX, python, script("jax_peer.py"))
		add(compare.Sklearn, python, script("sklearn_peer.py"))
		for _, p := range goPeers {
			if binary, why := p.build(ctx, temp); why == nil {
				add(p.name, binary)
			} else if threads == 1 {
				list = append(list, compare.Peer{Name: p.name, Threads: 1, Absent: why})
			}
		}
	}
	return append(list, compare.Peer{
		Name: compare.TorchGraph, Threads: 1, Elsewhere: true, Command: []string{python, script("torch_peer.py"), "cudagraph"}, Env: []string{"PEER_THREADS=1"},
	})
}

// goPeer is a peer written in Go: a module of its own, whose libraries nobody
// else needs.
type goPeer struct{ name, module string }

var goPeers = []goPeer{{compare.GoMLX, "gomlx"}, {compare.Gorgonia, "gorgonia"}}

// build compiles a peer with what is in the module cache.
func (p goPeer) build(ctx context.Context, temp string) (binary string, why error) {
	binary = filepath.Join(temp, p.module)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	dir := filepath.Join("bench", "peers", p.module)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("it does not build here; its modules come with: go -C %s mod download", dir)
	}
	return binary, nil
}

// goVersion is what Gorgonia wants to read in its environment before it starts
// with a Go that is newer than itself: "go1.26".
func goVersion() string {
	parts := strings.SplitN(runtime.Version(), ".", 3)
	if len(parts) < 2 {
		return runtime.Version()
	}
	return parts[0] + "." + parts[1]
}
