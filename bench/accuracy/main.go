// Command accuracy measures the time from a program's start to its exit with a
// wanted test accuracy: dnngen's binary beside a PyTorch script, in turns, with
// several seeds.
//
//	go run ./bench/accuracy [-json FILE] [-runs N]
//
// Both test after each epoch and stop after the first one that is good enough.
// Fashion-MNIST comes from Debian's package dataset-fashion-mnist; PyTorch from
// the Python that PEER_PYTHON names. What is not here is left out and named.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/runtime/bench"
	"github.com/dnngen/dnngen/spec"
)

// task is what is to be learned.
type task struct {
	name, spec, target string
	train, test        string // sources; empty: the spec's
	torch              string // PyTorch's data
	needs, hint        string // a file, and how to get it
}

const fashion = "/usr/share/datasets/fashion-mnist/"

var tasks = []task{
	{name: "digits to 97 %", spec: "digits97", target: "0.97", torch: "runtime/data/builtin/digits.csv.gz"},
	{
		name: "Fashion-MNIST to 88 %", spec: "fashion88", target: "0.88", torch: fashion,
		train: fashion + "train-images-idx3-ubyte.gz," + fashion + "train-labels-idx1-ubyte.gz",
		test:  fashion + "t10k-images-idx3-ubyte.gz," + fashion + "t10k-labels-idx1-ubyte.gz",
		needs: fashion, hint: "apt-get install dataset-fashion-mnist",
	},
}

func main() {
	out := flag.String("json", "", "write the results to `FILE`, those so far to FILE"+lab.Partial)
	runs := flag.Int("runs", 5, "make `N` runs of each program, with seeds 1 to N")
	flag.Parse()
	lab.NoArguments("accuracy")
	lab.Main("accuracy", func(ctx context.Context, temp string) error {
		if *runs < 1 {
			return errors.New("-runs must be at least 1")
		}
		r := record.Accuracy{Stamp: lab.Stamped("accuracy")}
		dnngen, err := lab.Dnngen(ctx, temp)
		if err != nil {
			return err
		}
		return lab.Each(*out, &r, tasks, func(t task) error {
			list, err := t.measure(ctx, dnngen, temp, *runs)
			if err != nil {
				return err
			}
			r.Results = append(r.Results, list...)
			return nil
		})
	})
}

// outcome is one run.
type outcome struct {
	seconds, accuracy float64
	epochs            int
	rss               int64
}

// program trains with a seed until the target is reached.
type program struct {
	name    string
	threads int
	run     func(seed int) (outcome, error)
	missing string
	done    []outcome
}

func (t task) measure(ctx context.Context, dnngen, temp string, runs int) ([]record.Training, error) {
	if t.needs != "" {
		if _, err := os.Stat(t.needs); err != nil {
			fmt.Printf("%s: not measured: %s is not here (%s)\n", t.name, t.needs, t.hint)
			return []record.Training{{Task: t.name, Missing: t.needs + " is not here: " + t.hint}}, nil
		}
	}
	file := filepath.Join("bench", "workloads", t.spec+".yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	net, _, err := spec.Parse(file, text, spec.Options{})
	if err != nil {
		return nil, err
	}
	trainer := filepath.Join(temp, t.spec)
	if _, err := lab.Time(ctx, nil, dnngen, "build", file, "-o", trainer); err != nil {
		return nil, err
	}
	var programs []*program
	counts := []int{1}
	if all := runtime.GOMAXPROCS(0); all > 1 {
		counts = append(counts, all)
	}
	for _, threads := range counts {
		programs = append(programs,
			&program{name: "dnngen", threads: threads, run: func(seed int) (outcome, error) { return t.own(ctx, trainer, temp, seed, threads) }},
			&program{name: compare.TorchEager, threads: threads, run: func(seed int) (outcome, error) { return t.pytorch(ctx, net, seed, threads) }})
	}
	for seed := 1; seed <= runs; seed++ {
		for _, p := range programs {
			if p.missing != "" {
				continue
			}
			o, err := p.run(seed)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				if p.name == "dnngen" {
					return nil, err
				}
				p.missing = err.Error()
				continue
			}
			p.done = append(p.done, o)
		}
	}
	return t.results(programs), nil
}

func (t task) results(programs []*program) (list []record.Training) {
	for _, p := range programs {
		target, _ := strconv.ParseFloat(t.target, 64) // a constant of this program
		r := record.Training{Task: t.name, Program: p.name, Threads: p.threads, Target: target, Missing: p.missing}
		if p.missing != "" {
			fmt.Printf("%s: %s: not measured: %s\n", t.name, p.name, p.missing)
			list = append(list, r)
			continue
		}
		var seconds, accuracies []float64
		for _, o := range p.done {
			seconds, accuracies = append(seconds, o.seconds), append(accuracies, o.accuracy)
			r.Epochs, r.RSS = append(r.Epochs, o.epochs), max(r.RSS, o.rss)
		}
		r.Seconds, r.Accuracy = bench.SpreadOf(seconds), bench.SpreadOf(accuracies).Median
		fmt.Printf("%-22s %-14s %d threads: %s, accuracy %.4f, epochs %v, %d MB\n",
			t.name, p.name, p.threads, bench.Duration(r.Seconds.Median), r.Accuracy, r.Epochs, r.RSS>>20)
		list = append(list, r)
	}
	return list
}

// own finds the epoch in which dnngen reaches the target by a run that is not
// timed, and times a run that ends there: the same bits.
func (t task) own(ctx context.Context, trainer, temp string, seed, threads int) (o outcome, err error) {
	args := func(run string, more ...string) []string {
		a := []string{"train", "--quiet", "--seed", strconv.Itoa(seed), "--threads", strconv.Itoa(threads), "--run", filepath.Join(temp, run)}
		if t.train != "" {
			a = append(a, "--train", t.train, "--test", t.test)
		}
		return append(a, more...)
	}
	name := fmt.Sprintf("%s-%d-%d", t.spec, seed, threads)
	whole, err := lab.Time(ctx, nil, trainer, args(name, "--json")...)
	if err != nil {
		return o, err
	}
	target, _ := strconv.ParseFloat(t.target, 64) // a constant of this program
	if o.epochs, o.accuracy = firstEpoch(whole.Stdout, target); o.epochs == 0 {
		return o, fmt.Errorf("%s does not reach %s with seed %d", t.spec, t.target, seed)
	}
	r, err := lab.Time(ctx, nil, trainer, args(name+"-timed", "--epochs", strconv.Itoa(o.epochs))...)
	if err != nil {
		return o, err
	}
	o.seconds, o.rss = r.Seconds, r.RSS
	return o, nil
}

// firstEpoch returns the number of epochs after which the test accuracy reaches
// the target, 0 if it never does.
func firstEpoch(events []byte, target float64) (epochs int, accuracy float64) {
	lines := bufio.NewScanner(bytes.NewReader(events))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Event string `json:"event"`
			Epoch int    `json:"epoch"`
			Test  struct {
				Accuracy float64 `json:"accuracy"`
			} `json:"test"`
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == "epoch" && e.Test.Accuracy >= target {
			return e.Epoch + 1, e.Test.Accuracy
		}
	}
	return 0, 0
}

func (t task) pytorch(ctx context.Context, net *spec.Network, seed, threads int) (o outcome, err error) {
	widths := []string{strconv.Itoa(net.Input)}
	for _, l := range net.Layers {
		if l.Activation == nil {
			widths = append(widths, strconv.Itoa(l.Out))
		}
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	n, set, momentum := strconv.Itoa(threads), net.Train.OptimizerSet, 0.0
	if net.Train.Optimizer.Momentum {
		momentum = set.Num("momentum")
	}
	r, err := lab.Time(ctx, []string{"OMP_NUM_THREADS=" + n}, lab.Python(), filepath.Join("bench", "peers", "torch_accuracy.py"), t.torch, t.target,
		strings.Join(widths, ","), strconv.Itoa(net.Train.Batch), net.Train.Optimizer.Name, number(set.Num("lr")), number(momentum),
		number(net.Data.Scale.Factor), strconv.Itoa(2*net.Train.Epochs), strconv.Itoa(seed), n)
	if err != nil {
		return o, err
	}
	var said struct {
		Accuracy float64 `json:"accuracy"`
		Epochs   int     `json:"epochs"`
	}
	if err := json.Unmarshal(r.Stdout, &said); err != nil {
		return o, err
	}
	return outcome{r.Seconds, said.Accuracy, said.Epochs, r.RSS}, nil
}
