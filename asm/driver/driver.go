// Package driver emits the Go code that runs a plan's kernels: an
// engine.Engine for each instruction set, with the order of a step, the
// sharing of work among workers, and the places of all matrices as constants.
package driver

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/dnngen/dnngen/asm/kernel"
	"github.com/dnngen/dnngen/asm/plan"
	"github.com/dnngen/dnngen/asm/vec"
	"github.com/dnngen/dnngen/internal/ir"
)

// Import paths of what emitted code links.
const (
	runtimePath = "github.com/dnngen/dnngen/runtime"
	enginePath  = runtimePath + "/engine"
	poolPath    = runtimePath + "/pool"
	arenaPath   = runtimePath + "/arena"
	simdPath    = runtimePath + "/simd"
)

// Constraint is the build constraint of everything that needs assembly.
const Constraint = "amd64 && !noasm"

// Emit returns the Go files of a plan. header is their first line, pkg their
// package.
func Emit(p *plan.Plan, header, pkg string) ([]ir.File, error) {
	e := &emitter{Plan: p, header: header, pkg: pkg}
	var files []ir.File
	for _, f := range []struct {
		path string
		file *jen.File
	}{
		{"simd_amd64.go", e.engineFile()},
		{"simd_steps_amd64.go", e.stepsFile()},
		{"simd_kernels_amd64.go", e.kernelsFile()},
		{"simd_other.go", e.otherFile()},
	} {
		var b bytes.Buffer
		if err := f.file.Render(&b); err != nil {
			return nil, fmt.Errorf("emit %s: %w", f.path, err)
		}
		files = append(files, ir.File{Path: f.path, Content: b.Bytes()})
	}
	return files, nil
}

type emitter struct {
	*plan.Plan
	header, pkg string
}

// file starts a file with a build constraint.
func (e *emitter) file(constraint string) *jen.File {
	f := jen.NewFile(e.pkg)
	f.HeaderComment(e.header)
	f.HeaderComment("//go:build " + constraint)
	for _, own := range []string{enginePath, poolPath, arenaPath, simdPath} {
		f.ImportName(own, path.Base(own))
	}
	return f
}

// otherFile is for machines without these instruction sets.
func (e *emitter) otherFile() *jen.File {
	f := e.file("!amd64 || noasm")
	doc(f, "simdDevices returns no device: there are no vector kernels for this machine.")
	f.Func().Id("simdDevices").Params().Index().Qual(enginePath, "Device").Block(jen.Return(jen.Nil()))
	return f
}

// kernelsFile declares the table of kernels and fills it for each instruction
// set.
func (e *emitter) kernelsFile() *jen.File {
	f := e.file(Constraint)
	doc(f, "vectorKernels are the assembly functions of one instruction set, and how they cut rows",
		"into tiles.")
	f.Type().Id("vectorKernels").StructFunc(func(g *jen.Group) {
		g.List(id("train"), id("infer")).Id("vectorSplit")
		g.Line()
		for _, k := range e.Kernels {
			g.Id(k.FuncName()).Add(signature(k))
		}
	})
	doc(f, "vectorSplit cuts rows into tiles: tall ones of height rows, then others of one row less.")
	f.Type().Id("vectorSplit").Struct(jen.List(id("height"), id("tall")).Int())
	doc(f, "cover returns the number of tiles that hold the first n rows.")
	f.Func().Params(id("s").Id("vectorSplit")).Id("cover").Params(id("n").Int()).Int().Block(
		jen.If(define("tall", id("s").Dot("tall").Op("*").Id("s").Dot("height")), id("n").Op(">").Id("tall")).Block(
			jen.Return(id("s").Dot("tall").Op("+").Parens(id("n").Op("-").Id("tall").Op("+").Id("s").Dot("height").Op("-").Lit(2)).
				Op("/").Parens(id("s").Dot("height").Op("-").Lit(1))),
		),
		jen.Return(jen.Parens(id("n").Op("+").Id("s").Dot("height").Op("-").Lit(1)).Op("/").Id("s").Dot("height")),
	).Line()
	for _, isa := range vec.ISAs {
		f.Var().Id(table(isa)).Op("=").Id("vectorKernels").Values(jen.DictFunc(func(d jen.Dict) {
			d[id("train")] = split(e.Splits[isa])
			d[id("infer")] = split(e.Infer.Splits[isa])
			for _, k := range e.Kernels {
				d[id(k.FuncName())] = id(kernel.Symbol(k, isa))
			}
		})).Line()
	}
	return f
}

func split(s kernel.Split) code {
	return id("vectorSplit").Values(jen.Dict{id("height"): n(s.Height), id("tall"): n(s.Tall)})
}

func table(isa vec.ISA) string { return "vector" + strings.ToUpper(isa.String()) }

// signature is a kernel's function type.
func signature(k kernel.Kernel) code {
	p := k.Params()
	var params []jen.Code
	for i := 0; i < len(p.List); {
		j := i
		var names []jen.Code
		for j < len(p.List) && p.List[j].Type == p.List[i].Type {
			names = append(names, id(p.List[j].Name))
			j++
		}
		params = append(params, jen.List(names...).Add(goType(p.List[i].Type)))
		i = j
	}
	s := jen.Func().Params(params...)
	if p.Result != "" {
		s.Add(goType(p.Result))
	}
	return s
}

func goType(t string) code {
	if base, ok := strings.CutPrefix(t, "*"); ok {
		return jen.Op("*").Id(base)
	}
	return id(t)
}
