package op

import "math"

// Precision is one row of the table of precisions: how a GPU computes matrix
// products. Sums, parameters, optimizer states and losses are float32 in each.
type Precision struct {
	Entry
	Format   string // of a product's operands, for the documentation
	Bytes    int    // of an operand in memory
	Exponent int    // bits of an operand's exponent
	Mantissa int    // bits of its fraction, without the leading one
	// Major and Minor are the least compute capability of a GPU whose tensor
	// cores multiply in this precision; 0 where no tensor core is needed.
	Major, Minor int
}

// Roundoff is the unit roundoff of an operand: the largest relative error of
// rounding to the nearest, 2^-(Mantissa+1).
func (p *Precision) Roundoff() float64 { return math.Ldexp(1, -p.Mantissa-1) }

// Scaled tells that gradients would vanish in the operands' range, so that the
// loss's gradient is multiplied by a scale: the exponent is shorter than that of
// a float32.
func (p *Precision) Scaled() bool { return p.Exponent < Precisions[0].Exponent }

// Precisions is the table of precisions. The first row is what every device
// computes in, and the default.
var Precisions = []*Precision{
	{
		Entry:  Entry{Name: "fp32", Doc: "IEEE single precision throughout: what the CPU computes too, and the reference of the others."},
		Format: "float32", Bytes: 4, Exponent: 8, Mantissa: 23,
	},
	{
		Entry:  Entry{Name: "tf32", Doc: "float32 in memory, rounded to ten bits of fraction as it enters a tensor core."},
		Format: "float32, rounded", Bytes: 4, Exponent: 8, Mantissa: 10, Major: 8,
	},
	{
		Entry:  Entry{Name: "bf16", Doc: "The range of float32 in 16 bits: the fastest that needs no care."},
		Format: "bfloat16", Bytes: 2, Exponent: 8, Mantissa: 7, Major: 8,
	},
	{
		Entry:  Entry{Name: "fp16", Doc: "IEEE half precision: finer than bf16 and of a small range. The loss is scaled, and a step whose gradients overflow is left out."},
		Format: "float16", Bytes: 2, Exponent: 5, Mantissa: 10, Major: 8,
	},
}
