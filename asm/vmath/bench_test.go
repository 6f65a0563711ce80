//go:build amd64 && !noasm

package vmath_test

import (
	"fmt"
	"math"
	"testing"

	tk "github.com/dnngen/dnngen/asm/vmath/internal/testkernels"
)

// BenchmarkElement reports the time of one element, of arrays in the first
// cache, beside that of package math.
func BenchmarkElement(b *testing.B) {
	const n = tk.Elements
	in, out := make([]float32, n), make([]float32, n)
	for i := range in {
		in[i] = -8 + 16*float32(i)/n
	}
	for _, f := range functions {
		kernels := []struct {
			name  string
			need  func(testing.TB)
			run   func(dst, src *float32, vectors int)
			lanes int
		}{{"avx2", needAVX2, f.kernels(b).AVX2, 8}, {"avx512", needAVX512, f.kernels(b).AVX512, 16}}
		src := in
		if f.name == "log" {
			src = make([]float32, n)
			for i := range src {
				src[i] = float32(math.Exp(float64(in[i])))
			}
		}
		for _, k := range kernels {
			b.Run(fmt.Sprintf("%s/%s", f.name, k.name), func(b *testing.B) {
				k.need(b)
				for range b.N {
					k.run(&out[0], &src[0], n/k.lanes)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
		b.Run(f.name+"/math", func(b *testing.B) {
			for range b.N {
				for i, x := range src {
					out[i] = float32(f.reference(float64(x)))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
		})
	}
}
