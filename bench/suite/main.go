// Command suite runs dnngen bench on a list of specs and keeps what it found.
//
//	go run ./bench/suite [-json FILE] [-seconds S] [-openblas] SPEC...
//
// -openblas gives the interpreter OpenBLAS with one thread; see
// bench/autograd/openblas.sh.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/dnngen/dnngen/bench/compare"
	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
)

func main() {
	out := flag.String("json", "", "write the results to `FILE`, those so far to FILE"+lab.Partial)
	seconds := flag.Float64("seconds", 20, "spend about `S` seconds on each spec")
	openblas := flag.Bool("openblas", false, "let the interpreter use OpenBLAS, with one thread")
	flag.Parse()
	lab.Main("suite", func(ctx context.Context, temp string) error {
		if flag.NArg() == 0 {
			return errors.New("name at least one spec")
		}
		build, env := lab.Dnngen, []string(nil)
		if *openblas {
			build, env = lab.DnngenOpenBLAS, []string{"OPENBLAS_NUM_THREADS=1"}
		}
		dnngen, err := build(ctx, temp)
		if err != nil {
			return err
		}
		r := record.Suite{Stamp: lab.Stamped("suite")}
		return lab.Each(*out, &r, flag.Args(), func(spec string) error {
			run, err := lab.Time(ctx, env, dnngen, "bench", spec, "--json", "--seconds", strconv.FormatFloat(*seconds, 'g', -1, 64))
			if err != nil {
				return err
			}
			var report compare.Report
			if err := json.Unmarshal(run.Stdout, &report); err != nil {
				return err
			}
			report.Table(os.Stdout)
			fmt.Println()
			r.Reports = append(r.Reports, report)
			return nil
		})
	})
}
