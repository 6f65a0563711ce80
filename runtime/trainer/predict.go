package trainer

import (
	"bufio"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/npy"
)

var predictCommand = &command{
	name:  "predict",
	short: "compute the outputs for rows",
	args:  "--model FILE --input SRC [-o FILE] [OPTION]...",
	long: `Prepares the rows as the training did and computes their outputs: raw ones and
transformed ones. Targets are not needed and not looked at.

A .npz gets the arrays raw [rows, outputs] and output [rows, width]. CSV gets the
columns raw0, raw1, ... and output0, ..., and the name of the class where the
model knows names.`,
	examples: []string{
		"predict --model runs/digits/001 --input rows.npz -o predictions.npz",
		"predict --model model.safetensors --input - < rows.csv > predictions.csv",
	},
	define: func(a *app, fs *flag.FlagSet) func() error {
		p := &predictFlags{}
		fs.StringVar(&p.model, "model", "", "the trained parameters in `FILE`: safetensors, a checkpoint or a run directory")
		fs.StringVar(&p.input, "input", "", "predict for the rows of `SRC`; - is CSV on standard input")
		fs.StringVar(&p.output, "o", "-", "write to `FILE`, .npz or .csv; - is CSV on standard output")
		fs.BoolVar(&p.json, "json", false, "say what was written, as one JSON object")
		p.define(a.net, fs)
		return func() error { return a.predict(p) }
	},
}

type predictFlags struct {
	deviceFlags
	model, input, output string
	json                 bool
}

func (a *app) predict(f *predictFlags) error {
	write, err := writerFor(f.output)
	if err != nil {
		return err
	}
	switch {
	case f.input == "":
		return usage("--input SRC is needed")
	case f.json && f.output == "-":
		return usage("--json needs -o FILE: the predictions themselves go to standard output")
	}
	m, err := a.model(f.model)
	if err != nil {
		return err
	}
	defer m.Close()
	table, err := a.open(f.input)
	if err != nil {
		return err
	}
	set, raw, err := f.infer(a, m, func(p *data.Prep) (*data.Set, error) { return p.Rows(table) })
	if err != nil {
		return err
	}
	p := &predictions{net: a.net, set: set, raw: raw, output: make([]float32, set.Rows*a.net.OutputWidth)}
	a.net.Transform(p.raw, p.output, set.Rows)
	if f.output == "-" {
		return write(p, a.stdout)
	}
	if err := a.writeFile(f.output, func(w io.Writer) error { return write(p, w) }); err != nil || !f.json {
		return err
	}
	return a.stdout.object(predicted{
		"predict", f.model, table.Source(), f.output, set.Rows, a.net.Outputs, a.net.OutputWidth, p.labels(),
	})
}

// predicted is what predict prints as JSON.
type predicted struct {
	Event   string   `json:"event"` // "predict"
	Model   string   `json:"model"`
	Input   string   `json:"input"`
	File    string   `json:"file"`
	Rows    int      `json:"rows"`
	Outputs int      `json:"outputs"`           // raw ones of a row
	Width   int      `json:"output_width"`      // transformed ones
	Classes []string `json:"classes,omitempty"` // their names
}

// predictions are the outputs for the rows of a set.
type predictions struct {
	net    *engine.Network
	set    *data.Set
	raw    []float32 // [rows, Outputs]
	output []float32 // [rows, OutputWidth]
}

// writerFor chooses the format by the end of the name.
func writerFor(name string) (func(*predictions, io.Writer) error, error) {
	switch lower := strings.ToLower(name); {
	case name == "-" || strings.HasSuffix(lower, ".csv"):
		return (*predictions).csv, nil
	case strings.HasSuffix(lower, ".npz"):
		return (*predictions).npz, nil
	}
	return nil, usage("-o %s: predictions are written as .npz, .csv or - (CSV on standard output)", name)
}

func (p *predictions) npz(w io.Writer) error {
	return npy.EncodeZip(w, []string{"raw", "output"}, []*npy.Array{
		{Shape: []int{p.set.Rows, p.net.Outputs}, Float: p.raw},
		{Shape: []int{p.set.Rows, p.net.OutputWidth}, Float: p.output},
	})
}

func (p *predictions) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	var record []string
	for i := range p.net.Outputs {
		record = append(record, "raw"+strconv.Itoa(i))
	}
	for i := range p.net.OutputWidth {
		record = append(record, "output"+strconv.Itoa(i))
	}
	labels := p.labels()
	if labels != nil {
		record = append(record, "class")
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for r := range p.set.Rows {
		record = record[:0]
		raw := p.raw[r*p.net.Outputs:][:p.net.Outputs]
		for _, v := range raw {
			record = append(record, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		for _, v := range p.output[r*p.net.OutputWidth:][:p.net.OutputWidth] {
			record = append(record, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		if labels != nil {
			record = append(record, label(labels, p.class(raw)))
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// labels returns the names of the classes, where an answer is one class and
// the model knows names.
func (p *predictions) labels() []string {
	if p.net.Classes || p.net.Metrics == "binary" && p.net.Outputs == 1 {
		return p.set.Labels
	}
	return nil
}

// class returns the class that raw outputs stand for: that of the largest
// logit, or, of a single one, whether it is positive.
func (p *predictions) class(raw []float32) int {
	if !p.net.Classes {
		if raw[0] > 0 {
			return 1
		}
		return 0
	}
	best := 0
	for k, v := range raw {
		if v > raw[best] {
			best = k
		}
	}
	return best
}

// label names a class; one beyond the names that the training rows had keeps
// its number.
func label(labels []string, class int) string {
	if class < len(labels) {
		return labels[class]
	}
	return strconv.Itoa(class)
}

// writeFile replaces a file, whole or not at all. What is no plain file, such
// as a pipe, is written to as it is. That it cannot be written is the machine's
// fault: the exit status is that of resources.
func (a *app) writeFile(name string, write func(io.Writer) error) error {
	if err := a.replaceFile(name, write); err != nil {
		return &failure{exitResources, err}
	}
	return nil
}

func (a *app) replaceFile(name string, write func(io.Writer) error) error {
	buffered := func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 64<<10)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	}
	if plain, err := a.isPlain(name); err != nil {
		return fmt.Errorf("write %s: %w", name, fsys.Reason(err))
	} else if plain {
		return fsys.WriteAtomic(a.fs, name, buffered)
	}
	f, err := a.fs.Create(name)
	if err == nil {
		err = errors.Join(buffered(f), f.Close())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, fsys.Reason(err))
	}
	return nil
}

// isPlain tells whether a name is that of a plain file or of none.
func (a *app) isPlain(name string) (bool, error) {
	entries, err := a.fs.ReadDir(filepath.Dir(name))
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Name() == filepath.Base(name) {
			return e.Type()&^fs.ModePerm == 0, nil
		}
	}
	return true, nil
}
