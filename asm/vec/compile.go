package vec

import (
	"errors"
	"fmt"
	"sort"
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
			e.nameRegisters(fn, reg.KindVector)
			return errors.Join(err, e.Err())
		}),
		pass.InstructionPass(pass.ZeroExtend32BitOutputs),
		pass.FunctionPass(func(fn *ir.Function) error {
			err := errors.Join(e.allocateScalars(fn, reg.KindGP), e.allocateScalars(fn, reg.KindOpmask))
			e.nameRegisters(fn, reg.KindOpmask)
			e.nameRegisters(fn, reg.KindGP)
			return err
		}),
		pass.FunctionPass(func(fn *ir.Function) error { applyAllocation(fn); return nil }),
		pass.FunctionPass(pass.VerifyAllocation),
		pass.FunctionPass(pass.EnsureBasePointerCalleeSaved),
		pass.Func(pass.IncludeTextFlagHeader),
		pass.FunctionPass(pass.PruneSelfMoves),
		pass.FunctionPass(pass.RequiredISAExtensions),
		pass.FunctionPass(e.checkISA),
	).Execute(f)
	return stats, err
}

// nameRegisters writes the names of the registers of one kind at the head of
// the function. Registers that hold the same in turn share a line.
func (e *Emitter) nameRegisters(fn *ir.Function, kind reg.Kind) {
	var lines []string
	for _, n := range e.names[fn.Name] {
		if n.r.Kind() != kind {
			continue
		}
		place := "stack"
		if p := fn.Allocation.LookupRegister(n.r); p != nil {
			place = p.Asm()
		}
		lines = append(lines, fmt.Sprintf("%-5s %s", place, n.text))
	}
	if len(lines) == 0 {
		return
	}
	sort.SliceStable(lines, func(a, b int) bool { return naturalLess(lines[a], lines[b]) })
	fn.Nodes = append([]ir.Node{ir.NewComment(lines...)}, fn.Nodes...)
}

// naturalLess orders register names by letter, then by number.
func naturalLess(a, b string) bool {
	ra, rb := strings.Fields(a)[0], strings.Fields(b)[0]
	if ra[0] != rb[0] || len(ra) == len(rb) {
		return ra < rb
	}
	return len(ra) < len(rb)
}

// checkISA refuses instructions that the instruction set does not have. avo
// would take the AVX-512 form of an instruction where no AVX2 form fits.
func (e *Emitter) checkISA(fn *ir.Function) error {
	for _, isa := range fn.ISA {
		if e.isa == AVX2 && strings.HasPrefix(isa, "AVX512") {
			return fmt.Errorf("vec: %s is for AVX2 and needs %s", fn.Name, isa)
		}
	}
	return nil
}
