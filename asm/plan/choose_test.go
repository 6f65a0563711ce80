package plan_test

import (
	"fmt"
	"testing"

	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/spec"
)

// Which networks walk tiles of rows, in how many shards, and which steps their
// workers share in which way.
func TestChoices(t *testing.T) {
	for _, test := range []struct {
		name, layers string
		batch        string
		tiled, alone bool
		rows, shards int
		first        plan.Sharing // of the first layer
	}{
		{"narrow", "[{linear: 64}, relu, {linear: 64}, relu, {linear: 64}, relu, {linear: 16}]", "16384", true, false, 128, 30, plan.Unshared},
		{"narrow, few rows", "[{linear: 64}, relu, {linear: 16}]", "600", true, false, 128, 5, plan.Unshared},
		{"fewer rows than tiles are worth", "[{linear: 64}, relu, {linear: 16}]", "511", false, false, 511, 1, plan.Shared},
		{"gradient descent", "[{linear: 8}, tanh, {linear: 16}]", "full", true, false, 128, 30, plan.Unshared},
		{"smaller tiles fit", "[{linear: 144}, relu, {linear: 144}, relu, {linear: 64}, relu, {linear: 16}]", "4096", true, false, 64, 24, plan.Unshared},
		{"wide", "[{linear: 512}, relu, {linear: 512}, relu, {linear: 16}]", "4096", false, false, 512, 1, plan.Claimed},
		{"small", "[{linear: 8}, tanh, {linear: 16}]", "32", false, true, 32, 1, plan.Unshared},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := fmt.Sprintf("name: net\ninput: 64\nlayers: %s\nloss: mse\noutput: identity\ntrain: {batch: %s, optimizer: {sgd: {lr: 0.1}}}\n", test.layers, test.batch)
			net, _, err := spec.Parse("net.yaml", []byte(text), spec.Options{})
			if err != nil {
				t.Fatal(err)
			}
			program, err := lower.Lower(net)
			if err != nil {
				t.Fatal(err)
			}
			p, err := plan.New(program)
			if err != nil {
				t.Fatal(err)
			}
			if p.Tiled != test.tiled || p.Alone != test.alone || p.Rows != test.rows || p.Shards != test.shards {
				t.Errorf("tiled %v, alone %v, %d rows, %d shards; want %v, %v, %d, %d",
					p.Tiled, p.Alone, p.Rows, p.Shards, test.tiled, test.alone, test.rows, test.shards)
			}
			if got := p.Forward[0].How(); got != test.first {
				t.Errorf("the first layer is shared in way %d, want %d", got, test.first)
			}
		})
	}
}
