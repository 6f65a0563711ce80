// Command report writes the benchmark's tables and charts from the results that
// are checked in: what stands between the markers in README.md and
// bench/README.md, and the pictures in docs/img.
//
//	go run ./bench/report [-check]
//
// -check writes nothing and fails where something is not what the results give.
//
// The sentences that say why a curve of growth bends are written by hand, in
// bench/results/growth-width.md, growth-depth.md and growth-batch.md; each
// follows its plot. A file that is missing leaves its plot alone.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/bench/lab"
	"github.com/dnngen/dnngen/runtime/fsys"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail where a file is stale")
	flag.Parse()
	lab.NoArguments("report")
	if err := run(".", *check); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// run writes, or compares, every file below the module's root.
func run(root string, check bool) error {
	r, err := load(filepath.Join(root, "bench", "results"))
	if err != nil {
		return err
	}
	files, err := r.files(root)
	if err != nil {
		return err
	}
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(root, filepath.FromSlash(name))
		old, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if bytes.Equal(old, files[name]) {
			continue
		}
		if check {
			stale = append(stale, name)
			continue
		}
		err = fsys.WriteAtomic(fsys.OS(), path, func(w io.Writer) error {
			_, err := w.Write(files[name])
			return err
		})
		if err != nil {
			return err
		}
	}
	if stale != nil {
		return fmt.Errorf("%s: not what bench/results gives; run: go run ./bench/report", strings.Join(stale, ", "))
	}
	return nil
}

// Markers around what is generated, in Markdown.
const (
	begin = "<!-- begin: go run ./bench/report -->\n"
	end   = "<!-- end -->"
)

// between returns a text with what stands between the markers replaced.
func between(text []byte, name, table string) ([]byte, error) {
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return nil, fmt.Errorf("%s has no lines %q and %q", name, strings.TrimSpace(begin), end)
	}
	return []byte(head + begin + table + end + tail), nil
}

// files returns the content of every file that depends on the results.
func (r *results) files(root string) (map[string][]byte, error) {
	out := map[string][]byte{"docs/img/bench.svg": r.chart()}
	for _, c := range r.Growth.Curves {
		svg, err := growthSVG(c, r.Growth.Machine)
		if err != nil {
			return nil, err
		}
		out["docs/img/growth-"+c.Name+".svg"] = svg
	}
	for name, table := range map[string]string{"README.md": r.summary(), "bench/README.md": r.everything()} {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		if out[name], err = between(text, name, table); err != nil {
			return nil, err
		}
	}
	return out, nil
}
