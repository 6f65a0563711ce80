package vec

import (
	"errors"
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// Files is what an Emitter makes.
type Files struct {
	Asm   []byte // the .s file
	Stubs []byte // the Go declarations
}

// Compile allocates registers and prints the file. generatedBy is named in
// the header; pkg is the package of the stubs.
func (e *Emitter) Compile(generatedBy, pkg string) (Files, error) {
	e.flushPool()
	f, err := e.Result()
	if err = errors.Join(append(e.errs, err)...); err != nil {
		return Files{}, err
	}
	if err := pass.Compile.Execute(f); err != nil {
		return Files{}, err
	}
	for _, fn := range f.Functions() {
		if err := checkRegisters(fn, e.isa); err != nil {
			return Files{}, err
		}
	}
	cfg := printer.Config{Name: generatedBy, Pkg: pkg}
	var out Files
	if out.Asm, err = printer.NewGoAsm(cfg).Print(f); err != nil {
		return Files{}, err
	}
	if out.Stubs, err = printer.NewStubs(cfg).Print(f); err != nil {
		return Files{}, err
	}
	return out, nil
}

// checkRegisters refuses registers that the instruction set does not have.
func checkRegisters(fn *ir.Function, isa ISA) error {
	for _, i := range fn.Instructions() {
		for _, r := range i.Registers() {
			if p := reg.ToPhysical(r); r.Kind() == reg.KindVector && int(p.PhysicalIndex()) >= isa.Registers() {
				return fmt.Errorf("vec: %s needs more than the %d vector registers of %s", fn.Name, isa.Registers(), isa)
			}
		}
	}
	return nil
}
