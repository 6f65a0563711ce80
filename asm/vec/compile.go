package vec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// Files is what an Emitter makes.
type Files struct {
	Asm   []byte  // the .s file
	Stubs []byte  // the Go declarations
	Stats []Stats // a row for each function
}

// Compile allocates registers and prints the file. generatedBy is named in
// the header; pkg is the package of the stubs.
func (e *Emitter) Compile(generatedBy, pkg string) (Files, error) {
	e.flushPool()
	f, err := e.Result()
	if err = errors.Join(append(e.errs, err)...); err != nil {
		return Files{}, err
	}
	var out Files
	if out.Stats, err = e.passes(f); err != nil {
		return Files{}, err
	}
	cfg := printer.Config{Name: generatedBy, Pkg: pkg}
	if out.Asm, err = printer.NewGoAsm(cfg).Print(f); err != nil {
		return Files{}, err
	}
	if out.Stubs, err = printer.NewStubs(cfg).Print(f); err != nil {
		return Files{}, err
	}
	return out, nil
}

// passes are avo's passes, with this package's allocator in place of avo's.
func (e *Emitter) passes(f *ir.File) ([]Stats, error) {
	var stats []Stats
	err := pass.Concat(
		pass.Verify,
		pass.FunctionPass(pass.PruneJumpToFollowingLabel),
		pass.FunctionPass(pass.PruneDanglingLabels),
		pass.FunctionPass(func(fn *ir.Function) error {
			s, err := e.allocate(fn)
			stats = append(stats, s)
			return errors.Join(err, e.Err())
		}),
		pass.InstructionPass(pass.ZeroExtend32BitOutputs),
		pass.FunctionPass(func(fn *ir.Function) error {
			err := errors.Join(e.allocateScalars(fn, reg.KindGP), e.allocateScalars(fn, reg.KindOpmask))
			e.writeLegends(fn)
			return err
		}),
		pass.FunctionPass(func(fn *ir.Function) error { applyAllocation(fn); return nil }),
		pass.FunctionPass(pass.VerifyAllocation),
		pass.FunctionPass(pass.EnsureBasePointerCalleeSaved),
		pass.Func(pass.IncludeTextFlagHeader),
		pass.FunctionPass(pass.PruneSelfMoves),
		pass.FunctionPass(pass.RequiredISAExtensions),
		pass.FunctionPass(e.encodePrefetchW),
		pass.FunctionPass(e.checkISA),
	).Execute(f)
	return stats, err
}

// checkISA refuses instructions that the instruction set does not have. avo
// would take the AVX-512 form of an instruction where no AVX2 form fits. It
// drops what avo says of prefetches, that they need "MMX+": every amd64
// processor has them.
func (e *Emitter) checkISA(fn *ir.Function) error {
	fn.ISA = slices.DeleteFunc(fn.ISA, func(isa string) bool { return isa == "MMX+" })
	for _, isa := range fn.ISA {
		if e.isa == AVX2 && strings.HasPrefix(isa, "AVX512") {
			return fmt.Errorf("vec: %s is for AVX2 and needs %s", fn.Name, isa)
		}
	}
	return nil
}
