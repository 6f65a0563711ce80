// Command growth measures how a step's time grows with the width, the depth and
// the batch of a network, and draws it beside the time at the machine's peak.
//
//	go run ./bench/growth [-json FILE] [-quick]
//
// It builds a trainer for each size and takes some minutes; -quick takes every
// other size.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/runtime/bench"
)

// dimension makes specs of one size after the other.
type dimension struct {
	name, fixed string
	sizes       []int
	spec        func(size int) (width, depth, batch int)
}

var dimensions = []dimension{
	{
		"width", "2 hidden layers, batch 64", []int{16, 32, 64, 128, 256, 512, 1024, 2048, 4096},
		func(n int) (int, int, int) { return n, 2, 64 },
	},
	{
		"depth", "hidden layers of 128, batch 64", []int{1, 2, 4, 8, 16, 32, 64},
		func(n int) (int, int, int) { return 128, n, 64 },
	},
	{
		"batch", "2 hidden layers of 256", []int{1, 4, 16, 64, 256, 1024, 4096, 16384},
		func(n int) (int, int, int) { return 256, 2, n },
	},
}

func main() {
	out := flag.String("json", "", "write the results to `FILE`, those so far to FILE"+lab.Partial)
	quick := flag.Bool("quick", false, "take every other size")
	flag.Parse()
	lab.NoArguments("growth")
	lab.Main("growth", func(ctx context.Context, temp string) error {
		dnngen, err := lab.Dnngen(ctx, temp)
		if err != nil {
			return err
		}
		r := record.Growth{Stamp: lab.Stamped("growth")}
		return lab.Each(*out, &r, dimensions, func(d dimension) error {
			c := record.Curve{Name: d.name, Fixed: d.fixed}
			for i, size := range d.sizes {
				if *quick && i%2 == 1 {
					continue
				}
				p, err := measure(ctx, dnngen, temp, d, size)
				if err != nil {
					return err
				}
				for _, x := range p.Results {
					fmt.Printf("%s %5d  %-11s %d threads  %10s  %5.1f %% of peak\n", d.name, size, x.Name, x.Threads, bench.Duration(x.Step.Median), 100*x.Share)
				}
				c.Points = append(c.Points, *p)
			}
			r.Curves = append(r.Curves, c)
			return nil
		})
	})
}

func measure(ctx context.Context, dnngen, temp string, d dimension, size int) (*record.Point, error) {
	width, depth, batch := d.spec(size)
	var s strings.Builder
	fmt.Fprintf(&s, "name: %s%d\ninput: %d\nlayers:\n", d.name, size, width)
	for range depth {
		fmt.Fprintf(&s, "  - linear: %d\n  - relu\n", width)
	}
	fmt.Fprintf(&s, "  - linear: 10\nloss: cross_entropy\noutput: softmax\ntrain:\n  batch: %d\n  optimizer: {sgd: {lr: 0.01, momentum: 0.9}}\n", batch)
	file, binary := filepath.Join(temp, fmt.Sprintf("%s%d.yaml", d.name, size)), filepath.Join(temp, "trainer")
	if err := os.WriteFile(file, []byte(s.String()), 0o644); err != nil {
		return nil, err
	}
	if _, err := lab.Time(ctx, nil, dnngen, "build", file, "-o", binary); err != nil {
		return nil, err
	}
	run, err := lab.Time(ctx, nil, binary, "bench", "--seconds", "4", "--json")
	if err != nil {
		return nil, err
	}
	var report bench.Report
	if err := json.Unmarshal(run.Stdout, &report); err != nil {
		return nil, err
	}
	return &record.Point{Size: size, Peak: *report.Peak, FLOPs: report.FLOPs, Results: report.Results}, nil
}
