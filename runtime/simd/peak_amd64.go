//go:build amd64 && !noasm

package simd

func peakOf(isa string) (kernel func(rounds int), lanes int, err error) {
	switch isa {
	case "avx512":
		return peakAVX512, 16, MissingAVX512()
	case "avx2":
		return peakAVX2, 8, MissingAVX2()
	}
	return nil, 0, unknownISA(isa)
}
