// Command cost measures what a training costs beside its steps: generating,
// building, starting, disk and memory; and the same of the peers' libraries.
//
//	go run ./bench/cost [-json FILE] [-runs N] SPEC...
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/bench/record"
	"github.com/dnngen/dnngen/runtime/bench"
)

func main() {
	out := flag.String("json", "", "write the results to `FILE`")
	runs := flag.Int("runs", 5, "measure each time `N` times")
	flag.Parse()
	lab.Main("cost", func(ctx context.Context, temp string) error {
		if flag.NArg() == 0 || *runs < 1 {
			return errors.New("name at least one spec, and at least one run")
		}
		if err := lab.Writable(*out); err != nil {
			return err
		}
		dnngen, err := lab.Dnngen(ctx, temp)
		if err != nil {
			return err
		}
		r := record.Cost{Stamp: lab.Stamped("cost")}
		for i, spec := range flag.Args() {
			o, err := own(ctx, dnngen, temp, spec, *runs, i == 0)
			if err != nil {
				return err
			}
			fmt.Printf("%s: generate %s, build %s (first %s), start %s, binary %.1f MB, source %.2f MB, memory %d MB\n", o.Spec,
				bench.Duration(o.Generate.Median), bench.Duration(o.Again.Median), bench.Duration(o.First), bench.Duration(o.Start.Median),
				float64(o.Binary)/1e6, float64(o.Source)/1e6, o.RSS>>20)
			r.Own = append(r.Own, *o)
		}
		for _, name := range []string{"torch", "jax", "sklearn"} {
			p := library(ctx, name, *runs)
			fmt.Printf("%s %s: install %d MB, import %s, memory %d MB %s\n", p.Name, p.Version, p.Install/1e6, bench.Duration(p.Import.Median), p.RSS>>20, p.Missing)
			r.Peers = append(r.Peers, p)
		}
		if *out == "" {
			return nil
		}
		return lab.Write(*out, r)
	})
}

// own measures a spec. cold builds once with empty caches, as on the first day.
func own(ctx context.Context, dnngen, temp, spec string, runs int, cold bool) (*record.Own, error) {
	o := &record.Own{Spec: filepath.Base(spec)}
	binary, source := filepath.Join(temp, "trainer"), filepath.Join(temp, "source")
	times := func(n int, f func(i int) (*lab.Run, error)) (bench.Spread, error) {
		var list []float64
		for i := range n {
			r, err := f(i)
			if err != nil {
				return bench.Spread{}, err
			}
			list = append(list, r.Seconds)
		}
		return bench.SpreadOf(list), nil
	}
	var err error
	if o.Generate, err = times(runs, func(i int) (*lab.Run, error) {
		return lab.Time(ctx, nil, dnngen, "gen", spec, "-o", fmt.Sprint(source, i))
	}); err != nil {
		return nil, err
	}
	if o.Source, err = size(source + "0"); err != nil {
		return nil, err
	}
	if cold {
		env := []string{"GOCACHE=" + filepath.Join(temp, "gocache"), "XDG_CACHE_HOME=" + filepath.Join(temp, "cache")}
		r, err := lab.Time(ctx, env, dnngen, "build", spec, "-o", binary)
		if err != nil {
			return nil, err
		}
		o.First = r.Seconds
	}
	if o.Again, err = times(runs, func(i int) (*lab.Run, error) {
		// Another comment is another spec: its package is compiled anew.
		text, err := os.ReadFile(spec)
		if err != nil {
			return nil, err
		}
		changed := filepath.Join(temp, "spec.yaml")
		if err := os.WriteFile(changed, append(text, fmt.Sprintf("# build %d of %d\n", i, os.Getpid())...), 0o644); err != nil {
			return nil, err
		}
		return lab.Time(ctx, nil, dnngen, "build", changed, "-o", binary)
	}); err != nil {
		return nil, err
	}
	if o.Start, err = times(runs, func(int) (*lab.Run, error) { return lab.Time(ctx, nil, binary, "version") }); err != nil {
		return nil, err
	}
	if o.Binary, err = size(binary); err != nil {
		return nil, err
	}
	r, err := lab.Time(ctx, nil, binary, "bench", "--seconds", "0.5", "--threads", "1", "--device", "cpu", "--data", "random", "--peak=false", "--json")
	if err != nil {
		return nil, err
	}
	o.RSS = r.RSS
	return o, nil
}

// size adds up the files of a folder.
func size(path string) (total int64, err error) {
	err = filepath.Walk(path, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// library measures a Python library.
func library(ctx context.Context, name string, runs int) record.Library {
	p := record.Library{Name: name}
	r, err := lab.Time(ctx, nil, lab.Python(), filepath.Join("bench", "peers", "cost.py"), name)
	if err != nil {
		p.Missing = name + " is not in the Python " + strconv.Quote(lab.Python())
		return p
	}
	if err := json.Unmarshal(r.Stdout, &p); err != nil {
		p.Missing = err.Error()
		return p
	}
	var seconds []float64
	for range runs {
		r, err := lab.Time(ctx, nil, lab.Python(), "-c", "import "+name)
		if err != nil {
			p.Missing = err.Error()
			return p
		}
		seconds = append(seconds, r.Seconds)
		p.RSS = max(p.RSS, r.RSS)
	}
	p.Import = bench.SpreadOf(seconds)
	return p
}
