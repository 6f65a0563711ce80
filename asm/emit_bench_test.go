package asm_test

import (
	"testing"

	"github.com/dnngen/dnngen/asm"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/spec"
)

const digits = `name: digits
input: 64
layers: [{linear: 128}, relu, {linear: 64}, relu, {linear: 10}]
loss: cross_entropy
output: softmax
train: {batch: 64, epochs: 20, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}
`

// BenchmarkEmit emits a network of three layers for both instruction sets.
func BenchmarkEmit(b *testing.B) {
	net, _, err := spec.Parse("digits.yaml", []byte(digits), spec.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := lower.Lower(net)
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		if _, err := asm.Emit(p, "digits"); err != nil {
			b.Fatal(err)
		}
	}
}
