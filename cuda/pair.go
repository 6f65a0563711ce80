package cuda

import (
	"fmt"

	"github.com/dnngen/dnngen/internal/ir"
)

// This file emits epilogues that store operands of 16 bits in pairs: a thread of
// DnnGemm has two neighbours of a row, and one store of 32 bits is half as many
// as two of 16.

// result is where an epilogue's method values leaves a number.
type result struct {
	buffer *ir.Buffer
	infer  bool
}

// paired tells whether an epilogue stores pairs: where it stores operands of 16
// bits, and whatever it stores follows its columns.
func (s *source) paired(m *ir.Map, out *ir.Buffer) bool {
	some := out != nil && s.Operand(out)
	if m != nil {
		for _, in := range m.In {
			if in.View.Stride > 1 {
				return false
			}
		}
		for _, o := range m.Out {
			if o.View.Stride > 1 {
				return false
			}
			some = some || s.Operand(o.View.Buffer)
		}
	}
	return some && s.Precision.Bytes == 2
}

// pairs writes the methods that store what values computes: for one unit, and for
// two that follow each other, the first of which is even.
func (s *source) pairs(list []result) {
	call := func(unit, acc, out string) string { return fmt.Sprintf("values(row, %s, %s, %s)", unit, acc, out) }
	s.line("DNN_METHOD float unit(int row, int unit, const float *acc) const {")
	s.line("const long long r = row;")
	s.line("float v[%d];", len(list))
	s.line("const float sum = %s;", call("unit", "acc", "v"))
	for i, to := range list {
		s.store(to.buffer, to.infer, "unit", fmt.Sprintf("v[%d]", i))
	}
	s.line("return sum;")
	s.line("}")
	s.line("DNN_METHOD void pair(int row, int unit, const float *acc, float *sums) const {")
	s.line("const long long r = row;")
	s.line("float v[%d], w[%d];", len(list), len(list))
	s.line("sums[0] += %s;", call("unit", "acc", "v"))
	s.line("sums[1] += %s;", call("unit + 1", "acc + 1", "w"))
	for i, to := range list {
		if s.Operand(to.buffer) {
			s.line("%s::put2(%s + r * %d + unit, v[%d], w[%d]);", s.policy(), s.words(s.Buffer(to.buffer, to.infer)), s.Lead(to.buffer.Width), i, i)
			continue
		}
		s.store(to.buffer, to.infer, "unit", fmt.Sprintf("v[%d]", i))
		s.store(to.buffer, to.infer, "unit + 1", fmt.Sprintf("w[%d]", i))
	}
	s.line("}")
}
