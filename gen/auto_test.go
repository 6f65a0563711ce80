package gen_test

import (
	"fmt"
	"testing"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/internal/op"
	"github.com/dnngen/dnngen/spec"
)

// TestAutomaticBatch compares what `batch: auto` reckons with the arena that is
// planned: it fits, and a batch that is 32 times as large would not.
// In 16 bits a network takes half of what is counted.
func TestAutomaticBatch(t *testing.T) {
	t.Parallel()
	for _, layers := range []string{
		"[linear: 16]",
		"[linear: 64, relu, linear: 64, relu, linear: 64, relu, linear: 64, relu, linear: 64, relu, linear: 64, relu, linear: 16]",
		"[linear: 512, gelu, linear: 512, gelu, linear: 10]",
		"[linear: 4096, relu, linear: 4096, relu, linear: 1000]",
		"[linear: 256, swiglu, linear: 300, {prelu: {per: channel}}, linear: 7]",
		"[linear: 2000, {swish: {learn: true}}, selu, identity, tanh, linear: 1]",
		"[linear: 100000, relu, linear: 3]",
		"[linear: 250, relu, linear: 250, relu, linear: 16]",
	} {
		for i, input := range []int{1, 64, 1024} {
			for k, memory := range []int{4, 8, 100} {
				precision := op.Precisions[(i+k)%len(op.Precisions)].Name
				text := fmt.Sprintf("name: net\ninput: %d\nlayers: %s\nloss: mse\ntrain: {batch: {auto: %d}, optimizer: {adam: {lr: 0.01}}, precision: %s}\n", input, layers, memory, precision)
				net, warnings, err := spec.Parse("net.yaml", []byte(text), spec.Options{})
				if err != nil {
					t.Fatalf("%s\n%v", text, err)
				}
				if len(warnings) == 0 {
					t.Errorf("%s\nthe batch is not told", text)
				}
				s, err := gen.Summarize(net)
				if err != nil {
					t.Fatal(err)
				}
				limit := int64(memory) << 30
				if s.GPUBytes > limit {
					t.Errorf("%s\na batch of %d needs %.2f GiB", text, s.Batch, float64(s.GPUBytes)/(1<<30))
				}
				if s.Batch < 1<<18 && 32*s.GPUBytes < limit {
					t.Errorf("%s\na batch of %d needs %.2f GiB alone", text, s.Batch, float64(s.GPUBytes)/(1<<30))
				}
			}
		}
	}
}
