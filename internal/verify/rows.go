package verify

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"

	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/internal/ir/eval"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/npy"
)

// rows are the rows that the checks train on.
type rows struct {
	source string // as the trainer takes it
	kind   string // for the figures
	set    *data.Set
}

// interpreterWork is about how many operations the interpreter may spend on the
// reference: some seconds.
const interpreterWork = 1.5e9

// chooseRows takes the spec's own training rows, where they are here and a step
// on them is not too much for the interpreter, and draws rows otherwise.
func (v *verifier) chooseRows() (*rows, error) {
	if src := v.Net.Data.Train; src != "" {
		set, err := v.prepared(src)
		if err == nil && stepWork(v.p, v.stepRows(set.Rows)) <= interpreterWork {
			return &rows{source: src, kind: "its own rows", set: set}, nil
		}
	}
	src, err := v.synthetic()
	if err != nil {
		return nil, err
	}
	set, err := v.prepared(src)
	return &rows{source: src, kind: "drawn rows", set: set}, err
}

// stepRows is the number of rows of a full step, of so many.
func (v *verifier) stepRows(rows int) int {
	if v.p.Full {
		return rows
	}
	return min(rows, v.p.Batch)
}

// prepared reads a source and prepares it as the trainer does.
func (v *verifier) prepared(src string) (*data.Set, error) {
	d := v.Net.Data
	table, err := data.Open(src, data.Options{Dir: v.DataDir, Target: d.Target})
	if err != nil {
		return nil, err
	}
	prep, err := data.Fit(table, &engine.Network{
		Name: v.Net.Name, Inputs: v.p.Input, Outputs: v.p.Output,
		Metrics: v.p.Settings.Metrics, Classes: v.p.Loss.Classes(),
		Data: engine.Data{
			Train: src, Target: d.Target, Features: d.Features, Categorical: d.Categorical,
			Scale:   engine.Scale{Kind: d.Scale.Kind, Factor: d.Scale.Factor},
			Missing: engine.Missing{Kind: d.Missing.Kind, Value: d.Missing.Value},
		},
	})
	if err != nil {
		return nil, err
	}
	return prep.Apply(table)
}

// batch is drawn rows, raw: exactly one of class and value is set.
type batch struct {
	rows  int
	x     []float32 // [rows, input]
	class []int64   // [rows]
	value []float32 // [rows, output]
}

func randomRows(p *ir.Program, rows int, r *rand.Rand) *batch {
	b := &batch{rows: rows, x: make([]float32, rows*p.Input)}
	for i := range b.x {
		b.x[i] = float32(r.NormFloat64())
	}
	if p.Loss.Classes() {
		for i := range rows {
			class := i % p.Output // each of them, where there are rows enough
			if i >= p.Output {
				class = r.IntN(p.Output)
			}
			b.class = append(b.class, int64(class))
		}
		return b
	}
	for range rows * p.Output {
		y := float32(r.NormFloat64())
		if p.Settings.Metrics == string(op.Binary) {
			y = float32(r.IntN(2))
		}
		b.value = append(b.value, y)
	}
	return b
}

// float64 returns the rows as the interpreter takes them.
func (b *batch) float64(classes bool) ([]float64, eval.Target) {
	x := widen(b.x)
	if !classes {
		return x, eval.Target{Value: widen(b.value)}
	}
	var y eval.Target
	for _, c := range b.class {
		y.Class = append(y.Class, int(c))
	}
	return x, y
}

func widen(list []float32) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = float64(v)
	}
	return out
}

// synthetic writes drawn rows that suit the spec and returns their source: an
// .npz, or CSV where the spec names columns. There are enough for some full
// steps and a short one, unless that is too much for the interpreter.
func (v *verifier) synthetic() (string, error) {
	n := 100
	if !v.p.Full {
		n = 3*v.p.Batch + max(1, v.p.Batch/3)
	}
	for n > 2 && stepWork(v.p, v.stepRows(n)) > interpreterWork {
		n /= 2
	}
	r := rand.New(rand.NewPCG(v.Net.Train.Seed, 0x726f7773))
	b := randomRows(v.p, n, r)
	d := v.Net.Data
	if len(d.Features) == 0 && len(d.Categorical) == 0 && d.Target == "" {
		return v.writeNPZ(b)
	}
	return v.writeCSV(b, r)
}

func (v *verifier) writeNPZ(b *batch) (string, error) {
	y := &npy.Array{Shape: []int{b.rows}, Int: b.class}
	if b.class == nil {
		y = &npy.Array{Shape: []int{b.rows, v.p.Output}, Float: b.value}
	}
	name := filepath.Join(v.Temp, "rows.npz")
	return name, fsys.WriteAtomic(fsys.OS(), name, func(w io.Writer) error {
		return npy.EncodeZip(w, []string{"x", "y"}, []*npy.Array{{Shape: []int{b.rows, v.p.Input}, Float: b.x}, y})
	})
}

// writeCSV writes rows under the spec's column names. A column of text gets as
// many values as are needed to make the network's inputs.
func (v *verifier) writeCSV(b *batch, r *rand.Rand) (string, error) {
	d := v.Net.Data
	categorical := map[string]bool{}
	for _, c := range d.Categorical {
		categorical[c] = true
	}
	features := d.Features
	if len(features) == 0 {
		features = append(features, d.Categorical...)
		for i := 0; len(features) < v.p.Input-len(d.Categorical); i++ {
			features = append(features, fmt.Sprintf("x%d", i))
		}
	}
	// Every column makes one input; the texts share what is left.
	left := v.p.Input - len(features)
	texts := len(d.Categorical)
	values := map[string]int{}
	for _, c := range d.Categorical {
		share := left / max(texts, 1)
		values[c] = 1 + share
		left -= share
		texts--
	}
	target := d.Target
	if target == "" {
		target = "target"
	}
	name := filepath.Join(v.Temp, "rows.csv")
	return name, fsys.WriteAtomic(fsys.OS(), name, func(w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(append(append([]string(nil), features...), target)); err != nil {
			return err
		}
		for i := range b.rows {
			var record []string
			for k, c := range features {
				if categorical[c] {
					value := i % values[c] // each of them, where there are rows enough
					if i >= values[c] {
						value = r.IntN(values[c])
					}
					record = append(record, "v"+strconv.Itoa(value))
					continue
				}
				record = append(record, strconv.FormatFloat(float64(b.x[i*v.p.Input+k]), 'g', -1, 32))
			}
			y := ""
			if b.class != nil {
				y = strconv.FormatInt(b.class[i], 10)
			} else {
				y = strconv.FormatFloat(float64(b.value[i*v.p.Output]), 'g', -1, 32)
			}
			if err := out.Write(append(record, y)); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	})
}
