package vec

// ISA is the instruction set that an Emitter writes for.
type ISA int

const (
	// AVX2 stands for AVX2 with FMA: 16 registers of 8 float32.
	AVX2 ISA = iota
	// AVX512 stands for AVX-512F with DQ, BW and VL: 32 registers of 16 float32.
	AVX512
)

// ISAs lists all instruction sets.
var ISAs = []ISA{AVX2, AVX512}

// String returns the name that files and devices bear: "avx2" or "avx512".
func (s ISA) String() string {
	if s == AVX512 {
		return "avx512"
	}
	return "avx2"
}

// Lanes returns the number of float32 in one vector.
func (s ISA) Lanes() int {
	if s == AVX512 {
		return 16
	}
	return 8
}

// Bytes returns the size of one vector.
func (s ISA) Bytes() int { return 4 * s.Lanes() }

// Registers returns the number of vector registers.
func (s ISA) Registers() int {
	if s == AVX512 {
		return 32
	}
	return 16
}
