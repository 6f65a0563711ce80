package gen_test

import (
	"os"
	"testing"

	"github.com/dnngen/dnngen/gen"
	"github.com/dnngen/dnngen/spec"
)

// BenchmarkGenerate compiles the digits example from its text to its files.
func BenchmarkGenerate(b *testing.B) {
	text, err := os.ReadFile("../examples/digits.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		net, _, err := spec.Parse("digits.yaml", text, spec.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := gen.Generate(net, gen.Options{ImportPath: "example.com/digits"}); err != nil {
			b.Fatal(err)
		}
	}
}
