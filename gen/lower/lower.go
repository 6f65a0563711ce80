// Package lower turns a validated Network into an ir.Program: Build writes the
// plain program, layer by layer, and Passes make it the one that is emitted.
package lower

import (
	"fmt"

	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

// Pass is one named rewriting of a program.
type Pass struct {
	Name string
	Run  func(*ir.Program)
}

// Passes are run in this order. Each leaves a program that ir.Verify accepts
// and that computes what it computed before.
var Passes = []Pass{
	{"hoist scalars", hoistScalars},
	{"choose slopes", chooseSlopes},
	{"fuse activations", fuseActivations},
	{"fuse input gradients", fuseInputGradients},
	{"fuse updates", fuseUpdates},
	{"plan memory", planMemory},
}

// Lower builds the program of a network and runs every pass on it.
func Lower(net *spec.Network) (*ir.Program, error) {
	p := Build(net)
	if err := ir.Verify(p); err != nil {
		return nil, fmt.Errorf("after build: %w", err)
	}
	for _, pass := range Passes {
		pass.Run(p)
		if err := ir.Verify(p); err != nil {
			return nil, fmt.Errorf("after %s: %w", pass.Name, err)
		}
	}
	return p, nil
}
