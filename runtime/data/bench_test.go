package data_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
)

func load(b *testing.B, src string, files fsys.FS, n *engine.Network) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		table, err := data.Open(src, data.Options{FS: files})
		if err != nil {
			b.Fatal(err)
		}
		p, err := data.Fit(table, n)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Apply(table); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigits(b *testing.B) {
	load(b, "builtin:digits/train", nil, classes(64, 10, scaled("divide", 16)))
}

// A set of the size and, roughly, the density of Fashion-MNIST.
func BenchmarkIDX60000(b *testing.B) {
	const rows, columns = 60_000, 784
	random := rand.New(rand.NewPCG(1, 1))
	pixels := make([]byte, rows*columns)
	for i := range pixels {
		if random.IntN(2) == 0 {
			pixels[i] = byte(random.IntN(64))
		}
	}
	labels := make([]byte, rows)
	for i := range labels {
		labels[i] = byte(i % 10)
	}
	files := disk(b, map[string]string{
		"i.idx.gz": zipped(b, idx([]uint32{rows, 28, 28}, pixels...)),
		"l.idx.gz": zipped(b, idx([]uint32{rows}, labels...)),
	})
	for _, scale := range []string{"divide", "standardize"} {
		b.Run(scale, func(b *testing.B) {
			load(b, "i.idx.gz,l.idx.gz", files, classes(columns, 10, scaled(scale, 255)))
		})
	}
}

func BenchmarkCSV(b *testing.B) {
	const rows, columns = 20_000, 100
	random := rand.New(rand.NewPCG(1, 1))
	var text []byte
	for range rows {
		for range columns {
			text = strconv.AppendFloat(text, random.NormFloat64(), 'g', 6, 64)
			text = append(text, ',')
		}
		text = append(text, "7\n"...)
	}
	files := disk(b, map[string]string{"t.csv": string(text)})
	b.SetBytes(int64(len(text)))
	load(b, "t.csv", files, classes(columns, 10, scaled("standardize", 0)))
}
