//go:build unix

package main

import (
	"testing"

	"github.com/dnngen/dnngen/spec"
)

// TestShape wants equal widths that follow each other written once.
func TestShape(t *testing.T) {
	for _, c := range []struct{ layers, want string }{
		{"{linear: 5}", "7-5 mse, batch 3"},
		{"{linear: 7}, relu, {linear: 5}", "7-7-5 relu mse, batch 3"},
		{"{linear: 7}, relu, {linear: 7}, tanh, {linear: 7}, relu, {linear: 5}", "7 × 4-5 relu tanh mse, batch 3"},
	} {
		text := "name: net\ninput: 7\nlayers: [" + c.layers + "]\nloss: mse\ntrain: {batch: 3, optimizer: {sgd: {lr: 0.1}}}\n"
		net, problems, err := spec.Parse("net.yaml", []byte(text), spec.Options{})
		if err != nil {
			t.Fatal(problems, err)
		}
		if got := shape(net); got != c.want {
			t.Errorf("%s is %q, want %q", c.layers, got, c.want)
		}
	}
}
