// Package gen is the compiler: from a validated network to the files of its
// trainer. It touches no disk.
package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dnngen/dnngen/asm"
	"github.com/dnngen/dnngen/cuda"
	"github.com/dnngen/dnngen/gen/golang"
	"github.com/dnngen/dnngen/gen/lower"
	"github.com/dnngen/dnngen/gen/summary"
	"github.com/dnngen/dnngen/internal/ir"
	"github.com/dnngen/dnngen/spec"
)

// File is one emitted file.
type File = ir.File

// Options tell what the network does not.
type Options struct {
	ImportPath string // of the emitted package
}

// Generate compiles a network: the same network gives the same bytes.
func Generate(net *spec.Network, o Options) ([]File, error) {
	// Lower and optimise.
	p, err := lower.Lower(net)
	if err != nil {
		return nil, fmt.Errorf("lower %s: %w", net.Name, err)
	}
	// Emit.
	files, err := golang.Emit(p, golang.Options{ImportPath: o.ImportPath, Devices: []string{cuda.Devices, asm.Devices}})
	if err != nil {
		return nil, err
	}
	kernels, err := asm.Emit(p, PackageName(net.Name))
	if err != nil {
		return nil, err
	}
	gpu, err := cuda.Emit(p, PackageName(net.Name))
	if err != nil {
		return nil, err
	}
	files = slices.Concat(files, kernels, gpu)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// Summarize compiles a network as far as its program, and says what that costs.
func Summarize(net *spec.Network) (*summary.Summary, error) {
	p, err := lower.Lower(net)
	if err != nil {
		return nil, fmt.Errorf("lower %s: %w", net.Name, err)
	}
	s := summary.Of(p)
	if s.GPUBytes, err = cuda.ArenaBytes(p); err != nil {
		return nil, err
	}
	return s, nil
}

// Header returns the first line of every file that is emitted for a spec.
func Header(source string) string { return golang.Header(source) }

// PackageName returns the name of the Go package of a network.
func PackageName(name string) string { return golang.PackageName(name) }
