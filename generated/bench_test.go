package generated_test

import (
	"fmt"
	"testing"

	"github.com/dnngen/dnngen/generated/digits"
	"github.com/dnngen/dnngen/runtime/engine"
)

// BenchmarkInfer reports the time of a row of digits, alone and among others.
func BenchmarkInfer(b *testing.B) {
	for _, d := range digits.Network().Devices {
		if d.Missing() != nil {
			continue
		}
		e, err := d.New(engine.Options{Threads: 1})
		if err != nil {
			b.Fatal(err)
		}
		defer e.Close()
		for _, rows := range []int{1, 2, 3, 4, 5, 8, 13, 64} {
			x, raw := make([]float32, rows*digits.Inputs), make([]float32, rows*digits.Outputs)
			b.Run(fmt.Sprintf("%s/rows=%d", d.Name, rows), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					e.Infer(x, raw, rows)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
			})
		}
	}
}
